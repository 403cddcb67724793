"""How far the members of ensembles agree on the spans of one document."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from enigma_tasks.ensembles.folder import Ensemble
    from enigma_tasks.ensembles.runner import MemberPredictions


@dataclass(frozen=True, slots=True)
class Agreement:
    """Spans of one document that the members of ensembles of several members found, summed over the ensembles."""

    spans: int
    """Distinct spans that any member found."""
    agreed: int
    """Of these, spans that every member of the ensemble found."""


def agreement_of(
    ensembles: Sequence[Ensemble], predictions: MemberPredictions, index: int
) -> tuple[Agreement | None, Counter[str]]:
    """The agreement on one document, `index` among those read, and how many spans each member found, by digest.

    The agreement is None where every ensemble has one member.
    """
    found_by: Counter[str] = Counter()
    spans = agreed = 0
    several = False
    for ensemble in ensembles:
        label = ensemble.entity_type.label
        found = {
            m.digest: {e.span for e in predictions.entities[m.digest][index] if e.label == label}
            for m in ensemble.members
        }
        found_by.update({digest: len(of_one) for digest, of_one in found.items()})
        if len(found) > 1:
            several = True
            spans += len(set[tuple[int, int]]().union(*found.values()))
            agreed += len(set.intersection(*found.values()))
    return (Agreement(spans, agreed) if several else None), found_by
