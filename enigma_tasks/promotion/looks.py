"""The level of each look at a frozen test set, so that all looks together keep one level.

Every look at the same documents is another opportunity for a model that is no better to seem better. The level of the
plan is divided over the budget of looks, look k getting a share proportional to 1/k; the share of a look whose
challenger was promoted is added to the next look (online fallback procedure: Tian and Ramdas 2021, "Online control of
the familywise error rate"). So the probability of any false promotion over the life of a test set is at most the level.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def share(look: int, budget: int) -> float:
    """The share of the level that look `look` (from 1) has; the shares of all looks of the budget add up to 1."""
    if not 1 <= look <= budget:
        return 0.0
    return 1 / look / sum(1 / k for k in range(1, budget + 1))


def level_of_next(promoted: Sequence[bool], level: float, budget: int) -> float | None:
    """The level of the look after those in `promoted`; None where the budget is spent.

    Args:
        promoted: for each look at this test set, in order, whether its challenger was promoted (and perhaps not
            approved).
        level: of all looks together.
        budget: number of looks.
    """
    if len(promoted) >= budget:
        return None
    released = 0.0
    for look, passed in enumerate(promoted, 1):
        released = released + level * share(look, budget) if passed else 0.0
    return released + level * share(len(promoted) + 1, budget)
