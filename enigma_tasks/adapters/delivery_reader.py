"""Lists and reads what people drop as annotated documents: gold, and reviewed notes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from enigma_tasks.adapters.object_store import ObjectStore, Wanted, split_uri
from enigma_tasks.gold.ingestion import GoldObject

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from enigma_tasks.gold.ingestion import Delivery


def listed(store: ObjectStore, place: str) -> list[GoldObject]:
    """Every object below a place's URI. Raises ServiceError."""
    prefix = f"{split_uri(place)[1]}/"
    return [
        GoldObject(o.key.removeprefix(prefix), o.etag, o.size, o.last_modified.isoformat())
        for o in store.list(f"{place}/")
    ]


def contents(
    store: ObjectStore, place: str, deliveries: Sequence[Delivery]
) -> Iterator[tuple[Delivery, dict[str, bytes]]]:
    """Each delivery with its objects' bytes by path; none of one that cannot be read for its `rule`.

    One of which an object was written over or deleted since it was listed is left to the next run. Raises ServiceError.
    """
    fetched = store.get_many(
        Wanted(f"{place}/{o.path}", o.etag, o.size) for d in deliveries if not d.rule for o in d.objects
    )
    for delivery in deliveries:
        parts = [] if delivery.rule else [(o.path, next(fetched).data) for o in delivery.objects]
        data = {path: content for path, content in parts if content is not None}
        if len(data) == len(parts):
            yield delivery, data
