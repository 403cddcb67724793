"""The control chart of reviewed strict F1 on simulated nights: false alarms, and how soon a fall of 5 points is found.

    python -m benchmarks.control_chart_simulation
    python -m benchmarks.control_chart_simulation --sequences 200 --f1 0.7

A night has 20 reviewed notes. A note has a number of gold mentions (negative binomial, mean 12, at least 1) and a
difficulty of its own: its share of found mentions is drawn from a beta distribution around the mean, so that notes
differ by far more than their counts alone would make them; spurious mentions are drawn from the same share. Quiet
sequences are 200 nights at one strict F1; in the others, F1 falls by 5 points after `--before` nights. With
`--between`, every night has a level of its own besides, which the chart does not know of.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np

from enigma_tasks.config import load_params
from enigma_tasks.monitoring.control_chart import control_chart
from enigma_tasks.monitoring.f1_sums import NoteScore

QUIET_NIGHTS = 200
MENTIONS, DISPERSION = 12, 2.0
"""Gold mentions of a note: mean, and shape of the negative binomial distribution."""
CONCENTRATION = 8.0
"""Of the beta distribution of a note's share of found mentions."""


@dataclass(frozen=True)
class Setting:
    """How notes are drawn."""

    notes: int
    between: float
    """Standard deviation of strict F1 between nights."""


def night(number: int, f1: float, setting: Setting, rng: np.random.Generator) -> list[NoteScore]:
    """The reviewed notes of one night."""
    level = float(np.clip(f1 + rng.normal(0, setting.between), 0.02, 0.98))
    gold = np.maximum(1, rng.negative_binomial(DISPERSION, DISPERSION / (DISPERSION + MENTIONS), setting.notes))
    share = rng.beta(CONCENTRATION * level, CONCENTRATION * (1 - level), setting.notes)
    tp = rng.binomial(gold, share)
    fp = rng.binomial(gold, 1 - share)  # as many as are missed, in the mean: precision and recall are alike
    return [NoteScore(f"{number:04}", 2.0 * t, float(2 * t + f + g - t)) for g, t, f in zip(gold, tp, fp, strict=True)]


def simulate(sequences: int, f1: float, before: int, setting: Setting, seed: int) -> dict[str, float]:
    """False alarms per 200 quiet nights; share of falls found within the stated delay, and their delays."""
    chart = load_params().monitor.chart
    rng = np.random.default_rng(seed)
    alarms, found, delays, stated = [], [], [], []
    for _ in range(sequences):
        quiet = [s for n in range(QUIET_NIGHTS) for s in night(n, f1, setting, rng)]
        alarms.append(sum(n.alarm for n in control_chart(quiet, chart).nights))
        history = [s for n in range(before) for s in night(n, f1, setting, rng)]
        promised = control_chart(history, chart).delay
        assert promised is not None
        fallen = [s for n in range(before, before + 3 * promised) for s in night(n, f1 - chart.fall, setting, rng)]
        after = control_chart([*history, *fallen], chart).nights[before:]
        delay = next((i for i, n in enumerate(after, 1) if n.alarm), len(after) + 1)
        stated.append(promised)
        delays.append(delay)
        found.append(delay <= promised)
    return {
        "false alarms in 200 quiet nights, mean": float(np.mean(alarms)),
        "sequences with more than 1": float(np.mean([a > 1 for a in alarms])),
        "stated delay, median": float(np.median(stated)),
        "delay, median": float(np.median(delays)),
        "found within the stated delay": float(np.mean(found)),
    }


def main() -> None:
    """Print a row for each number of nights before the fall."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sequences", type=int, default=500)
    parser.add_argument("--f1", type=float, default=0.8)
    parser.add_argument("--before", type=int, nargs="+", default=[15, 30, 90])
    parser.add_argument("--notes", type=int, default=20)
    parser.add_argument("--between", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=load_params().seed)
    arguments = parser.parse_args()
    for before in arguments.before:
        setting = Setting(arguments.notes, arguments.between)
        results = simulate(arguments.sequences, arguments.f1, before, setting, arguments.seed)
        print(f"{before} nights before the fall: " + "; ".join(f"{k} {v:.3g}" for k, v in results.items()))


if __name__ == "__main__":
    main()
