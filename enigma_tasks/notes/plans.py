"""The plan of a night and its shards, with their serialisation; equal content gives equal bytes."""

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
    """Notes of one language for one task; `sha256` is that of the object at `uri`."""

    id: str
    uri: str
    language: str
    notes: int
    bytes: int
    """Total size of the notes."""
    sha256: str


@dataclass(frozen=True, slots=True)
class Plan:
    """The plan of one night. Later stages use neither the clock nor the registry, so they are repeatable."""

    batch_id: str
    planned_at: str
    """UTC, ISO 8601."""
    backfill: str | None
    models: dict[str, dict[str, dict[str, str]]]
    """Language -> entity type -> pinned version."""
    shards: tuple[Shard, ...]
    quarantined: int
    """Notes that `plan` refused."""
    quarantined_sha256: str
    counts: dict[str, int]
    """`listed` objects; notes `done`, `planned`, `quarantined`, `waiting` (a file done as a whole counts one)."""
    waiting: dict[str, int]
    """Notes by language, for languages without a champion."""
    seconds: float
    """Duration of planning."""

    def to_bytes(self) -> bytes:
        """JSON."""
        return json_bytes(asdict(self))

    @classmethod
    def from_bytes(cls, data: bytes) -> Plan:
        """The inverse of `to_bytes`."""
        tree = json.loads(data)
        return cls(**{**tree, "shards": tuple(Shard(**s) for s in tree["shards"])})

    @property
    def planned_time(self) -> dt.datetime:
        """`planned_at` as an aware datetime."""
        return dt.datetime.fromisoformat(self.planned_at)

    def shard(self, shard_id: str) -> Shard | None:
        """The shard of this id, or None."""
        return next((s for s in self.shards if s.id == shard_id), None)


def json_bytes(tree: Mapping[str, Any]) -> bytes:
    """Indented JSON with sorted keys."""
    return json.dumps(tree, ensure_ascii=False, indent=1, sort_keys=True).encode() + b"\n"


def lines_gz(trees: Iterable[Mapping[str, Any]]) -> bytes:
    """A JSON line each, gzipped without a time in the header."""
    text = "".join(json.dumps(t, ensure_ascii=False, separators=(",", ":")) + "\n" for t in trees)
    return gzip.compress(text.encode(), compresslevel=6, mtime=0)


def read_lines_gz(name: str, data: bytes, sha256: str) -> Iterator[dict[str, Any]]:
    """The inverse of `lines_gz`. Raises DataError `digest` if the bytes do not have the planned digest."""
    if digest(data) != sha256:
        raise DataError(name, "digest")
    return (json.loads(line) for line in gzip.decompress(data).splitlines())


def digest(data: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(data).hexdigest()
