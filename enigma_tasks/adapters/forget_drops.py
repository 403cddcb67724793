"""A forgotten note's objects in drops/: their texts, and what is left of a file of records without it."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from enigma_tasks.adapters.object_versions import open_version, purge, put_chunks, versions_below
from enigma_tasks.errors import DataError
from enigma_tasks.file_names import holds_records
from enigma_tasks.notes.gunzip import DamagedError, gunzip
from enigma_tasks.notes.records import read_lines
from enigma_tasks.notes.references import WHOLE_FILE

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from enigma_tasks.adapters.object_store import ObjectStore
    from enigma_tasks.adapters.object_versions import ObjectVersion
    from enigma_tasks.notes.forgotten import Target
    from enigma_tasks.params.limits import RecordLimits


_GZIP = b"\x1f\x8b"
_CHUNK = 1 << 20
_LONGEST_TEXT = 50_000_000
"""Bytes; a note may be no longer, unless `notes.max_bytes` is larger."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """A version of an object in drops/ that is the note or holds it."""

    version: ObjectVersion
    cuts: tuple[tuple[int, int], ...] = ()
    """Of a file of records, where the note is in its unpacked bytes; empty where the whole version is the note."""


def dropped(
    target: Target,
    versions: Collection[str],
    limits: RecordLimits,
    found_text: Callable[[str], None] = lambda _: None,
) -> Iterator[Dropped]:
    """Every version of the note's objects, the marks of deleted ones too; one line of them is in memory at a time.

    Args:
        target: the note.
        versions: SHA-256 of the lines that the tables have of a record.
        limits: of files of records, and of texts.
        found_text: is given each text of the note that can be read.

    Raises:
        DataError: a rule in `WHOLE_FILE`: the note is named as a record of a file that is read to no end.
        ServiceError: as `ObjectStore` does.
    """
    for version in versions_below(f"s3://{target.bucket}/{target.key}"):
        if not target.covers(version.bucket, version.key, target.record_id):
            continue
        if version.is_mark:
            if target.record_id is None:
                yield Dropped(version)
        elif not holds_records(version.key):
            _find_text(version, limits, found_text)
            yield Dropped(version)
        else:
            cuts = _records(version, target, versions, limits, found_text)
            if cuts or target.record_id is None:
                yield Dropped(version, tuple(cuts))


def remove_dropped(store: ObjectStore, found: Dropped, limits: RecordLimits) -> None:
    """Delete the version; where other records are in it and it is the newest one, write those first."""
    version = found.version
    if found.cuts and version.latest and put_chunks(store, version.uri, _without(version, found.cuts, limits)):
        purge(version.uri, keep_latest=True)
    else:
        purge(version.uri, only=version.version_id)


def _find_text(version: ObjectVersion, limits: RecordLimits, found_text: Callable[[str], None]) -> None:
    """A longer one than any note may be is no text that was annotated."""
    most = max(limits.max_bytes, _LONGEST_TEXT)
    if version.size > most:
        return
    with open_version(version) as stream:
        try:
            found_text(stream.read().decode("utf-8"))
        except UnicodeDecodeError:
            return


def _records(
    version: ObjectVersion,
    target: Target,
    versions: Collection[str],
    limits: RecordLimits,
    found_text: Callable[[str], None],
) -> list[tuple[int, int]]:
    """Where a record is; empty where the target is the file."""
    cuts: list[tuple[int, int]] = []
    with open_version(version) as stored:
        stream, _ = _opened(stored, limits)
        for line, outcome in read_lines(stream, version.key.removesuffix(".gz"), limits):
            if isinstance(outcome, DataError) and line is None and outcome.rule in WHOLE_FILE:
                if target.record_id is None:
                    break
                raise DataError(version.key, outcome.rule, outcome.offset, "name the whole file to forget it")
            # a line without an id is known by its digest: its number is that of another one once it is removed
            named = not isinstance(outcome, DataError) and outcome.id == target.record_id
            if target.record_id is not None and not (line is not None and (named or line.sha256 in versions)):
                continue
            if not isinstance(outcome, DataError):
                found_text(outcome.text)
            if line is not None and target.record_id is not None:
                cuts.append((line.start, line.start + line.size))
    return cuts


def _opened(stored: BinaryIO, limits: RecordLimits) -> tuple[BinaryIO, bool]:
    """The stream, unpacked where it is packed, which is the second value."""
    packed = stored.read(len(_GZIP)) == _GZIP
    stored.seek(0)
    return gunzip(stored, limits.unpacked) if packed else stored, packed


def _without(version: ObjectVersion, cuts: Sequence[tuple[int, int]], limits: RecordLimits) -> Iterator[bytes]:
    """A file without some ranges of its unpacked bytes, and without what is after a damage; nothing if none is left."""
    with open_version(version) as stored:
        stream, packed = _opened(stored, limits)
        packer, length = zlib.compressobj(wbits=31), 0  # gzip without a time in its header
        for chunk in _kept(stream, cuts):
            length += len(chunk)
            yield packer.compress(chunk) if packed else chunk
        if packed and length:
            yield packer.flush()


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
