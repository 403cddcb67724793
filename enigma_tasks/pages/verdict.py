"""The verdict on a night, a level and a sentence, from its figures and flags."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from enigma_tasks.pages.figures import Flag, NightFigures

NOTICES = frozenset({"model_changed"})
"""Rules of flags that need no action."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """`level` is good, info, warn or bad."""

    level: str
    word: str
    sentence: str


def alerts(flags: Sequence[Flag]) -> tuple[Flag, ...]:
    """The flags that need action."""
    return tuple(f for f in flags if f.rule not in NOTICES)


def verdict(night: NightFigures, flags: Sequence[Flag]) -> Verdict:
    """The worst of: not published, text not read, unusual, quarantine, waiting or deferred, all well."""
    if not night.published:
        missing = len(night.missing_shards)
        why = f"{missing} of {night.shards} shards have no result" if missing else "every shard has its result"
        return Verdict("bad", "Incomplete", f"The night is not published; {why}. Run the DAG's failed task again.")
    parts = [_notes_line(night)]
    if night.elsewhere:
        parts.append(f"{_notes(night.elsewhere)} had been published by another night.")
    if night.waiting_total:
        wait = "waits" if night.waiting_total == 1 else "wait"
        parts.append(f"{_notes(night.waiting_total)} in {', '.join(sorted(night.waiting))} {wait} for a champion.")
    if night.deferred_total:
        wait = "waits" if night.deferred_total == 1 else "wait"
        parts.append(f"{_notes(night.deferred_total)} {wait} for the next night.")
    unusual = [f for f in alerts(flags) if f.rule not in ("waiting", "deferred")]
    if unusual:
        parts.append("1 figure needs a look." if len(unusual) == 1 else f"{len(unusual)} figures need a look.")
    sentence = " ".join(parts)
    if any(f.rule == "text_not_read" for f in flags):
        return Verdict("bad", "Text not read", sentence)
    if unusual:
        return Verdict("warn", "Unusual", sentence)
    if night.quarantined:
        return Verdict("warn", "Quarantine", sentence)
    if night.waiting_total or night.deferred_total:
        return Verdict("warn", "Waiting", sentence)
    return Verdict("good" if night.planned else "info", "All well" if night.planned else "Nothing new", sentence)


def _notes_line(night: NightFigures) -> str:
    if not night.planned:
        return "No new notes were found, so there was nothing to annotate."
    if not night.quarantined:
        return f"{_notes(night.annotated)} annotated, none in quarantine."
    are = "is" if night.quarantined == 1 else "are"
    return f"{night.annotated:,} of {_notes(night.planned)} annotated; {night.quarantined:,} {are} in quarantine."


def _notes(count: int) -> str:
    return "1 note" if count == 1 else f"{count:,} notes"
