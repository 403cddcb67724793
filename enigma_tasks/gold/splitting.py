"""Cases -> folds: seeded, each case whole, and each fold alike in language, type and entity density."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from enigma_tasks.documents import Document


@dataclass(frozen=True)
class Case:
    """Documents that must not be parted."""

    key: str
    """The least of its documents' keys: the same in every run."""
    documents: int
    stratum: tuple[str, ...]
    """Languages and annotated types."""
    density: float
    """Spans per character."""


def document_key(document: Document) -> str:
    """`es/case-7`, unique in a corpus; `case-7` where the language is not known."""
    return f"{document.language}/{document.id}" if document.language else document.id


def case_of(documents: Sequence[Document]) -> Case:
    """The case that these documents, at least one, are."""
    languages = {f"language {d.language}" for d in documents if d.language}
    types = {f"type {t.value}" for d in documents for t in d.annotated}
    spans = sum(len(d.entities) for d in documents)
    density = spans / max(sum(len(d.text) for d in documents), 1)
    return Case(min(map(document_key, documents)), len(documents), (*sorted(languages), *sorted(types)), density)


def assign(cases: Sequence[Case], shares: Mapping[str, float], bins: int, seed: int) -> dict[str, str]:
    """Case key -> fold, whatever the order of `cases`.

    Cases of a stratum are sorted by density and cut into `bins`; within a bin their order is the seed's. Walking along,
    each case goes to the fold that is owed most documents, so every stretch of the walk is shared out alike.

    Args:
        cases: with keys of their own.
        shares: fold -> its share of the documents; they sum to 1. Of equal debts the first fold is served.
        bins: see above.
        seed: another seed, another order within the bins.
    """
    owed = dict.fromkeys(shares, 0.0)
    folds: dict[str, str] = {}
    for case in _walk(cases, bins, seed):
        for fold, share in shares.items():
            owed[fold] += share * case.documents
        chosen = max(owed, key=lambda fold: owed[fold])
        owed[chosen] -= case.documents
        folds[case.key] = chosen
    return folds


def _walk(cases: Sequence[Case], bins: int, seed: int) -> Iterator[Case]:
    strata: dict[tuple[str, ...], list[Case]] = defaultdict(list)
    for case in cases:
        strata[case.stratum].append(case)
    for _, own in sorted(strata.items()):
        own.sort(key=lambda c: (c.density, c.key))
        for b in range(bins):
            part = own[len(own) * b // bins : len(own) * (b + 1) // bins]
            yield from sorted(part, key=lambda c: hashlib.sha256(f"{seed}\n{c.key}".encode()).digest())
