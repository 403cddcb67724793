"""doccano's JSON and JSON lines exports of sequence labelling -> documents.

Shapes in use: `label` (or `labels`) as lists of start, end and label; `entities` as objects with `start_offset`,
`end_offset` and `label` (projects with relations), or as such lists; `annotations` as such objects. doccano writes no
surface, and counts code points, UTF-16 units or grapheme clusters, by version and project, and a CRLF once or twice:
where these give different spans, the document is refused.

A document without spans counts as not annotated: doccano does not say whether an annotator looked at it, and exports
what was not annotated with the rest (`unknown.jsonl`, or the file of each member of the project).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from enigma_tasks.errors import DataError
from enigma_tasks.formats.imports.ids import ID_KEYS, id_text, own_id, shown_id
from enigma_tasks.formats.imports.other_keys import check_other_key, parsed
from enigma_tasks.formats.imports.spans import (
    LOCATION,
    Imported,
    Span,
    imported,
    is_location,
    placed,
    places_of_spans,
    refused,
    same_id,
)
from enigma_tasks.formats.offset_units import CODE_POINTS, CRLF_ONCE, GRAPHEMES, UTF16, UTF16_CRLF_ONCE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from enigma_tasks.documents import EntityType, Language
    from enigma_tasks.formats.imports.ids import Source

UNITS = (CODE_POINTS, UTF16, CRLF_ONCE, UTF16_CRLF_ONCE, GRAPHEMES)
SPAN_KEYS = ("entities", "label", "labels", "annotations")


def is_record(tree: Any) -> bool:
    """A document: a text, and what was annotated."""
    return isinstance(tree, dict) and "text" in tree and not tree.keys().isdisjoint(SPAN_KEYS)


def read_records(
    records: Iterable[tuple[Source, Any]], language: Language | None, types: frozenset[EntityType]
) -> list[Imported]:
    """One document for each id; each file of a zip may have a line of it, as every member of a project has a file.

    Args:
        records: (where it stands, value) in their order.
        language: of all documents.
        types: what they were annotated for.

    Rules: `task_malformed`, `id_missing`, `id_duplicate` (of one file, or of two that differ), `text_missing`,
    `text_without_annotation`, `not_span_labels` (another kind of project), `annotations_tie` (two keys of a line hold
    different spans), `spans_not_understood` (under a key that is not read), `span_malformed`, `relation_not_understood`
    and those of `spans.imported`.
    """
    lines: dict[object, list[tuple[Source, dict[str, Any]]]] = {}
    for source, tree in records:
        key = _document_id(tree) if is_record(tree) else None
        lines.setdefault(key or object(), []).append((source, tree))
    return [
        one
        for group in lines.values()
        for one in placed(_documents(group, language, types), [source for source, _ in group])
    ]


def _document_id(line: dict[str, Any]) -> str | None:
    places = [line, *(parsed(line.get(key)) for key in ("meta", "metadata"))]
    ids = [id_text(place.get("id")) for place in places if isinstance(place, dict)]
    number = next(filter(None, ids), None)
    return own_id(places) or (None if number is None else f"doccano-{shown_id(number)}")


def _documents(
    group: list[tuple[Source, dict[str, Any]]], language: Language | None, types: frozenset[EntityType]
) -> Iterator[Imported]:
    """The one document of the lines of one id, or a refusal of each where they differ."""
    source, first = group[0]
    if not is_record(first):
        hint = f"expected text and one of {', '.join(SPAN_KEYS)}"
        yield refused(None, DataError(source.name, "task_malformed", hint=hint))
        return
    document_id = _document_id(first)
    if document_id is None:
        hint = f"expected id, or one of {', '.join(ID_KEYS)}"
        yield refused(None, DataError(source.name, "id_missing", hint=hint))
        return
    try:
        annotated = [spans for spans in (_spans(document_id, line) for _, line in group) if spans]
        files = {own.of_file for own, _ in group}
        one_text = all(line["text"] == first["text"] for _, line in group)
        if len(files) < len(group) or not one_text or any(spans != annotated[0] for spans in annotated):
            yield from same_id(document_id, [own for own, _ in group])
        elif is_location(str(first["text"])):
            yield refused(document_id, DataError(document_id, "text_missing", hint=LOCATION))
        elif annotated or any(line.get("annotation_approver") and _holds_a_list(line) for _, line in group):
            spans = annotated[0] if annotated else []
            yield imported(document_id, first["text"], spans, language, types, units=UNITS, record=source.name)
        else:
            hint = "doccano does not say whether a document without a span was annotated"
            yield refused(document_id, DataError(document_id, "text_without_annotation", hint=hint))
    except DataError as error:
        yield refused(document_id, error)


def _spans(document_id: str, line: dict[str, Any]) -> list[Span]:
    """All spans of a line, under whichever key they are."""
    found: list[list[Span]] = []
    ids: set[str] = set()
    for key in SPAN_KEYS:
        values = parsed(line.get(key))
        if values is None:
            continue
        if not isinstance(values, list) or any(isinstance(value, str | int) for value in values):
            hint = f"{key} holds labels of the document, or texts; expected spans"
            raise DataError(document_id, "not_span_labels", hint=hint)
        ids |= {str(value.get("id")) for value in values if isinstance(value, dict)}
        found += [[_span(document_id, value) for value in values]] if values else []
    if any(spans != found[0] for spans in found):
        raise DataError(document_id, "annotations_tie", hint="two keys of the line hold different spans")
    spans = found[0] if found else []
    read = places_of_spans(spans)
    for key in [k for k in line if k not in (*SPAN_KEYS, "relations")]:
        check_other_key(document_id, key, line[key], read)
    relations = line.get("relations") or []
    if not isinstance(relations, list) or not all(_is_between(relation, ids) for relation in relations):
        raise DataError(document_id, "relation_not_understood", hint="it is of something that is no span")
    return spans


def _holds_a_list(line: dict[str, Any]) -> bool:
    """An empty list of spans says that there is none; null says nothing."""
    return any(line.get(key) is not None for key in SPAN_KEYS)


def _is_between(relation: Any, ids: set[str]) -> bool:
    return isinstance(relation, dict) and {str(relation.get("from_id")), str(relation.get("to_id"))} <= ids


def _span(document_id: str, value: Any) -> Span:
    if isinstance(value, list) and len(value) == 3 and isinstance(value[2], str):
        return Span(value[2], value[0], value[1])
    if isinstance(value, dict) and isinstance(value.get("label"), str):
        return Span(value["label"], value.get("start_offset"), value.get("end_offset"))
    hint = "expected start, end and the label's name"
    if isinstance(value, dict) and isinstance(value.get("label"), int):
        hint = "labels are numbers: export with the labels' names"
    raise DataError(document_id, "span_malformed", hint=hint)
