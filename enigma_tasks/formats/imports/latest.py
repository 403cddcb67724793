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
    annotation that was never changed was changed when it was created. Label Studio marks what is imported over its API
    as ground truth, a machine's annotations too: a mark on one that no user has changed (`updated_by` is there and
    null) does not count where a user's annotation differs from it.

    Args:
        record: names the document in errors.
        annotations: with `ground_truth`, `updated_by`, `updated_at`, `created_at`, `id` and `result`, each of which may
            be missing.

    Raises:
        DataError: `text_without_annotation` (there is none), `annotations_tie` (the last cannot be decided between two
            with different results).
    """
    if not annotations:
        hint = "predictions, drafts and cancelled annotations do not count"
        raise DataError(record, "text_without_annotation", hint=hint)
    by_users = [a.get("result") for a in annotations if a.get("updated_by") is not None]
    ranked = sorted(((_rank(a, by_users), a) for a in annotations), key=lambda pair: pair[0])
    highest, best = ranked[-1]
    if any(rank == highest and a.get("result") != best.get("result") for rank, a in ranked):
        raise DataError(record, "annotations_tie", hint="expected updated_at, created_at or id, to know the last")
    return best


def _rank(annotation: dict[str, Any], by_users: Sequence[Any]) -> tuple[int, float, float, int]:
    created = _seconds(annotation.get("created_at"))
    updated = max(created, _seconds(annotation.get("updated_at")))
    return _mark(annotation, by_users), updated, created, _number(annotation.get("id"))


def _mark(annotation: dict[str, Any], by_users: Sequence[Any]) -> int:
    """1 for the ground truth, -1 for one that is so by its import only and that a user's annotation contradicts."""
    if not (annotation.get("ground_truth") or annotation.get("honeypot")):
        return 0
    unchanged = annotation.get("updated_by", "unknown") is None
    return -1 if unchanged and any(result != annotation.get("result") for result in by_users) else 1


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
