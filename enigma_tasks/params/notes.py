"""The section `notes` of params.yaml: what a note may look like."""

from __future__ import annotations

from pydantic import Field

from enigma_tasks.frozen import Frozen


class NoteParams(Frozen):
    """What a note may look like before it is annotated."""

    max_bytes: int = Field(gt=0)
