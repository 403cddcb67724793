"""Augmented documents: how they are named, who their parents are, and where they may not be.

`augmentation/` makes them; everything that reads gold can tell them by their ids, even where provenance.jsonl is lost.
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
    """A new document, and how it came to be."""

    document: Document
    parents: tuple[str, ...]
    method: Method
    changes: int
    """Sentences taken, terms replaced or sentences rewritten."""


@dataclass(frozen=True, slots=True)
class Provenance:
    """One line of provenance.jsonl; holds no text."""

    id: str
    parents: tuple[str, ...]
    method: Method
    changes: int
    language: Language | None

    @classmethod
    def of(cls, made: Augmented) -> Provenance:
        """The line of one new document."""
        return cls(made.document.id, made.parents, made.method, made.changes, made.document.language)


def augmented_id(parent: str, method: Method, number: int) -> str:
    """`case-7`, morphology, 2 -> `case-7--morphology-2`."""
    return f"{parent}--{method}-{number}"


def is_augmented(document_id: str) -> bool:
    """Whether an id is one that `augmented_id` makes."""
    return _AUGMENTED.fullmatch(document_id) is not None


def augmented_among(documents: Iterable[Document], place: str) -> list[DataError]:
    """A defect `augmented_document` for each; `place` says where they must not be: `dev`, `test`, ..."""
    return [DataError(d.id, "augmented_document", hint=f"not in {place}") for d in documents if is_augmented(d.id)]


def refuse_augmented(documents: Iterable[Document], place: str) -> None:
    """Nothing augmented is measured against, nor shared out among folds. Raises the first of `augmented_among`."""
    for defect in augmented_among(documents, place):
        raise defect


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
