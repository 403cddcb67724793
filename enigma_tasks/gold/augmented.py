"""Augmented documents: their ids and provenance, and checks that they are not in dev or test.

They are recognised by their ids, also without provenance.jsonl.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from enigma_tasks.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from enigma_tasks.documents import Document, Language

Method = Literal["oversample", "morphology", "paraphrase"]
METHODS: tuple[Method, ...] = get_args(Method)

_AUGMENTED = re.compile(rf"(?P<parent>.+)--(?:{'|'.join(METHODS)})-\d+(?:~[a-z+]+)?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Augmented:
    """A new document with its provenance."""

    document: Document
    parents: tuple[str, ...]
    method: Method
    changes: int
    """Number of sentences copied, terms replaced or sentences rewritten."""


@dataclass(frozen=True, slots=True)
class Provenance:
    """One line of provenance.jsonl, without text."""

    id: str
    parents: tuple[str, ...]
    method: Method
    changes: int
    language: Language | None

    @classmethod
    def of(cls, augmented: Augmented) -> Provenance:
        """The line of one new document."""
        document = augmented.document
        return cls(document.id, augmented.parents, augmented.method, augmented.changes, document.language)


def augmented_id(parent: str, method: Method, number: int) -> str:
    """`case-7`, morphology, 2 -> `case-7--morphology-2`."""
    return f"{parent}--{method}-{number}"


def is_augmented(document_id: str) -> bool:
    """Whether an id has the form of `augmented_id`."""
    return _AUGMENTED.fullmatch(document_id) is not None


def augmented_among(documents: Iterable[Document], place: str) -> list[DataError]:
    """A defect `augmented_document` for each augmented document; `place`, e.g. `dev`, is for the hint."""
    return [DataError(d.id, "augmented_document", hint=f"not in {place}") for d in documents if is_augmented(d.id)]


def refuse_augmented(documents: Iterable[Document], place: str) -> None:
    """Raise the first defect of `augmented_among`, if there is one."""
    if defects := augmented_among(documents, place):
        raise defects[0]


def format_provenance(rows: Iterable[Provenance]) -> str:
    """A JSON line for each row, sorted by language and id."""
    ordered = sorted(rows, key=lambda r: (r.language or "", r.id))
    fields = Provenance.__slots__
    return "".join(json.dumps({name: getattr(row, name) for name in fields}) + "\n" for row in ordered)


def parse_provenance(text: str, record: str) -> list[Provenance]:
    """The rows of provenance.jsonl. Raises DataError `provenance_malformed`, with the line (from 1)."""
    rows: list[Provenance] = []
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            tree = json.loads(line)
            rows.append(Provenance(**{**tree, "parents": tuple(tree["parents"])}))
        except (ValueError, TypeError, KeyError):
            raise DataError(record, "provenance_malformed", number) from None
    return rows
