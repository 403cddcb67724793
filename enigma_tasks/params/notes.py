"""The section `notes` of params.yaml: limits of notes."""

from __future__ import annotations

from pydantic import Field

from enigma_tasks.frozen import Frozen


class NoteParams(Frozen):
    """Limits of notes."""

    max_bytes: int = Field(gt=0)
    max_records: int = Field(gt=0)
    """In one file of records; each is kept in memory while a night is planned."""
