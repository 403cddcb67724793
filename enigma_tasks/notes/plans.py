"""The plan of a night and its shards, with their serialisation; equal content gives equal bytes."""

from __future__ import annotations

import datetime as dt
import gzip
import hashlib
import io
import json
import zlib
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from pydantic import NonNegativeInt, StringConstraints, TypeAdapter, model_validator

from enigma_tasks.artifacts import BATCH_ID, SHARD_ID
from enigma_tasks.errors import DataError
from enigma_tasks.frozen import Frozen, json_bytes, read_record
from enigma_tasks.notes.references import NoteRef, Refused

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

Line = TypeVar("Line")


Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""In hexadecimal."""
ShardId = Annotated[str, StringConstraints(pattern=f"^(?:{SHARD_ID.pattern})$")]
BatchId = Annotated[str, StringConstraints(pattern=f"^(?:{BATCH_ID.pattern})$")]


class Pin(Frozen):
    """One version of one registered model, which the whole night uses."""

    name: str
    version: str
    digest: Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z]{1,64}$")]
    source_uri: str
    """The ensemble folder in the artifact store."""


class Shard(Frozen):
    """Notes of one language for one task; `sha256` is that of the object at `uri`."""

    id: ShardId
    uri: str
    language: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,19}$")]
    notes: NonNegativeInt
    bytes: NonNegativeInt
    """Total size of the notes."""
    sha256: Sha256


class PlanCounts(Frozen):
    """What planning found; a file of records that is done as a whole counts one."""

    listed: NonNegativeInt
    """Objects."""
    done: NonNegativeInt
    planned: NonNegativeInt
    quarantined: NonNegativeInt
    waiting: NonNegativeInt
    """Their language has no champion."""
    deferred: NonNegativeInt
    """More than a night may have; the next night plans them."""


class AliasMoved(Frozen):
    """A registered model whose alias `champion` was not what the journal says when the night was planned."""

    name: str
    alias: str
    """The version that the alias named; empty if there was no alias."""
    champion: str
    """The champion's version, which the night uses; empty if the journal has no champion."""


class Plan(Frozen):
    """The plan of one night. Later stages use neither the clock nor the registry, so they are repeatable."""

    schema_version: Literal[1] = 1
    batch_id: BatchId
    planned_at: str
    """UTC, ISO 8601."""
    backfill: str | None
    models: dict[str, dict[str, Pin]]
    """Language -> entity type -> pinned version."""
    journal: dict[str, int]
    """Registered model -> the last line of its journal when the champions were pinned."""
    aliases: tuple[AliasMoved, ...]
    """The aliases that said otherwise than the journal."""
    shards: tuple[Shard, ...]
    quarantined: NonNegativeInt
    """Notes that `plan` refused."""
    quarantined_sha256: Sha256
    counts: PlanCounts
    waiting: dict[str, int]
    """Notes by language, for languages without a champion."""
    deferred: dict[str, int]
    """Notes by language (empty where it is not known), that are more than `plan.max_notes`; refused ones count."""
    seconds: float
    """Duration of planning."""
    hmac: str | None = None
    """Of the record without this field, where a key is set."""

    @model_validator(mode="after")
    def _check(self) -> Plan:
        if self.planned_time.tzinfo is None:
            raise ValueError("planned_at has no time zone")
        if len({shard.id for shard in self.shards}) < len(self.shards):
            raise ValueError("two shards have one id")
        return self

    @property
    def planned_time(self) -> dt.datetime:
        """`planned_at` as an aware datetime."""
        return dt.datetime.fromisoformat(self.planned_at)

    def shard(self, shard_id: str) -> Shard | None:
        """The shard of this id, or None."""
        return next((s for s in self.shards if s.id == shard_id), None)


_PLAN, _NOTE, _REFUSED = TypeAdapter(Plan), TypeAdapter(NoteRef), TypeAdapter(Refused)


def plan_bytes(plan: Plan) -> bytes:
    """`plan.json`."""
    return json_bytes(plan.model_dump(mode="json", exclude={"hmac"} if plan.hmac is None else None))


def read_plan(name: str, data: bytes) -> Plan:
    """Back from `plan_bytes`. Raises DataError as `read_record` does."""
    return read_record(_PLAN, name, data)


def notes_bytes(notes: Iterable[NoteRef]) -> bytes:
    """A shard: a JSON line a note, gzipped."""
    return _lines_gz(note.to_json() for note in notes)


def read_notes(name: str, data: bytes, sha256: str) -> Iterator[NoteRef]:
    """Back from `notes_bytes`. Raises DataError: `digest` (not as planned), `gzip_damaged`, or as `read_record`."""
    return _read_lines_gz(_NOTE, name, data, sha256)


def refusals_bytes(refused: Iterable[Refused]) -> bytes:
    """What planning refused: a JSON line a note, gzipped."""
    return _lines_gz(item.to_json() for item in refused)


def read_refusals(name: str, data: bytes, sha256: str) -> Iterator[Refused]:
    """Back from `refusals_bytes`. Raises DataError as `read_notes` does."""
    return _read_lines_gz(_REFUSED, name, data, sha256)


def digest(data: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def _lines_gz(trees: Iterable[Mapping[str, Any]]) -> bytes:
    packer = zlib.compressobj(6, wbits=31)  # gzip without a time in its header
    lines = (json.dumps(t, ensure_ascii=False, separators=(",", ":")).encode() + b"\n" for t in trees)
    packed = b"".join(filter(None, map(packer.compress, lines)))
    return packed + packer.flush()


def _read_lines_gz(form: TypeAdapter[Line], name: str, data: bytes, sha256: str) -> Iterator[Line]:
    if digest(data) != sha256:
        raise DataError(name, "digest")
    return _read_each(form, name, data)


def _read_each(form: TypeAdapter[Line], name: str, data: bytes) -> Iterator[Line]:
    try:
        for number, line in enumerate(gzip.GzipFile(fileobj=io.BytesIO(data)), 1):
            yield read_record(form, name, line, number)
    except (OSError, EOFError, zlib.error):
        raise DataError(name, "gzip_damaged") from None
