"""The section `ingest` of params.yaml: how gold drops become versions."""

from __future__ import annotations

from pydantic import Field

from enigma_tasks.frozen import Frozen


class IngestParams(Frozen):
    """What a drop may look like, and how hard a version is pushed."""

    max_bytes: int = Field(gt=0)
    """A larger object goes to quarantine unread."""
    attempts: int = Field(gt=0)
    """To push a version; one is lost whenever another ingestion was faster."""
    command_seconds: float = Field(gt=0)
    """What one git or DVC command may take, e.g. to upload a version."""
