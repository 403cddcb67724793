"""What the promotion gate lets pass: sequences of challengers without a true gain, and single ones with one.

    python -m benchmarks.promotion_simulation --sequences 200
    python -m benchmarks.promotion_simulation --comparisons 200

The decisions are those of `enigma_tasks.promotion.gate` by the change plan of params.yaml. Test documents are drawn
from 125 real ones with the spans of their gold and of five published models. A simulated model takes, in each document,
what one of the five found, drawn at random: so all simulated models are equally good, and differ as real ones do. Then
right spans are made wrong (a true loss) or wrong ones right (a true gain). In `short` notes, a sixth of the spans is
kept.

In sequences, most challengers are left to the gate only where it might promote them, as intervals and resampling take
most of the time: a measured gain below the plan's margin is always refused (`tests/unit/test_gate.py`), and one below
1.9 standard errors has a p-value of about 0.03, far above the level of every look.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from benchmarks.voting_on_published import TYPES, published
from enigma_tasks.config import load_params
from enigma_tasks.documents import EntityType
from enigma_tasks.ner.scoring import Counts
from enigma_tasks.promotion.comparison import strict_f1, strict_sums
from enigma_tasks.promotion.gate import FrozenSet, Gate, Measured

if TYPE_CHECKING:
    from collections.abc import Iterator

    from enigma_tasks.promotion.decision import Decision

PARAMS = load_params()
CHALLENGERS = 50
SHORT = 1 / 6
GAINS = (0.02, 0.03)
DRAWS = 10_000
"""Documents by which the expected counts are found."""
IN_QUESTION = 1.9
"""Standard errors."""
SLICES = 4
"""Sources of the test documents in single comparisons, of equal size."""


Tables = NDArray[np.int64]
"""(documents, models, 3): gold, predicted and matched spans."""


@dataclass(frozen=True)
class World:
    """Real documents of one entity type, from which test sets and models are drawn."""

    spans: list[NDArray[np.bool_]]
    """Of each document, (spans, 1 + models): which are in gold, and which each model found."""
    kept: float
    """Share of the spans that a test document keeps."""

    def test_set(self, documents: int, random: np.random.Generator) -> Tables:
        """Drawn with replacement; a document without gold keeps its place."""
        drawn = (self.spans[i] for i in random.integers(0, len(self.spans), documents))
        return np.array([_counts(table[random.random(len(table)) < self.kept]) for table in drawn])

    @cached_property
    def totals(self) -> tuple[float, float, float]:
        """Of a model in one document, expected: `gold + predicted`, matched, and pairs of a wrong and a missed span."""
        gold, predicted, matched = np.moveaxis(self.test_set(DRAWS, np.random.default_rng(0)), -1, 0)
        return (gold + predicted).mean(), matched.mean(), np.minimum(gold - matched, predicted - matched).mean()


def _counts(table: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(spans, 1 + models) -> (models, 3) of gold, predicted and matched."""
    gold, found = table[:, :1], table[:, 1:]
    matched = (gold & found).sum(0)
    return np.stack([np.full_like(matched, gold.sum()), found.sum(0), matched], axis=-1)


def simulated(test: Tables, world: World, gain: float, random: np.random.Generator) -> Measured:
    """A model whose true strict F1 differs from the others' by `gain`."""
    both, matched_total, mendable = world.totals
    gold, predicted, matched = test[np.arange(len(test)), random.integers(0, test.shape[1], len(test))].T
    wrong = np.minimum(gold - matched, predicted - matched)
    spoilt = random.binomial(matched, max(0.0, -gain) * both / 2 / matched_total)
    right = matched - spoilt + random.binomial(wrong, max(0.0, gain) * both / 2 / mendable)
    rows = zip(gold.tolist(), predicted.tolist(), right.tolist(), strict=True)
    return Measured(tuple(Counts(gold=g, predicted=p, matched=m) for g, p, m in rows), 1.0)


def worlds(folder: Path, entity: str) -> Iterator[tuple[str, World]]:
    """By name: the documents as they are, and as if they were short."""
    names, dev = published(folder, entity)
    spans = []
    for document in dev.documents:
        sets = [{e.span for e in dev.gold.get(document, ())}, *({e.span for e in own} for own in dev.spans(document))]
        every = sorted(set().union(*sets))
        spans.append(np.array([[s in own for own in sets] for s in every], bool).reshape(len(every), 1 + len(names)))
    for name, kept in (("long", 1.0), ("short", SHORT)):
        yield name, World(spans, kept)


def gate_of(earlier: list[Decision], documents: int, slices: int, seed: int) -> Gate:
    """A gate with the project's change plan."""
    known = tuple({"source": f"s{i % slices}"} for i in range(documents))
    return Gate(PARAMS.promotion, EntityType("disease"), FrozenSet("0" * 64, known), earlier, seed)


def sequence(world: World, documents: int, worst: float, seed: int) -> tuple[int, float]:
    """Champions after a first one, by challengers without a true gain: how many, and the last one's true gain."""
    random = np.random.default_rng(seed)
    test = world.test_set(documents, random)
    first = champion = simulated(test, world, 0.0, random)
    champion_gain, promoted = 0.0, 0
    earlier: list[Decision] = []
    refused: Decision | None = None
    for number in range(CHALLENGERS):
        # no better than the champion, which is at first no better than the first one
        true_gain = champion_gain - worst * float(random.random())
        challenger = simulated(test, world, true_gain, random)
        if refused is not None and not _in_question(champion, challenger):
            earlier.append(refused)
            continue
        gate = gate_of(earlier, documents, 1, seed * CHALLENGERS + number)
        decision = gate.decide(challenger, champion, None if champion is first else first)
        earlier.append(decision)
        if decision.result == "refused":
            refused = decision
        if decision.result == "promoted":
            champion, champion_gain, promoted = challenger, true_gain, promoted + 1
    return promoted, champion_gain


def _in_question(champion: Measured, challenger: Measured) -> bool:
    """Whether the gate might promote the challenger; its standard error by linearisation of F1 at the sums."""
    f1, influence = [], []
    for model in (champion, challenger):
        sums = strict_sums(model.counts)
        f1.append(float(strict_f1(sums.sum())))
        influence.append((2 * sums.imag - f1[-1] * sums.real) / sums.real.sum())
    gain = f1[1] - f1[0]
    error = float(np.sqrt(np.square(influence[1] - influence[0]).sum()))
    return gain >= PARAMS.promotion.margin and gain >= IN_QUESTION * error


def print_sequences(folder: Path, number: int, documents: int, entity: str, seed: int) -> None:
    """The table of sequences without a true gain."""
    margin = PARAMS.promotion.non_inferiority
    print(
        "| notes | challengers' true gain | sequences | with a false promotion | ending worse by more than the margin |"
    )
    print("|---|---|---:|---:|---:|")
    for name, world in worlds(folder, entity):
        for worst, words in ((0.0, "0"), (0.02, "-2 to 0 points")):
            ends = [sequence(world, documents, worst, seed + i) for i in range(number)]
            false = sum(promoted > 0 for promoted, _ in ends)
            worse = sum(gain < -margin for _, gain in ends)
            cells = f"{false} ({false / number:.1%}) | {worse} ({worse / number:.1%})"
            print(f"| {name} | {words} | {number} | {cells} |", flush=True)


def print_comparisons(folder: Path, number: int, documents: int, seed: int) -> None:
    """The table of first looks at challengers with a true gain."""
    print("| type | notes | true gain | promoted | undecided | refused |\n|---|---|---:|---:|---:|---:|")
    for entity in TYPES:
        for name, world in worlds(folder, entity):
            for gain in GAINS:
                results = []
                for i in range(number):
                    random = np.random.default_rng([seed, i])
                    test = world.test_set(documents, random)
                    champion, challenger = (simulated(test, world, g, random) for g in (0.0, gain))
                    results.append(gate_of([], documents, SLICES, i).decide(challenger, champion, None).result)
                cells = " | ".join(f"{results.count(r) / number:.1%}" for r in ("promoted", "undecided", "refused"))
                print(f"| {entity} | {name} | {100 * gain:.0f} points | {cells} |", flush=True)


def main() -> None:
    """Print one of the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--predictions", type=Path, default=Path("../shared/predictions/cardioccc-es"))
    parser.add_argument("--sequences", type=int, default=0, metavar="N")
    parser.add_argument("--comparisons", type=int, default=0, metavar="N")
    parser.add_argument("--documents", type=int, default=250)
    parser.add_argument("--entity", default=TYPES[0], choices=TYPES, help="of the sequences")
    arguments = parser.parse_args()
    seed, started = PARAMS.seed, time.perf_counter()
    if arguments.sequences:
        print_sequences(arguments.predictions, arguments.sequences, arguments.documents, arguments.entity, seed)
    if arguments.comparisons:
        print_comparisons(arguments.predictions, arguments.comparisons, arguments.documents, seed)
    print(f"\n{time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
