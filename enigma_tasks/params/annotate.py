"""The section `annotate` of params.yaml: how a shard is worked through."""

from __future__ import annotations

from pydantic import Field

from enigma_tasks.frozen import Frozen


class AnnotateParams(Frozen):
    """How a shard is worked through."""

    batch_tokens: int = Field(gt=0)
    """Sub-words per forward pass, padding included."""
    read_threads: int = Field(gt=0)
    chunk_notes: int = Field(gt=0)
    """Notes handed to the engine at once; as many again are read ahead meanwhile."""
    chunk_characters: int = Field(gt=0)
    """The chunk ends earlier when its texts are longer together than this: it bounds memory."""
    resident_mib: int | None = Field(None, gt=0)
    """Weights held at once; members beyond it take turns, loaded anew for each chunk. None: all are held."""
