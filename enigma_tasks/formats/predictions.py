"""Files of predicted spans, one a member, and the texts that they are of: are the spans where they claim to be."""

from __future__ import annotations

import unicodedata
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from enigma_tasks.errors import DataError, UsageError
from enigma_tasks.formats.corpora import read_corpus, read_text
from enigma_tasks.formats.limits import check_spans
from enigma_tasks.formats.standoff import parse_tsv
from enigma_tasks.formats.surfaces import BratSpan, located_all
from enigma_tasks.formats.visible_runs import COMPOSED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from enigma_tasks.documents import Entity


def distinct_names(files: Sequence[Path]) -> list[str]:
    """What the files are called. Raises UsageError: one is named twice."""
    if len({file.resolve() for file in files}) < len(files):
        raise UsageError("the same prediction file is named twice: it would vote twice")
    return [file.name.removesuffix(".tsv") for file in files]


def read_member(path: Path) -> dict[str, tuple[Entity, ...]]:
    """A TSV of predictions, or of gold. Raises UsageError: no such file; DataError: a rule of the format."""
    if not path.is_file():
        raise UsageError(f"{path} is no file")
    return parse_tsv(read_text(path), path.name)


def read_texts(folder: str) -> dict[str, str]:
    """Id -> text of a folder of texts, with or without annotations. Raises UsageError, DataError."""
    return {d.id: d.text for d in read_corpus(Path(folder))}


def placed(
    spans: Mapping[str, Sequence[Entity]], texts: Mapping[str, str]
) -> tuple[dict[str, tuple[Entity, ...]], Counter[str]]:
    """Spans of a file at their places in the texts, and how many documents' offsets were converted, by their unit.

    A document whose surfaces are all where another unit of offsets says is converted. A surface may differ from the
    text in case, white space and punctuation, and may be missing.

    Args:
        spans: document -> its spans as a file has them.
        texts: document -> its text; spans of other documents stay as they are.

    Raises:
        DataError: a rule of `formats.limits.check_spans`; or `span_outside_text`, `surface_differs` or
            `offset_unit_unknown`, of the first document with a span that is at no such place; the hint says how many
            there are.
    """
    found: dict[str, tuple[Entity, ...]] = {}
    converted: Counter[str] = Counter()
    wrong: dict[str, list[DataError]] = {}
    for name, own in spans.items():
        found[name] = tuple(own)
        text = texts.get(name)
        if text is None or not own:
            continue
        written = [BratSpan(e.label, (e.span,), e.text) for e in own]
        check_spans(name, len(text), [span.fragments for span in written])
        located, unit, problems = located_all(name, text, written)
        if not problems:
            found[name] = tuple(e for e, _ in located)
            converted.update([unit] if unit else [])
            continue
        unknown = any(problem.rule == "offset_unit_unknown" for problem in problems)
        if misplaced := [_misplaced(name, text, e, unknown=unknown) for e in own if not _is_there(text, e)]:
            wrong[name] = misplaced
    if wrong:
        first = next(iter(wrong.values()))[0]
        count, total = sum(map(len, wrong.values())), sum(map(len, spans.values()))
        hint = (
            f"{count} of {total} spans, in {len(wrong)} of {len(spans)} documents, are not where their surfaces are; "
            "expected offsets in code points, the end after the last character"
        )
        raise DataError(first.record, first.rule, first.offset, hint)
    return found, converted


def check_ends(name: str, spans: Mapping[str, Sequence[Entity]]) -> None:
    """Without texts only lengths can show that a file has the position of the last character as end.

    Raises:
        DataError: `surface_differs`, where every surface is one character longer than its span.
    """
    longer = [len(e.text) - (e.char_end - e.char_start) for own in spans.values() for e in own if e.text]
    if longer and set(longer) == {1}:
        hint = f"all {len(longer)} surfaces are one longer than their spans; expected the end after the last character"
        raise DataError(name, "surface_differs", hint=hint)


def _is_there(text: str, span: Entity) -> bool:
    if span.char_end > len(text):
        return False
    letters = (i for i in range(*span.span) if text[i].isalnum())
    if not span.text or next(islice(letters, COMPOSED * len(span.text), None), None) is not None:
        return not span.text  # with more letters it is another text, which need not be read to its end
    return _letters(text[span.char_start : span.char_end]) == _letters(span.text)


def _misplaced(name: str, text: str, span: Entity, *, unknown: bool) -> DataError:
    rule = "span_outside_text" if span.char_end > len(text) else "surface_differs"
    return DataError(name, "offset_unit_unknown" if unknown else rule, span.char_start)


def _letters(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFC", text).casefold() if c.isalnum())
