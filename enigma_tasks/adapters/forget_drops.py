"""A forgotten note's objects in drops/: their texts, and what is left of a file of records without it."""

from __future__ import annotations

import gzip
import io
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from enigma_tasks.adapters.object_versions import purge, read_version, versions_below
from enigma_tasks.errors import DataError
from enigma_tasks.file_names import holds_records
from enigma_tasks.notes.records import read_lines

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from enigma_tasks.adapters.object_store import ObjectStore
    from enigma_tasks.adapters.object_versions import ObjectVersion
    from enigma_tasks.notes.forgotten import Target


_GZIP = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class Dropped:
    """A version of an object in drops/ that is the note or holds it."""

    version: ObjectVersion
    texts: tuple[str, ...]
    """Of the note; none where they cannot be read."""
    rest: bytes | None
    """Of a file of records, without the note; None where nothing else is in it."""


def dropped(target: Target, versions: Collection[str], max_bytes: int) -> Iterator[Dropped]:
    """Every version of the note's objects, the marks of deleted ones too.

    Args:
        target: the note.
        versions: SHA-256 of the lines that the tables have of a record.
        max_bytes: of one text.

    Raises:
        ServiceError: as `ObjectStore` does.
    """
    for version in versions_below(f"s3://{target.bucket}/{target.key}"):
        if not target.covers(version.bucket, version.key, target.record_id):
            continue
        if version.is_mark:
            if target.record_id is None:
                yield Dropped(version, (), None)
            continue
        data = read_version(version)
        if not holds_records(version.key):
            yield Dropped(version, _text(data), None)
            continue
        found = _records(version, data, target, versions, max_bytes)
        if found is not None:
            yield found


def remove_dropped(store: ObjectStore, found: Dropped) -> None:
    """Delete the version; where other records are in it and it is the newest one, write those first."""
    if found.rest is not None and found.version.latest:
        store.put(found.version.uri, found.rest)
        purge(found.version.uri, keep_latest=True)
    else:
        purge(found.version.uri, only=found.version.version_id)


def _text(data: bytes) -> tuple[str, ...]:
    try:
        return (data.decode("utf-8"),)
    except UnicodeDecodeError:
        return ()


def _unpacked(data: bytes) -> bytes:
    try:
        return gzip.decompress(data) if data.startswith(_GZIP) else data
    except (OSError, EOFError, zlib.error):
        return b""


def _records(
    version: ObjectVersion, stored: bytes, target: Target, versions: Collection[str], max_bytes: int
) -> Dropped | None:
    data, packed = _unpacked(stored), stored.startswith(_GZIP)
    texts, kept, at = [], [], 0
    cut = False
    for line, outcome in read_lines(io.BytesIO(data), version.key.removesuffix(".gz"), max_bytes):
        # a line without an id is known by its digest: its number is that of another one once it is removed
        named = not isinstance(outcome, DataError) and outcome.id == target.record_id
        if target.record_id is not None and not (line is not None and (named or line.sha256 in versions)):
            continue
        if not isinstance(outcome, DataError):
            texts.append(outcome.text)
        if line is not None:
            kept.append(data[at : line.start])
            at, cut = line.start + line.size, True
    if target.record_id is None:
        return Dropped(version, tuple(texts), None)
    if not cut:
        return None
    rest = b"".join([*kept, data[at:]])
    rest_bytes = gzip.compress(rest, mtime=0) if packed and rest else rest
    return Dropped(version, tuple(texts), rest_bytes or None)
