"""The sections `ensembles` (which members vote together, paper Table 1) and `ensemble` (how their rule is fitted)."""

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
    """Of documents, for every cross-validation."""
    level: float = Field(0.05, gt=0, lt=1)
    """Chance that a rule replaces the plain majority by luck alone."""
    samples: int = Field(2000, ge=100)
    """Bootstrap resamples of the documents, for that and for the intervals."""
    learned_strength: float = Field(0.1, gt=0)
    """Inverse of the L2 penalty of `learned`: dev has some thousand spans and members agree, so weights stay small."""


class EnsembleParams(Frozen):
    """Members that answer together, and how."""

    language: str
    members: tuple[str, ...] = Field(min_length=1)
    """Names under `members`, in the order of the rule's weights; one that is named twice is two checkpoints of it."""
    strategy: str = AUTO
    """`auto`: chosen on dev, see docs/voting.md."""
    k: int | None = Field(None, ge=1)
    """For majority and agreement: votes that a span needs; without it chosen on dev."""

    @model_validator(mode="after")
    def _rule_fits(self) -> EnsembleParams:
        if self.strategy not in {AUTO, *STRATEGIES}:
            raise ValueError(f"strategy: there are {', '.join([AUTO, *STRATEGIES])}")
        if self.k is not None and (self.strategy == AUTO or not STRATEGIES[self.strategy].takes_k):
            raise ValueError(f"k goes with {names(lambda s: s.takes_k, ' or ')}")
        if self.k is not None and self.k > len(self.members):
            raise ValueError(f"k is {self.k}, but there are {len(self.members)} members")
        return self


def check_ensembles(
    ensembles: Mapping[str, EnsembleParams], members: Container[str], languages: Container[str]
) -> None:
    """Refuse, with a ValueError, an ensemble of a member or a language that is not configured."""
    for name, ensemble in ensembles.items():
        unknown = [m for m in ensemble.members if m not in members]
        if unknown:
            raise ValueError(f"ensembles.{name}: no member {', '.join(unknown)} under members")
        if ensemble.language not in languages:
            raise ValueError(f"ensembles.{name}: no language {ensemble.language} under languages")
