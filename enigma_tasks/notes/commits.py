"""What a night's stages say they have done: the commit of a shard, the publication, the quarantine list."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import NonNegativeInt, StringConstraints, TypeAdapter

from enigma_tasks.artifacts import ATTEMPT_ID
from enigma_tasks.estimates import DevError  # noqa: TC001 - pydantic reads it
from enigma_tasks.frozen import Frozen, json_bytes, read_record
from enigma_tasks.notes.plans import BatchId, Sha256, ShardId  # noqa: TC001 - pydantic reads them

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class ResultFile(Frozen):
    """One table's rows of one attempt."""

    rows: NonNegativeInt
    bytes: NonNegativeInt
    sha256: Sha256


class ResultFiles(Frozen):
    """What an attempt wrote."""

    notes: ResultFile
    spans: ResultFile

    def by_table(self) -> dict[str, ResultFile]:
        """Table -> its file."""
        return {"notes": self.notes, "spans": self.spans}


class ShardCounts(Frozen):
    """Outcomes of a shard's notes, and what was found in the annotated ones."""

    annotated: NonNegativeInt
    quarantined: NonNegativeInt
    entities: NonNegativeInt
    characters: NonNegativeInt
    """Code points of the annotated notes."""


class LlmUsage(Frozen):
    """What the answers of language models cost; see `adapters.llm_endpoint.Usage`."""

    asked: int
    cached: int
    requests: int
    malformed: int
    refused: int
    prompt_tokens: int
    completion_tokens: int
    cost: float


class ShardCommit(Frozen):
    """The attempt that counts for a shard: the first to be created decides who has annotated the shard."""

    schema_version: Literal[1] = 1
    shard: ShardId
    shard_sha256: Sha256
    """Of the notes that were annotated."""
    plan_sha256: Sha256
    """Of the plan that they were annotated for."""
    attempt: Annotated[str, StringConstraints(pattern=f"^(?:{ATTEMPT_ID.pattern})$")]
    files: ResultFiles
    counts: ShardCounts
    seconds: dict[str, float]
    """By phase."""
    models: tuple[str, ...]
    """Digests of the ensembles."""
    calibrations: dict[str, DevError] | None = None
    """Label -> the error on dev of its ensemble's calibration; without the labels whose ensemble has none."""
    llm: LlmUsage | None = None
    """None where no language model was asked."""
    found_by: dict[str, int] | None = None
    """Member digest -> spans that it found in the shard's notes; None in a commit of an earlier version."""
    hmac: str | None = None
    """Of the record without this field, where a key is set."""

    def report(self) -> dict[str, Any]:
        """What the command prints."""
        return self.model_dump(mode="json", exclude_none=True, exclude={"schema_version", "hmac"})


class PublishedCounts(Frozen):
    """Notes by outcome, and the entities in the annotated ones."""

    annotated: int
    quarantined: int
    entities: int
    listed: int
    waiting: int
    deferred: int
    left_out: int
    """Another night published them meanwhile."""


class PublishedLanguage(Frozen):
    """What was published of one language."""

    entities: int
    notes: int


class Published(Frozen):
    """The publication of a night."""

    schema_version: Literal[1] = 1
    batch_id: BatchId
    planned_at: str
    counts: PublishedCounts
    rules: dict[str, int]
    """Quarantined notes by the rule they broke."""
    languages: dict[str, PublishedLanguage]
    seconds: float
    hmac: str | None = None
    """Of the record without this field, where a key is set."""

    def report(self) -> dict[str, Any]:
        """What the command prints."""
        return self.model_dump(mode="json", exclude={"schema_version", "hmac"})


class QuarantineEntry(Frozen):
    """A note that broke a rule; the offset's unit is the rule's."""

    record: str
    rule: str
    offset: int | None


_COMMIT, _PUBLISHED = TypeAdapter(ShardCommit), TypeAdapter(Published)


def commit_bytes(commit: ShardCommit) -> bytes:
    """`done.json`."""
    return json_bytes(commit.model_dump(mode="json", exclude_none=True))


def read_commit(name: str, data: bytes) -> ShardCommit:
    """Back from `commit_bytes`. Raises DataError as `read_record` does."""
    return read_record(_COMMIT, name, data)


def published_bytes(published: Published) -> bytes:
    """`published.json`."""
    return json_bytes(published.model_dump(mode="json", exclude={"hmac"} if published.hmac is None else None))


def read_published(name: str, data: bytes) -> Published:
    """Back from `published_bytes`. Raises DataError as `read_record` does."""
    return read_record(_PUBLISHED, name, data)


def quarantine_bytes(entries: Iterable[QuarantineEntry]) -> bytes:
    """`quarantine.jsonl`, for people: a JSON line a note."""
    return b"".join(json.dumps(e.model_dump(), ensure_ascii=False).encode() + b"\n" for e in entries)


def rules_bytes(rules: Mapping[str, int]) -> bytes:
    """`rules.json`, for people: how many notes broke each rule."""
    return json_bytes(rules)
