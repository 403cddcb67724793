"""Every voting rule on five real models' predictions, cross-validated over documents, and the best model alone.

    python -m benchmarks.voting_on_published
    python -m benchmarks.voting_on_published --halves 20

Strict F1 with 95 % bootstrap intervals over documents. `chosen` is the choice of `enigma ensemble`, cross-validated
with the choice. The predictions have no probabilities, so `mean` is not among the rules.

`--halves N` measures the choice on held-out documents: on a random half of the documents the rule is chosen and fitted,
and the best model is determined; both are scored on the other half, with the plain majority.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from enigma_tasks.config import load_params
from enigma_tasks.ensembles.dev_sets import DevSet, dev_set
from enigma_tasks.ensembles.fitting import Scored, fit_rule, interval_of, rules_from
from enigma_tasks.ensembles.voting import vote
from enigma_tasks.ensembles.voting_rule import VotingRule
from enigma_tasks.formats.corpora import read_text
from enigma_tasks.formats.standoff import parse_tsv
from enigma_tasks.ner.scoring import Counts, count

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from enigma_tasks.documents import Entity

TYPES = ("disease", "procedure", "symptom")


def published(folder: Path, entity: str) -> tuple[list[str], DevSet]:
    """Members' names, and their predictions of one entity type with the gold."""
    files = sorted(p for p in (folder / entity).glob("*.tsv") if p.stem != "gold")
    members = {p.stem: parse_tsv(read_text(p), p.name) for p in files}
    gold = parse_tsv(read_text(folder / entity / "gold.tsv"), "gold.tsv")
    documents = sorted(p.stem for p in (folder / "txt").glob("*.txt"))
    return list(members), dev_set(entity.upper(), documents, gold, members)


def cell(scored: Scored, seed: int) -> str:
    """F1 and its interval."""
    interval = interval_of(scored, seed, load_params().ensemble.samples)
    return f"{scored.score.f1:.4f} [{interval.low:.4f}, {interval.high:.4f}]"


def print_rules(folder: Path, seed: int) -> None:
    """The table of all rules."""
    rows: dict[str, list[str]] = {}
    for entity in TYPES:
        names, dev = published(folder, entity)
        found = fit_rule(dev, load_params().ensemble, seed)
        best = max(range(len(names)), key=lambda i: found.singles[i].score.f1)
        rows.setdefault("best model alone", []).append(f"{cell(found.singles[best], seed)} {names[best]}")
        for scored in found.scored:
            rows.setdefault(scored.name, []).append(cell(scored, seed))
        rows.setdefault("chosen by itself", []).append(f"{cell(found.expected, seed)} {found.name}")
    print(f"| rule | {' | '.join(TYPES)} |\n|---|---|---|---|")
    for rule, cells in rows.items():
        print(f"| {rule} | {' | '.join(cells)} |")


class Judge:
    """Counts of predictions in the documents of one dev set."""

    def __init__(self, dev: DevSet) -> None:
        self._dev = dev
        self._counts: dict[VotingRule | int, dict[str, Counts]] = {}

    def f1(self, who: VotingRule | int, documents: Sequence[str]) -> float:
        """Strict F1 of a rule, or of a member by its index, over some documents."""
        if who not in self._counts:
            self._counts[who] = {d: self._judged(d, self._answer(who, d)) for d in self._dev.documents}
        return sum((self._counts[who][d] for d in documents), Counts()).strict.f1

    def best_member(self, documents: Sequence[str]) -> int:
        """The index of the best member in these documents."""
        return max(range(len(self._dev.members)), key=lambda i: self.f1(i, documents))

    def _answer(self, who: VotingRule | int, document: str) -> Sequence[Entity]:
        spans = self._dev.spans(document)
        return spans[who] if isinstance(who, int) else vote(spans, who)

    def _judged(self, document: str, answer: Sequence[Entity]) -> Counts:
        gold: Mapping[str, Sequence[Entity]] = self._dev.gold
        return count(gold.get(document, ()), answer).get(self._dev.label, Counts())


def halved(dev: DevSet, halves: int, seed: int) -> tuple[list[VotingRule], np.ndarray]:
    """The rule of each half, and [halves, 3] F1 on the other half: of the rule, the majority and the best model."""
    size = len(dev.documents)
    orders = [np.random.default_rng([seed, i]).permutation(size) for i in range(halves)]
    firsts = [sorted(dev.documents[j] for j in order[: (size + 1) // 2]) for order in orders]
    rules = rules_from(dev, firsts, load_params().ensemble, seed)
    judge, majority = Judge(dev), VotingRule("majority", len(dev.members) // 2 + 1)
    scores = []
    for first, rule in zip(firsts, rules, strict=True):
        other = [d for d in dev.documents if d not in set(first)]
        scores.append([judge.f1(who, other) for who in (rule, majority, judge.best_member(first))])
    return rules, np.array(scores)


def print_halves(folder: Path, halves: int, seed: int) -> None:
    """Print the table of scores on held-out documents."""
    print("| type | chosen | majority | best model | picked another rule | less majority: mean, worst", end="")
    print(" | less best model: mean, worst |\n|---|---:|---:|---:|---:|---:|---:|")
    for entity in TYPES:
        _, dev = published(folder, entity)
        rules, scores = halved(dev, halves, seed)
        other = sum(rule.strategy != "majority" or rule.k != len(dev.members) // 2 + 1 for rule in rules)
        means = " | ".join(f"{mean:.4f}" for mean in scores.mean(0))
        gains = [scores[:, 0] - scores[:, i] for i in (1, 2)]
        cells = " | ".join(f"{gain.mean():+.4f}, {gain.min():+.4f}" for gain in gains)
        print(f"| {entity} | {means} | {other} of {halves} | {cells} |", flush=True)


def main() -> None:
    """Print one of the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--predictions", type=Path, default=Path("../shared/predictions/cardioccc-es"))
    parser.add_argument("--halves", type=int, default=0, metavar="N")
    arguments = parser.parse_args()
    seed = load_params().seed
    if arguments.halves > 0:
        print_halves(arguments.predictions, arguments.halves, seed)
    else:
        print_rules(arguments.predictions, seed)


if __name__ == "__main__":
    main()
