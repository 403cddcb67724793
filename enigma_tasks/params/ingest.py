"""The section `ingest` of params.yaml: how gold drops become versions."""

from __future__ import annotations

from pydantic import Field

from enigma_tasks.frozen import Frozen


class IngestParams(Frozen):
    """Limits of gold drops and of pushing a version."""

    max_bytes: int = Field(gt=0)
    """A larger object goes to quarantine unread."""
    attempts: int = Field(gt=0)
    """Attempts to push a version; one fails whenever another ingestion was faster."""
    command_seconds: float = Field(gt=0)
    """Time limit of one git or DVC command, e.g. to upload a version."""
