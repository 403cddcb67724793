"""The reviewed notes that were imported: JSON lines under the place `reviewed_index`, a file for each import."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import TypeAdapter

from enigma_tasks.frozen import read_record
from enigma_tasks.monitoring.reviews import ReviewedNote, latest_reviews

if TYPE_CHECKING:
    from enigma_tasks.adapters.object_store import ObjectStore

_REVIEW = TypeAdapter(ReviewedNote)


def read_reviews(store: ObjectStore, root: str) -> list[ReviewedNote]:
    """The review that counts of each note and night. Raises DataError as `read_record` does."""
    if not root:
        return []
    uris = [item.uri for item in store.list(f"{root}/") if item.uri.endswith(".jsonl")]
    return latest_reviews(
        read_record(_REVIEW, fetched.uri, line, number)
        for fetched in store.get_many((uri, None) for uri in uris)
        for number, line in enumerate((fetched.data or b"").splitlines(), 1)
        if line.strip()
    )
