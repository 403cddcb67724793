"""A corpus -> five members, their ensemble, a student of it: strict F1 on notes none of them saw, and what each costs.

    python -m benchmarks.ensemble_on_real_text --corpus ../shared/corpora/spaccc-es-train --language es \\
        --base ../shared/models/multilingual-e5-small-latin --unlabelled ../shared/corpora/raw/e3c-es-layer3.jsonl

80 % of the cases to train on, a twentieth of them kept as dev (the best epoch, the voting rule); scored once on the
other 20 %. Members differ from `plain` (`e5-small` with softmax heads) in one thing, those with CRF heads from `crf`;
the table says what each option gains, by a paired bootstrap over the test documents. Five of those vote.
Everything runs by the command line. With `--keep FOLDER`, what is there already is not made again.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.strict_f1_on_real_text import SHARES, enigma, settings
from enigma_tasks import artifacts
from enigma_tasks.annotators.ensemble import EnsembleAnnotator
from enigma_tasks.config import load_params
from enigma_tasks.corpora import read_corpus
from enigma_tasks.documents import Document, Entity, EntityType
from enigma_tasks.ner.ensembles import read_ensemble, write_ensemble
from enigma_tasks.ner.scoring import Counts, bootstrap, count, paired_bootstrap
from enigma_tasks.ner.voting import VotingRule

MEMBER = "e5-small"
RECIPES: dict[str, tuple[str, ...]] = {
    "plain": ("head=softmax",),
    "noise": ("head=softmax", "noise_share=0.5", "noise_tokens=0.15"),
    "context": ("head=softmax", "context_tokens=16"),
    "windows": ("head=softmax", "chunker=window", "overlap_tokens=32"),
    "layers": ("head=softmax", "head_layers=1"),
    "crf": ("head=crf",),
    "crf-seed": ("head=crf",),
    "crf-context": ("head=crf", "context_tokens=16"),
    "crf-windows": ("head=crf", "chunker=window", "overlap_tokens=32"),
    "crf-layers": ("head=crf", "head_layers=1"),
    "crf-first": ("head=crf", "word_label=first"),
}
"""Settings of the member by name; `windows` and `crf-seed` have another seed as well."""
VOTERS = ("crf", "crf-seed", "crf-context", "crf-windows", "crf-layers")
OTHER_SEED = {"windows": 1, "crf-seed": 1}
TYPES = tuple(EntityType)


def train(place: Path, name: str, language: str, seed: int, changes: list[str], *more: str) -> None:
    """One model folder under `place`, unless it is there."""
    out = place / name
    if (out / artifacts.MODEL_CARD).exists():
        return
    split = place.parent / "split"
    enigma(
        "train", "--language", language, "--entity", "all", "--member", MEMBER,
        "--train", str(split / "train"), "--dev", str(split / "dev"), "--out", str(out),
        *settings([f"seed={seed}", *(f"members.{MEMBER}.{c}" for c in changes)]), *more,
    )  # fmt: skip


def some_of(source: Path, notes: int, out: Path, seed: int) -> Path:
    """`notes` lines of a JSONL file, drawn by the seed."""
    lines = source.read_text(encoding="utf-8").splitlines()
    out.write_text("\n".join(random.Random(seed).sample(lines, min(notes, len(lines)))) + "\n", encoding="utf-8")
    return out


def counts(gold: list[Document], found: list[tuple[Entity, ...]], entity_type: EntityType) -> list[Counts]:
    """Of each document."""
    label = entity_type.label
    return [
        count(d.of_type(entity_type), [e for e in own if e.label == label]).get(label, Counts())
        for d, own in zip(gold, found, strict=True)
    ]


def annotator(folders: list[Path], tokens: int) -> EnsembleAnnotator:
    """Of ensemble folders."""
    return EnsembleAnnotator([read_ensemble(f) for f in folders], tokens)


def alone(model: Path, place: Path, language: str) -> list[Path]:
    """An ensemble of one member for each type."""
    for entity_type in TYPES:
        write_ensemble(place / entity_type.value, language, entity_type, [model], VotingRule("majority"))
    return [place / t.value for t in TYPES]


def taken(what: list[EnsembleAnnotator], notes: list[Document]) -> float:
    """Seconds."""
    begun = time.perf_counter()
    for each in what:
        each.annotate(notes)
    return time.perf_counter() - begun


def parsed() -> argparse.Namespace:
    """The command's arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--language", required=True)
    parser.add_argument("--base", required=True, help="folder of the encoder")
    parser.add_argument("--unlabelled", type=Path, required=True, help="FILE.jsonl of notes for the student")
    parser.add_argument("--unlabelled-notes", type=int, default=400)
    parser.add_argument("--epochs", type=float, default=1)
    parser.add_argument("--student-epochs", type=float, default=1.5)
    parser.add_argument("--timed-notes", type=int, default=30)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--seed", type=int, default=20260611)
    parser.add_argument("--keep", type=Path, help="leave the split and the models here, and take up what is there")
    return parser.parse_args()


def main() -> None:
    """Print the tables."""
    arguments = parsed()
    with tempfile.TemporaryDirectory() as scratch:
        place: Path = arguments.keep or Path(scratch)
        made(arguments, place)
        test = read_corpus(place / "split" / "test", arguments.language)
        tokens = load_params().annotate.batch_tokens
        names = [*RECIPES, "student"]
        singles = {n: alone(place / "members" / n, Path(scratch) / n, arguments.language) for n in names}
        together = [place / "ensemble" / t.value for t in TYPES]
        found = {n: [a.entities for a in annotator(f, tokens).annotate(test)] for n, f in singles.items()}
        found["ensemble"] = [a.entities for a in annotator(together, tokens).annotate(test)]
        scored = {n: {t: counts(test, f, t) for t in TYPES} for n, f in found.items()}
        members_table(scored, arguments.seed)
        ensemble_table(scored, arguments.seed)
        costs(singles, together, test[: arguments.timed_notes], tokens, arguments.repetitions)


def made(arguments: argparse.Namespace, place: Path) -> None:
    """Split, members, ensemble and student, each unless it is there."""
    language, base, seed = arguments.language, f"base={arguments.base}", arguments.seed
    if not (place / "split").exists():
        enigma("split", str(arguments.corpus), "--out", str(place / "split"), *settings([f"seed={seed}", *SHARES]))
    for name, changes in RECIPES.items():
        train(
            place / "members",
            name,
            language,
            OTHER_SEED.get(name, seed),
            [base, f"epochs={arguments.epochs}", *changes],
        )
    if not (place / "ensemble").exists():
        models = [word for name in VOTERS for word in ("--model", str(place / "members" / name))]
        done = enigma(
            "ensemble", "--language", language, "--entity", "all", *models,
            "--gold", str(place / "split" / "dev"), "--out", str(place / "ensemble"), *settings([f"seed={seed}"]),
        )  # fmt: skip
        (place / "ensemble.json").write_text(json.dumps(done, indent=1), encoding="utf-8")
    texts = some_of(arguments.unlabelled, arguments.unlabelled_notes, place / "unlabelled.jsonl", seed)
    train(
        place / "members", "student", language, seed, [base, f"epochs={arguments.student_epochs}"],
        "--teacher", str(place / "ensemble"), "--unlabelled", f"{language}={texts}",
    )  # fmt: skip


def f1(documents: list[Counts]) -> float:
    """Strict F1 over all documents, in points."""
    return 100 * sum(documents, Counts()).strict.f1


def members_table(scored: dict[str, dict[EntityType, list[Counts]]], seed: int) -> None:
    """Each member and what it gains over the one that it differs from."""
    print("| member | " + " | ".join(f"{t.value} | gain" for t in TYPES) + " | over |")
    print("|---|" + "---:|---|" * len(TYPES) + "---|")
    for name in RECIPES:
        against = "" if name == "plain" else "crf" if name.startswith("crf-") else "plain"
        cells = []
        for t in TYPES:
            gain = paired_bootstrap(scored[against or name][t], scored[name][t], seed)
            low, high = 100 * gain.interval.low, 100 * gain.interval.high
            said = f"{100 * gain.difference:+.1f} ({low:+.1f} to {high:+.1f})" if against else ""
            cells.append(f"{f1(scored[name][t]):.1f} | {said}")
        print(f"| {name} | {' | '.join(cells)} | {against} |")


def ensemble_table(scored: dict[str, dict[EntityType, list[Counts]]], seed: int) -> None:
    """The ensemble against its best member, the student against the ensemble."""
    print("\n| type | best member | ensemble | gain | student | share of the ensemble's |\n|---|---|---|---|---|---:|")
    for t in TYPES:
        best = max(VOTERS, key=lambda name: f1(scored[name][t]))
        gain = paired_bootstrap(scored[best][t], scored["ensemble"][t], seed)
        cells = [t.value, f"{f1(scored[best][t]):.1f} ({best})"]
        for name in ("ensemble", "student"):
            interval = bootstrap(scored[name][t], seed)
            cells.append(f"{f1(scored[name][t]):.1f} ({100 * interval.low:.1f} to {100 * interval.high:.1f})")
        low, high = 100 * gain.interval.low, 100 * gain.interval.high
        cells.insert(3, f"{100 * gain.difference:+.1f} ({low:+.1f} to {high:+.1f})")
        cells.append(f"{f1(scored['student'][t]) / f1(scored['ensemble'][t]):.1%}")
        print(f"| {' | '.join(cells)} |")


def costs(
    singles: dict[str, list[Path]], together: list[Path], test: list[Document], tokens: int, repetitions: int
) -> None:
    """Seconds to annotate the test notes, loading not counted."""
    ways = {
        "members one after another, a pass a type": [annotator([f], tokens) for n in VOTERS for f in singles[n]],
        "members one after another, all types in a pass": [annotator(singles[n], tokens) for n in VOTERS],
        "ensemble, one pass": [annotator(together, tokens)],
        "student": [annotator(singles["student"], tokens)],
    }
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(repetitions):
        for way, annotators in ways.items():
            seconds[way].append(taken(annotators, test))
    whole = statistics.median(seconds["ensemble, one pass"])
    print(f"\n{len(test)} notes\n| way | seconds | times the ensemble |\n|---|---:|---:|")
    for way, values in seconds.items():
        print(f"| {way} | {statistics.median(values):.1f} | {statistics.median(values) / whole:.2f} |")


if __name__ == "__main__":
    main()
