"""Which of a document's annotations counts: one rule for every tool."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from enigma_tasks.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

_MILLISECONDS = 1e11
"""Numbers from here on are milliseconds since 1970: as seconds they would be in the year 5138."""
_LATEST = 1e16
"""No time has a larger number."""
_UNKNOWN = float("-inf")


def latest(record: str, annotations: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The ground truth, else the annotation that was changed last, else created last, else of the highest id.

    Times are compared as times, whatever their zone and their fractions of a second; one without a zone is UTC. They
    are ISO 8601, those of mail (RFC 5322), or seconds or milliseconds since 1970. An annotation that was never changed
    was changed when it was created. Label Studio marks what is imported over its API as ground truth, a machine's
    annotations too: a mark on one that no user has changed (`updated_by` is there and null) does not count where a
    user's annotation differs from it.

    Args:
        record: names the document in errors.
        annotations: with `ground_truth`, `updated_by`, `updated_at`, `created_at`, `id` and `result`, each of which may
            be missing.

    Raises:
        DataError: `text_without_annotation` (there is none), `annotations_tie` (the last cannot be decided between two
            with different results, or a time cannot be read that may decide).
    """
    if not annotations:
        hint = "predictions, drafts and cancelled annotations do not count"
        raise DataError(record, "text_without_annotation", hint=hint)
    by_users = _two_that_differ([a.get("result") for a in annotations if a.get("updated_by") is not None])
    ranked = sorted(((_rank(a, by_users), a) for a in annotations), key=lambda pair: pair[0])
    highest, best = ranked[-1]
    rivals = [a for rank, a in ranked if rank[0] == highest[0]]
    if any(a.get("result") != best.get("result") for a in rivals) and not all(map(_has_known_times, rivals)):
        raise DataError(record, "annotations_tie", hint="a time cannot be read; expected ISO 8601")
    if any(rank == highest and a.get("result") != best.get("result") for rank, a in ranked):
        raise DataError(record, "annotations_tie", hint="expected updated_at, created_at or id, to know the last")
    return best


def _two_that_differ(results: Sequence[Any]) -> Sequence[Any]:
    """The first result and the first that differs from it: what differs from any of them differs from one of these."""
    other = next((i for i, result in enumerate(results) if result != results[0]), len(results))
    return [*results[:1], *results[other : other + 1]]


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


def _has_known_times(annotation: dict[str, Any]) -> bool:
    """Every time that it has can be read."""
    times = (annotation.get(key) for key in ("created_at", "updated_at"))
    return all(time in (None, "") or _seconds(time) != _UNKNOWN for time in times)


def _seconds(value: Any) -> float:
    """A time in seconds since 1970; minus infinity for what is none."""
    if isinstance(value, str):
        return _of_text(value.strip())
    if not isinstance(value, int | float) or isinstance(value, bool) or not abs(value) < _LATEST:
        return _UNKNOWN
    return value / 1000 if value >= _MILLISECONDS else float(value)


def _of_text(text: str) -> float:
    for parse in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            time = parse(text)
            return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError, IndexError, TypeError):
            continue
    try:
        return _seconds(float(text))
    except ValueError:
        return _UNKNOWN


def _number(value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        return -1
