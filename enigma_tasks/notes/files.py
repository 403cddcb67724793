"""A file of records (.jsonl, .jsonl.gz) on this machine -> documents without gold, and what is wrong with others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from enigma_tasks.documents import Document
from enigma_tasks.errors import DataError
from enigma_tasks.notes.gunzip import DamagedError
from enigma_tasks.notes.records import line_limit, lines, opened, parse
from enigma_tasks.notes.references import AUTO, Rule, line_name

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from enigma_tasks.notes.records import Record


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
        try:
            for line in lines(opened(stream, path.name), line_limit(max_bytes)):
                name = f"{path.name}{line_name(line.number)}"
                try:
                    record = parse(name, line, max_bytes)
                    if record.id in seen:
                        raise DataError(name, Rule.DUPLICATE_ID, line.number)
                    code = _language(record, language, language_of)
                    if code is None and record.language and record.language.lower() != AUTO:
                        raise DataError(name, Rule.LANGUAGE, line.number)
                except DataError as error:
                    defects.append(error)
                    continue
                seen.add(record.id)
                documents.append(Document(record.id, record.text, (), code, frozenset()))
        except DamagedError:
            defects.append(DataError(path.name, Rule.GZIP_DAMAGED))
    return documents, defects


def _language(record: Record, language: str | None, language_of: Callable[[str], str | None]) -> str | None:
    """What the record says of its text, else `language`."""
    if record.language is None or record.language.lower() == AUTO:
        return language
    return language_of(record.language)
