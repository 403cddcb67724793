"""A frozen test set is never trained on: the checks, by digest and by near-copy (`gold.cases`)."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from enigma_tasks.artifacts import FOLDS
from enigma_tasks.errors import DataError
from enigma_tasks.gold.cases import cases_under
from enigma_tasks.gold.splitting import document_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from enigma_tasks.config import Params
    from enigma_tasks.documents import Document

TEST = FOLDS[2]
Digests = dict[str, list[str]]
"""Fold -> sorted sha256 of its texts."""


def text_digest(document: Document) -> str:
    """sha256 of the text: the same text under another id, or with other annotations, is the same."""
    return hashlib.sha256(document.text.encode()).hexdigest()


def digests_of(folds: Mapping[str, Iterable[Document]]) -> Digests:
    """What git keeps of frozen folds."""
    return {name: sorted({text_digest(d) for d in own}) for name, own in sorted(folds.items())}


def check_frozen(language: str, folds: Mapping[str, Sequence[Document]], committed: Sequence[Digests]) -> None:
    """Compare the frozen folds with what the project's history says of them.

    Args:
        language: for the message.
        folds: the frozen documents by fold, those that were retired included.
        committed: the digests of every version in the history, the newest first.

    Raises:
        DataError: `frozen_set_differs` from the newest digests, or `test_document_released`: a text that was once in
            the test set is in no frozen fold.
    """
    record = f"frozen/{language}"
    if not committed or digests_of(folds) != committed[0]:
        raise DataError(record, "frozen_set_differs", hint="from the digests beside it")
    held = {text_digest(d) for own in folds.values() for d in own}
    released = {digest for version in committed for digest in version.get(TEST, ())} - held
    if released:
        hint = f"{len(released)} texts of an earlier test set; keep them in its folder retired"
        raise DataError(record, "test_document_released", hint=hint)


def differing(frozen: Sequence[Document], gold: Sequence[Document]) -> tuple[int, int]:
    """How many frozen documents gold has in another version now, and how many it has not any more."""
    current = {document_key(d): d for d in gold}
    there = [(d, current[document_key(d)]) for d in frozen if document_key(d) in current]
    return sum(_content(d) != _content(now) for d, now in there), len(frozen) - len(there)


def _content(document: Document) -> tuple[object, ...]:
    return document.text, sorted(document.annotated), [(e.label, e.span) for e in document.entities]


def check_not_trained_on(training: Sequence[Document], frozen: Sequence[Document], params: Params) -> None:
    """Raise DataError `frozen_in_train` where a training document is of a case of a frozen one."""
    shared = [case for case in cases_under([*frozen, *training], params) if min(case) < len(frozen) <= max(case)]
    if shared:
        document = training[max(shared[0]) - len(frozen)]
        raise DataError(document.id, "frozen_in_train", hint=f"{len(shared)} such cases")
