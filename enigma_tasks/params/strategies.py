"""The table of voting strategies, from which all other code reads their names and properties.

To add one: an entry here, and its function in `ensembles/voting.py` (and in `ensembles/candidates.py` if it is fitted).
This module imports the standard library only, as the command line imports it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Strategy:
    """A strategy's name, its options and what it needs."""

    name: str
    takes_k: bool = False
    """`k`, the votes that a span needs, may be given; the default is more than half of the members'."""
    least_k: int = 1
    """The smallest k that fitting considers."""
    one_vote: bool = False
    """A span needs one vote only."""
    takes_weights: bool = False
    """Each member has a weight, for example its strict F1 on dev."""
    takes_threshold: bool = False
    needs_fitting: bool = False
    """Its numbers are fitted by `enigma ensemble`."""
    needs_probabilities: bool = False
    """It needs models that give word probabilities, not predicted spans."""

    @property
    def fitted(self) -> bool:
        """Whether its numbers are fitted on dev documents."""
        return self.needs_fitting or self.takes_weights

    @property
    def by_name(self) -> bool:
        """Whether it can be used by its name, with predicted spans only."""
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
"""Simple strategies first, in the order in which fitting considers them."""
AUTO = "auto"
"""In place of a strategy: the strategy is chosen on dev."""


def names(chosen: Callable[[Strategy], bool], separator: str = ", ") -> str:
    """The chosen strategies, for help texts and messages: `majority, agreement`."""
    return separator.join(s.name for s in STRATEGIES.values() if chosen(s))
