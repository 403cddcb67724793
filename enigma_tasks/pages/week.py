"""The weekly report on reviewed notes."""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING

from pydantic import TypeAdapter

from enigma_tasks.errors import UsageError
from enigma_tasks.frozen import Frozen, read_record
from enigma_tasks.pages.figures import Flag  # noqa: TC001 - pydantic reads it
from enigma_tasks.pages.formats import environment
from enigma_tasks.pages.quality import GroupF1  # noqa: TC001 - pydantic reads it
from enigma_tasks.pages.quality_charts import quality_charts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from enigma_tasks.pages.quality import Quality

_WEEK = re.compile(r"(\d{4})-W(\d{2})")


class WeekRecord(Frozen):
    """The content of a week's JSON file."""

    week: str
    weeks: tuple[GroupF1, ...] = ()
    types: tuple[GroupF1, ...] = ()
    sites: tuple[GroupF1, ...] = ()
    flags: tuple[Flag, ...] = ()
    alerted: tuple[tuple[str, str], ...] = ()
    """(rule, subject), as in a night's record."""


_RECORD = TypeAdapter(WeekRecord)


def read_week_record(name: str, data: bytes) -> WeekRecord:
    """Raises DataError as `read_record` does."""
    return read_record(_RECORD, name, data)


def week_end(week: str) -> str:
    """The end of an ISO week, `2026-W24`, in UTC. Raises UsageError."""
    found = _WEEK.fullmatch(week)
    try:
        monday = dt.date.fromisocalendar(int(found[1]), int(found[2]), 1) if found else None
    except ValueError:
        monday = None
    if monday is None:
        raise UsageError("a week is written as ISO 8601 does: 2026-W24")
    return f"{monday + dt.timedelta(days=7)}T00:00:00+00:00"


def render_week_page(week: str, quality: Quality, flags: Sequence[Flag]) -> str:
    """HTML of the report on the weeks up to this one."""
    return environment().get_template("week.html.jinja").render(
        week=week, quality=quality, flags=flags, charts=quality_charts(quality)
    )  # fmt: skip
