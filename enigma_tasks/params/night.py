"""The sections `notes`, `plan`, `annotate`, `publish` and `monitor` of params.yaml: a night's numbers."""

from __future__ import annotations

from pydantic import Field

from enigma_tasks.frozen import Frozen


class NoteParams(Frozen):
    """What a note may look like before it is annotated."""

    max_bytes: int = Field(gt=0)


class PlanParams(Frozen):
    """How a night is cut into shards."""

    notes_per_shard: int = Field(gt=0)
    max_shards: int = Field(gt=0, le=1000)
    """Airflow maps over shards and refuses longer lists (`max_map_length` 1024): the shard grows instead."""


class AnnotateParams(Frozen):
    """How a shard is worked through."""

    batch_tokens: int = Field(gt=0)
    """Sub-words per forward pass, padding included."""
    read_threads: int = Field(gt=0)
    chunk_notes: int = Field(256, gt=0)
    """Notes handed to the engine at once; as many again are read ahead meanwhile."""
    chunk_characters: int = Field(2_000_000, gt=0)
    """The chunk ends earlier when its texts are longer together than this: it bounds memory."""
    resident_mib: int | None = Field(None, gt=0)
    """Weights held at once; members beyond it take turns, loaded anew for each chunk. Without it all are held."""


class PublishParams(Frozen):
    """What a night leaves behind."""

    brat: bool
    """Write one `.ann` file per note under annotations/."""


class MonitorParams(Frozen):
    """The morning page."""

    nights_compared: int = Field(gt=0)
    nights_needed: int = Field(gt=1)
    """Past nights it takes before a figure can be called unusual."""
    notes_needed: int = Field(gt=0)
    """Annotated notes it takes, of a night or of one language in it, before its figures per note are compared."""
    unusual_deviations: float = Field(gt=0)
    """Half-width of the usual range around the past nights' median, in scaled median absolute deviations ..."""
    unusual_share: float = Field(ge=0)
    """... and at least this share of the median."""
    garbled_share: float = Field(0.005, gt=0, le=1)
    """A note with a larger share of garbled characters (U+FFFD, UTF-8 read in another encoding) is told."""
