"""An ensemble of params.yaml: which of its members are missing, and how its rule is to be chosen."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from enigma_tasks.errors import UsageError
from enigma_tasks.params.strategies import AUTO, STRATEGIES, names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from enigma_tasks.params.ensembles import EnsembleParams


def missing_members(named: EnsembleParams, given: Sequence[str], *, incomplete: bool) -> list[str]:
    """The members of the ensemble that are not given, sorted.

    Raises:
        UsageError: a model of another member is given, or, unless `incomplete`, one is missing.
    """
    missing, foreign = Counter(named.members) - Counter(given), Counter(given) - Counter(named.members)
    if foreign or (missing and not incomplete):
        members = ", ".join(sorted(named.members))
        raise UsageError(f"the ensemble's members are {members}; given: {', '.join(sorted(given))}")
    return sorted(missing.elements())


def strategy_of(
    named: EnsembleParams | None, strategy: str | None, k: int | None, *, complete: bool
) -> tuple[str | None, int | None]:
    """The only strategy to consider, or None for all, and its k.

    Args:
        named: whose strategy and k hold where none are given; its k is for all of its members.
        strategy: a name, `auto` included.
        k: votes that a span needs.
        complete: whether no member is missing.

    Raises:
        UsageError: a k for a strategy that takes none.
    """
    chosen = strategy or (named.strategy if named else AUTO)
    only = None if chosen == AUTO else chosen
    if k is not None and (only is None or not STRATEGIES[only].takes_k):
        raise UsageError(f"--k is only for --strategy {names(lambda s: s.takes_k, ' or ')}")
    if k is None and named and chosen == named.strategy and complete:
        return only, named.k
    return only, k
