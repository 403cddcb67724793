"""What the importers share: JSON without surprises, and spans as a tool wrote them -> a document or its defects."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from enigma_tasks.documents import Document, Entity, check_id, entity_at, sorted_entities
from enigma_tasks.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from enigma_tasks.documents import EntityType, Language

ID_KEYS = ("document_id", "doc_id", "note_id", "filename", "file_name", "name")
"""Where a hospital that fed a tool may have kept its own id of a note, the surest first."""
_TWO_UNITS = re.compile("[\U00010000-\U0010ffff]")
_FOLD = str.maketrans("\n\r\t\u00a0", "    ")


@dataclass(frozen=True, slots=True)
class Span:
    """One annotation as the tool wrote it; `surface` where it wrote one."""

    label: str
    start: Any
    end: Any
    surface: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Imported:
    """One document of an export, or why there is none."""

    document_id: str | None
    document: Document | None
    defects: tuple[DataError, ...] = ()


def parsed_json(name: str, data: bytes) -> Any:
    """A JSON value, or the list of the values of JSON lines. A BOM is borne.

    Raises:
        DataError: `not_utf8` (offset: bytes), `json_invalid` (offset: line, from 1).
    """
    try:
        text = data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise DataError(name, "not_utf8", error.start) from None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    values = []
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                values.append(json.loads(line))
            except (ValueError, RecursionError):
                raise DataError(name, "json_invalid", number) from None
    if not values:
        raise DataError(name, "json_invalid", 1)
    return values


def own_id(trees: Iterable[Any], otherwise: str) -> str:
    """The hospital's own id of a note, from the first of `trees` that has one, else `otherwise`."""
    for tree in trees:
        if isinstance(tree, dict):
            for key in ID_KEYS:
                value = tree.get(key)
                if isinstance(value, str | int) and not isinstance(value, bool) and str(value).strip():
                    return str(value).removesuffix(".txt")
    return otherwise


def imported(
    document_id: str, text: Any, spans: Iterable[Span], language: Language | None, types: frozenset[EntityType]
) -> Imported:
    """A document, if everything about it is sound, else every defect.

    Offsets count code points, or UTF-16 units where the text holds characters of two units and the surface tells so.
    Rules: `id_unsafe`, `text_missing`, `not_utf8`, `span_malformed`, `offset_unit_unknown`, and those of `entity_at`.
    """
    defects: list[DataError] = []
    entities: list[Entity] = []
    try:
        check_id(document_id)
        if not isinstance(text, str) or not text:
            raise DataError(document_id, "text_missing")
        text.encode("utf-8")
    except DataError as error:
        return Imported(None, None, (error,))
    except UnicodeEncodeError as error:
        return Imported(document_id, None, (DataError(document_id, "not_utf8", error.start),))
    for span in spans:
        try:
            entity = _entity(document_id, text, span)
            if entity.label not in {t.label for t in types}:
                raise DataError(document_id, "label_unexpected", entity.char_start)
            entities.append(entity)
        except DataError as error:
            defects.append(error)
    if defects:
        return Imported(document_id, None, tuple(defects))
    return Imported(document_id, Document(document_id, text, sorted_entities(entities), language, types))


def _entity(document_id: str, text: str, span: Span) -> Entity:
    start, end = _number(document_id, span.start), _number(document_id, span.end)
    if not 0 <= start < end or _TWO_UNITS.search(text, 0, end) is None:
        entity = entity_at(document_id, text, span.label, start, end)
        if span.surface is not None and not _same(entity.text, span.surface):
            raise DataError(document_id, "surface_differs", start)
        return entity
    # tools written in JavaScript count UTF-16 units, or did so in some of their versions: only a surface can tell
    if span.surface is None:
        raise DataError(document_id, "offset_unit_unknown", start)
    for first, last in ((start, end), (_from_utf16(text, start), _from_utf16(text, end))):
        if 0 <= first < last <= len(text) and _same(text[first:last], span.surface):
            return entity_at(document_id, text, span.label, first, last)
    raise DataError(document_id, "surface_differs", start)


def _number(document_id: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise DataError(document_id, "span_malformed")
    return value


def _from_utf16(text: str, units: int) -> int:
    """UTF-16 units -> code points; -1 outside the text or inside a character."""
    encoded = text.encode("utf-16-le")
    if not 0 <= units * 2 <= len(encoded):
        return -1
    try:
        return len(encoded[: units * 2].decode("utf-16-le"))
    except UnicodeDecodeError:
        return -1


def _same(own: str, written: str) -> bool:
    """Equal but for the kind of white space; some tools write a newline as a backslash and an n."""
    plain = own.translate(_FOLD)
    return plain in (written.translate(_FOLD), written.replace("\\n", "\n").translate(_FOLD))
