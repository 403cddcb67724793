"""Label Studio's JSON and JSON-MIN exports of text annotations -> documents.

A task may have been annotated by several people: the ground truth counts where one is marked, else the annotation that
was written last; cancelled ones and predictions do not count.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from enigma_tasks.errors import DataError
from enigma_tasks.gold.imports.spans import ID_KEYS, Imported, Span, imported, own_id

if TYPE_CHECKING:
    from collections.abc import Iterator

    from enigma_tasks.documents import EntityType, Language


def is_export(tree: Any) -> bool:
    """A list of tasks with `data` and `annotations` (JSON), or with the two keys that JSON-MIN gives each of them."""
    return isinstance(tree, list) and bool(tree) and isinstance(tree[0], dict) and _is_task(tree[0])


def read_export(name: str, tree: list[Any], language: Language | None, types: frozenset[EntityType]) -> list[Imported]:
    """One document a task. Rules: `task_malformed`, `text_without_annotation`, and those of `spans.imported`."""
    return [_document(f"{name}#{number}", task, language, types) for number, task in enumerate(tree, start=1)]


def _is_task(task: dict[str, Any]) -> bool:
    if isinstance(task.get("data"), dict):
        return "annotations" in task
    return "annotation_id" in task and "annotator" in task


def _document(record: str, task: Any, language: Language | None, types: frozenset[EntityType]) -> Imported:
    if not isinstance(task, dict) or not _is_task(task):
        return Imported(None, None, (DataError(record, "task_malformed"),))
    whole = isinstance(task.get("data"), dict)
    data = task["data"] if whole else task
    document_id = own_id([data, data.get("meta"), task.get("meta")], f"labelstudio-{task.get('id')}")
    try:
        spans = list(_spans(document_id, task) if whole else _flat_spans(document_id, task))
    except DataError as error:
        return Imported(document_id, None, (error,))
    return imported(document_id, _text(data), spans, language, types)


def _text(data: dict[str, Any]) -> Any:
    """`text`, or the only string there that is no id."""
    if "text" in data:
        return data["text"]
    strings = [value for key, value in data.items() if isinstance(value, str) and key not in ID_KEYS]
    return strings[0] if len(strings) == 1 else None


def _spans(document_id: str, task: dict[str, Any]) -> Iterator[Span]:
    annotations = task["annotations"]
    if not isinstance(annotations, list):
        raise DataError(document_id, "task_malformed")
    done = [a for a in annotations if isinstance(a, dict) and not a.get("was_cancelled")]
    if not done:
        raise DataError(document_id, "text_without_annotation")
    best = max(done, key=lambda a: (bool(a.get("ground_truth")), str(a.get("updated_at") or ""), str(a.get("id"))))
    results = best.get("result")
    if not isinstance(results, list):
        raise DataError(document_id, "task_malformed")
    for result in results:
        if isinstance(result, dict) and result.get("type") == "labels":
            yield from _labelled(document_id, result.get("value"))


def _flat_spans(document_id: str, task: dict[str, Any]) -> Iterator[Span]:
    """JSON-MIN keeps spans under the control's name, whatever that is; a task without one has no span."""
    for value in task.values():
        if isinstance(value, list) and value and all(isinstance(v, dict) and "labels" in v for v in value):
            for span in value:
                yield from _labelled(document_id, span)


def _labelled(document_id: str, value: Any) -> Iterator[Span]:
    if not isinstance(value, dict) or not isinstance(value.get("labels"), list):
        raise DataError(document_id, "span_malformed")
    surface = value.get("text")
    for label in value["labels"]:
        yield Span(str(label), value.get("start"), value.get("end"), surface if isinstance(surface, str) else None)
