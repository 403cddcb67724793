"""BRAT standoff and the shared task's TSV <-> entities, both ways (docs/architecture.md, "Records").

Every reader takes `defects`: without it the first defect is raised, with it every defect is appended and the sound rest
is returned, so that one pass can name all that is wrong. No defect carries note text.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from enigma_tasks.documents import LABELS, Document, Entity, canonical_label, label_hint, sorted_entities
from enigma_tasks.errors import DataError
from enigma_tasks.file_names import without_suffix
from enigma_tasks.formats.inner_mentions import MentionsInText, holds_another
from enigma_tasks.formats.limits import check_ann, check_spans
from enigma_tasks.formats.surfaces import (
    FOLD_LINE_ENDS,
    BratSpan,
    fragments_of,
    is_discontinuous,
    located,
    located_all,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet

TSV_HEADER = "filename\tlabel\tstart_span\tend_span\ttext"
_CELLS = 5
_COLUMNS = TSV_HEADER.replace("\t", " ")
OTHER_KINDS = "RAMEN#*"
"""First letters of the other BRAT lines: relations, attributes, events, normalisations, notes, equivalences."""

# BRAT manual, "standoff format": T<id> TAB <type> <start> <end>[;<start> <end>...] TAB <surface>
_TEXT_BOUND = re.compile(
    r"T\S+\t(\S+) (-?[0-9]{1,12} -?[0-9]{1,12}(?:;-?[0-9]{1,12} -?[0-9]{1,12})*) *\t(.*)", re.DOTALL
)
_SHAPE_OF_MENTION = re.compile(r"\S+[ \t]+\S+[ \t]+-?[0-9]{1,12}[ \t]+-?[0-9]{1,12}(?![^\s;])")
_ID_OF_MENTION = re.compile(r"T[0-9]+")
_TSV_ROW = re.compile(r"([^\t]+)\t([^\t]+)\t(-?[0-9]{1,12})\t(-?[0-9]{1,12})\t(.*)", re.DOTALL)
_FOLD = str.maketrans("\n\r\t", "   ")


@dataclass(frozen=True, slots=True)
class AnnFile:
    """One parsed .ann file."""

    entities: tuple[Entity, ...] = field(repr=False)
    """Sorted by offset; a discontinuous span is its outer span."""
    discontinuous: int
    """How many spans were written in fragments with more than white space between them."""
    other_lines: Mapping[str, int]
    """Lines kept out, by their first letter (one of `OTHER_KINDS`)."""
    unit: str | None = None
    """What the file's offsets count, where the surfaces show that it is not code points; they were converted."""


def note_defect(error: DataError, defects: list[DataError] | None) -> None:
    """Append to `defects`, or raise where the caller does not collect."""
    if defects is None:
        raise error from None
    defects.append(error.detached())


def parse_ann(document_id: str, text: str, ann: str, defects: list[DataError] | None = None) -> AnnFile:
    """The entities of one .ann file against the text that it annotates.

    A surface is accepted as brat accepts it: fragments joined by a blank, or without one as old versions did; blanks or
    a comment after it. Offsets count code points; where the surfaces are not there, but all of them are where exactly
    one other unit says (`offset_units`), that one is meant.

    Raises:
        DataError: `ann_line_malformed` (offset: line, from 1), `label_unknown`, `span_outside_text`, `span_inverted`,
            `surface_differs` (offset: the span's start as the file has it), `offset_unit_unknown` (the surfaces are at
            different places in several units), a rule of `check_ann` or `check_spans` of `formats.limits`.
    """
    other: Counter[str] = Counter()
    written: list[BratSpan] = []
    try:
        check_ann(document_id, ann)
    except DataError as error:
        note_defect(error, defects)
        return AnnFile((), 0, {})
    ids = {line.split(maxsplit=1)[0] for _, line in _lines(ann) if line[0] == "T"}
    shapes = MentionsInText(text)
    for number, line in _lines(ann):
        if holds_another(line, shapes):
            hint = "expected one annotation a line, lines that end with LF or CR LF"
            note_defect(DataError(document_id, "ann_line_malformed", number, hint), defects)
            continue
        if line[0] in OTHER_KINDS:
            if hint := _hint_for_other(line, ids):
                note_defect(DataError(document_id, "ann_line_malformed", number, hint), defects)
                continue
            other[line[0]] += 1
            continue
        match = _TEXT_BOUND.fullmatch(line)
        if match is None:
            hint = "expected T1, tab, LABEL START END, tab, surface"
            note_defect(DataError(document_id, "ann_line_malformed", number, hint), defects)
            continue
        label, offsets, surface = match.groups()
        pairs = (fragment.split(" ") for fragment in offsets.split(";"))
        written.append(BratSpan(label, tuple((int(start), int(end)) for start, end in pairs), surface))
    found, unit, problems = located_all(document_id, text, written)
    for problem in problems:
        note_defect(problem, defects)
    discontinuous = sum(is_discontinuous(text, fragments) for _, fragments in found)
    entities = sorted_entities(e for e, _ in found)
    return AnnFile(entities, discontinuous, dict(sorted(other.items())), unit)


def _hint_for_other(line: str, ids: AbstractSet[str]) -> str:
    """What is wrong with a line that is no mention: it has the shape of one, or names one whose line is not there."""
    if _SHAPE_OF_MENTION.match(line):
        return "a mention begins with T"
    words = "".join(line.split("\t", 2)[1:2]).split()
    if line[0] in "AMN#":
        words = words[1:2]  # what follows is a value, which may look like an id
    if any(_ID_OF_MENTION.fullmatch(own := name.rpartition(":")[2]) and own not in ids for name in words):
        return "it refers to a T line that is not there"
    return ""


def format_ann(entities: Iterable[Entity]) -> str:
    """BRAT lines T1, T2, ... by offset, as brat itself writes them.

    A mention that crosses a line end is written in fragments, without the white space around the line end, and its
    surface joins them by a blank; `parse_ann` gives the same entity back. brat has no mention that begins or ends with
    a line end: that one stays in its fragment.
    """
    lines = []
    for n, e in enumerate(sorted_entities(entities), start=1):
        fragments = fragments_of(e)
        offsets = ";".join(f"{e.char_start + start} {e.char_start + end}" for start, end in fragments)
        surface = " ".join(e.text[start:end] for start, end in fragments).translate(FOLD_LINE_ENDS)
        lines.append(f"T{n}\t{e.label} {offsets}\t{surface}\n")
    return "".join(lines)


def parse_tsv(tsv: str, record: str = "tsv", defects: list[DataError] | None = None) -> dict[str, tuple[Entity, ...]]:
    """File name (in NFC, without suffix) -> its rows by offset; `verified` checks their surfaces against a text.

    Surfaces that a CSV writer has quoted, the corpora's own among them, are unquoted.

    Raises:
        DataError: `tsv_header_unknown`, `tsv_line_malformed`, `label_unknown`, `span_outside_text`, `span_inverted`,
            all on `record` (offset: line, from 1): a cell may hold text of a note and is not repeated.
    """
    rows: dict[str, list[Entity]] = {}
    lines = _lines(tsv)
    if next(lines, (1, ""))[1] != TSV_HEADER:
        hint = f"expected, separated by tabs: {_COLUMNS}"
        note_defect(DataError(record, "tsv_header_unknown", 1, hint), defects)
        return {}
    for number, line in _rejoined(lines):
        match = _TSV_ROW.fullmatch(line)
        if match is None:
            hint = f"expected five cells: {_COLUMNS}, whole numbers as offsets"
            note_defect(DataError(record, "tsv_line_malformed", number, hint), defects)
            continue
        name = without_suffix(unicodedata.normalize("NFC", match[1]))
        label = canonical_label(match[2])
        start, end = int(match[3]), int(match[4])
        if label not in LABELS:
            cells_swapped = canonical_label(match[5]) in LABELS
            hint = label_hint(match[2], None if cells_swapped else f"{match[1]} {match[5]}")
            note_defect(DataError(record, "label_unknown", number, hint), defects)
        elif start < 0:
            note_defect(DataError(record, "span_outside_text", number), defects)
        elif end <= start:
            note_defect(DataError(record, "span_inverted", number), defects)
        else:
            rows.setdefault(name, []).append(Entity(label, start, end, _unquoted(match[5], end - start)))
    return {name: sorted_entities(rows[name]) for name in sorted(rows)}


def verified(
    document_id: str, text: str, rows: Sequence[Entity], defects: list[DataError] | None = None
) -> tuple[Entity, ...]:
    """TSV rows against their text: the same spans with the text's own surface. Raises DataError as `parse_ann` does."""
    entities: list[Entity] = []
    try:
        check_spans(document_id, len(text), [(row.span,) for row in rows])
    except DataError as error:
        note_defect(error, defects)
        return ()
    for row in rows:
        try:
            entities.append(located(document_id, text, BratSpan(row.label, (row.span,), row.text), (row.span,)))
        except DataError as error:
            note_defect(error, defects)
    return sorted_entities(entities)


def format_tsv(documents: Iterable[Document]) -> str:
    """The shared task's file: one row per entity, documents in the given order; nothing is quoted."""
    return format_rows((d.id, d.entities) for d in documents)


def format_rows(spans: Iterable[tuple[str, Iterable[Entity]]]) -> str:
    """The same from (file name, entities) pairs; newlines and tabs in a surface become spaces.

    Raises:
        DataError: `id_unsafe` for a file name that a row cannot hold.
    """
    lines = [TSV_HEADER]
    for name, entities in spans:
        if not name or name.endswith(".txt") or any(c in name for c in "\t\n\r"):
            raise DataError(ascii(name), "id_unsafe")
        lines += [
            f"{name}\t{e.label}\t{e.char_start}\t{e.char_end}\t{e.text.translate(_FOLD)}"
            for e in sorted_entities(entities)
        ]
    return "\n".join(lines) + "\n"


def _lines(content: str) -> Iterator[tuple[int, str]]:
    """(line number from 1, line) of the lines that hold something.

    Cut at \\n only: str.splitlines would also cut at NEL, VT and U+2028, which surfaces may hold.
    """
    for number, line in enumerate(content.removeprefix("\ufeff").split("\n"), start=1):
        bare = line.removesuffix("\r")
        if bare.strip(" \t"):
            yield number, bare


def _rejoined(lines: Iterable[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """The same lines; those that complete the open quotation of the row before them are the rest of its surface.

    A quotation that no line closes before the next row is a quotation mark of the text, and its lines stay apart; so
    does a line that was meant as a row.
    """
    held: list[tuple[int, str]] = []
    """A row of an open quotation, and the lines after it, none of which closes it."""
    for number, line in lines:
        if held and not _is_row(line):
            held.append((number, line))
            if line.count('"') % 2 == 1:
                yield held[0][0], " ".join(own for _, own in held)
                held = []
            continue
        yield from held
        held = []
        if _TSV_ROW.fullmatch(line) and _is_open(line):
            held = [(number, line)]
        else:
            yield number, line
    yield from held


def _is_row(line: str) -> bool:
    """The line was meant as a row, whatever its offsets: it has the cells, or a label where that is due."""
    cells = line.split("\t")
    return len(cells) >= _CELLS or (len(cells) > 1 and canonical_label(cells[1]) in LABELS)


def _is_open(row: str) -> bool:
    """The surface begins with a quotation mark and has an odd number of them."""
    surface = row.split("\t", _CELLS - 1)[-1]
    return surface.startswith('"') and surface.count('"') % 2 == 1


def _unquoted(surface: str, length: int) -> str:
    """Undo a CSV writer's quotation, which is longer than the span; a surface may have quotation marks of its own."""
    if len(surface) != length and len(surface) > 1 and surface[0] == surface[-1] == '"':
        plain = surface[1:-1].replace('""', '"')
        if len(plain) == length:
            return plain
    return surface
