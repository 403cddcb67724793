"""What the importers share: spans as a tool wrote them -> a document or its defects."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from enigma_tasks.documents import Document, Entity, check_id, entity_at, sorted_entities
from enigma_tasks.errors import DataError
from enigma_tasks.formats.imports.ids import places_of
from enigma_tasks.formats.imports.placing import located
from enigma_tasks.formats.limits import check_spans, check_text_size
from enigma_tasks.formats.offset_units import CODE_POINTS, Content
from enigma_tasks.notes.references import check_text
from enigma_tasks.unforeseen import refused_if_unforeseen

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from enigma_tasks.documents import EntityType, Language
    from enigma_tasks.formats.imports.ids import Source
    from enigma_tasks.formats.offset_units import Fragments, Unit

_LOCATION = re.compile(
    r"""(?ix)
    [a-z][a-z0-9+.-]*:// (?:\S+ | [^\n]*\.[a-z0-9]{1,5})     # s3://bucket/note 17.txt
    | (?:/|\\\\|[a-z]:\\) (?:\S+ | [^\n]*\.[a-z0-9]{1,5})    # /data/upload/7/note.txt, C:\notes\note 17.txt
    | (?:\S+ | [^\n]*[/\\][^\n]*) \. (?:txt|html?|json|pdf|docx?|rtf|xml|csv)    # note17.txt, notes/note 17.txt
    """
)
_ENCODED = re.compile(r"data:\S+|[A-Za-z0-9+/_-]{40,}={0,2}")
_LONGEST_LOCATION = 2048


@dataclass(frozen=True, slots=True)
class Span:
    """One annotation as the tool wrote it; `surface` where it wrote one."""

    label: str
    start: Any
    end: Any
    surface: str | None = field(default=None, repr=False)

    @property
    def fragments(self) -> Fragments:
        """Its one place, in the tool's unit."""
        return ((self.start, self.end),)


def places_of_spans(spans: Iterable[Span]) -> frozenset[tuple[Any, Any]]:
    """(start, end) of the spans, but for those whose offsets are lists or objects."""
    unhashable = (list, dict)
    return frozenset((s.start, s.end) for s in spans if not any(isinstance(o, unhashable) for o in (s.start, s.end)))


@dataclass(frozen=True, slots=True)
class Imported:
    """One document of an export or a packed file, or why there is none."""

    document_id: str | None
    document: Document | None
    defects: tuple[DataError, ...] = ()
    place: str = ""
    """Of its record in the export (`Source.place`), where one record or more has it."""

    def __post_init__(self) -> None:
        for defect in self.defects:
            defect.detached()


def placed(ones: Iterable[Imported], sources: Sequence[Source]) -> list[Imported]:
    """What became of a group of records: one document, at the first of them, or one outcome for each.

    `ones` may be read as they are asked for; what no reader foresees there is one refusal.
    """
    try:
        with refused_if_unforeseen(sources[0].name):
            found = list(ones)
    except DataError as error:
        found = [refused(None, error)]
    each = sources if len(found) == len(sources) else sources[:1]
    return [replace(one, place=source.place) for one, source in zip(found, each, strict=True)]


def refused(document_id: str | None, error: DataError) -> Imported:
    """A document that has one defect; None where it has no id, or none that may be shown."""
    return Imported(document_id, None, (error,))


def same_id(document_id: str, sources: Sequence[Source]) -> list[Imported]:
    """Records of one export that have an id in common and do not say the same: each is refused, `id_duplicate`."""
    hint = f"{places_of(sources)} have it and differ"
    return [refused(document_id, DataError(document_id, "id_duplicate", hint=hint)) for _ in sources]


DUPLICATE_HINT = "another document has this id; a newer version of one is dropped under the name of the older"
LOCATION = "a path, URL or encoded file stands in the text's place"


def is_location(text: str) -> bool:
    """A path, URL or encoded file that stands where a text is due."""
    if len(text) > _LONGEST_LOCATION and len(text[:_LONGEST_LOCATION].split(maxsplit=1)) > 1:
        return False  # words: neither, and a long text is not copied
    bare = text.strip()
    return bool(_ENCODED.fullmatch(bare) or (len(bare) <= _LONGEST_LOCATION and _LOCATION.fullmatch(bare)))


def imported(
    document_id: str,
    text: Any,
    spans: Iterable[Span],
    language: Language | None,
    types: frozenset[EntityType],
    *,
    units: Sequence[Unit] = (CODE_POINTS,),
    record: str | None = None,
) -> Imported:
    """A document, if everything about it is sound, else every defect.

    Args:
        document_id: its id.
        text: a string, or a `Content`; anything else is `text_missing`.
        spans: all of its annotations.
        language: its language.
        types: what it was annotated for.
        units: those that the tool may count offsets in.
        record: names the document where its id is none, as it came from a cell that may hold anything.

    Rules: `id_unsafe`, `text_missing`, `label_unexpected`, and those of `formats.limits`, `located`, `entity_at` and
    `check_text`.
    """
    content = text if isinstance(text, Content) else Content(text if isinstance(text, str) else "")
    try:
        check_id(document_id)
        if not content.text:
            raise DataError(document_id, "text_missing", hint="expected a string")
    except DataError as error:
        if error.rule == "id_unsafe":
            return refused(None, DataError(record or error.record, "id_unsafe", hint="it can be no file's name"))
        return refused(document_id, error)
    spans = list(spans)
    try:
        check_text_size(document_id, content.text)
        check_spans(document_id, len(content.text), [span.fragments for span in spans])
    except DataError as error:
        return refused(document_id, error)
    places, defects = located(document_id, content, spans, units)
    entities: list[Entity] = []
    for span, (start, end) in zip(spans, places, strict=False):
        try:
            entity = entity_at(document_id, content.text, span.label, start, end)
            if entity.label not in {t.label for t in types}:
                hint = f"found {entity.label}, but the folder is for {', '.join(sorted(t.label for t in types))}"
                raise DataError(document_id, "label_unexpected", start, hint)
            entities.append(entity)
        except DataError as error:
            defects.append(error)
    if not defects:
        try:
            check_text(document_id, content.text)
        except DataError as error:
            defects.append(error)
    if defects:
        return Imported(document_id, None, tuple(defects))
    return Imported(document_id, Document(document_id, content.text, sorted_entities(entities), language, types))


def without_duplicates(found: Iterable[Imported]) -> list[Imported]:
    """The same, but that documents of one file that share an id are all refused: nothing says which is meant.

    One that was refused for another reason counts too: its id is the other's as well.
    """
    ones = list(found)
    times = Counter(one.document_id for one in ones if one.document_id)
    return [_duplicate(one) if one.document_id and times[one.document_id] > 1 else one for one in ones]


def _duplicate(one: Imported) -> Imported:
    if any(defect.rule == "id_duplicate" for defect in one.defects):
        return one
    error = DataError(one.document_id or "", "id_duplicate", hint=DUPLICATE_HINT)
    return replace(one, document=None, defects=(error, *one.defects))
