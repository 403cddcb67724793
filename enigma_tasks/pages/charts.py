"""Geometry of small SVG charts, which charts.html.jinja draws.

Not with a plotting library: a page with Plotly's script is 4 MB, and Matplotlib's SVG cannot follow the reader's light
or dark theme.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

WIDTH, HEIGHT = 360, 150
LEFT, RIGHT, TOP, BOTTOM = 40, 10, 8, 20
"""Margins of the plot, for the axis labels."""
TIGHT = 0.05
"""Margin above and below the lines of a tight chart, as a share of its lowest value, so that noise looks small."""


@dataclass(frozen=True, slots=True)
class Series:
    """One line: a value per night, or None."""

    name: str
    css: str
    values: tuple[float | None, ...]
    intervals: tuple[tuple[float, float] | None, ...] = ()
    """Of the values, if they have one."""


@dataclass(frozen=True, slots=True)
class Point:
    """A dot with its tooltip."""

    x: float
    y: float
    tip: str
    tonight: bool


@dataclass(frozen=True, slots=True)
class Curve:
    """A drawn series: an SVG path (with gaps), and its dots."""

    css: str
    path: str
    points: tuple[Point, ...]
    whiskers: tuple[tuple[float, float, float], ...] = ()
    """(x, y of the upper end, y of the lower end) of each interval."""


@dataclass(frozen=True, slots=True)
class LineChart:
    """The arguments of the macro `lines`."""

    title: str
    curves: tuple[Curve, ...]
    y_ticks: tuple[tuple[float, str], ...]
    x_ticks: tuple[tuple[float, str, str], ...]
    """(x, text, text-anchor)."""
    band: tuple[float, float] | None
    """The usual range: (y of its top, height)."""
    limits: tuple[tuple[float, str], ...] = ()
    """Horizontal lines: (y, name)."""
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT


@dataclass(frozen=True, slots=True)
class Segment:
    """A coloured piece of a bar, in percent of the chart's width."""

    css: str
    x: float
    width: float
    tip: str


@dataclass(frozen=True, slots=True)
class Bar:
    """One row of a bar chart."""

    name: str
    segments: tuple[Segment, ...]
    text: str


@dataclass(frozen=True, slots=True)
class Columns:
    """A histogram."""

    title: str
    css: str
    columns: tuple[tuple[float, float, float, float, str], ...]
    """(x, y, width, height, tooltip)."""
    x_ticks: tuple[tuple[float, str], ...]
    base: float
    width: int = 360
    height: int = 120


def line_chart(
    title: str,
    nights: Sequence[str],
    series: Sequence[Series],
    show: Callable[[float], str],
    usual: tuple[float, float] | None = None,
    *,
    limits: Sequence[tuple[float, str]] = (),
    tight: bool = False,
) -> LineChart:
    """Lines over nights or weeks; `show` formats a value. The y axis starts at 0, or, if `tight`, below the values.

    `limits`: (value, name) of horizontal lines.
    """
    values = [v for s in series for v in s.values if v is not None]
    values += [end for s in series for interval in s.intervals if interval is not None for end in interval]
    values += [value for value, _ in limits]
    top = max([*values, usual[1] if usual else 0.0], default=0.0)
    low = min([*values, *(usual[:1] if usual and tight else ())], default=0.0)
    ticks = nice_ticks(top + TIGHT * low, (1 - TIGHT) * low) if tight else nice_ticks(top)
    inner = HEIGHT - TOP - BOTTOM

    def x(i: int) -> float:
        step = (WIDTH - LEFT - RIGHT - 8) / max(1, len(nights) - 1)
        return round(LEFT + 4 + i * step, 1)

    def y(value: float) -> float:
        return round(TOP + inner * (ticks[-1] - value) / (ticks[-1] - ticks[0]), 1)

    curves = []
    for s in series:
        points = [
            None if v is None else Point(x(i), y(v), f"{nights[i]} {s.name}{show(v)}", i == len(nights) - 1)
            for i, v in enumerate(s.values)
        ]
        whiskers = tuple((x(i), y(ends[1]), y(ends[0])) for i, ends in enumerate(s.intervals) if ends is not None)
        curves.append(Curve(s.css, _path(points), tuple(p for p in points if p is not None), whiskers))
    chosen = sorted({0, (len(nights) - 1) // 2, len(nights) - 1}) if len(nights) > 4 else range(len(nights))
    x_ticks = tuple((x(i), nights[i], _anchor(i, len(nights))) for i in chosen)
    band = (y(usual[1]), round(y(usual[0]) - y(usual[1]), 1)) if usual else None
    return LineChart(
        title,
        tuple(curves),
        tuple((y(t), tick_text(t, ticks[1] - ticks[0])) for t in ticks),
        x_ticks,
        band,
        tuple((y(value), name) for value, name in limits),
    )


def bars(rows: Sequence[tuple[str, Sequence[tuple[str, float, str]], str]]) -> tuple[Bar, ...]:
    """Stacked bars on one scale. A row is (name, [(css, value, tooltip)], text at its end)."""
    longest = max((math.fsum(v for _, v, _ in parts) for _, parts, _ in rows), default=0.0) or 1.0
    drawn = []
    for name, parts, text in rows:
        at, segments = 0.0, []
        for css, value, tip in parts:
            if value > 0:
                width = 100 * value / longest
                segments.append(Segment(css, round(at, 2), round(width, 2), tip))
                at += width
        drawn.append(Bar(name, tuple(segments), text))
    return tuple(drawn)


def histogram(title: str, css: str, counts: Sequence[int], low: float = 0.0, high: float = 1.0) -> Columns:
    """Columns over equal bins of [low, high]."""
    width, height, base = 360, 120, 100
    step, top = (width - 2) / max(1, len(counts)), max([*counts, 1])
    size = (high - low) / max(1, len(counts))
    columns = []
    for i, count in enumerate(counts):
        tall = (base - 6) * count / top
        tip = f"{low + i * size:.2f} to {low + (i + 1) * size:.2f}: {count:,}"
        columns.append(
            (round(1 + i * step, 1), round(base - tall, 1), round(max(1.0, step - 1.5), 1), round(tall, 1), tip)
        )
    marks = (low, (low + high) / 2, high)
    ticks = tuple(
        (round(min(max(1 + (width - 2) * k / 2, 12), width - 12), 1), f"{round(v, 2):g}") for k, v in enumerate(marks)
    )
    return Columns(title, css, tuple(columns), ticks, base, width, height)


def nice_ticks(top: float, bottom: float = 0.0) -> list[float]:
    """Two to five round steps, the first tick at or below `bottom`, the last at or above `top`."""
    if top <= bottom:
        bottom, top = (0.0, 1.0) if top <= 0 else (0.9 * bottom, top)
    rough = (top - bottom) / 3
    magnitude = 10.0 ** math.floor(math.log10(rough))
    step = next(m * magnitude for m in (1, 2, 2.5, 5, 10) if m * magnitude >= rough)
    first, last = math.floor(round(bottom / step, 9)), math.ceil(round(top / step, 9))
    return [round(step * i, 10) for i in range(first, last + 1)]


def tick_text(value: float, step: float) -> str:
    """The value with as many decimals as the step needs: 0.2 and 0.4, 0.25 and 0.50, 1,000 and 2,000."""
    decimals = next((d for d in range(9) if abs(round(step, d) - step) < step / 1e6), 9)
    return f"{value:,.{decimals}f}"


def _path(points: Sequence[Point | None]) -> str:
    """An SVG path with gaps where a night has no value."""
    steps, drawing = [], False
    for point in points:
        if point is not None:
            steps.append(f"{'L' if drawing else 'M'}{point.x} {point.y}")
        drawing = point is not None
    return " ".join(steps)


def _anchor(i: int, count: int) -> str:
    if count == 1:
        return "start"
    return "start" if i == 0 else "end" if i == count - 1 else "middle"
