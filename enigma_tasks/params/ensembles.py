"""The sections `ensembles` (members and voting rule, paper, Table 1) and `ensemble` (how rules are fitted)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field, model_validator

from enigma_tasks.frozen import Frozen
from enigma_tasks.params.strategies import AUTO, STRATEGIES, names

if TYPE_CHECKING:
    from collections.abc import Container, Mapping


class FittingParams(Frozen):
    """How `enigma ensemble` fits a rule."""

    folds: int = Field(5, ge=2)
    """Folds of documents, for every cross-validation."""
    level: float = Field(0.05, gt=0, lt=1)
    """Significance level at which a rule replaces the plain majority."""
    samples: int = Field(2000, ge=100)
    """Bootstrap resamples of the documents, for that test and for the intervals."""
    learned_strength: float = Field(0.1, gt=0)
    """Inverse of the L2 penalty of `learned`; low, as dev is small and members' votes are correlated."""


class EnsembleParams(Frozen):
    """Members of an ensemble, and their voting rule."""

    language: str
    members: tuple[str, ...] = Field(min_length=1)
    """Names under `members`, in the order of the rule's weights; a name given twice means two checkpoints."""
    strategy: str = AUTO
    """`auto`: chosen on dev, see docs/voting.md."""
    k: int | None = Field(None, ge=1)
    """For majority and agreement: votes that a span needs; by default chosen on dev."""

    @model_validator(mode="after")
    def _check_rule(self) -> EnsembleParams:
        if self.strategy not in {AUTO, *STRATEGIES}:
            raise ValueError(f"strategy: there are {', '.join([AUTO, *STRATEGIES])}")
        if self.k is not None and (self.strategy == AUTO or not STRATEGIES[self.strategy].takes_k):
            raise ValueError(f"k is only for {names(lambda s: s.takes_k, ' or ')}")
        if self.k is not None and self.k > len(self.members):
            raise ValueError(f"k is {self.k}, but there are {len(self.members)} members")
        return self


def check_ensembles(
    ensembles: Mapping[str, EnsembleParams], members: Container[str], languages: Container[str]
) -> None:
    """Raise ValueError for an ensemble with a member or language that is not configured."""
    for name, ensemble in ensembles.items():
        unknown = [m for m in ensemble.members if m not in members]
        if unknown:
            raise ValueError(f"ensembles.{name}: no member {', '.join(unknown)} under members")
        if ensemble.language not in languages:
            raise ValueError(f"ensembles.{name}: no language {ensemble.language} under languages")
