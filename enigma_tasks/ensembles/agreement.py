"""How far the members of ensembles agree on the spans of a document."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from enigma_tasks.documents import Entity
    from enigma_tasks.ensembles.folder import Ensemble


@dataclass(frozen=True, slots=True)
class Agreement:
    """Spans of one document that the members of ensembles of several members found, summed over the ensembles."""

    spans: int
    """Distinct spans that any member found."""
    agreed: int
    """Of these, spans that every member of the ensemble found."""


def agreement_of(
    ensembles: Sequence[Ensemble], entities: Mapping[str, Sequence[Sequence[Entity]]], index: int
) -> tuple[Agreement | None, Mapping[str, int]]:
    """The agreement, None where every ensemble has one member; and member digest -> spans that it found.

    `entities`: per member digest and document; `index`: the document's.
    """
    found_by: Counter[str] = Counter()
    spans = agreed = 0
    for ensemble in ensembles:
        label = ensemble.entity_type.label
        found = {m.digest: {e.span for e in entities[m.digest][index] if e.label == label} for m in ensemble.members}
        found_by.update({digest: len(of_one) for digest, of_one in found.items()})
        if len(found) > 1:
            spans += len(set[tuple[int, int]]().union(*found.values()))
            agreed += len(set.intersection(*found.values()))
    several = any(len(ensemble.members) > 1 for ensemble in ensembles)
    return (Agreement(spans, agreed) if several else None), found_by
