"""Every voting rule on five real models' predictions, cross-validated over documents, and the best model alone.

    python -m benchmarks.voting_on_published

Strict F1 with 95 % bootstrap intervals over documents. `chosen` is what `enigma ensemble` picks by itself, the picking
cross-validated too. The predictions come without probabilities: `mean` is not among the rules.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from enigma_tasks.config import load_params
from enigma_tasks.corpora import read_text
from enigma_tasks.ner.dev_sets import dev_set
from enigma_tasks.ner.ensemble_fitting import Fitted, Scored, fit_rule, interval_of
from enigma_tasks.ner.standoff import parse_tsv

TYPES = ("disease", "procedure", "symptom")


def fitted(folder: Path, entity: str, seed: int) -> tuple[list[str], Fitted]:
    """Members' names, and the rules on one entity type."""
    files = sorted(p for p in (folder / entity).glob("*.tsv") if p.stem != "gold")
    members = {p.stem: parse_tsv(read_text(p), p.name) for p in files}
    gold = parse_tsv(read_text(folder / entity / "gold.tsv"), "gold.tsv")
    documents = sorted(p.stem for p in (folder / "txt").glob("*.txt"))
    dev = dev_set(entity.upper(), documents, gold, members)
    return list(members), fit_rule(dev, load_params().ensemble, seed)


def cell(scored: Scored, seed: int) -> str:
    """F1 and its interval."""
    interval = interval_of(scored, seed)
    return f"{scored.score.f1:.4f} [{interval.low:.4f}, {interval.high:.4f}]"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--predictions", type=Path, default=Path("../shared/predictions/cardioccc-es"))
    folder = parser.parse_args().predictions
    seed = load_params().seed
    rows: dict[str, list[str]] = {}
    for entity in TYPES:
        names, found = fitted(folder, entity, seed)
        best = max(range(len(names)), key=lambda i: found.singles[i].score.f1)
        rows.setdefault("best model alone", []).append(f"{cell(found.singles[best], seed)} {names[best]}")
        for scored in found.scored:
            rows.setdefault(scored.name, []).append(cell(scored, seed))
        rows.setdefault("chosen by itself", []).append(f"{cell(found.whole, seed)} {found.name}")
    print(f"| rule | {' | '.join(TYPES)} |\n|---|---|---|---|")
    for rule, cells in rows.items():
        print(f"| {rule} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
