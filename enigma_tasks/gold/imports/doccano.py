"""doccano's JSON and JSON lines exports of sequence labelling -> documents.

Three shapes have been in use: `label` (or `labels`) as lists of start, end and label; `entities` as objects with
`start_offset`, `end_offset` and `label` (projects with relations); `entities` as such lists. doccano writes no surface,
and counts UTF-16 units in some projects: a document with a character of two units before a span's end is refused. A
project must not count grapheme clusters: nothing in its export tells.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from enigma_tasks.errors import DataError
from enigma_tasks.gold.imports.spans import Imported, Span, imported, own_id

if TYPE_CHECKING:
    from collections.abc import Iterator

    from enigma_tasks.documents import EntityType, Language

SPAN_KEYS = ("entities", "label", "labels")


def is_export(tree: Any) -> bool:
    """Documents of a text and a list of spans, as a list or a single one (a file of one line)."""
    first = tree[0] if isinstance(tree, list) and tree else tree
    return isinstance(first, dict) and "text" in first and _spans_of(first) is not None


def read_export(name: str, tree: Any, language: Language | None, types: frozenset[EntityType]) -> list[Imported]:
    """One document a line. Rules: `task_malformed`, and those of `spans.imported`."""
    lines = tree if isinstance(tree, list) else [tree]
    return [_document(f"{name}#{number}", line, language, types) for number, line in enumerate(lines, start=1)]


def _document(record: str, line: Any, language: Language | None, types: frozenset[EntityType]) -> Imported:
    spans = _spans_of(line) if isinstance(line, dict) else None
    if spans is None:
        return Imported(None, None, (DataError(record, "task_malformed"),))
    document_id = own_id([line, line.get("meta"), line.get("metadata")], f"doccano-{line.get('id')}")
    if "id" not in line and document_id == "doccano-None":
        return Imported(None, None, (DataError(record, "id_missing"),))
    try:
        return imported(document_id, line.get("text"), list(_read(document_id, spans)), language, types)
    except DataError as error:
        return Imported(document_id, None, (error,))


def _spans_of(line: dict[str, Any]) -> list[Any] | None:
    return next((line[key] for key in SPAN_KEYS if isinstance(line.get(key), list)), None)


def _read(document_id: str, spans: list[Any]) -> Iterator[Span]:
    for span in spans:
        if isinstance(span, list) and len(span) == 3 and isinstance(span[2], str):
            yield Span(span[2], span[0], span[1])
        elif isinstance(span, dict) and isinstance(span.get("label"), str):
            yield Span(span["label"], span.get("start_offset"), span.get("end_offset"))
        else:
            raise DataError(document_id, "span_malformed")
