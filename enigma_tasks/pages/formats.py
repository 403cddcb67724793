"""Formatting of values on pages, and the Jinja environment with these functions as filters."""

from __future__ import annotations

import datetime as dt
import functools
import math
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined

from enigma_tasks.documents import EntityType
from enigma_tasks.errors import visible

if TYPE_CHECKING:
    from collections.abc import Iterable

OTHER_COLOURS = ("#6b7686", "#9aa6b6")
"""For labels of old nights whose type is no longer in the table."""
NOTHING = "\N{EN DASH}"


@functools.cache
def environment() -> Environment:
    """Templates of this package; everything is escaped except the output of macros."""
    env = Environment(
        loader=PackageLoader("enigma_tasks.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters |= {f.__name__: f for f in (count, dec, percent, duration, visible, moment)}
    env.globals["type_colours"] = [*(t.entry.colours for t in EntityType), OTHER_COLOURS]
    return env


def label_classes(labels: Iterable[str]) -> dict[str, str]:
    """Label -> the CSS class of its type's colour, sorted; a label of an unknown type is grey."""
    classes = {t.label: f"t{i}" for i, t in enumerate(EntityType)}
    return {label: classes.get(label, f"t{len(classes)}") for label in sorted(set(labels))}


def count(value: float | None) -> str:
    """1234 -> `1,234`."""
    return NOTHING if value is None else f"{value:,.0f}"


def dec(value: float | None) -> str:
    """Three significant digits: 12.3456 -> `12.3`, 1234.5 -> `1,235`."""
    if value is None:
        return NOTHING
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.{max(0, 2 - math.floor(math.log10(abs(value))))}f}"


def percent(share: float | None) -> str:
    """A share as percent. Only 1 is shown as 100 %, and only 0 as 0 %."""
    if share is None:
        return NOTHING
    text = f"{100 * share:.1f}"
    if text == "100.0":
        text = "100" if share == 1 else "> 99.9" if share < 1 else text
    if text == "0.0":
        text = "0" if share == 0 else "< 0.1"
    return f"{text}\N{NO-BREAK SPACE}%"


def duration(seconds: float | None) -> str:
    """Seconds -> `0.42 s`, `12.3 s`, `3 min 05 s`, `2 h 04 min`."""
    if seconds is None:
        return NOTHING
    space = "\N{NO-BREAK SPACE}"
    if seconds < 60:
        return f"{dec(seconds)}{space}s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60}{space}min{space}{whole % 60:02d}{space}s"
    return f"{whole // 3600}{space}h{space}{whole % 3600 // 60:02d}{space}min"


def moment(time: str) -> str:
    """ISO 8601 with an offset -> `2026-06-11 02:00 UTC`; other text is unchanged."""
    try:
        parsed = dt.datetime.fromisoformat(time)
    except ValueError:
        return visible(time)
    return f"{parsed.astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC" if parsed.tzinfo else visible(time)
