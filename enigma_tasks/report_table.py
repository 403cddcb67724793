"""A report -> aligned lines for people."""

from __future__ import annotations

from typing import Any


def as_table(report: dict[str, Any]) -> str:
    """A report as aligned lines for people: nested keys dotted, lists of objects as rows."""
    lines: list[str] = []
    scalars = list(_flat(report))
    width = max((len(k) for k, _ in scalars), default=0)
    lines += [f"{k:<{width}}  {v}" for k, v in scalars]
    for name, rows in report.items():
        if isinstance(rows, list) and rows and isinstance(rows[0], dict):
            columns = list(rows[0])
            cells = [columns, *[[str(r.get(c, "")) for c in columns] for r in rows]]
            widths = [max(len(row[i]) for row in cells) for i in range(len(columns))]
            lines += ["", f"{name}:"]
            lines += ["  " + "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in cells]
    return "\n".join(lines)


def _flat(value: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    for key, item in value.items():
        if isinstance(item, dict):
            pairs += _flat(item, f"{prefix}{key}.")
        elif not (isinstance(item, list) and item and isinstance(item[0], dict)):
            pairs.append((prefix + key, f"{item:.4f}" if isinstance(item, float) else str(item)))
    return pairs
