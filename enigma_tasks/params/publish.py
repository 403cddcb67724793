"""The section `publish` of params.yaml: what a night leaves behind."""

from __future__ import annotations

from pydantic import Field

from enigma_tasks.frozen import Frozen


class PublishParams(Frozen):
    """What a night leaves behind."""

    brat: bool
    """Write one `.ann` file per note under annotations/."""
    download_threads: int = Field(gt=0)
    """Shards' results fetched at once."""
