"""Assigns cases to folds by a seed, stratified by language, entity type and entity density."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from enigma_tasks.errors import UsageError
from enigma_tasks.gold.cases import cases_under

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from enigma_tasks.config import Params
    from enigma_tasks.documents import Document


@dataclass(frozen=True)
class Case:
    """Documents that must be in the same fold."""

    key: str
    """The smallest of its documents' keys."""
    documents: int
    stratum: tuple[str, ...]
    """Languages and annotated types."""
    density: float
    """Spans per character."""


def document_key(document: Document) -> str:
    """`es/case-7`, unique in a corpus; `case-7` if the language is not known."""
    return f"{document.language}/{document.id}" if document.language else document.id


def case_of(documents: Sequence[Document]) -> Case:
    """The case of these documents, of which there is at least one."""
    languages = {f"language {d.language}" for d in documents if d.language}
    types = {f"type {t.value}" for d in documents for t in d.annotated}
    spans = sum(len(d.entities) for d in documents)
    density = spans / max(sum(len(d.text) for d in documents), 1)
    return Case(min(map(document_key, documents)), len(documents), (*sorted(languages), *sorted(types)), density)


def assign(cases: Sequence[Case], shares: Mapping[str, float], bins: int, seed: int) -> dict[str, str]:
    """Case key -> fold, independent of the order of `cases`.

    Cases of a stratum are sorted by density and divided into `bins`; within a bin the seed shuffles them. In this order
    each case is assigned to the fold with the largest deficit of documents, so that the shares hold in every bin.

    Args:
        cases: with distinct keys.
        shares: fold -> its share of the documents; they sum to 1. Of equal deficits the first fold is chosen.
        bins: number of bins.
        seed: determines the order within the bins.
    """
    deficit = dict.fromkeys(shares, 0.0)
    folds: dict[str, str] = {}
    for case in _ordered(cases, bins, seed):
        for fold, share in shares.items():
            deficit[fold] += share * case.documents
        chosen = max(deficit, key=lambda fold: deficit[fold])
        deficit[chosen] -= case.documents
        folds[case.key] = chosen
    return folds


def cross_validation_folds(documents: Sequence[Document], count: int, params: Params) -> list[list[Document]]:
    """Documents in `count` folds of about the same size, all versions of a case in one fold.

    Raises:
        UsageError: fewer cases than folds.
    """
    groups = [[documents[i] for i in group] for group in cases_under(documents, params)]
    if len(groups) < count:
        raise UsageError(f"{len(groups)} cases cannot be divided into {count} folds")
    cases = [case_of(group) for group in groups]
    names = [f"{i:03}" for i in range(count)]
    assigned = assign(cases, dict.fromkeys(names, 1 / count), params.split.density_bins, params.seed)
    return [
        [d for case, group in zip(cases, groups, strict=True) if assigned[case.key] == n for d in group] for n in names
    ]


def _ordered(cases: Sequence[Case], bins: int, seed: int) -> Iterator[Case]:
    strata: dict[tuple[str, ...], list[Case]] = defaultdict(list)
    for case in cases:
        strata[case.stratum].append(case)
    for _, stratum in sorted(strata.items()):
        stratum.sort(key=lambda c: (c.density, c.key))
        for b in range(bins):
            part = stratum[len(stratum) * b // bins : len(stratum) * (b + 1) // bins]
            yield from sorted(part, key=lambda c: hashlib.sha256(f"{seed}\n{c.key}".encode()).digest())
