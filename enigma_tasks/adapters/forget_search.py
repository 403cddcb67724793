"""Searches the objects of all places for a note that is to be forgotten: keys, JSON, parquet, pages and texts."""

from __future__ import annotations

import gzip
import io
import json
import sys
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

from enigma_tasks.adapters.object_versions import ObjectVersion, open_version, versions_below
from enigma_tasks.adapters.table_purge import covers_rows
from enigma_tasks.errors import ObjectMissing
from enigma_tasks.notes.gunzip import DamagedError, ExceededError, gunzip
from enigma_tasks.notes.records import lines
from enigma_tasks.params.limits import Unpacked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from enigma_tasks.notes.forgetting import Traces
    from enigma_tasks.notes.records import Line

_GZIP, _PARQUET = b"\x1f\x8b", b"PAR1"
_WHOLE = Unpacked(max_bytes=50_000_000, max_ratio=2000)
_SEARCHED = Unpacked(max_bytes=10_000_000_000, max_ratio=2000)
"""What is in memory at once, and what is unpacked at all; gzip reaches no ratio above 1,100."""
_LONGEST_LINE = 50_000_000


@dataclass(frozen=True, slots=True)
class Finding:
    """A version of an object that names the note or holds its text."""

    version: ObjectVersion
    rest: bytes | None
    """What a JSON object is without it; None where nothing else is in it, or where it cannot be told apart."""
    whole: bool
    """Nothing else is in it."""
    searched: bool = True
    """It was; else it is too large, nothing is known of it, and it is left to a person."""
    by_line: bool = False
    """It is too large for memory; what is left are the lines that do not name the note: see `other_lines`."""

    @property
    def has_rest(self) -> bool:
        """Something else is in it, and can be told apart."""
        return self.rest is not None or self.by_line


@dataclass
class Searched:
    """How many versions of objects were read."""

    objects: int = 0


def search(place_uri: str, traces: Traces, searched: Searched) -> Iterator[Finding]:
    """Every version of an object below a place that names the note, with what is left of it. Raises ServiceError."""
    for version in versions_below(f"{place_uri}/"):
        searched.objects += 1
        if traces.in_object(version.bucket, version.key):
            yield Finding(version, None, whole=True)
        elif not version.is_mark:
            try:
                with open_version(version) as stream:
                    found = _in_stream(version, stream, traces)
            except ObjectMissing:  # deleted since it was listed
                continue
            if found is not None:
                yield found


def holds(data: bytes, traces: Traces) -> bool:
    """Whether bytes that are no object of the store name the note or hold its text."""
    return _in_stream(ObjectVersion("", "", "", latest=True, is_mark=False), io.BytesIO(data), traces) is not None


def other_lines(version: ObjectVersion, traces: Traces) -> Iterator[bytes]:
    """The lines of a version that do not name the note, gzipped where it is. Raises as `open_version` does."""
    with open_version(version) as stream:
        packed = _starts(stream, _GZIP)
        packer = zlib.compressobj(wbits=31)
        for line in _lines(stream, packed=packed):
            data = line.data or b""
            if not _named(data, traces)[0]:
                yield packer.compress(data) if packed else data
        if packed:
            yield packer.flush()


def _in_stream(version: ObjectVersion, stream: BinaryIO, traces: Traces) -> Finding | None:
    """`stream` is seekable."""
    if _starts(stream, _PARQUET):
        return Finding(version, None, whole=False) if covers_rows(stream, traces.target) else None
    packed = _starts(stream, _GZIP)
    try:
        text = _read(stream, packed=packed).decode("utf-8")
    except ExceededError:
        return _in_lines(version, stream, traces, packed=packed)
    except (DamagedError, UnicodeDecodeError):
        return None
    trees = json_lines(text)
    if trees is None:
        found = traces.in_page(text)
        return Finding(version, None, whole=traces.texts.has_text(text)) if found else None
    if not any(traces.in_tree(tree) for _, tree in trees):
        return None
    rest = _rest(trees, traces)
    whole = rest is not None and rest in (b"", b"[]\n")
    return Finding(version, None if whole or rest is None else gzip.compress(rest, mtime=0) if packed else rest, whole)


def _in_lines(version: ObjectVersion, stream: BinaryIO, traces: Traces, *, packed: bool) -> Finding | None:
    """The same of an object that is too large for memory; each of its lines is searched.

    One that unpacks to even more, or has a line that is too long, is not `searched`.
    """
    found, apart, searched = False, True, True
    try:
        for line in _lines(stream, packed=packed):
            if line.data is None:
                searched = False
                continue
            named, is_json = _named(line.data, traces)
            found, apart = found or named, apart and is_json
    except DamagedError:
        apart = False
    except ExceededError:
        searched = False
    if not searched:
        return Finding(version, None, whole=False, searched=False)
    return Finding(version, None, whole=False, by_line=apart) if found else None


def _read(stream: BinaryIO, *, packed: bool) -> bytes:
    """All of it, unpacked. Raises ExceededError, DamagedError."""
    data = (gunzip(stream, _WHOLE) if packed else stream).read(_WHOLE.max_bytes + 1)
    if rule := _WHOLE.broken(len(data), len(data)):
        raise ExceededError(rule)
    return data


def _lines(stream: BinaryIO, *, packed: bool) -> Iterator[Line]:
    stream.seek(0)
    return lines(gunzip(stream, _SEARCHED) if packed else stream, _LONGEST_LINE, sys.maxsize)


def _named(line: bytes, traces: Traces) -> tuple[bool, bool]:
    """Whether a line names the note, and whether it is JSON."""
    text = line.decode("utf-8", "replace")
    trees = json_lines(text)
    named = traces.in_page(text) if trees is None else any(traces.in_tree(tree) for _, tree in trees)
    return named, trees is not None


def _starts(stream: BinaryIO, magic: bytes) -> bool:
    stream.seek(0)
    head = stream.read(len(magic))
    stream.seek(0)
    return head == magic


def json_lines(text: str) -> list[tuple[str, Any]] | None:
    """A JSON object, or a line each, with its text; None where it is neither."""
    if text.lstrip()[:1] not in ("{", "["):
        return None
    try:
        return [("", json.loads(text))]
    except ValueError:
        pass
    try:
        return [(line, json.loads(line)) for line in text.splitlines(keepends=True) if line.strip()]
    except ValueError:
        return None


def _rest(trees: list[tuple[str, Any]], traces: Traces) -> bytes | None:
    if trees[0][0]:
        return "".join(line for line, tree in trees if not traces.in_tree(tree)).encode()
    rest = traces.without(trees[0][1])
    if traces.in_tree(rest):
        return None
    return json.dumps(rest, ensure_ascii=False, indent=1).encode() + b"\n"
