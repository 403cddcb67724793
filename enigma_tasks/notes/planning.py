"""Planning of a night: selects the notes of a listing that are not done, and divides them into shards. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from enigma_tasks.errors import UsageError
from enigma_tasks.file_names import holds_records
from enigma_tasks.notes.references import NoteRef, Refused, Rule, is_date, is_marker, note_of_object

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from typing import Protocol

    from enigma_tasks.notes.done import Done

    class Listed(Protocol):
        """An entry of a store's listing."""

        @property
        def bucket(self) -> str:
            """Its bucket."""

        @property
        def key(self) -> str:
            """Its key."""

        @property
        def etag(self) -> str:
            """Its version."""

        @property
        def size(self) -> int:
            """Its size in bytes."""


@dataclass(frozen=True, slots=True)
class Backfill:
    """Drop dates, both included, that are annotated again even if they are done."""

    first: str
    last: str

    @classmethod
    def parse(cls, words: str) -> Backfill:
        """`2026-01-01..2026-01-31`. Raises UsageError."""
        first, dots, last = words.partition("..")
        if not dots or not is_date(first) or not is_date(last) or first > last:
            raise UsageError("--backfill takes FROM..TO, two dates yyyy-mm-dd in order")
        return cls(first, last)

    def __contains__(self, drop_date: str) -> bool:
        return self.first <= drop_date <= self.last


@dataclass
class Night:
    """The listed notes without an outcome."""

    ready: list[NoteRef] = field(default_factory=list)
    """Notes of known language, which are read when they are annotated."""
    unread: list[NoteRef] = field(default_factory=list)
    """Objects that must be read for planning: files of records, and texts whose language must be detected."""
    refused: list[Refused] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    """`listed` objects, and `done` notes; a file whose records are all done counts as one."""


def plan_night(
    listing: Iterable[Listed],
    drops_prefix: str,
    done: Done,
    *,
    max_bytes: int,
    language_of: Callable[[str], str | None],
    backfill: Backfill | None = None,
) -> Night:
    """Divide a listing of the drops into done, ready, unread and refused; no object is opened.

    `drops_prefix` is the key of the drops folder with its slash. A backfill is limited to its drop dates.
    """
    night = Night()
    for item in listing:
        if is_marker(item.key, item.size):
            continue
        result = note_of_object(
            item.bucket,
            item.key,
            etag=item.etag,
            size=item.size,
            drop_path=item.key.removeprefix(drops_prefix),
            language_of=language_of,
        )
        ref = result.note if isinstance(result, Refused) else result
        if backfill is not None and ref.drop_date not in backfill:
            continue
        night.counts["listed"] += 1
        if backfill is None and _is_done(ref, done):
            night.counts["done"] += 1
        elif isinstance(result, Refused):
            night.refused.append(result)
        elif item.size == 0:
            night.refused.append(Refused(ref, Rule.EMPTY))
        elif holds_records(item.key):
            night.unread.append(ref)
        elif item.size > max_bytes:
            night.refused.append(Refused(ref, Rule.TOO_LARGE))
        elif ref.language:
            night.ready.append(ref)
        else:
            night.unread.append(ref)
    return night


def refuse_forgotten(night: Night, forgotten: Callable[[str, str, str | None], bool]) -> None:
    """Refuse the notes of the night that were forgotten, whatever other rule they break."""

    def is_forgotten(note: NoteRef) -> bool:
        return forgotten(note.bucket, note.key, note.record_id)

    night.refused = [Refused(r.note, Rule.FORGOTTEN) if is_forgotten(r.note) else r for r in night.refused]
    for notes in (night.ready, night.unread):
        night.refused += [Refused(note, Rule.FORGOTTEN) for note in notes if is_forgotten(note)]
        notes[:] = [note for note in notes if not is_forgotten(note)]


def _is_done(ref: NoteRef, done: Done) -> bool:
    if holds_records(ref.key):
        return done.has_object(ref.bucket, ref.key, ref.object_version)
    return done.has(ref.identity)


def waiting(notes: Sequence[NoteRef], served: frozenset[str]) -> tuple[list[NoteRef], Counter[str]]:
    """Remove the notes whose language has no champion, which get no outcome and are listed again.

    Returns the other notes, and the number of waiting ones by language. Other records of a file with a waiting record
    are marked, so that the file is opened again.
    """
    counts = Counter(n.language for n in notes if n.language not in served)
    if not counts:
        return list(notes), counts
    torn = {(n.bucket, n.key) for n in notes if n.language not in served and n.record_id is not None}
    return [
        replace(n, object_whole=False) if (n.bucket, n.key) in torn else n for n in notes if n.language in served
    ], counts


def mark_torn(refused: Iterable[Refused], notes: Iterable[NoteRef], served: frozenset[str]) -> list[Refused]:
    """The refusals, with those from files with a waiting record marked as in `waiting`."""
    torn = {(n.bucket, n.key) for n in notes if n.language not in served and n.record_id is not None}
    return [
        replace(r, note=replace(r.note, object_whole=False)) if (r.note.bucket, r.note.key) in torn else r
        for r in refused
    ]


def cut_shards(
    notes: Iterable[NoteRef], notes_per_shard: int, max_shards: int
) -> Iterator[tuple[str, int, list[NoteRef]]]:
    """Shards as (language, number from 1, notes), in the listing's order; at most `max_shards` in total.

    A shard has `notes_per_shard` notes, or more if there would be too many shards. Raises UsageError if there are more
    languages than shards.
    """
    by_language: dict[str, list[NoteRef]] = {}
    for note in notes:
        by_language.setdefault(note.language, []).append(note)
    if len(by_language) > max_shards:
        raise UsageError("plan.max_shards is smaller than the number of languages")
    size = shard_size({k: len(v) for k, v in by_language.items()}, notes_per_shard, max_shards)
    for language in sorted(by_language):
        listed = by_language[language]
        for number, start in enumerate(range(0, len(listed), size), 1):
            yield language, number, listed[start : start + size]


def shard_size(notes: Mapping[str, int], notes_per_shard: int, max_shards: int) -> int:
    """The smallest size from `notes_per_shard` up with at most `max_shards` shards (bisection)."""
    low, high = notes_per_shard, max(notes_per_shard, *notes.values()) if notes else notes_per_shard
    while low < high:
        middle = (low + high) // 2
        if sum(-(-count // middle) for count in notes.values()) <= max_shards:
            high = middle
        else:
            low = middle + 1
    return low
