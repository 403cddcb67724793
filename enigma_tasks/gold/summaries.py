"""What a version of the gold repository keeps of its ingestion, in its commit: counts only."""

from __future__ import annotations

import json

from pydantic import TypeAdapter

from enigma_tasks.frozen import Frozen, read_record
from enigma_tasks.gold.settling import IngestCounts  # noqa: TC001 - pydantic reads it


class PlaceCounts(Frozen):
    """Documents of one language and type."""

    added: int
    replaced: int


class IngestSummary(Frozen):
    """One ingestion."""

    counts: IngestCounts
    rules: dict[str, int]
    """Refused documents by rule."""
    places: dict[str, PlaceCounts]
    """By `language/type`."""
    new_version: bool
    """Whether documents changed, rather than only what is known of the objects."""


_SUMMARY = TypeAdapter(IngestSummary)


def summary_bytes(summary: IngestSummary) -> bytes:
    """One line of JSON; equal summaries give equal bytes."""
    return json.dumps(summary.model_dump(mode="json"), sort_keys=True).encode()


def read_summary(name: str, data: bytes) -> IngestSummary:
    """Back from `summary_bytes`; `name` is that of the version. Raises DataError as `read_record` does."""
    return read_record(_SUMMARY, name, data)
