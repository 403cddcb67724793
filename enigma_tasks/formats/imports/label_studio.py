"""Label Studio's exports of text annotations -> documents.

Read are JSON, JSON-MIN, the tables CSV and TSV, and what its storage writes: a file for each annotation or task. All
are brought to the shape of JSON: a task with its data and its annotations. A task may have been annotated by several
people: `latest` says which annotation counts; cancelled ones, drafts and predictions do not.
"""

from __future__ import annotations

import ast
import json
import re
from typing import TYPE_CHECKING, Any

from enigma_tasks.errors import DataError
from enigma_tasks.formats.imports.latest import latest
from enigma_tasks.formats.imports.markup import has_markup, shown
from enigma_tasks.formats.imports.regions import is_labelled, is_region, read_regions, result_of
from enigma_tasks.formats.imports.spans import (
    ID_KEYS,
    LOCATION,
    Imported,
    imported,
    is_location,
    own_id,
    refused,
    same_id,
    shown_id,
)
from enigma_tasks.formats.offset_units import CODE_POINTS, CRLF_ONCE, UTF16, UTF16_CRLF_ONCE, Content

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from enigma_tasks.documents import EntityType, Language
    from enigma_tasks.formats.imports.regions import Regions

UNITS = (CODE_POINTS, UTF16, CRLF_ONCE, UTF16_CRLF_ONCE)
_LISTS = ("annotations", "completions")
"""Where a task's annotations are; before version 1.0 they were called completions."""
_FROM_ROW = "from_row"
"""Marks an annotation that stood in a row, where a choice looks like a column of the data."""
_MISPLACED = frozenset(
    {"span_malformed", "span_outside_text", "span_inverted", "surface_differs", "offset_unit_unknown"}
)
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


def read_records(
    records: Iterable[tuple[str, Any]], language: Language | None, types: frozenset[EntityType]
) -> list[Imported]:
    """One document for each task, whose annotations may be in several records.

    Args:
        records: (what names it, value) in their order.
        language: of all documents.
        types: what they were annotated for.

    Rules: `task_malformed`, `id_missing`, `id_duplicate` (a task's id with two texts), `text_without_annotation`,
    `annotations_tie`, `not_span_labels` (the export has no span anywhere, but something else was annotated),
    `not_plain_text`, those of `read_regions` and of `spans.imported`.
    """
    tasks = [(record, _as_task(tree) or {}) for record, tree in records]
    groups: dict[object, list[tuple[str, dict[str, Any]]]] = {}
    for record, task in tasks:
        own, number = (own_id(_id_places(task)), task.get("id")) if task else (None, None)
        key = object() if own is None and number is None else (own, str(number))
        groups.setdefault(key, []).append((record, task))
    found = [one for group in groups.values() for one in _documents(group, language, types)]
    return [_of_no_spans(one) for one in found] if _marks_no_span([task for _, task in tasks]) else found


def _marks_no_span(tasks: Iterable[dict[str, Any]]) -> bool:
    """Something else than spans was annotated, and no span."""
    annotations = [a for task in tasks for a in task.get("annotations", ()) if isinstance(a, dict)]
    results = [result for annotation in annotations for result in _list(annotation.get("result"))]
    labelled = any(is_labelled(result.get("value")) for result in results if isinstance(result, dict))
    return not labelled and any(a.get("result") or a.get(_FROM_ROW) for a in annotations)


def _of_no_spans(one: Imported) -> Imported:
    if one.document is None:
        return one
    hint = "the export has no span anywhere: whether spans were looked for is unknown"
    return refused(one.document.id, DataError(one.document.id, "not_span_labels", hint=hint))


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


def _as_task(tree: Any) -> dict[str, Any] | None:
    """Any record -> a task with `data` and `annotations`; None for what is no record."""
    if not isinstance(tree, dict) or not is_record(tree):
        return None
    if _is_annotation(tree):
        task = tree["task"]
        whole = task if isinstance(task, dict) else {"id": task}
        return whole | {"data": whole["data"] if isinstance(whole.get("data"), dict) else {}, "annotations": [tree]}
    if _is_flat(tree) and not _is_task(tree):
        return _unflattened(tree)
    data = tree["data"] if isinstance(tree.get("data"), dict) else tree
    lists = [tree[key] if isinstance(tree[key], list) else [tree[key]] for key in _LISTS if tree.get(key)]
    return tree | {"data": data, "annotations": [annotation for annotations in lists for annotation in annotations]}


def _unflattened(row: dict[str, Any]) -> dict[str, Any]:
    """A row has one annotation; its spans are under the control's name, whatever that is, in tables as JSON."""
    results: list[Any] = []
    data: dict[str, Any] = {}
    for key, value in row.items():
        values = _span_values(value)
        if values is not None:
            results += [result_of(v) if isinstance(v, dict) else {"type": "labels"} for v in values]
        elif key not in _FLAT or (key in _ALSO_DATA and isinstance(value, str) and not _is_json(value)):
            data[key] = value
    times = {key: row.get(key) for key in ("created_at", "updated_at")}
    annotation = {"id": row.get("annotation_id"), "result": results, _FROM_ROW: True} | times
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


def _is_json(cell: str) -> bool:
    return not cell.strip() or _parsed(cell) is not None or cell.strip() == "null"


def _parsed(cell: str) -> Any:
    """JSON, or what Python makes of it where a table went through a program of its own; None for neither."""
    for parse in (json.loads, ast.literal_eval):
        try:
            return json.loads(json.dumps(parse(cell)))
        except (TypeError, ValueError, SyntaxError, RecursionError, MemoryError):
            continue
    return None


def _id_places(task: dict[str, Any]) -> list[Any]:
    data = task["data"]
    return [data, data.get("meta"), task.get("meta")]


def _documents(
    group: list[tuple[str, dict[str, Any]]], language: Language | None, types: frozenset[EntityType]
) -> Iterator[Imported]:
    """The one document of a task's records, or a refusal of each where they have several texts."""
    record, first = group[0]
    if not first:
        yield refused(None, DataError(record, "task_malformed", hint="expected a task with data and annotations"))
        return
    task_id = first.get("id")
    named = isinstance(task_id, str | int) and not isinstance(task_id, bool) and str(task_id).strip()
    document_id = own_id(_id_places(first)) or (f"labelstudio-{shown_id(str(task_id))}" if named else None)
    if document_id is None:
        hint = f"expected an id of the task, or one of {', '.join(ID_KEYS)} in its data"
        yield from (refused(None, DataError(name, "id_missing", hint=hint)) for name, _ in group)
    elif len({_whole_text(task["data"]) for _, task in group}) > 1:
        yield from same_id(document_id, [name for name, _ in group])
    else:
        try:
            yield _document(record, document_id, [task for _, task in group], language, types)
        except DataError as error:
            yield refused(document_id, error)


def _document(
    record: str,
    document_id: str,
    tasks: list[dict[str, Any]],
    language: Language | None,
    types: frozenset[EntityType],
) -> Imported:
    annotations = [(annotation, task["data"]) for task in tasks for annotation in _annotations(document_id, task)]
    chosen = latest(document_id, [annotation for annotation, _ in annotations])
    data = next(data for annotation, data in annotations if annotation is chosen)
    if not isinstance(chosen.get("result"), list):
        raise DataError(document_id, "task_malformed", hint="an annotation has no list of results")
    regions = read_regions(document_id, chosen["result"])
    columns, likeliest = _columns(document_id, data, regions)
    found = {
        column: _first_sound(
            [imported(document_id, c, regions.spans, language, types, units=UNITS, record=record) for c in contents]
        )
        for column, contents in columns.items()
    }
    sound = {one.document.text: one for one in found.values() if one.document}
    if len(sound) > 1 and not (likeliest and found[likeliest].document):
        raise DataError(document_id, "text_ambiguous", hint="every span fits in several columns of the data")
    best = _first_sound(list(found.values()))
    misplaced = any(defect.rule in _MISPLACED for defect in best.defects)
    if misplaced and len(found) > 1 and likeliest is None:
        raise DataError(document_id, "surface_differs", hint=f"all spans fit in none of {len(found)} columns")
    if misplaced and regions.markup:
        hint = "its globalOffsets do not lead to the text of its spans"
        raise DataError(document_id, f"{regions.markup}_not_understood", hint=hint)
    return best


def _columns(document_id: str, data: dict[str, Any], regions: Regions) -> tuple[dict[str, list[Content]], str | None]:
    """The columns that may be the text, and how each may be read; and which is the likeliest, that comes first.

    Only surfaces can show that another one than the likeliest is meant.
    """
    texts = {
        key: value
        for key, value in data.items()
        if isinstance(value, str) and value and key not in ID_KEYS and not is_location(value)
    }
    own = next((key for key in data if key.lower() == "text"), None)
    structured = any(isinstance(value, dict | list) for key, value in data.items() if key not in ("meta", "metadata"))
    alone = own is None and len(texts) == 1 and not structured  # beside a dialogue, the only string is its title
    likeliest = own if own in texts else next(iter(texts)) if alone else None
    if not any(span.surface for span in regions.spans):
        texts = {likeliest: texts[likeliest]} if likeliest else {}
    if not texts:
        located = any(isinstance(value, str) and is_location(value) for value in data.values())
        expected = "expected a column called text, or one string only"
        raise DataError(document_id, "text_missing", hint=LOCATION if located else expected)
    ordered = sorted(texts, key=lambda key: key != likeliest)
    return {key: _readings(document_id, texts[key], regions) for key in ordered}, likeliest


def _readings(document_id: str, text: str, regions: Regions) -> list[Content]:
    """A column's text as it is, and as a browser shows it where spans may be of that."""
    own = Content(text)
    if not regions.markup and not has_markup(text):
        return [own]
    if not regions.spans:
        raise DataError(document_id, "not_plain_text", hint="HTML without a span that shows how it was displayed")
    pages = [page for page in (shown(text), shown(text, body_only=True)) if page.text]
    return [*pages, own] if regions.markup else [own, *pages]


def _whole_text(data: dict[str, Any]) -> str:
    """The text by which two versions of one task are compared."""
    strings = [value for value in data.values() if isinstance(value, str)]
    own = next((value for key, value in data.items() if key.lower() == "text" and isinstance(value, str)), None)
    return own or max(strings, key=len, default="")


def _annotations(document_id: str, task: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[Any] = task["annotations"]
    if not all(isinstance(annotation, dict) for annotation in found):
        raise DataError(document_id, "task_malformed", hint="annotations must be a list of objects")
    return [a for a in found if not (a.get("was_cancelled") or a.get("skipped"))]


def _first_sound(found: list[Imported]) -> Imported:
    """The first that is sound, else the first whose spans are in the text, else the first."""
    placed = (one for one in found if not any(defect.rule in _MISPLACED for defect in one.defects))
    return next((one for one in found if one.document), next(placed, found[0]))
