"""The section `annotate` of params.yaml: how a shard is annotated."""

from __future__ import annotations

from pydantic import Field

from enigma_tasks.frozen import Frozen


class AnnotateParams(Frozen):
    """How a shard is annotated."""

    batch_tokens: int = Field(gt=0)
    """Sub-words per forward pass, padding included."""
    read_threads: int = Field(gt=0)
    chunk_notes: int = Field(gt=0)
    """Notes passed to the engine at once; as many again are read ahead."""
    chunk_characters: int = Field(gt=0)
    """A chunk ends earlier when its texts exceed this: it bounds memory."""
    resident_mib: int | None = Field(None, gt=0)
    """Weights in memory at once; above it, members are loaded in turn for each chunk. None: no limit."""
    window_scores_mib: int = Field(0, ge=0)
    """Disk for the scores of windows, for the notes that repeat them on later nights; 0: none are kept."""

    def halved(self, times: int) -> AnnotateParams:
        """Half of everything that memory grows with, so many times; the same notes and, but for rounding, scores."""
        sizes = {
            name: min(getattr(self, name), max(getattr(self, name) >> times, least)) for name, least in LEAST.items()
        }
        return self.model_copy(update=sizes)


LEAST = {"batch_tokens": 256, "read_threads": 1, "chunk_notes": 1, "chunk_characters": 10_000}
"""Least value of the sizes that memory grows with."""
