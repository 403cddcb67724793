"""Reads a local file of records (.jsonl, .jsonl.gz): documents without gold, and defects."""

from __future__ import annotations

from typing import TYPE_CHECKING

from enigma_tasks.documents import Document
from enigma_tasks.errors import DataError
from enigma_tasks.notes.records import read_lines
from enigma_tasks.notes.references import WHOLE_FILE, Rule, line_name, named_language

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from enigma_tasks.params.limits import RecordLimits


def read_records(
    path: Path, language: str | None, language_of: Callable[[str], str | None], limits: RecordLimits
) -> tuple[list[Document], list[DataError]]:
    """The documents in the file's order, and a defect for each line that is no note; or one of the whole file.

    Args:
        path: one JSON object per line: `id`, `text`, and the text's `language` if it is known.
        language: of records without one.
        language_of: a language's name -> its code, or None.
        limits: of the file and its texts.
    """
    documents: list[Document] = []
    defects: list[DataError] = []
    seen: set[str] = set()
    with path.open("rb") as stream:
        for line, outcome in read_lines(stream, path.name, limits):
            name, number = (path.name, None) if line is None else (f"{path.name}{line_name(line.number)}", line.number)
            if isinstance(outcome, DataError):
                if line is None and outcome.rule in WHOLE_FILE:
                    return [], [outcome]
                defects.append(outcome)
            elif outcome.id in seen:
                defects.append(DataError(name, Rule.DUPLICATE_ID, number))
            else:
                named = named_language(outcome.language)
                code = language_of(named) if named else language
                if named and code is None:
                    defects.append(DataError(name, Rule.LANGUAGE, number))
                    continue
                seen.add(outcome.id)
                documents.append(Document(outcome.id, outcome.text, (), code, frozenset()))
    return documents, defects
