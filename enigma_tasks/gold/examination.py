"""The result of checking a corpus by the rules for gold; no text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from enigma_tasks.errors import UsageError
from enigma_tasks.gold.cases import cases_under
from enigma_tasks.gold.rules import tables

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from enigma_tasks.config import Params
    from enigma_tasks.gold.rules import Fold, Table


@dataclass(frozen=True)
class RuleResult:
    """The result of one rule in one table."""

    table: str
    rule: str
    severity: str
    tolerance: float
    rows: int
    failed: int
    passed: bool


@dataclass(frozen=True)
class Examination:
    """The checked tables of a corpus, and the results of the rules; no text."""

    tables: Sequence[Table]
    results: Sequence[RuleResult]

    @property
    def passed(self) -> bool:
        """Whether no rule of severity `error` is broken more often than its tolerance."""
        return all(v.passed or v.severity != "error" for v in self.results)

    def defects(self) -> list[dict[str, Any]]:
        """Every defect: fold, document, rule, offset, severity; first those of rules that failed."""
        order = sorted(self.results, key=lambda v: (v.passed, v.severity != "error"))
        by_name = {t.name: t for t in self.tables}
        rows = []
        for v in order:
            for row in by_name[v.table].breaches(v.rule):
                fold = {"fold": row.fold} if row.fold else {}
                rows.append(
                    {"document": row.document, **fold, "rule": v.rule, "offset": row.offset, "severity": v.severity}
                )
        return rows


def checked_tables(
    folds: Mapping[str | None, Fold], params: Params, detect: Callable[[str], str | None]
) -> list[Table]:
    """The results of every rule for every document and span. `detect`: text -> its language, or None.

    Raises:
        UsageError: params.yaml has rules for a language that it does not have.
    """
    if unknown := sorted(params.validation.languages.keys() - params.languages.keys()):
        raise UsageError(f"validate.languages: no language {unknown[0]!r} in params.yaml")
    return tables(folds, params.validation, detect, _in_several(folds, params))


def _in_several(folds: Mapping[str | None, Fold], params: Params) -> dict[str | None, set[int]]:
    """For each fold the documents whose case is also in another fold."""
    found: dict[str | None, set[int]] = {name: set() for name in folds}
    if len(folds) == 1:
        return found
    places = [(name, i) for name, fold in folds.items() for i in range(len(fold.documents))]
    documents = [d for fold in folds.values() for d in fold.documents]
    for case in cases_under(documents, params):
        if len({places[k][0] for k in case}) > 1:
            for k in case:
                found[places[k][0]].add(places[k][1])
    return found
