"""Searches the objects of all places for a note that is to be forgotten: keys, JSON, parquet, pages and texts."""

from __future__ import annotations

import gzip
import io
import json
import sys
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from enigma_tasks.adapters.object_versions import ObjectVersion, read_version, versions_below
from enigma_tasks.adapters.table_purge import covers_rows
from enigma_tasks.errors import ObjectMissing
from enigma_tasks.notes.gunzip import DamagedError, ExceededError, gunzip
from enigma_tasks.notes.records import lines
from enigma_tasks.params.limits import Unpacked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from enigma_tasks.notes.forgetting import Traces

_GZIP, _PARQUET = b"\x1f\x8b", b"PAR1"
_WHOLE = Unpacked(max_bytes=50_000_000, max_ratio=2000)
_SEARCHED = Unpacked(max_bytes=10_000_000_000, max_ratio=2000)
"""What is unpacked at once, and what is unpacked at all; gzip reaches no ratio above 1,100."""
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
                found = _in_bytes(version, read_version(version), traces)
            except ObjectMissing:  # deleted since it was listed
                continue
            if found is not None:
                yield found


def holds(data: bytes, traces: Traces) -> bool:
    """Whether bytes that are no object of the store name the note or hold its text."""
    return _in_bytes(ObjectVersion("", "", "", latest=True, is_mark=False), data, traces) is not None


def _in_bytes(version: ObjectVersion, data: bytes, traces: Traces) -> Finding | None:
    if data[:4] == _PARQUET:
        return Finding(version, None, whole=False) if covers_rows(data, traces.target) else None
    packed = data[:2] == _GZIP
    try:
        text = (gunzip(io.BytesIO(data), _WHOLE).read() if packed else data).decode("utf-8")
    except ExceededError:
        return _in_lines(version, data, traces)
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


def _in_lines(version: ObjectVersion, data: bytes, traces: Traces) -> Finding | None:
    """The same of a packed object that is too large to be unpacked at once; each of its lines is searched.

    One that unpacks to even more, or has a line that is too long, is not `searched`.
    """
    packer = zlib.compressobj(wbits=31)
    kept: list[bytes] = []
    found, apart, searched = False, True, True
    try:
        for line in lines(gunzip(io.BytesIO(data), _SEARCHED), _LONGEST_LINE, sys.maxsize):
            if line.data is None:
                searched = False
                continue
            text = line.data.decode("utf-8", "replace")
            trees = json_lines(text)
            named = traces.in_page(text) if trees is None else any(traces.in_tree(tree) for _, tree in trees)
            found, apart = found or named, apart and trees is not None
            if not named and (chunk := packer.compress(line.data)):
                kept.append(chunk)
    except DamagedError:
        apart = False
    except ExceededError:
        searched = False
    if not searched:
        return Finding(version, None, whole=False, searched=False)
    return Finding(version, b"".join([*kept, packer.flush()]) if apart else None, whole=False) if found else None


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
