"""Verification of a journal: which lines were changed, removed, added or misplaced. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from enigma_tasks.errors import DataError
from enigma_tasks.frozen import Frozen
from enigma_tasks.promotion.journal import Head, JournalLine, digest, parse_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

Kind = Literal["changed", "newer", "removed", "added", "swapped", "misplaced", "time", "unknown"]


class Finding(Frozen):
    """What is wrong with one line, by its number; 0 for an object that is no line."""

    name: str
    line: int
    kind: Kind
    sentence: str

    @property
    def error(self) -> DataError:
        """As an error: rule `journal_{kind}`, at the line's number."""
        return DataError(self.name, f"journal_{self.kind}", self.line, self.sentence)


@dataclass(frozen=True, slots=True)
class _Stored:
    """One object: the number in its key, its bytes, and the line in it where that can be read."""

    key: int
    data: bytes
    line: JournalLine | None

    @property
    def n(self) -> int:
        """The number that the line itself says; that of the key where it cannot be read."""
        return self.line.n if self.line else self.key


def verify(name: str, stored: Mapping[int, bytes], head: Head | None = None, *, first: int = 1) -> tuple[Finding, ...]:
    """Everything wrong with a journal, by line; empty if it is as it was written.

    `stored`: the bytes of each object by the number in its key, from number `first` on. `head`: the last line known
    from elsewhere, without which removed last lines are not noticed.
    """
    objects, findings = _read(name, stored)
    known, misplaced = _arrange(name, objects)
    findings += misplaced
    last = max((*stored, *known, head.n if head else 0), default=0)
    findings += [
        Finding(name=name, line=n, kind="removed", sentence=f"line {n} is missing")
        for n in range(first, last + 1)
        if n not in known
    ]
    bad = {f.line for f in findings}
    findings += [f for f in _chain(name, known, head) if f.line not in bad]
    return tuple(sorted(findings, key=lambda f: (f.line, f.kind)))


def _read(name: str, stored: Mapping[int, bytes]) -> tuple[list[_Stored], list[Finding]]:
    """The objects in the order of their keys, and a finding for each that cannot be read."""
    objects, findings = [], []
    for key, data in sorted(stored.items()):
        try:
            line = parse_line(name, data, key)
        except DataError as error:
            kind: Kind = "newer" if error.rule == "journal_newer" else "changed"
            findings.append(Finding(name=name, line=key, kind=kind, sentence=error.hint))
            objects.append(_Stored(key, data, None))
            continue
        if line.name == name:
            objects.append(_Stored(key, data, line))
        else:
            sentence = f"a line of the journal of {line.name} is stored there"
            findings.append(Finding(name=name, line=key, kind="added", sentence=sentence))
    return objects, findings


def _arrange(name: str, objects: Sequence[_Stored]) -> tuple[dict[int, _Stored], list[Finding]]:
    """The object that is each line, wherever it is stored; and findings for what is not in its place."""
    claims: dict[int, list[_Stored]] = {}
    for item in objects:
        claims.setdefault(item.n, []).append(item)
    known = {n: _authentic(n, found, claims) for n, found in claims.items()}
    findings = []
    for item in objects:
        other = known.get(item.key)
        if known[item.n] is not item:
            sentence = f"a second line {item.n} is stored as number {item.key}"
            findings.append(Finding(name=name, line=item.key, kind="added", sentence=sentence))
        elif item.key != item.n and other is not None and other.key == item.n:
            if item.key < other.key:
                sentence = f"lines {item.key} and {other.key} are swapped"
                findings.append(Finding(name=name, line=item.key, kind="swapped", sentence=sentence))
        elif item.key != item.n:
            sentence = f"line {item.n} is stored as number {item.key}"
            findings.append(Finding(name=name, line=item.key, kind="misplaced", sentence=sentence))
    return known, findings


def _authentic(n: int, found: Sequence[_Stored], claims: Mapping[int, Sequence[_Stored]]) -> _Stored:
    """Of several objects that say they are line `n`: the one that a line n+1 follows, or that follows a line n-1."""
    followed = {o.line.previous for o in claims.get(n + 1, ()) if o.line}
    before = {digest(o.data) for o in claims.get(n - 1, ())} or {""}
    return max(
        found,
        key=lambda o: (digest(o.data) in followed, o.line is not None and o.line.previous in before, o.key == n),
    )


def _chain(name: str, known: Mapping[int, _Stored], head: Head | None) -> Iterator[Finding]:
    """Findings for lines that do not follow the line before, and for a last known line that is another now."""
    for n, item in sorted(known.items()):
        before = known.get(n - 1)
        if item.line is None or (before is None and n > 1):
            continue
        if before is None:
            if item.line.previous:
                yield Finding(name=name, line=n, kind="changed", sentence="it says that it is not the first line")
            continue
        if before.line is None:
            continue  # reported already, and no line follows it any more
        if item.line.previous != digest(before.data):
            yield _break(name, n, known, head)
        elif item.line.at < before.line.at:
            yield Finding(name=name, line=n, kind="time", sentence="its time is before that of the line before")
    last = known.get(head.n) if head else None
    if head and last and last.line and last.line.sha256 != head.sha256:
        sentence = "it is not the line that the registry's tag names"
        yield Finding(name=name, line=head.n, kind="changed", sentence=sentence)


def _break(name: str, n: int, known: Mapping[int, _Stored], head: Head | None) -> Finding:
    """Which of lines n-1 and n is not the one that was written, where n does not follow n-1.

    Line n is, if line n+1 or the last known line confirms it: then line n-1 was rewritten. Else line n was added.
    """
    item, after = known[n], known.get(n + 1)
    followed = after is not None and after.line is not None and after.line.previous == digest(item.data)
    named = head is not None and item.line is not None and (head.n, head.sha256) == (n, item.line.sha256)
    if followed or named:
        sentence = f"line {n} was written after another line {n - 1}"
        return Finding(name=name, line=n - 1, kind="changed", sentence=sentence)
    sentence = f"it was not written after the line {n - 1} that is there"
    return Finding(name=name, line=n, kind="added", sentence=sentence)
