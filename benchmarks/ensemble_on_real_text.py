"""Strict F1 on held-out notes, and cost, of five members, their ensemble, and a student distilled from it.

    python -m benchmarks.ensemble_on_real_text --corpus ../shared/corpora/spaccc-es-train --language es \\
        --base ../shared/models/multilingual-e5-small-latin --unlabelled ../shared/corpora/raw/e3c-es-layer3.jsonl

80 % of the cases are for training, a twentieth of them is dev (for the best epoch and the voting rule); scored once on
the other 20 %. Members differ from `plain` (`e5-small` with softmax heads) in one option, those with CRF heads from
`crf`; the table has the gain of each option, with a paired bootstrap over the test documents. Five of them are the
first ensemble; `crf` and four members trained from it with its lower layers frozen are the second. Everything runs by
the command line. With `--keep FOLDER`, existing models are reused.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.strict_f1_on_real_text import SHARES, enigma, settings
from enigma_tasks import artifacts
from enigma_tasks.config import load_params
from enigma_tasks.documents import Document, Entity, EntityType
from enigma_tasks.ensembles.folder import read_ensemble, write_ensemble
from enigma_tasks.ensembles.runner import EnsembleAnnotator
from enigma_tasks.ensembles.voting_rule import VotingRule
from enigma_tasks.formats.corpora import read_corpus
from enigma_tasks.ner.scoring import Counts, bootstrap, count, paired_bootstrap

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
    "crf-frozen": ("head=crf", "frozen_layers=6"),
    "grown-seed": ("head=crf", "frozen_layers=8"),
    "grown-layers": ("head=crf", "head_layers=1", "frozen_layers=8"),
    "grown-noise": ("head=crf", "noise_share=0.5", "noise_tokens=0.15", "frozen_layers=8"),
    "grown-softmax": ("head=softmax", "frozen_layers=8"),
}
"""Settings by member; the base of `grown-*` is `crf`."""
OTHER_SEED = {"windows": 1, "crf-seed": 1, "grown-seed": 1, "grown-noise": 2, "grown-softmax": 3}
ENSEMBLES = {
    "ensemble": ("crf", "crf-seed", "crf-context", "crf-windows", "crf-layers"),
    "trunk": ("crf", "grown-seed", "grown-layers", "grown-noise", "grown-softmax"),
}
"""The student is distilled from the first; members of the second share two thirds of their layers."""
TYPES = tuple(EntityType)
ALL = "all types"
Scored = dict[str, dict[str, list[Counts]]]
"""Member, student or ensemble -> type, or all types -> counts of each document."""


def train(place: Path, name: str, language: str, seed: int, changes: list[str], *more: str) -> None:
    """Train one model under `place`, unless it exists."""
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
        together = {name: [place / name / t.value for t in TYPES] for name in ENSEMBLES}
        found = {n: [a.entities for a in annotator(f, tokens).annotate(test)] for n, f in singles.items()}
        found |= {n: [a.entities for a in annotator(f, tokens).annotate(test)] for n, f in together.items()}
        scored: Scored = {n: {t.value: counts(test, f, t) for t in TYPES} for n, f in found.items()}
        for of_types in scored.values():
            of_types[ALL] = [sum(of_one, Counts()) for of_one in zip(*of_types.values(), strict=True)]
        members_table(scored, arguments.seed)
        ensemble_table(scored, arguments.seed)
        costs(singles, together, test[: arguments.timed_notes], tokens, arguments.repetitions)


def made(arguments: argparse.Namespace, place: Path) -> None:
    """Create split, members, ensembles and student, unless they exist."""
    language, base, seed = arguments.language, f"base={arguments.base}", arguments.seed
    if not (place / "split").exists():
        enigma("split", str(arguments.corpus), "--out", str(place / "split"), *settings([f"seed={seed}", *SHARES]))
    for name, changes in RECIPES.items():
        own = f"base={place / 'members' / 'crf'}" if name.startswith("grown-") else base
        epochs = f"epochs={arguments.epochs}"
        train(place / "members", name, language, OTHER_SEED.get(name, seed), [own, epochs, *changes])
    for name, voters in ENSEMBLES.items():
        if (place / name).exists():
            continue
        models = [word for voter in voters for word in ("--model", str(place / "members" / voter))]
        enigma(
            "ensemble", "--language", language, "--entity", "all", *models,
            "--gold", str(place / "split" / "dev"), "--out", str(place / name), *settings([f"seed={seed}"]),
        )  # fmt: skip
    texts = some_of(arguments.unlabelled, arguments.unlabelled_notes, place / "unlabelled.jsonl", seed)
    train(
        place / "members", "student", language, seed, [base, f"epochs={arguments.student_epochs}"],
        "--teacher", str(place / "ensemble"), "--unlabelled", f"{language}={texts}",
    )  # fmt: skip


def f1(documents: list[Counts]) -> float:
    """Strict F1 over all documents, in points."""
    return 100 * sum(documents, Counts()).strict.f1


def members_table(scored: Scored, seed: int) -> None:
    """Print each member with its gain over the one that it differs from."""
    print("| member | " + " | ".join(f"{t.value} | gain" for t in TYPES) + " | over |")
    print("|---|" + "---:|---|" * len(TYPES) + "---|")
    for name in RECIPES:
        against = "" if name == "plain" else "crf" if "-" in name else "plain"
        cells = []
        for t in TYPES:
            said = gain_over(scored[against][t.value], scored[name][t.value], seed) if against else ""
            cells.append(f"{f1(scored[name][t.value]):.1f} | {said}")
        print(f"| {name} | {' | '.join(cells)} | {against} |")


def gain_over(before: list[Counts], after: list[Counts], seed: int) -> str:
    """In points, with its interval."""
    gain = paired_bootstrap(before, after, seed)
    return f"{100 * gain.difference:+.1f} ({100 * gain.interval.low:+.1f} to {100 * gain.interval.high:+.1f})"


def with_interval(documents: list[Counts], seed: int) -> str:
    """Strict F1 in points, with its interval."""
    interval = bootstrap(documents, seed)
    return f"{f1(documents):.1f} ({100 * interval.low:.1f} to {100 * interval.high:.1f})"


def ensemble_table(scored: Scored, seed: int) -> None:
    """Print each ensemble against its best member, and the student against the first ensemble."""
    print("\n| ensemble | type | best member | ensemble's strict F1 | gain |\n|---|---|---|---|---|")
    for name, voters in ENSEMBLES.items():
        for t in (*(t.value for t in TYPES), ALL):
            best = max(voters, key=lambda voter: f1(scored[voter][t]))
            cells = [name, t, f"{best}, {f1(scored[best][t]):.1f}", with_interval(scored[name][t], seed)]
            print(f"| {' | '.join(cells)} | {gain_over(scored[best][t], scored[name][t], seed)} |")
    print("\n| type | student | share of the ensemble's |\n|---|---|---:|")
    for t in (*(t.value for t in TYPES), ALL):
        share = f1(scored["student"][t]) / f1(scored["ensemble"][t])
        print(f"| {t} | {with_interval(scored['student'][t], seed)} | {share:.1%} |")


def costs(
    singles: dict[str, list[Path]],
    together: dict[str, list[Path]],
    test: list[Document],
    tokens: int,
    repetitions: int,
) -> None:
    """Seconds for annotating the test notes, with all models loaded."""
    ways = {
        "ensemble, a pass for each member and type": [
            annotator([f], tokens) for v in ENSEMBLES["ensemble"] for f in singles[v]
        ]
    }
    for name, voters in ENSEMBLES.items():
        ways[f"{name}, a pass for each member"] = [annotator(singles[v], tokens) for v in voters]
        ways[f"{name}, one pass"] = [annotator(together[name], tokens)]
    ways["student"] = [annotator(singles["student"], tokens)]
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(repetitions):
        for way, annotators in ways.items():
            seconds[way].append(taken(annotators, test))
    middle = {way: statistics.median(values) for way, values in seconds.items()}
    print(f"\n{len(test)} notes\n| way | seconds | " + " | ".join(f"times {n}" for n in ENSEMBLES) + " |")
    print("|---|---:|" + "---:|" * len(ENSEMBLES))
    for way, value in middle.items():
        shares = [f"{value / middle[f'{n}, one pass']:.2f}" for n in ENSEMBLES]
        print(f"| {way} | {value:.1f} | {' | '.join(shares)} |")


if __name__ == "__main__":
    main()
