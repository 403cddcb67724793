"""One table of what the engine and the training reach on a GPU, in at most 8 minutes on an H100.

    python -m benchmarks.gpu --out gpu.md                             # on a machine with a GPU
    python -m benchmarks.gpu --shapes tiny --notes 20 --seconds 0.1   # the same code on a CPU, to see that it runs

Rows: spans of the engine in bfloat16 on the device that differ from float32 on the CPU; sub-words a second and the
share of the device's measured bfloat16 peak, in inference (sorted by length as the engine does, in the notes' order as
`transformers` does, and end to end without padding) and in training, each with the fastest batch that fits into memory;
two processes on one device. Weights are random except those of the spans' model, which is trained here on invented
notes (`--base` and `--corpus`: on real ones). Padding never counts as work. A shape is left out, and said, when time
is up. vLLM is not compared: it has not been run with this script.

It needs torch, transformers, tokenizers, safetensors, numpy and pydantic, and no network.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from benchmarks.gpu_rates import SHAPES, Rates, best_batch, measured_peak, model_of
from benchmarks.packed_attention import kernel
from enigma_tasks.documents import EntityType
from enigma_tasks.formats.corpora import CorpusReport, read_corpus
from enigma_tasks.ner.engine import Engine
from enigma_tasks.ner.model_folder import load_model, save_model
from enigma_tasks.ner.training.optimiser import hardware
from enigma_tasks.ner.training.train import Task, train
from enigma_tasks.params.members import MemberParams, ScratchParams
from enigma_tasks.synthetic.generator import notes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.gpu_rates import Rate
    from enigma_tasks.documents import Document
    from enigma_tasks.ner.engine import Precision
    from enigma_tasks.ner.model_folder import Model

WINDOW = 256
SEED = 7
PROCESSES = 2
BATCH_TOKENS = 16_384


def main() -> None:
    """Print the table, and write it where `--out` says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=[s for s in SHAPES if s != "tiny"])
    parser.add_argument("--notes", type=int, default=600, help="invented notes to measure on")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measurement, at least")
    parser.add_argument("--minutes", type=float, default=8.0, help="no further shape is begun after two thirds of it")
    parser.add_argument("--base", default="", help="base model of the model whose spans are compared")
    parser.add_argument("--corpus", type=Path, help="its gold, in place of invented notes")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--child", choices=("rate", "spans"), help=argparse.SUPPRESS)
    parser.add_argument("--given", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps(_child(arguments)), flush=True)
        return
    lines: list[str] = []
    for line in _table(arguments):
        print(line, flush=True)
        lines.append(line)
    if arguments.out:
        arguments.out.write_text("\n".join(lines) + "\n")


def _table(arguments: argparse.Namespace) -> Iterator[str]:
    begun = time.monotonic()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    documents = list(notes(arguments.notes, ["es"], SEED))
    peak = measured_peak(device)
    known = hardware()
    yield f"{known['device']}, torch {known['torch']}, {platform.machine()}, {known['threads']} threads; bfloat16 peak"
    yield f"of a matrix product: {peak / 1e12:.2f} TFLOP/s; {arguments.notes} invented notes in windows of {WINDOW}."
    yield ""
    yield from _spans(arguments, documents)
    yield ""
    yield "| shape | what | windows a batch | sub-words a second | of the peak | padding |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for name in arguments.shapes:
        if time.monotonic() - begun > 40 * arguments.minutes:
            yield f"| {name} | not measured: the time was up | | | | |"
            continue
        for what, rate in _rates(name, arguments, documents):
            yield (
                f"| {name} | {what} | {rate.windows} | {rate.tokens:,.0f} | {100 * rate.share:.1f} % | "
                f"{100 * rate.padding:.1f} % |"
            )
        alone, together = _processes(name, arguments)
        yield f"| {name} | {PROCESSES} processes, together / one alone | | {together:,.0f} / {alone:,.0f} | | |"
    yield ""
    without = "" if kernel() else "; this torch has no attention over lengths, so windows were read one by one"
    yield f"`end to end` has no padding{without}. {time.monotonic() - begun:.0f} s in all."


def _rates(name: str, arguments: argparse.Namespace, documents: Sequence[Document]) -> Iterator[tuple[str, Rate]]:
    shape = SHAPES[name]
    rates = Rates(model_of(shape, documents, WINDOW), shape, documents, arguments.seconds)
    yield "inference, sorted by length (the engine)", best_batch(lambda n: rates.padded(n, sort=True))
    yield "inference, in the notes' order (transformers)", best_batch(lambda n: rates.padded(n, sort=False))
    yield "inference, end to end", best_batch(rates.packed)
    yield "training, bfloat16 autocast", best_batch(rates.training)


def _processes(name: str, arguments: argparse.Namespace) -> tuple[float, float]:
    """Sub-words a second of one process alone, and of several at once, added up."""

    def at_once(count: int) -> Any:
        given = ["--child", "rate", "--shapes", name, "--notes", str(arguments.notes), "--seconds"]
        command = [sys.executable, "-m", "benchmarks.gpu", *given, str(2 * arguments.seconds)]
        children = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(count)]
        return sum(json.loads(child.communicate()[0])["tokens"] for child in children)

    return at_once(1), at_once(PROCESSES)


def _spans(arguments: argparse.Namespace, documents: Sequence[Document]) -> Iterator[str]:
    """Spans in bfloat16 on this device beside float32 on the CPU, by the same trained model on the same notes."""
    with tempfile.TemporaryDirectory() as scratch:
        folder, gold = Path(scratch) / "model", documents
        if arguments.corpus:
            gold = sorted(read_corpus(arguments.corpus, language="es", report=CorpusReport()), key=lambda d: d.id)
        cut = max(1, len(gold) // 5)
        held_out, training = gold[:cut], gold[cut:]
        save_model(_trained(arguments.base, training, held_out), folder)
        given = Path(scratch) / "given.json"
        given.write_text(json.dumps({"model": str(folder), "texts": [d.text for d in held_out]}))
        slow = _spans_of(given, {"CUDA_VISIBLE_DEVICES": "", "PRECISION": "fp32"})
        fast = _spans_of(given, {"PRECISION": "bf16"})
    different = len(slow ^ fast)
    if not slow | fast:
        yield f"Spans: nothing was compared, as the model found none on {len(held_out)} held-out notes; give it more."
        return
    yield f"Spans on {len(held_out)} held-out notes: {len(slow)} in float32 on the CPU, {len(fast)} in bfloat16 on the"
    yield f"device; {different} in one of the two only ({100 * different / len(slow | fast):.2f} %)."


def _trained(base: str, training: Sequence[Document], held_out: Sequence[Document]) -> Model:
    """A model that finds mentions; `held_out` only chooses the epoch."""
    start: dict[str, Any] = {"base": base, "learning_rate": 3e-5, "warm_start_words": 2_000}
    if not base:
        shape = ScratchParams(vocabulary=2_000, hidden=64, layers=2, heads=2, min_notes=1)
        start = {"base": "scratch", "scratch": shape, "learning_rate": 3e-3}
    recipe = MemberParams(**start, window_tokens=128, overlap_tokens=16, batch_size=16, epochs=8, precision="bf16")
    return train(Task("es", tuple(EntityType), "benchmark", recipe, SEED), training, held_out)[0]


def _spans_of(given: Path, environment: dict[str, str]) -> set[tuple[object, ...]]:
    command = [sys.executable, "-m", "benchmarks.gpu", "--child", "spans", "--given", str(given)]
    found = subprocess.run(command, env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True, check=True)
    return {tuple(span) for span in json.loads(found.stdout)}


def _child(arguments: argparse.Namespace) -> Any:
    if arguments.child == "spans":
        return _read_spans(arguments.given, "fp32" if os.environ["PRECISION"] == "fp32" else "bf16")
    shape = SHAPES[arguments.shapes[0]]
    documents = list(notes(arguments.notes, ["es"], SEED))
    rates = Rates(model_of(shape, documents, WINDOW), shape, documents, arguments.seconds)
    return {"tokens": rates.padded(BATCH_TOKENS // WINDOW, sort=True).tokens}


def _read_spans(given: Path, precision: Precision) -> list[tuple[object, ...]]:
    from enigma_tasks.documents import Document

    tree = json.loads(given.read_text())
    documents = [Document(id=str(i), text=text, language="es") for i, text in enumerate(tree["texts"])]
    (found,) = Engine([load_model(Path(tree["model"]))], BATCH_TOKENS, precision).predict(documents)
    return [(i, e.label, e.char_start, e.char_end) for i, entities in enumerate(found) for e in entities]


if __name__ == "__main__":
    main()
