"""Control chart of strict F1 on reviewed notes: a one-sided CUSUM that accumulates how far nights are below the usual.

Each night's deviation is standardised by the notes of the nights before it only (self-starting CUSUM, Hawkins 1987), so
that no period of quiet nights must be set apart, and an uncertain start does not raise false alarms. The sum is
S_t = max(0, S_{t-1} - z_t - k); there is an alarm where it exceeds h. k is half of the fall that the chart is made for,
in standard errors of a night; h is computed from the stated interval between false alarms. Run lengths are those of a
Markov chain over the states of the sum (Brook and Evans 1972).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np
from scipy import optimize, stats

from enigma_tasks.monitoring.f1_sums import F1Sums

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from enigma_tasks.monitoring.f1_sums import NoteScore
    from enigma_tasks.params.monitor import ChartParams

STATES = 100
"""Of the Markov chain; the run lengths change by less than 1 % with more."""
STEP = 2
"""Decimals to which k is rounded for h, which is computed once for each."""
NODES = 9
"""Of the quadrature over the error of what is usual."""
LONGEST = 10_000
"""Nights after which a delay is not stated."""


@dataclass(frozen=True, slots=True)
class ChartNight:
    """One night with reviewed notes."""

    night: str
    notes: int
    f1: float
    """Of that night's notes."""
    usual: float | None
    """F1 of the notes before; None until there are enough."""
    statistic: float
    """The sum S after this night, in standard errors."""
    alarm: bool


@dataclass(frozen=True, slots=True)
class ControlChart:
    """The chart of one language, or of all of them."""

    nights: tuple[ChartNight, ...]
    limit: float
    """h: an alarm above it."""
    delay: int | None
    """Nights within which the stated share of falls is found, after the reviewed notes so far; None: too few notes."""

    @property
    def alarm(self) -> bool:
        """Whether the newest night is an alarm."""
        return bool(self.nights) and self.nights[-1].alarm


def control_chart(scores: Iterable[NoteScore], params: ChartParams, *, charts: int = 1) -> ControlChart:
    """The chart over nights in the order of `night`; `charts`: how many share the interval between false alarms.

    The sum begins once there are `reference_notes` notes in the nights before, and again after an alarm. Nights since
    the sum was last 0 are not part of what is usual yet, so that a fall does not become usual while it is being found.
    """
    interval = params.false_alarm_nights * charts
    usual, waiting = F1Sums(), F1Sums()
    nights: list[ChartNight] = []
    statistic = limit = 0.0
    for night, group in groupby(sorted(scores, key=lambda s: s.night), key=lambda s: s.night):
        notes = F1Sums.of(group)
        before, alarm = None, False
        if usual.notes >= params.reference_notes and usual.variance > 0 and notes.mentions > 0:
            before = usual.f1
            slack = params.fall / usual.error(params.notes) / 2
            limit = decision_limit(round(slack, STEP), interval)
            statistic = max(0.0, statistic - usual.standardised(notes) - slack)
            alarm = statistic > limit
        nights.append(ChartNight(night, notes.notes, notes.f1, before, statistic, alarm))
        waiting += notes
        statistic = 0.0 if alarm else statistic
        if statistic == 0:
            usual, waiting = usual + waiting, F1Sums()
    return ControlChart(tuple(nights), limit, _delay(usual, params, interval))


def _delay(usual: F1Sums, params: ChartParams, interval: float) -> int | None:
    """Averaged over the error of what is usual, which is the same one in every night of a fall."""
    if usual.notes < params.reference_notes or usual.variance <= 0:
        return None
    error = usual.error(params.notes)
    slack = params.fall / error / 2
    limit = decision_limit(round(slack, STEP), interval)
    nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
    of_usual = math.sqrt(usual.variance / usual.effective) / error
    spread = math.sqrt(usual.variance / params.notes) / error
    falls = [2 * slack + of_usual * float(node) for node in nodes]
    return run_length_quantile([_chain(slack, limit, f, spread) for f in falls], weights, params.found_share)


@lru_cache(maxsize=512)
def decision_limit(slack: float, interval: float) -> float:
    """h with a mean of `interval` nights between false alarms, for a chart with slack k."""
    upper = 1.0
    while run_length_mean(slack, upper) < interval:
        upper *= 1.25
    return float(optimize.brentq(lambda h: run_length_mean(slack, h) - interval, 1e-3, upper, xtol=1e-3))


def run_length_mean(slack: float, limit: float, fall: float = 0.0) -> float:
    """Mean nights until an alarm, from S = 0; `fall`: of the mean, in standard errors of a night."""
    chain = _chain(slack, limit, fall)
    return float(np.linalg.solve(np.eye(len(chain)) - chain, np.ones(len(chain)))[0])


def run_length_quantile(
    chains: Sequence[NDArray[np.float64]], weights: NDArray[np.float64], share: float
) -> int | None:
    """Nights within which `share` of the alarms come, from S = 0, over weighted chains; None above LONGEST."""
    states = np.zeros((len(chains), len(chains[0])))
    states[:, 0] = weights / weights.sum()
    stacked = np.stack(chains)
    for night in range(1, LONGEST + 1):
        states = np.einsum("cs,cst->ct", states, stacked)
        if 1 - states.sum() >= share:
            return night
    return None


def _chain(slack: float, limit: float, fall: float = 0.0, spread: float = 1.0) -> NDArray[np.float64]:
    """Transition probabilities between the states of the sum below the limit; state 0 is S = 0.

    `fall` and `spread`: of a night's standardised deviation, its mean below 0 and its standard deviation.
    """
    width = 2 * limit / (2 * STATES - 1)
    centres = width * np.arange(STATES)
    upper = centres + width / 2
    below = stats.norm.cdf((upper[None, :] - centres[:, None] - (fall - slack)) / spread)
    return np.diff(below, axis=1, prepend=0.0)
