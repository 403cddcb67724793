"""Sub-words per second of `enigma train`'s loop and of transformers' Trainer, with the same encoder.

    OMP_NUM_THREADS=2 python -m benchmarks.training_against_trainer --base ../shared/models/multilingual-e5-small-latin

Trainer is used as in the library's token classification example: a sentence per row, padded to the maximum length,
float32. In the last line it gets the rows of Enigma's loop instead, with packed sentences. It needs `accelerate`, and
runs in a virtual environment created here, with the same torch and transformers. Padding and special tokens are not
counted. The machine should be otherwise idle.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from benchmarks.engine_against_peers import pipeline_folder, quick_model, sample
from enigma_tasks.documents import EntityType
from enigma_tasks.ner.batching import examples
from enigma_tasks.ner.text.sentences import split_sentences
from enigma_tasks.ner.training.train import Task, train

if TYPE_CHECKING:
    from collections.abc import Sequence

    from enigma_tasks.documents import Document
    from enigma_tasks.ner.model_folder import Model


def rows(model: Model, documents: Sequence[Document]) -> list[tuple[list[int], list[int]]]:
    """Ids with special tokens, and labels of seven tags on each word's first sub-word, per window."""
    prefix, suffix = list(model.tokenizer.prefix), list(model.tokenizer.suffix)
    made = []
    for example in examples(model, documents).windows:
        labels, before = [], -1
        for owner in example.window.owner.tolist():
            tag = -100
            if owner >= 0 and owner != before:
                tags = example.tags[owner].tolist()
                tag = next((2 * k + t for k, t in enumerate(tags) if t > 0), 0)
                before = owner
            labels.append(tag)
        ids = prefix + example.window.ids.tolist() + suffix
        made.append((ids, [-100] * len(prefix) + labels + [-100] * len(suffix)))
    return made


def trainer_environment(scratch: Path) -> str:
    """The python of a virtual environment with the requirements of Trainer."""
    python, uv = scratch / "trainer" / "bin" / "python", [sys.executable, "-m", "uv"]
    links = ["--find-links", os.environ["PIP_FIND_LINKS"]] if "PIP_FIND_LINKS" in os.environ else []
    if not python.exists():
        subprocess.run([*uv, "venv", "-q", "--python", sys.executable, str(scratch / "trainer")], check=True)
    wanted = [f"torch=={version('torch').partition('+')[0]}", f"transformers=={version('transformers')}", "accelerate"]
    subprocess.run([*uv, "pip", "install", "-q", "--python", str(python), *wanted, *links], check=True)
    return str(python)


def trainer_speed(model: Model, documents: Sequence[Document], scratch: Path, size: int, steps: int) -> float:
    """Sub-words per second, without padding."""
    recipe = model.card.recipe
    special = len(model.tokenizer.prefix) + len(model.tokenizer.suffix)
    windows = rows(model, documents)
    given = scratch / "windows.json"
    given.write_text(
        json.dumps({"batch_size": size, "window": recipe.window_tokens, "steps": steps, "windows": windows})
    )
    child = str(Path(__file__).with_name("trainer_child.py"))
    command = [trainer_environment(scratch), child, str(given), str(scratch / "checkpoint"), str(scratch / "trained")]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    found = json.loads(done.stdout.splitlines()[-1])
    return float(found["windows"] * (found["tokens_per_window"] - special) / found["seconds"])


def one_by_one(documents: Sequence[Document]) -> list[Document]:
    """Each sentence as a separate document, as in the library's example."""
    made = []
    for d in documents:
        for start, end in split_sentences(d.text, "es"):
            inside = [e for e in d.entities if start <= e.char_start and e.char_end <= end]
            moved = tuple(replace(e, char_start=e.char_start - start, char_end=e.char_end - start) for e in inside)
            made.append(replace(d, id=f"{d.id}-{start}", text=d.text[start:end], entities=moved))
    return made


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", type=Path, required=True, help="folder of the encoder")
    parser.add_argument("--corpus", type=Path, default=Path("../shared/corpora/spaccc-es-train"))
    parser.add_argument("--notes", type=int, default=60)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--window", type=int, default=128)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--scratch", type=Path, help="keeps Trainer's environment between runs")
    arguments = parser.parse_args()
    documents = sample(arguments.corpus, arguments.notes + 1, arguments.seed)
    training, dev = documents[:-1], documents[-1:]
    size, steps = arguments.batch_size, arguments.steps
    same = {"window_tokens": arguments.window, "overlap_tokens": 0, "chunker": "sentence", "batch_size": size}
    speeds: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as temporary:
        scratch = arguments.scratch or Path(temporary)
        model = quick_model(arguments.base, documents, **same)
        pipeline_folder(model, scratch / "checkpoint")
        for precision in ("bf16", "fp32"):
            recipe = model.card.recipe.model_copy(
                update={"base": str(arguments.base), "max_steps": steps, "precision": precision}
            )
            _, progress = train(Task("es", tuple(EntityType), "benchmark", recipe, arguments.seed), training, dev)
            speeds[f"enigma train, {precision}"] = progress.tokens / progress.training_seconds
        singles = one_by_one(training)
        speeds["Trainer, a sentence a row"] = trainer_speed(model, singles, scratch, size, steps)
        speeds["Trainer, enigma's packed rows"] = trainer_speed(model, training, scratch, size, steps)
    print(f"{arguments.notes} notes of {arguments.corpus.name}, seed {arguments.seed}; {steps} steps of {size} rows")
    print(f"of {arguments.window} sub-words; {torch.get_num_threads()} threads, torch {torch.__version__}")
    for name, speed in speeds.items():
        ratios = [f"{speed / peer:>8.2f}" for n, peer in speeds.items() if n.startswith("Trainer")]
        print(f"{name:<34}{speed:>9,.0f} sub-words/s{''.join(ratios)} x Trainer")


if __name__ == "__main__":
    main()
