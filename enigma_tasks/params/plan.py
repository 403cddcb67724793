"""The section `plan` of params.yaml: the size of a night and of its shards."""

from __future__ import annotations

from pydantic import Field

from enigma_tasks.frozen import Frozen


class PlanParams(Frozen):
    """The size of a night and of its shards."""

    max_notes: int = Field(gt=0)
    """Of a night, refused ones included; about 0.5 kB of memory each."""
    notes_per_shard: int = Field(gt=0)
    max_shards: int = Field(gt=0, le=1000)
    """Airflow maps over shards and refuses longer lists (`max_map_length` 1024): shards become larger instead."""
