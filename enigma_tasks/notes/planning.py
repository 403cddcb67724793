"""What a night has to do: a listing and what is done in; notes by what they still need out; shards cut. Pure."""

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
        """An object as a store lists it."""

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
            """Its bytes."""


@dataclass(frozen=True, slots=True)
class Backfill:
    """Drop dates, both included, to be annotated again whatever the tables say."""

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
    """The listed notes that have no outcome yet."""

    ready: list[NoteRef] = field(default_factory=list)
    """Language known, nothing against them: texts are read when they are annotated."""
    unread: list[NoteRef] = field(default_factory=list)
    """Must be read to plan them: files of records, and texts whose language is to be detected."""
    refused: list[Refused] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    """`listed` objects, and the notes that are `done`; a file of records that is done as a whole counts one."""


def plan_night(
    listing: Iterable[Listed],
    drops_prefix: str,
    done: Done,
    *,
    max_bytes: int,
    language_of: Callable[[str], str | None],
    backfill: Backfill | None = None,
) -> Night:
    """Sort a listing of the drops into what is done, ready, unread and refused; no object is opened.

    `drops_prefix` is the key of the drops folder with its slash. A backfill looks at its drop dates only.
    """
    night = Night()
    for item in listing:
        if is_marker(item.key):
            continue
        judged = note_of_object(
            item.bucket,
            item.key,
            etag=item.etag,
            size=item.size,
            drop_path=item.key.removeprefix(drops_prefix),
            language_of=language_of,
        )
        ref = judged.note if isinstance(judged, Refused) else judged
        if backfill is not None and ref.drop_date not in backfill:
            continue
        night.counts["listed"] += 1
        if backfill is None and _is_done(ref, done):
            night.counts["done"] += 1
        elif isinstance(judged, Refused):
            night.refused.append(judged)
        elif item.size == 0:
            night.refused.append(Refused(ref, Rule.EMPTY))
        elif holds_records(item.key):
            night.unread.append(ref)
        elif item.size > max_bytes:
            night.refused.append(Refused(ref, Rule.TOO_LARGE))
        else:
            (night.ready if ref.language else night.unread).append(ref)
    return night


def _is_done(ref: NoteRef, done: Done) -> bool:
    if holds_records(ref.key):
        return done.has_object(ref.bucket, ref.key, ref.object_version)
    return done.has(ref.identity)


def waiting(notes: Sequence[NoteRef], served: frozenset[str]) -> tuple[list[NoteRef], Counter[str]]:
    """Take away the notes whose language has no champion; they stay without an outcome and are listed again.

    Returns the rest, and how many wait by language. The rest of a file that has a waiting record is marked, so that
    the file is opened again.
    """
    counts = Counter(n.language for n in notes if n.language not in served)
    if not counts:
        return list(notes), counts
    torn = {(n.bucket, n.key) for n in notes if n.language not in served and n.record_id is not None}
    return [
        replace(n, object_whole=False) if (n.bucket, n.key) in torn else n for n in notes if n.language in served
    ], counts


def mark_torn(refused: Iterable[Refused], notes: Iterable[NoteRef], served: frozenset[str]) -> list[Refused]:
    """The refusals, those from files with a waiting record marked as `waiting` marks notes."""
    torn = {(n.bucket, n.key) for n in notes if n.language not in served and n.record_id is not None}
    return [
        replace(r, note=replace(r.note, object_whole=False)) if (r.note.bucket, r.note.key) in torn else r
        for r in refused
    ]


def cut_shards(
    notes: Iterable[NoteRef], notes_per_shard: int, max_shards: int
) -> Iterator[tuple[str, int, list[NoteRef]]]:
    """(language, number from 1, notes) of one language each, in the listing's order; at most `max_shards` in all.

    A shard holds `notes_per_shard`, or as many more as keep their number down. Raises UsageError when there are more
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
    """The smallest size from `notes_per_shard` up with at most `max_shards` shards (bisection; fewer as it grows)."""
    low, high = notes_per_shard, max(notes_per_shard, *notes.values()) if notes else notes_per_shard
    while low < high:
        middle = (low + high) // 2
        if sum(-(-count // middle) for count in notes.values()) <= max_shards:
            high = middle
        else:
            low = middle + 1
    return low
