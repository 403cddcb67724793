"""Every version of an object in S3, to delete what a bucket with versions keeps of deleted and overwritten objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from enigma_tasks.adapters.object_store import get_body, split_uri
from enigma_tasks.adapters.ranged_reader import ranged_stream
from enigma_tasks.adapters.s3_client import s3_client, typed
from enigma_tasks.workfolder import private_folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from enigma_tasks.adapters.object_store import ObjectStore


class ObjectVersion(NamedTuple):
    """One version; a bucket without versions has one of each object."""

    bucket: str
    key: str
    version_id: str
    latest: bool
    is_mark: bool
    """A mark that the object was deleted: it has no bytes."""
    size: int = 0
    etag: str = ""

    @property
    def uri(self) -> str:
        """Of the object."""
        return f"s3://{self.bucket}/{self.key}"


def versions_below(prefix_uri: str) -> Iterator[ObjectVersion]:
    """Every version of every object whose URI starts so, and the marks of deleted ones. Raises ServiceError."""
    bucket, prefix = split_uri(prefix_uri)
    with typed("ListObjectVersions", bucket, prefix):
        pages = s3_client().get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix)
        for page in pages:
            for item in page.get("Versions", ()):
                yield ObjectVersion(
                    bucket,
                    item["Key"],
                    item["VersionId"],
                    item["IsLatest"],
                    is_mark=False,
                    size=item["Size"],
                    etag=item["ETag"],
                )
            for mark in page.get("DeleteMarkers", ()):
                yield ObjectVersion(bucket, mark["Key"], mark["VersionId"], mark["IsLatest"], is_mark=True)


def open_version(version: ObjectVersion) -> BinaryIO:
    """Its bytes as a seekable stream, a few megabytes per request.

    Reading raises ObjectMissing; ObjectChanged where a bucket without versions has other bytes by now; ServiceError.
    """

    def read(start: int, length: int) -> bytes:
        span = f"bytes={start}-{start + length - 1}"
        return get_body(version.bucket, version.key, VersionId=version.version_id, IfMatch=version.etag, Range=span)

    return ranged_stream(read, version.size)


def put_chunks(store: ObjectStore, uri: str, chunks: Iterable[bytes]) -> int:
    """Write an object of any size by way of the disk; returns its size. Of no chunk at all, none is written.

    The chunks may be read from the version that is replaced.
    """
    with private_folder() as folder:
        path = folder / "object"
        with path.open("wb") as file:
            for chunk in chunks:
                file.write(chunk)
        size = path.stat().st_size
        if size:
            store.upload(path, uri)
        return size


def purge(uri: str, *, keep_latest: bool = False, only: str | None = None) -> int:
    """Delete every version of an object, or only one; returns how many.

    Raises ServiceError, also where a version is locked.
    """
    bucket, key = split_uri(uri)
    found = [v for v in versions_below(uri) if v.key == key and not (keep_latest and v.latest)]
    if only is not None:
        found = [v for v in found if v.version_id == only]
    for version in found:
        with typed("DeleteObject", bucket, key):
            s3_client().delete_object(Bucket=bucket, Key=key, VersionId=version.version_id)
    return len(found)
