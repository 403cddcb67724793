"""A file of records (.jsonl) on this machine -> documents without gold, and what is wrong with the other lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from enigma_tasks.documents import Document
from enigma_tasks.errors import DataError
from enigma_tasks.notes.records import line_limit, lines, parse
from enigma_tasks.notes.references import AUTO, Rule, line_name

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def read_records(
    path: Path, language: str | None, language_of: Callable[[str], str | None], max_bytes: int
) -> tuple[list[Document], list[DataError]]:
    """The documents in the file's order; a line that is no note costs no other line anything.

    Args:
        path: one JSON object a line: `id`, `text`, and the text's `language` where it is known.
        language: of records that name none.
        language_of: a language's name -> its code, or None.
        max_bytes: a longer text is refused.
    """
    documents: list[Document] = []
    defects: list[DataError] = []
    seen: set[str] = set()
    with path.open("rb") as stream:
        for line in lines(stream, line_limit(max_bytes)):
            name = f"{path.name}{line_name(line.number)}"
            try:
                record = parse(name, line, max_bytes)
                if record.id in seen:
                    raise DataError(name, Rule.DUPLICATE_ID, line.number)
                named = record.language if record.language and record.language.lower() != AUTO else None
                code = language_of(named) if named else language
                if named and code is None:
                    raise DataError(name, Rule.LANGUAGE, line.number)
            except DataError as error:
                defects.append(error)
                continue
            seen.add(record.id)
            documents.append(Document(record.id, record.text, (), code, frozenset()))
    return documents, defects
