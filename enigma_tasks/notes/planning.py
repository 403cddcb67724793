"""Planning of a night: selects the notes of a listing that are not done, and divides them into shards. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from enigma_tasks.errors import UsageError
from enigma_tasks.file_names import holds_records, site_of
from enigma_tasks.notes.references import NoteRef, Refused, Rule, is_date, is_marker, note_of_object

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import Protocol

    from enigma_tasks.notes.done import Done
    from enigma_tasks.notes.fair_share import FairShare

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
    """The notes without an outcome that a night takes, at most as many as its limit, and the numbers of the others.

    A note whose language has no champion waits for one. Where more notes were dropped than the limit, they are shared
    out over the sites of each folder of drops/, and the others are deferred to the next night. Neither has an outcome,
    so both are listed again.
    """

    drops_prefix: str
    """The key of the drops folder with its slash."""
    taken: FairShare[NoteRef | Refused]
    is_served: Callable[[str], bool]
    """Whether a language has a champion."""
    is_forgotten: Callable[[NoteRef], bool]
    done: int = 0
    """Notes; a file whose records are all done counts as one."""
    waiting: Counter[str] = field(default_factory=Counter)
    """Notes by language."""
    deferred: Counter[str] = field(default_factory=Counter)
    """Notes by language, refused ones included; empty where the language is not known."""
    _torn: set[tuple[str, str]] = field(default_factory=set)
    """Files of which a record waits or is deferred."""

    def add(self, found: NoteRef | Refused | None) -> None:
        """Take, defer or count a note whose language is known, a refusal, or None for a note that is done.

        A note that was forgotten is refused as such, whatever other rule it breaks.
        """
        if found is None:
            self.done += 1
            return
        note = _note_of(found)
        if self.is_forgotten(note):
            found = Refused(note, Rule.FORGOTTEN)
        if isinstance(found, NoteRef) and not self.is_served(note.language):
            self.waiting[note.language] += 1
            self._tear(note)
            return
        left = self.taken.offer(self._source(note), found)
        if left is not None:
            self.deferred[_note_of(left).language] += 1
            self._tear(_note_of(left))

    @property
    def planned(self) -> Iterator[NoteRef]:
        """The notes to annotate; those of one file follow each other."""
        return (item for item in self.taken if isinstance(item, NoteRef))

    @property
    def refused(self) -> Iterator[Refused]:
        """The notes that break a rule, marked."""
        for item in self.taken:
            if isinstance(item, Refused):
                yield replace(item, note=self.marked(item.note))

    def marked(self, note: NoteRef) -> NoteRef:
        """The note; if a record of its file waits or is deferred, it says so, and the file is opened again."""
        return replace(note, object_whole=False) if (note.bucket, note.key) in self._torn else note

    def _tear(self, note: NoteRef) -> None:
        if note.record_id is not None:
            self._torn.add((note.bucket, note.key))

    def _source(self, note: NoteRef) -> str:
        path = note.key.removeprefix(self.drops_prefix)
        folder, slash, _ = path.partition("/")
        return f"{folder}/{site_of(path)}" if slash else ""


def scan_listing(
    listing: Iterable[Listed],
    drops_prefix: str,
    done: Done,
    *,
    max_bytes: int,
    language_of: Callable[[str], str | None],
    backfill: Backfill | None = None,
) -> Iterator[NoteRef | Refused | None]:
    """Every object of a listing of the drops, in order, None for one that is done; no object is opened.

    A reference to a file of records, or without a language, stands for what is to be read for planning. A back-fill is
    limited to its drop dates. `drops_prefix` is the key of the drops folder with its slash.
    """
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
        ref = _note_of(result)
        if backfill is not None and ref.drop_date not in backfill:
            continue
        if backfill is None and _is_done(ref, done):
            yield None
        elif isinstance(result, Refused):
            yield result
        elif item.size == 0:
            yield Refused(ref, Rule.EMPTY)
        elif item.size > max_bytes and not holds_records(item.key):
            yield Refused(ref, Rule.TOO_LARGE)
        else:
            yield ref


def _note_of(item: NoteRef | Refused) -> NoteRef:
    return item.note if isinstance(item, Refused) else item


def _is_done(ref: NoteRef, done: Done) -> bool:
    if holds_records(ref.key):
        return done.has_object(ref.bucket, ref.key, ref.object_version)
    return done.has(ref.identity)


def cut_shards(
    notes: Iterable[NoteRef], notes_per_shard: int, max_shards: int
) -> Iterator[tuple[str, int, list[NoteRef]]]:
    """Shards as (language, number from 1, notes), in the notes' order; at most `max_shards` in total.

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
