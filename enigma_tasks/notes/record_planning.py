"""Records of a file -> notes that are ready, refused or done."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, BinaryIO

from enigma_tasks.errors import DataError
from enigma_tasks.notes.records import Record, read_lines
from enigma_tasks.notes.references import NoteRef, Refused, Rule, line_name, named_language
from enigma_tasks.unforeseen import refused_if_unforeseen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from enigma_tasks.params.limits import RecordLimits


@dataclass(frozen=True, slots=True)
class Judgement:
    """The functions and limits that decide on a record."""

    limits: RecordLimits
    language_of: Callable[[str], str | None]
    """A language's name -> the configured code, or None."""
    detect: Callable[[str], str | None]
    """A text -> the configured code, or None; for records without a language in the folder `auto`."""
    is_done: Callable[[NoteRef], bool]


def scan(template: NoteRef, stream: BinaryIO, judgement: Judgement) -> Iterator[NoteRef | Refused | None]:
    """Every record of a file, in order, None for one that is done; a damaged end or a file without records is refused.

    A refusal without a record, of a rule in `WHOLE_FILE`, stands for the file instead of all that came before it.
    `template` is the file's reference. A record's language overrides the folder's.
    """
    seen: set[str] = set()
    plain = not template.key.lower().endswith(".gz")
    for line, outcome in read_lines(stream, template.key, judgement.limits):
        if line is None:
            assert isinstance(outcome, DataError)
            yield Refused(template, Rule(outcome.rule), outcome.offset)
            continue
        ref = replace(
            template,
            version=line.sha256,
            size=line.size,
            line=line.number,
            line_start=line.start if plain else None,
            record_id=line_name(line.number),
            note_id=f"{template.note_id}{line_name(line.number)}",
        )
        try:
            with refused_if_unforeseen(ref.record):
                note = _note(ref, outcome, seen, judgement)
        except DataError as error:
            note = None if judgement.is_done(ref) else Refused(ref, Rule(error.rule), ref.line)
        yield note


def _note(ref: NoteRef, outcome: Record | DataError, seen: set[str], judgement: Judgement) -> NoteRef | Refused | None:
    """One line -> a note, a refusal, or None if it is done."""
    if isinstance(outcome, DataError):
        return None if judgement.is_done(ref) else Refused(ref, Rule(outcome.rule), outcome.offset)
    if outcome.id in seen:
        return None if judgement.is_done(ref) else Refused(ref, Rule.DUPLICATE_ID, ref.line)
    seen.add(outcome.id)
    ref = replace(ref, record_id=outcome.id, note_id=outcome.id)
    if judgement.is_done(ref):
        return None
    if named := named_language(outcome.language):
        found, ref = judgement.language_of(named), replace(ref, language_source="record")
    elif ref.language:
        return ref
    else:
        found, ref = judgement.detect(outcome.text), replace(ref, language_source="detected")
    return replace(ref, language=found) if found else Refused(ref, Rule.LANGUAGE)
