"""The section `publish` of params.yaml: how results are published."""

from __future__ import annotations

from pydantic import Field

from enigma_tasks.frozen import Frozen


class PublishParams(Frozen):
    """How results are published."""

    brat: bool
    """Write one `.ann` file per note under annotations/."""
    download_threads: int = Field(gt=0)
    """Results of shards that are downloaded at once."""
