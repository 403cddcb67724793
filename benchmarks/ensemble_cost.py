"""Cost of five members with three types: one pass of all members, or the members one after another.

    python -m benchmarks.ensemble_cost --notes 200

`one after another`: each member has its own annotator, once for each entity type, as in ensembles without shared
members, or with all its heads in one pass. `one pass`: as in `annotate`. Members are tiny encoders of one tokenizer
family, so that shared work is the largest part; `--base` is a real encoder's folder instead. Times are medians of
`--repeat` alternating rounds.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from enigma_tasks.config import load_params
from enigma_tasks.documents import EntityType
from enigma_tasks.ensembles.folder import read_ensemble, write_ensemble
from enigma_tasks.ensembles.runner import EnsembleAnnotator
from enigma_tasks.ensembles.voting_rule import VotingRule
from enigma_tasks.formats.corpora import read_corpus
from enigma_tasks.ner.model_folder import save_model
from enigma_tasks.ner.training.train import Task, train
from enigma_tasks.params.members import MemberParams

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from enigma_tasks.documents import Document

MEMBERS = 5


def members(root: Path, documents: Sequence[Document], base: str | None) -> list[Path]:
    """Five folders of multi-head models with different seeds, each after one training step."""
    tiny = load_params().members["tiny"].model_dump()
    changes = {"max_steps": 1} if base is None else {"max_steps": 1, "base": base, "scratch": None}
    member = MemberParams.model_validate({**tiny, **changes})
    folders = [root / str(seed) for seed in range(MEMBERS)]
    for seed, folder in enumerate(folders):
        model, _ = train(Task("es", tuple(EntityType), "bench", member, seed), documents[:60], documents[60:70])
        save_model(model, folder)
    return folders


def timed(work: Callable[[], object]) -> float:
    """Wall seconds."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, default=Path("../shared/corpora/spaccc-es-train"))
    parser.add_argument("--notes", type=int, default=200)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--base", help="folder of a real encoder")
    arguments = parser.parse_args()
    documents = read_corpus(arguments.corpus, "es")
    notes = documents[-arguments.notes :]
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        folders = members(root, documents, arguments.base)
        rule = VotingRule("majority")
        for entity_type in EntityType:
            write_ensemble(root / entity_type.value, "es", entity_type, folders, rule)
            for folder in folders:
                write_ensemble(root / folder.name / entity_type.value, "es", entity_type, [folder], rule)
        tokens = load_params().annotate.batch_tokens

        def annotator(*places: Path) -> EnsembleAnnotator:
            return EnsembleAnnotator([read_ensemble(p) for p in places], tokens)

        per_type = [annotator(folder / t.value) for folder in folders for t in EntityType]
        per_member = [annotator(*(folder / t.value for t in EntityType)) for folder in folders]
        together = annotator(*(root / t.value for t in EntityType))
        ways: dict[str, list[EnsembleAnnotator]] = {
            "one after another, a pass a type": per_type,
            "one after another, a pass a member": per_member,
            "one pass": [together],
        }
        times: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(arguments.repeat):
            for way, annotators in ways.items():
                times[way].append(sum(timed(partial(a.annotate, notes)) for a in annotators))
    medians = {way: statistics.median(seconds) for way, seconds in times.items()}
    print("| way | passes | seconds | one pass takes |\n|---|---:|---:|---:|")
    for way, seconds in medians.items():
        print(f"| {way} | {len(ways[way])} | {seconds:.2f} | {medians['one pass'] / seconds:.1%} |")


if __name__ == "__main__":
    main()
