"""The plan of a night and what it points at, as bytes and back; equal content gives equal bytes."""

from __future__ import annotations

import datetime as dt
import gzip
import hashlib
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from enigma_tasks.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping


@dataclass(frozen=True, slots=True)
class Shard:
    """Notes of one language that one task annotates; `sha256` is that of the object at `uri`."""

    id: str
    uri: str
    language: str
    notes: int
    bytes: int
    """The notes' own, together."""
    sha256: str


@dataclass(frozen=True, slots=True)
class Plan:
    """One night. Everything later follows from it: no stage after planning asks a clock or the registry."""

    batch_id: str
    planned_at: str
    """UTC, ISO 8601."""
    backfill: str | None
    models: dict[str, dict[str, dict[str, str]]]
    """Language -> entity type -> pinned version."""
    shards: tuple[Shard, ...]
    quarantined: int
    """Notes that planning refused."""
    quarantined_sha256: str
    counts: dict[str, int]
    """`listed` objects; notes `done`, `planned`, `quarantined`, `waiting` (a file done as a whole counts one)."""
    waiting: dict[str, int]
    """Notes by language that has no champion."""
    seconds: float
    """What planning took."""

    def to_bytes(self) -> bytes:
        """JSON."""
        return json_bytes(asdict(self))

    @classmethod
    def from_bytes(cls, data: bytes) -> Plan:
        """Back from `to_bytes`."""
        tree = json.loads(data)
        return cls(**{**tree, "shards": tuple(Shard(**s) for s in tree["shards"])})

    @property
    def planned_time(self) -> dt.datetime:
        """`planned_at`, aware."""
        return dt.datetime.fromisoformat(self.planned_at)

    def shard(self, shard_id: str) -> Shard | None:
        """The shard called so, or None."""
        return next((s for s in self.shards if s.id == shard_id), None)


def json_bytes(tree: Mapping[str, Any]) -> bytes:
    """Indented JSON with sorted keys, for people to read."""
    return json.dumps(tree, ensure_ascii=False, indent=1, sort_keys=True).encode() + b"\n"


def lines_gz(trees: Iterable[Mapping[str, Any]]) -> bytes:
    """A JSON line each, gzipped without a time in the header."""
    text = "".join(json.dumps(t, ensure_ascii=False, separators=(",", ":")) + "\n" for t in trees)
    return gzip.compress(text.encode(), compresslevel=6, mtime=0)


def read_lines_gz(name: str, data: bytes, sha256: str) -> Iterator[dict[str, Any]]:
    """Back from `lines_gz`. Raises DataError `digest` when the bytes are not those that were planned."""
    if digest(data) != sha256:
        raise DataError(name, "digest")
    return (json.loads(line) for line in gzip.decompress(data).splitlines())


def digest(data: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(data).hexdigest()
