"""Suspect gold as rows, as a page, and as files for brat."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from enigma_tasks.documents import LABELS, Entity
from enigma_tasks.formats.standoff import format_ann
from enigma_tasks.pages.formats import environment

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from enigma_tasks.documents import Document, EntityType
    from enigma_tasks.ner.suspects import Place, Suspect
    from enigma_tasks.notes.names import Names
    from enigma_tasks.params.gold import SuspectsParams

DOUBTS = ("missed", "spurious", "boundary")
QUALITY_DIGITS = 4


def suspect_rows(found: Sequence[Suspect], names: Names) -> list[dict[str, Any]]:
    """Ids and offsets, the most suspect first; never text."""
    return [
        {
            "document": names.shown(s.document.id),
            "language": s.document.language,
            "entity": s.entity_type.value,
            "quality": round(s.quality, QUALITY_DIGITS),
            "places": [{"char_start": p.char_start, "char_end": p.char_end, "doubt": p.doubt.value} for p in s.places],
        }
        for s in found
    ]


def render_suspects_page(rows: Sequence[Mapping[str, Any]], documents: int, limits: SuspectsParams) -> str:
    """HTML of the first rows; `documents` were looked at."""
    return environment().get_template("suspects.html.jinja").render(
        rows=rows[: limits.listed], found=len(rows), documents=documents, folds=limits.folds
    )  # fmt: skip


def brat_files(found: Sequence[Suspect]) -> Iterator[tuple[str, str]]:
    """File name -> content of a folder for brat: texts, their gold, and each doubt as a mention `MISSED_DISEASE`.

    It contains the documents' texts. A document's files are named by its rank, as ids may be the same in two languages.
    """
    documents: dict[tuple[str | None, str], list[Suspect]] = {}
    for suspect in found:
        documents.setdefault((suspect.document.language, suspect.document.id), []).append(suspect)
    for rank, suspects in enumerate(documents.values(), 1):
        document = suspects[0].document
        doubts = [_mention(document, s.entity_type, p) for s in suspects for p in s.places]
        yield f"{rank:04}-{document.id}.txt", document.text
        yield f"{rank:04}-{document.id}.ann", format_ann([*document.entities, *doubts])
    labels = [*LABELS, *(f"{doubt.upper()}_{label}" for label in LABELS for doubt in DOUBTS)]
    yield "annotation.conf", "\n".join(["[entities]", *labels, "", "[relations]", "[events]", "[attributes]", ""])


def _mention(document: Document, entity_type: EntityType, place: Place) -> Entity:
    label = f"{place.doubt.value.upper()}_{entity_type.label}"
    return Entity(label, place.char_start, place.char_end, document.text[place.char_start : place.char_end])
