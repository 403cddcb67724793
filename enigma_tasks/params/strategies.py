"""The voting strategies that there are: one entry each, which everything that names a strategy reads.

To add one: an entry here, and its function in `ensembles/voting.py` (for one that is fitted, in `ensembles/fitting.py`
too). Imports the standard library only, as the command line reads it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Strategy:
    """What a strategy needs to be told, and where its numbers come from."""

    name: str
    takes_k: bool = False
    """The votes that a span needs may be named; without it, more than half of the members'."""
    least_k: int = 1
    """The smallest k that fitting tries."""
    one_vote: bool = False
    """A span needs no more than one vote."""
    takes_weights: bool = False
    """Each member has a weight; of models it may be their strict F1 on dev."""
    takes_threshold: bool = False
    needs_fitting: bool = False
    """Only `enigma ensemble` can make its numbers."""
    needs_probabilities: bool = False
    """Of models: predicted spans do not hold what it averages."""

    @property
    def fitted(self) -> bool:
        """Whether its numbers depend on dev documents."""
        return self.needs_fitting or self.takes_weights

    @property
    def by_name(self) -> bool:
        """Whether predicted spans and its name are enough."""
        return not self.needs_fitting and not self.needs_probabilities


STRATEGIES: dict[str, Strategy] = {
    s.name: s
    for s in (
        Strategy("majority", takes_k=True),
        Strategy("agreement", takes_k=True, least_k=2),
        Strategy("union", one_vote=True),
        Strategy("mean", needs_probabilities=True),
        Strategy("weighted", takes_weights=True, takes_threshold=True),
        Strategy("learned", takes_threshold=True, needs_fitting=True),
    )
}
"""From the plainest to the most learned: the order in which fitting tries them."""
AUTO = "auto"
"""Instead of a strategy: chosen on dev."""


def names(chosen: Callable[[Strategy], bool], separator: str = ", ") -> str:
    """The chosen strategies, for help texts and messages: `majority, agreement`."""
    return separator.join(s.name for s in STRATEGIES.values() if chosen(s))
