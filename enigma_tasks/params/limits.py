"""Limits of what one file may hold, so that one file costs only itself: a few kB of gzip or zip can hold gigabytes."""

from __future__ import annotations

from pydantic import Field

from enigma_tasks.frozen import Frozen

RATIO_FROM = 1_000_000
"""Unpacked bytes from which the ratio counts: a small file is harmless, and may repeat itself."""


class Unpacked(Frozen):
    """What a packed file may unpack to."""

    max_bytes: int = Field(gt=0)
    max_ratio: int = Field(gt=0)
    """Unpacked bytes for each packed one, from `RATIO_FROM` on. Texts of people stay below 20."""

    def broken(self, packed: int, unpacked: int) -> str | None:
        """The rule that so many bytes break."""
        if unpacked > self.max_bytes:
            return "unpacked_too_large"
        return "unpacked_ratio" if unpacked > max(RATIO_FROM, packed * self.max_ratio) else None


class RecordLimits(Frozen):
    """Limits of texts, and of files with a record in each line."""

    max_bytes: int = Field(gt=0)
    """Of a text."""
    max_subwords: int = Field(gt=0)
    """Of a text, estimated by its length with compatibility characters written out (`documents.expanded_length`)."""
    max_records: int = Field(gt=0)
    """Lines of a file of records, blank ones included; each record is kept in memory while a night is planned."""
    unpacked: Unpacked
    """Of a file of records that is packed."""
