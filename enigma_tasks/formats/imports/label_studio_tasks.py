"""Any of Label Studio's records -> a task with its data and its annotations, as its JSON export has it."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from enigma_tasks.formats.imports.other_keys import python_value
from enigma_tasks.formats.imports.regions import is_labelled, is_region, result_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

_LISTS = ("annotations", "completions")
"""Where a task's annotations are; before version 1.0 they were called completions."""
FROM_ROW = "from_row"
"""Marks an annotation that stood in a row, where a choice looks like a column of the data."""
_FLAT = frozenset(
    {"id", "annotator", "annotation_id", "created_at", "updated_at", "lead_time", "inner_id", "agreement", "history"}
)
"""What JSON-MIN and the tables say of an annotation, between the data's own columns and the controls'."""
_ALSO_DATA = frozenset({"agreement", "history"})
"""The tool writes numbers and lists there; a text is a column of the data that has the same name."""
_SPANS_AS_TEXT = re.compile(r"""\s*\[\s*\{.*["'](?:start|end|startOffset)["']\s*:""", re.DOTALL)


def is_record(tree: Any) -> bool:
    """A task, an annotation with its task, or a row of JSON-MIN or a table."""
    return isinstance(tree, dict) and bool(_is_task(tree) or _is_annotation(tree) or _is_flat(tree))


def _is_task(tree: dict[str, Any]) -> bool:
    if isinstance(tree.get("data"), dict):
        return True
    return any(isinstance(a, dict) and "result" in a for key in _LISTS for a in _list(tree.get(key)))


def _is_annotation(tree: dict[str, Any]) -> bool:
    return "result" in tree and "task" in tree


def _is_flat(tree: dict[str, Any]) -> bool:
    """Older versions did not write whose annotation it is."""
    named = "annotation_id" in tree and "annotator" in tree
    return named or any(is_labelled(v) for value in tree.values() for v in _span_values(value) or ())


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def span_columns(trees: Iterable[Any]) -> frozenset[str]:
    """The columns of an export's rows that hold spans in one row at least: nothing else is left out there."""
    rows = (tree for tree in trees if isinstance(tree, dict) and not _is_task(tree) and not _is_annotation(tree))
    return frozenset(
        key for row in rows for key, value in row.items() if any(map(is_labelled, _span_values(value) or ()))
    )


def as_task(tree: Any, columns: Collection[str] = ()) -> dict[str, Any] | None:
    """Any record -> a task with `data` and `annotations`; None for what is no record.

    Args:
        tree: the record.
        columns: `span_columns` of its export.
    """
    if not isinstance(tree, dict) or not is_record(tree):
        return None
    if _is_annotation(tree):
        task = tree["task"]
        whole = task if isinstance(task, dict) else {"id": task}
        return whole | {"data": whole["data"] if isinstance(whole.get("data"), dict) else {}, "annotations": [tree]}
    if _is_flat(tree) and not _is_task(tree):
        return _unflattened(tree, columns)
    data = tree["data"] if isinstance(tree.get("data"), dict) else tree
    lists = [tree[key] if isinstance(tree[key], list) else [tree[key]] for key in _LISTS if tree.get(key)]
    return tree | {"data": data, "annotations": [annotation for annotations in lists for annotation in annotations]}


def _unflattened(row: dict[str, Any], columns: Collection[str]) -> dict[str, Any]:
    """A row has one annotation; its spans are under the control's name, whatever that is, in tables as JSON.

    What cannot be read in a column of spans is a result that refuses the document.
    """
    results: list[Any] = []
    data: dict[str, Any] = {}
    for key, value in row.items():
        values = _span_values(value)
        if values is not None:
            results += [result_of(v) if isinstance(v, dict) else {"type": "labels"} for v in values]
        elif key in columns:
            results += [] if _is_empty(value) else [{"type": "labels"}]
        elif key not in _FLAT or (key in _ALSO_DATA and isinstance(value, str) and not _is_json(value)):
            data[key] = value
    times = {key: row.get(key) for key in ("created_at", "updated_at")}
    annotation = {"id": row.get("annotation_id"), "result": results, FROM_ROW: True} | times
    done = results or annotation["id"] not in (None, "")
    return {"id": row.get("id"), "data": data, "annotations": [annotation] if done else []}


def _span_values(value: Any) -> list[Any] | None:
    """The values of a control that marks regions; None for any other column."""
    if isinstance(value, str) and _SPANS_AS_TEXT.match(value):
        value = _parsed(value)
        if value is None:
            return [None]  # cut off by a spreadsheet, say: no result, which refuses the document
    values = [value] if is_labelled(value) else value
    return values if isinstance(values, list) and any(is_region(v) for v in values) else None


def _is_empty(value: Any) -> bool:
    """A cell of a row in which nothing was marked."""
    return value in (None, []) or (isinstance(value, str) and value.strip() in ("", "[]", "null", "None"))


def _is_json(cell: str) -> bool:
    return not cell.strip() or _parsed(cell) is not None or cell.strip() == "null"


def _parsed(cell: str) -> Any:
    """JSON, or what Python makes of it where a table went through a program of its own; None for neither."""
    for parse in (json.loads, python_value):
        try:
            return json.loads(json.dumps(parse(cell)))
        except (TypeError, ValueError, SyntaxError, RecursionError, MemoryError):
            continue
    return None
