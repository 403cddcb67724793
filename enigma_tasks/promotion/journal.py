"""The journal of champions: lines that name the champion after each event, chained by SHA-256. Pure.

A line's `sha256` is the digest of its own bytes without it, `previous` that of all bytes of the line before. The first
names a line whose bytes changed, the second makes the order of lines part of what is recorded. What a chain cannot
show is that its last lines are gone: `journal_check.verify` takes the last known `Head` for that.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, StringConstraints, TypeAdapter

from enigma_tasks.errors import DataError
from enigma_tasks.frozen import Frozen, json_bytes, read_record
from enigma_tasks.promotion.decision import Decision  # noqa: TC001 - pydantic reads it

if TYPE_CHECKING:
    from collections.abc import Sequence

NOT_MOVING = frozenset({"look", "rejected", "alias_repaired"})
"""Kinds of lines after which the champion is the one before."""
Sha256 = Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]
Words = Annotated[str, StringConstraints(max_length=500, pattern=r"^[^\x00-\x1f\x7f]*$")]
"""One line for people."""


class JournalMoved(DataError):  # noqa: N818 - a state that callers handle, named for it
    """Another process wrote the next line first: what was decided on the earlier head must be decided again."""

    def __init__(self, name: str, n: int) -> None:
        super().__init__(name, "journal_moved", n, "another process wrote this line: read the journal and try again")


class ModelVersion(Frozen):
    """A registered version, and the digest of its ensemble."""

    version: str
    digest: str


class Draft(Frozen):
    """What a writer knows of a line; the journal adds its place in the chain and the time."""

    by: Annotated[Words, Field(min_length=1)]
    """Who ran the command."""
    kind: Literal["first", "look", "promoted", "rejected", "rollback", "alias_repaired"]
    champion: ModelVersion | None
    """The champion after this line."""
    challenger: ModelVersion | None = None
    decision: Decision | None = None
    approver: Words = ""
    """Empty if none was needed."""
    change_plan: str = ""
    """Digest of the change plan; empty where none applies."""
    test_set: str = ""
    """Digest of the frozen test set; empty where none applies."""
    reason: Annotated[Words, Field(min_length=1)]
    """One sentence, no text of a note."""


class JournalLine(Draft):
    """One line."""

    schema_version: Literal[1] = 1
    id: Annotated[str, StringConstraints(pattern="^[0-9a-f]{32}$")]
    """Random, so that no two writers' lines have the same bytes."""
    name: str
    """The registered model: `enigma-es-disease`."""
    n: Annotated[int, Field(ge=1)]
    previous: Sha256 | Literal[""]
    """SHA-256 of the bytes of line n-1; empty for the first."""
    at: Annotated[str, StringConstraints(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00$")]
    """UTC, ISO 8601; never before the previous line's."""
    clock_behind: bool = False
    """The writer's clock was before the previous line's time, which is repeated in `at`."""
    sha256: Sha256 | Literal[""]
    """SHA-256 of this line's bytes with this field empty."""

    @property
    def time(self) -> dt.datetime:
        """`at` as an aware datetime."""
        return dt.datetime.fromisoformat(self.at)


class Head(Frozen):
    """The last line known, by its number and its `sha256`; what is kept outside the journal."""

    n: int
    sha256: str

    @classmethod
    def of(cls, line: JournalLine) -> Head:
        """The head of a journal whose last line is `line`."""
        return cls(n=line.n, sha256=line.sha256)


_LINE = TypeAdapter(JournalLine)


def digest(data: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def line_bytes(line: JournalLine) -> bytes:
    """The object of a line; equal lines give equal bytes."""
    return json_bytes(line.model_dump(mode="json"))


def next_line(name: str, draft: Draft, last: bytes | None, *, now: dt.datetime, line_id: str) -> JournalLine:
    """The line that follows `last`, the bytes of the last line in the journal of `name`; `now` is an aware datetime.

    Raises:
        DataError: `journal_kind`, the champion after the line is not one that a line of that kind leaves;
            `journal_unreadable`, it could not be read back; or as `parse_line` does for `last`.
    """
    after = None if last is None else parse_line(name, last)
    _check_kind(name, draft, after)
    at = now.astimezone(dt.UTC).isoformat(timespec="seconds")
    behind = after is not None and at < after.at
    line = JournalLine(
        **dict(draft),
        schema_version=1,
        id=line_id,
        name=name,
        n=after.n + 1 if after else 1,
        previous="" if last is None else digest(last),
        at=after.at if after and behind else at,
        clock_behind=behind,
        sha256="",
    )
    sealed = line.model_copy(update={"sha256": digest(line_bytes(line))})
    if parse_line(name, line_bytes(sealed)) != sealed:  # a line that cannot be read back would stop every night
        raise DataError(name, "journal_unreadable", sealed.n, "a figure of the decision is not a number")
    return sealed


def _check_kind(name: str, draft: Draft, after: JournalLine | None) -> None:
    before = after.champion if after else None
    if draft.kind in NOT_MOVING:
        fits = draft.champion == before
    elif draft.kind == "first":
        fits = before is None and draft.champion is not None
    elif draft.kind == "promoted":
        fits = draft.champion is not None and draft.champion == draft.challenger and draft.decision is not None
    else:
        fits = draft.champion is not None and before not in (None, draft.champion)
    if not fits:
        raise DataError(name, "journal_kind", after.n + 1 if after else 1, f"not what a line {draft.kind} may say")


def parse_line(name: str, data: bytes, n: int | None = None) -> JournalLine:
    """Back from `line_bytes`; `n` is the number that it is stored as, for errors only.

    Raises:
        DataError: `journal_changed`, the bytes are not those that were written; `journal_newer`, a newer version wrote
            the line.
    """
    try:
        tree = json.loads(data)
        seal = tree["sha256"]
        whole = digest(data.replace(b'"sha256": "%s"' % seal.encode(), b'"sha256": ""', 1)) == seal
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        whole = False
    if not whole:
        raise DataError(name, "journal_changed", n, "its bytes are not those that were written")
    try:
        return read_record(_LINE, name, data)
    except DataError as error:
        raise DataError(name, "journal_newer", n, f"written by a newer version of Enigma: {error.hint}") from None


def champion_at(lines: Sequence[JournalLine], when: dt.datetime) -> JournalLine | None:
    """The line that made the champion of the time `when`; None while there was no champion."""
    made = None
    for line in lines:
        if line.time > when:
            break
        if line.kind not in NOT_MOVING:
            made = line
    return made


def champion_before(lines: Sequence[JournalLine]) -> ModelVersion | None:
    """The champion that a rollback returns to: the one that the present champion replaced, without rolled back ones."""
    stack: list[ModelVersion] = []
    for line in lines:
        if line.kind in NOT_MOVING or line.champion is None:
            continue
        if line.kind == "rollback" and line.champion in stack:
            del stack[stack.index(line.champion) + 1 :]
        else:
            stack.append(line.champion)
    return stack[-2] if len(stack) > 1 else None
