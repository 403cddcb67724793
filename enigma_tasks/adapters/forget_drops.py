"""A forgotten note's objects in drops/: their texts, and what is left of a file of records without it."""

from __future__ import annotations

import gzip
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from enigma_tasks.adapters.object_versions import purge, read_version, versions_below
from enigma_tasks.errors import DataError
from enigma_tasks.file_names import holds_records
from enigma_tasks.notes.gunzip import DamagedError, gunzip
from enigma_tasks.notes.records import read_lines
from enigma_tasks.notes.references import WHOLE_FILE

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from enigma_tasks.adapters.object_store import ObjectStore
    from enigma_tasks.adapters.object_versions import ObjectVersion
    from enigma_tasks.notes.forgotten import Target
    from enigma_tasks.params.limits import RecordLimits


_GZIP = b"\x1f\x8b"
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Dropped:
    """A version of an object in drops/ that is the note or holds it."""

    version: ObjectVersion
    texts: tuple[str, ...]
    """Of the note; none where they cannot be read."""
    rest: bytes | None
    """Of a file of records, without the note; None where nothing else is in it."""


def dropped(target: Target, versions: Collection[str], limits: RecordLimits) -> Iterator[Dropped]:
    """Every version of the note's objects, the marks of deleted ones too.

    Args:
        target: the note.
        versions: SHA-256 of the lines that the tables have of a record.
        limits: of files of records.

    Raises:
        DataError: a rule in `WHOLE_FILE`: the note is named as a record of a file that is read to no end.
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
        found = _records(version, data, target, versions, limits)
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


def _records(
    version: ObjectVersion, stored: bytes, target: Target, versions: Collection[str], limits: RecordLimits
) -> Dropped | None:
    texts: list[str] = []
    cuts: list[tuple[int, int]] = []
    for line, outcome in read_lines(_opened(stored, limits), version.key.removesuffix(".gz"), limits):
        if isinstance(outcome, DataError) and line is None and outcome.rule in WHOLE_FILE:
            if target.record_id is None:
                break
            raise DataError(version.key, outcome.rule, outcome.offset, "name the whole file to forget it")
        # a line without an id is known by its digest: its number is that of another one once it is removed
        named = not isinstance(outcome, DataError) and outcome.id == target.record_id
        if target.record_id is not None and not (line is not None and (named or line.sha256 in versions)):
            continue
        if not isinstance(outcome, DataError):
            texts.append(outcome.text)
        if line is not None:
            cuts.append((line.start, line.start + line.size))
    if target.record_id is None:
        return Dropped(version, tuple(texts), None)
    return Dropped(version, tuple(texts), _without(stored, cuts, limits)) if cuts else None


def _opened(stored: bytes, limits: RecordLimits) -> BinaryIO:
    stream = io.BytesIO(stored)
    return gunzip(stream, limits.unpacked) if stored.startswith(_GZIP) else stream


def _without(stored: bytes, cuts: Sequence[tuple[int, int]], limits: RecordLimits) -> bytes | None:
    """A file without some ranges of its unpacked bytes, and without what is after a damage; None where none is left."""
    rest, length = io.BytesIO(), 0
    packed = stored.startswith(_GZIP)
    out = gzip.GzipFile(filename="", mode="wb", fileobj=rest, mtime=0) if packed else rest
    for chunk in _kept(_opened(stored, limits), cuts):
        out.write(chunk)
        length += len(chunk)
    if packed:
        out.close()
    return rest.getvalue() if length else None


def _kept(source: BinaryIO, cuts: Sequence[tuple[int, int]]) -> Iterator[bytes]:
    at = 0
    try:
        for start, end in cuts:
            while chunk := source.readline(min(_CHUNK, start - at)):
                at += len(chunk)
                yield chunk
            while chunk := source.readline(min(_CHUNK, end - at)):
                at += len(chunk)
        while chunk := source.readline(_CHUNK):
            yield chunk
    except DamagedError:
        return
