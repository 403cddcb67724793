"""The table of the cases that were played, as Markdown."""

from __future__ import annotations

from collections import Counter
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence


def report_lines(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Scenarios x faults: cases that were played, and in brackets those that failed; seconds a case."""
    faults = list(dict.fromkeys(row["fault"] for row in sorted(rows, key=lambda r: r["order"])))
    played = Counter((row["scenario"], row["fault"]) for row in rows)
    failed = Counter((row["scenario"], row["fault"]) for row in rows if row["problems"])
    requests = {row["scenario"]: row["requests"] for row in rows}
    seconds: dict[str, list[float]] = {}
    for row in rows:
        seconds.setdefault(row["scenario"], []).append(row["seconds"])
    head = ["scenario", "requests", *(fault.replace("_", " ") for fault in faults), "cases", "failed", "seconds a case"]
    lines = [_line(head), _line(["---"] * len(head))]
    for name in sorted(requests):
        cells = [_cell(played[name, fault], failed[name, fault]) for fault in faults]
        cases, lost = (sum(n for (scenario, _), n in found.items() if scenario == name) for found in (played, failed))
        lines.append(_line([name, requests[name], *cells, cases, lost, f"{median(seconds[name]):.1f}"]))
    whole = [s for found in seconds.values() for s in found]
    cells = [_cell(sum(played[n, f] for n in requests), sum(failed[n, f] for n in requests)) for f in faults]
    totals = [sum(requests.values()), *cells, len(rows), failed.total(), f"{sum(whole) / len(whole):.1f} (mean)"]
    lines.append(_line(["all", *totals]))
    return [
        "# Faults at numbered requests",
        "",
        "`make test-faults REPORT=benchmarks/faults.md` writes this page: how many cases were played and, in brackets,",
        "how many of them failed. `requests` are those of the undisturbed command; all faults but `read only` are",
        "possible at each of them.",
        "",
        f"{len(rows)} cases, {failed.total()} failed; {sum(whole):.0f} s, all processes together.",
        "",
        *lines,
    ]


def _cell(played: int, failed: int) -> str:
    return f"{played} ({failed})" if failed else f"{played or ''}"


def _line(cells: Sequence[object]) -> str:
    return f"| {' | '.join(map(str, cells))} |"
