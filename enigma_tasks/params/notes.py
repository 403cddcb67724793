"""The section `notes` of params.yaml: limits of notes."""

from __future__ import annotations

from pydantic import Field

from enigma_tasks.frozen import Frozen


class NoteParams(Frozen):
    """Limits of notes."""

    max_bytes: int = Field(gt=0)
