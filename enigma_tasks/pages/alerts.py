"""Which flags are alerted about: each that needs action, unless an earlier night alerted about it a short time ago."""

from __future__ import annotations

from typing import TYPE_CHECKING

from enigma_tasks.pages.verdict import alerts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from enigma_tasks.pages.figures import Flag

Key = tuple[str, str]
"""(rule, subject)."""


def not_paused(flags: Sequence[Flag], earlier: Sequence[tuple[Key, ...]], pause: int) -> tuple[Flag, ...]:
    """The flags to alert about now. `earlier`: what each earlier night alerted about, oldest first.

    The earlier nights' records are the only state, so that a night that is monitored again alerts about the same flags.
    """
    paused = {key for keys in earlier[len(earlier) - min(pause, len(earlier)) :] for key in keys}
    return tuple(f for f in alerts(flags) if (f.rule, f.subject) not in paused)


def alert_report(flags: Sequence[Flag]) -> list[dict[str, str | float]]:
    """For Airflow: `alert:drift:es:entities.DISEASE` and numbers; words of fixed vocabularies, and no sentence."""
    return [
        {
            "alert": ":".join(("alert", flag.rule, *flag.subject.split())),
            **{
                name: number
                for name, number in (("value", flag.value), ("low", flag.low), ("high", flag.high))
                if number is not None
            },
        }
        for flag in flags
    ]
