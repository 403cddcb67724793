"""What was exported for review and what came back, in the object store: records in; records out; no text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from enigma_tasks.adapters.object_store import Wanted
from enigma_tasks.errors import ObjectMissing
from enigma_tasks.monitoring.review_manifest import import_bytes, manifest_bytes, read_import, read_manifest
from enigma_tasks.monitoring.reviews import latest_reviews
from enigma_tasks.review_places import ReviewIndexPlaces

if TYPE_CHECKING:
    from collections.abc import Iterator

    from enigma_tasks.adapters.object_store import ObjectStore
    from enigma_tasks.monitoring.review_manifest import ReviewImport, ReviewManifest
    from enigma_tasks.monitoring.reviews import ReviewedNote


class ReviewIndex:
    """The records of all nights; each is created once and never changed.

    Raises, from every method:
        DataError: what is there is damaged, or written by a newer version; see `frozen.read_record`.
        ServiceError: as `ObjectStore` does.
    """

    def __init__(self, store: ObjectStore, places: ReviewIndexPlaces) -> None:
        self._store = store
        self._places = places

    def find_manifest(self, batch_id: str) -> ReviewManifest | None:
        """What was exported in a night, or None while it was not."""
        uri = self._places.manifest(batch_id)
        try:
            return read_manifest(uri, self._store.get(uri))
        except ObjectMissing:
            return None

    def create_manifest(self, manifest: ReviewManifest) -> bool:
        """Write a night's manifest; False when another process exported the night first: its manifest counts."""
        return self._store.put_if_absent(self._places.manifest(manifest.night.batch_id), manifest_bytes(manifest))

    def manifests(self) -> Iterator[ReviewManifest]:
        """Those of all nights."""
        return (read_manifest(uri, data) for uri, data in self._records(self._places.manifests))

    def find_import(self, batch_id: str) -> ReviewImport | None:
        """What an import found, or None where there was none or it found nothing that was new."""
        uri = self._places.imported(batch_id)
        try:
            return read_import(uri, self._store.get(uri))
        except ObjectMissing:
            return None

    def create_import(self, found: ReviewImport) -> bool:
        """Write what an import found; False when another process has imported under this batch: that one counts."""
        return self._store.put_if_absent(self._places.imported(found.batch_id), import_bytes(found))

    def imports(self) -> Iterator[ReviewImport]:
        """All of them, in no order that means anything."""
        return (read_import(uri, data) for uri, data in self._records(self._places.imports))

    def reviews(self) -> list[ReviewedNote]:
        """The review that counts of each reviewed note and night; see `latest_reviews`."""
        return latest_reviews(review for found in self.imports() for review in found.reviews)

    def _records(self, folder: str) -> Iterator[tuple[str, bytes]]:
        for fetched in self._store.get_many(Wanted(info.uri) for info in self._store.list(folder)):
            yield fetched.uri, fetched.data or b""


def read_reviews(store: ObjectStore, root: str) -> list[ReviewedNote]:
    """`ReviewIndex.reviews` of the place `reviewed_index`; none where that is not set."""
    return ReviewIndex(store, ReviewIndexPlaces(root)).reviews() if root else []
