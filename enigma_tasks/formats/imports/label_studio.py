"""Label Studio's exports of text annotations -> documents.

Read are JSON, JSON-MIN, the tables CSV and TSV, and what its storage writes: a file for each annotation or task. All
are brought to the shape of JSON: a task with its data and its annotations. A task may have been annotated by several
people: `latest` says which annotation counts; cancelled ones, drafts and predictions do not.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from enigma_tasks.errors import DataError
from enigma_tasks.formats.imports.ids import ID_KEYS, id_text, own_id, shown_id
from enigma_tasks.formats.imports.label_studio_tasks import FROM_ROW, as_task, is_record, span_columns
from enigma_tasks.formats.imports.latest import latest
from enigma_tasks.formats.imports.markup import has_markup, shown
from enigma_tasks.formats.imports.other_keys import check_other_key
from enigma_tasks.formats.imports.regions import is_labelled, read_regions
from enigma_tasks.formats.imports.spans import (
    LOCATION,
    Imported,
    imported,
    is_location,
    placed,
    places_of_spans,
    refused,
    same_id,
)
from enigma_tasks.formats.limits import check_text_size
from enigma_tasks.formats.offset_units import CODE_POINTS, CRLF_ONCE, UTF16, UTF16_CRLF_ONCE, Content

__all__ = ["is_record", "read_records"]

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from enigma_tasks.documents import EntityType, Language
    from enigma_tasks.formats.imports.ids import Source
    from enigma_tasks.formats.imports.regions import Regions

Record = tuple["Source", dict[str, Any]]
"""A task and where it stands."""
UNITS = (CODE_POINTS, UTF16, CRLF_ONCE, UTF16_CRLF_ONCE)
_MOST_COLUMNS = 100
"""In each of them all spans are looked for."""
_MISPLACED = frozenset(
    {"span_malformed", "span_outside_text", "span_inverted", "surface_differs", "offset_unit_unknown"}
)


def read_records(
    records: Iterable[tuple[Source, Any]], language: Language | None, types: frozenset[EntityType]
) -> list[Imported]:
    """One document for each task, whose annotations may be in several records.

    Args:
        records: (where it stands, value) in their order.
        language: of all documents.
        types: what they were annotated for.

    Rules: `task_malformed`, `id_missing`, `id_duplicate` (a task's id with two texts), `text_without_annotation`,
    `annotations_tie`, `not_span_labels` (the export has no span anywhere, but something else was annotated),
    `not_plain_text`, `spans_not_understood` (in a row's column that no control wrote), those of `read_regions` and of
    `spans.imported`.
    """
    listed = list(records)
    columns = span_columns(tree for _, tree in listed)
    tasks = [(source, as_task(tree, columns) or {}) for source, tree in listed]
    groups: dict[object, list[Record]] = {}
    for source, task in tasks:
        own, number = (own_id(_id_places(task)), id_text(task.get("id"))) if task else (None, None)
        key = object() if own is None and number is None else (own, number)
        groups.setdefault(key, []).append((source, task))
    found = [
        one
        for group in _without_copies(groups)
        for one in placed(_documents(group, language, types), [source for source, _ in group])
    ]
    return [_of_no_spans(one) for one in found] if _marks_no_span([task for _, task in tasks]) else found


def _without_copies(groups: dict[object, list[Record]]) -> list[list[Record]]:
    """A note that was imported as several tasks, of which one was annotated, is one document."""

    def note(group: list[Record]) -> tuple[str | None, str] | None:
        task = group[0][1]
        own = own_id(_id_places(task)) if task else None
        return (own, _whole_text(task["data"])) if own else None

    def is_annotated(group: list[Record]) -> bool:
        return any(not _is_cancelled(a) for _, task in group for a in task.get("annotations", ()))

    annotated = {note(group) for group in groups.values() if is_annotated(group)}
    return [g for g in groups.values() if is_annotated(g) or note(g) is None or note(g) not in annotated]


def _marks_no_span(tasks: Iterable[dict[str, Any]]) -> bool:
    """Something else than spans was annotated, and no span."""
    annotations = [a for task in tasks for a in task.get("annotations", ()) if isinstance(a, dict)]
    results = [result for a in annotations if isinstance(a.get("result"), list) for result in a["result"]]
    labelled = any(is_labelled(result.get("value")) for result in results if isinstance(result, dict))
    return not labelled and any(a.get("result") or a.get(FROM_ROW) for a in annotations)


def _of_no_spans(one: Imported) -> Imported:
    if one.document is None:
        return one
    hint = "the export has no span anywhere: whether spans were looked for is unknown"
    return replace(one, document=None, defects=(DataError(one.document.id, "not_span_labels", hint=hint),))


def _id_places(task: dict[str, Any]) -> list[Any]:
    data = task["data"]
    return [data, data.get("meta"), task.get("meta")]


def _documents(group: list[Record], language: Language | None, types: frozenset[EntityType]) -> Iterator[Imported]:
    """The one document of a task's records, or a refusal of each where they have several texts."""
    source, first = group[0]
    if not first:
        yield refused(None, DataError(source.name, "task_malformed", hint="expected a task with data and annotations"))
        return
    task_id = id_text(first.get("id"))
    document_id = own_id(_id_places(first)) or (None if task_id is None else f"labelstudio-{shown_id(task_id)}")
    if document_id is None:
        hint = f"expected an id of the task, or one of {', '.join(ID_KEYS)} in its data"
        yield from (refused(None, DataError(own.name, "id_missing", hint=hint)) for own, _ in group)
    elif len({_whole_text(task["data"]) for _, task in group}) > 1:
        yield from same_id(document_id, [own for own, _ in group])
    else:
        try:
            yield _document(source.name, document_id, [task for _, task in group], language, types)
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
    if chosen.get(FROM_ROW):
        read = places_of_spans(regions.spans)
        for key, value in data.items():
            check_other_key(document_id, key, value, read)
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

    Regions say whose text they are of (`to_name`), rows do not. Only surfaces can show that another column than the
    likeliest is meant: where they are missing, the column must be named, or be the only one that the spans fit in.
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
    named = regions.targets & texts.keys()
    if len(named) > 1:
        raise DataError(document_id, "text_ambiguous", hint="the spans are of several columns of the data")
    likeliest = next(iter(named), likeliest)
    if not _show_their_column(regions):
        if regions.spans and (len(regions.targets) > 1 or not (named or _is_only_fit(likeliest, texts, regions))):
            hint = "spans without their text, and several columns that they may be of"
            raise DataError(document_id, "text_ambiguous", hint=hint)
        texts = {likeliest: texts[likeliest]} if likeliest else {}
    if not texts:
        located = any(isinstance(value, str) and is_location(value) for value in data.values())
        expected = "expected a column called text, or one string only"
        raise DataError(document_id, "text_missing", hint=LOCATION if located else expected)
    if len(texts) > _MOST_COLUMNS:
        raise DataError(document_id, "text_ambiguous", hint=f"{len(texts)} columns that may be the text")
    ordered = sorted(texts, key=lambda key: key != likeliest)
    return {key: _readings(document_id, texts[key], regions) for key in ordered}, likeliest


def _show_their_column(regions: Regions) -> bool:
    """Each span has a surface; or one of them has, and all are of one text."""
    surfaces = [span.surface is not None for span in regions.spans]
    return any(surfaces) and (all(surfaces) or (len(regions.targets) == 1 and None not in regions.targets))


def _is_only_fit(column: str | None, texts: dict[str, str], regions: Regions) -> bool:
    """No other column is long enough for the spans, in any unit, and has a letter; or none is the likeliest."""
    last = max((span.end for span in regions.spans if isinstance(span.end, int)), default=0)
    others = [text for key, text in texts.items() if key != column]
    return column is None or not any(
        len(text.encode(errors="surrogatepass")) >= last and any(map(str.isalpha, text)) for text in others
    )


def _readings(document_id: str, text: str, regions: Regions) -> list[Content]:
    """A column's text as it is, and as a browser shows it where spans may be of that."""
    check_text_size(document_id, text)
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
    return [a for a in found if not _is_cancelled(a)]


def _is_cancelled(annotation: Any) -> bool:
    return isinstance(annotation, dict) and bool(annotation.get("was_cancelled") or annotation.get("skipped"))


def _first_sound(found: list[Imported]) -> Imported:
    """The first that is sound, else the first whose spans are in the text, else the first."""
    placed = (one for one in found if not any(defect.rule in _MISPLACED for defect in one.defects))
    return next((one for one in found if one.document), next(placed, found[0]))
