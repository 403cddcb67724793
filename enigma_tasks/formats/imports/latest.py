"""Which of a document's annotations counts: one rule for every tool."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from enigma_tasks.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

_MILLISECONDS = 1e11
"""Numbers from here on are milliseconds since 1970: as seconds they would be in the year 5138."""


def latest(record: str, annotations: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The ground truth, else the annotation that was changed last, else created last, else of the highest id.

    Times are compared as times, whatever their zone and their fractions of a second; one without a zone is UTC. An
    annotation that was never changed was changed when it was created.

    Args:
        record: names the document in errors.
        annotations: with `ground_truth`, `updated_at`, `created_at`, `id` and `result`, each of which may be missing.

    Raises:
        DataError: `text_without_annotation` (there is none), `annotations_tie` (two with different results of which
            nothing tells which is the last).
    """
    if not annotations:
        hint = "predictions, drafts and cancelled annotations do not count"
        raise DataError(record, "text_without_annotation", hint=hint)
    ranked = sorted(annotations, key=_rank)
    best = ranked[-1]
    if any(_rank(a) == _rank(best) and a.get("result") != best.get("result") for a in ranked):
        raise DataError(record, "annotations_tie", hint="expected updated_at, created_at or id to tell which is last")
    return best


def _rank(annotation: dict[str, Any]) -> tuple[bool, float, float, int]:
    created = _seconds(annotation.get("created_at"))
    updated = max(created, _seconds(annotation.get("updated_at")))
    truth = bool(annotation.get("ground_truth") or annotation.get("honeypot"))
    return truth, updated, created, _number(annotation.get("id"))


def _seconds(value: Any) -> float:
    """An ISO time, or a number of seconds or milliseconds, since 1970; minus infinity for anything else."""
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return value / 1000 if value >= _MILLISECONDS else float(value)
        time = datetime.fromisoformat(value.strip())
    except (AttributeError, ValueError, OverflowError):
        return float("-inf")
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()


def _number(value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        return -1
