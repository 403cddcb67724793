"""Searches the objects of all places for a note that is to be forgotten: keys, JSON, parquet, pages and texts."""

from __future__ import annotations

import gzip
import json
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from enigma_tasks.adapters.object_versions import ObjectVersion, read_version, versions_below
from enigma_tasks.adapters.table_purge import covers_rows
from enigma_tasks.errors import ObjectMissing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from enigma_tasks.notes.forgetting import Traces

_GZIP, _PARQUET = b"\x1f\x8b", b"PAR1"


@dataclass(frozen=True, slots=True)
class Finding:
    """A version of an object that names the note or holds its text."""

    version: ObjectVersion
    rest: bytes | None
    """What a JSON object is without it; None where nothing else is in it, or where it cannot be told apart."""
    whole: bool
    """Nothing else is in it."""


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
    if packed:
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error):
            return None
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
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
