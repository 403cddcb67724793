"""The journal of champions in the object store: one object a line, created and never replaced."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import TYPE_CHECKING

from enigma_tasks.adapters.object_store import Wanted
from enigma_tasks.artifacts import JournalPlaces
from enigma_tasks.errors import DataError, ObjectMissing
from enigma_tasks.promotion.journal import JournalMoved, line_bytes, next_line, parse_line
from enigma_tasks.promotion.journal_check import Finding, verify

if TYPE_CHECKING:
    from collections.abc import Sequence

    from enigma_tasks.adapters.object_store import ObjectStore
    from enigma_tasks.promotion.journal import Draft, Head, JournalLine

GOLD_REVISIONS = "gold-revisions"
"""Folder beside the models' journals: which commits of gold stand for those that were rewritten."""


class JournalStore:
    """The journals under `root`, the place `journal`.

    Raises, from every method:
        DataError: `journal_unknown`, another object than a line is stored in a journal (not from `findings`).
        ServiceError: as `ObjectStore` does.
    """

    def __init__(self, store: ObjectStore, root: str) -> None:
        self._store = store
        self.root = root
        self._places = JournalPlaces(root)

    def names(self) -> list[str]:
        """The names of the journals, sorted."""
        found = set()
        for item in self._store.list(f"{self._places.root}/"):
            if item.uri.startswith(f"{self._places.root}/{GOLD_REVISIONS}/"):
                continue  # no journal of a model
            name = self._places.name(item.uri)
            if name is None:
                raise DataError("journal", "journal_unknown", hint="an object is stored outside any journal's folder")
            if not item.key.endswith("/"):  # a folder's marker
                found.add(name)
        return sorted(found)

    def findings(self, name: str, head: Head | None = None) -> tuple[Finding, ...]:
        """What is wrong with a journal; see `journal_check.verify`."""
        numbers, unknown = self._listed(name)
        return (*unknown, *verify(name, self._read(name, numbers), head))

    def lines(self, name: str) -> tuple[JournalLine, ...]:
        """The lines of a journal, verified; empty where there is none.

        Raises:
            DataError: `journal_{kind}` of the first finding, with the line's number.
        """
        return self._verified(name, self._read(name, self._numbers(name)))

    def last(self, name: str, head: Head | None = None) -> JournalLine | None:
        """The last line of a journal, or None; what is verified is that no line is missing, and the last two.

        `head`: the last line known from elsewhere.

        Raises:
            DataError: as `lines` does.
        """
        numbers = self._numbers(name)
        missing = sorted(set(range(1, max((*numbers, head.n if head else 0), default=0) + 1)) - set(numbers))
        if missing:
            sentence = f"line {missing[0]} is missing"
            raise Finding(name=name, line=missing[0], kind="removed", sentence=sentence).error
        lines = self._verified(name, self._read(name, numbers[-2:]), head)
        return lines[-1] if lines else None

    def append(self, name: str, draft: Draft, *, after: JournalLine | None) -> JournalLine:
        """Write the line after `after`, the last line that the caller knows; None for the first line.

        After a lost reply the line is read back: the same bytes are ours, as every line has a random id.

        Raises:
            JournalMoved: another process wrote that line first, or line `after` is gone.
            DataError: `journal_kind`, as `journal.next_line` does; `journal_changed`, line `after` is not what it was.
        """
        last = None
        if after is not None:
            try:
                last = self._store.get(self._places.line(name, after.n))
            except ObjectMissing as error:
                raise JournalMoved(name, after.n) from error
            if parse_line(name, last, after.n) != after:
                raise DataError(name, "journal_changed", after.n, "it is not the line that was read before")
        line = next_line(name, draft, last, now=dt.datetime.now(dt.UTC), line_id=uuid.uuid4().hex)
        if not self._store.put_if_absent(self._places.line(name, line.n), line_bytes(line)):
            raise JournalMoved(name, line.n)
        return line

    def _listed(self, name: str) -> tuple[list[int], list[Finding]]:
        """The numbers of a journal's lines, and a finding for each object that is no line."""
        numbers, unknown = [], []
        for item in self._store.list(self._places.folder(name)):
            n = self._places.number(item.uri)
            if n is not None:
                numbers.append(n)
            elif not item.key.endswith("/"):  # a folder's marker
                sentence = "an object that is no line is stored in the journal"
                unknown.append(Finding(name=name, line=0, kind="unknown", sentence=sentence))
        return numbers, unknown

    def _numbers(self, name: str) -> list[int]:
        numbers, unknown = self._listed(name)
        for finding in unknown:
            raise finding.error
        return numbers

    def _read(self, name: str, numbers: Sequence[int]) -> dict[int, bytes]:
        fetched = self._store.get_many(Wanted(self._places.line(name, n)) for n in numbers)
        return {n: item.data for n, item in zip(numbers, fetched, strict=True) if item.data is not None}

    def _verified(self, name: str, stored: dict[int, bytes], head: Head | None = None) -> tuple[JournalLine, ...]:
        for finding in verify(name, stored, head, first=min(stored, default=1)):
            raise finding.error
        return tuple(parse_line(name, data, n) for n, data in sorted(stored.items()))
