"""The section `plan` of params.yaml: the size of shards."""

from __future__ import annotations

from pydantic import Field

from enigma_tasks.frozen import Frozen


class PlanParams(Frozen):
    """The size of shards."""

    notes_per_shard: int = Field(gt=0)
    max_shards: int = Field(gt=0, le=1000)
    """Airflow maps over shards and refuses longer lists (`max_map_length` 1024): shards become larger instead."""
