"""Seconds of Enigma's engine, of transformers' pipeline and of EDS-NLP on notes, with the same encoder weights.

    OMP_NUM_THREADS=2 python -m benchmarks.engine_against_peers --base ../shared/models/multilingual-e5-small-latin

All read the same notes in chunks of 128 sub-words, a new chunk every 96, as EDS-NLP does by default. `sentences` is the
engine with the chunker that packs complete sentences, which needs no overlap. The pipeline gets `stride`, without which
it reads only the first chunk of each note. Heads are each library's own. Each peer runs in its own process, EDS-NLP in
a virtual environment created here with the same torch and transformers. The lower bound is the time of the encoder's
linear layers only, in bfloat16, on as many sub-words as in the engine's overlapping chunks. With `--model FOLDER`, a
trained model with softmax heads, the pipeline has its heads too (an untrained head finds entities at every other word,
which takes time that trained models do not need), and strict F1 in float32 and bfloat16 is printed.

Runs alternate; figures are medians. The machine should be otherwise idle.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.functional import linear

from enigma_tasks.documents import Document, EntityType
from enigma_tasks.formats.corpora import CorpusReport, read_corpus
from enigma_tasks.ner import scoring
from enigma_tasks.ner.batching import windows_of
from enigma_tasks.ner.engine import Engine
from enigma_tasks.ner.model_folder import Model, load_model
from enigma_tasks.ner.training.train import Task, train
from enigma_tasks.params.members import MemberParams

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

WINDOW, OVERLAP = 128, 32
_BATCHES = (4, 8, 16, 32)
_EDSNLP = "edsnlp[ml]==0.23.0"


def sample(corpus: Path, count: int, seed: int) -> list[Document]:
    """The notes, independent of the order in which the folder is listed."""
    documents = sorted(read_corpus(corpus, language="es", report=CorpusReport()), key=lambda d: d.id)
    random.Random(seed).shuffle(documents)
    return documents[:count]


def quick_model(base: Path, documents: Sequence[Document], **changes: Any) -> Model:
    """A model after one training step on one note; its quality does not affect the time."""
    values = {"base": str(base), "window_tokens": WINDOW, "overlap_tokens": OVERLAP, "learning_rate": 1e-5}
    recipe = MemberParams.model_validate({**values, "batch_size": 2, "epochs": 1, "max_steps": 1, **changes})
    task = Task("es", tuple(EntityType), "benchmark", recipe, 7)
    return train(task, documents[:1], documents[1:2])[0]


def chunked(model: Model, chunker: str) -> Model:
    """The same model with another chunker."""
    shape = {"chunker": chunker, "window_tokens": WINDOW, "overlap_tokens": OVERLAP}
    recipe = model.card.recipe.model_copy(update=shape)
    return replace(model, card=model.card.model_copy(update={"recipe": recipe}))


def pipeline_folder(model: Model, folder: Path) -> Path:
    """The same encoder, float32, as a checkpoint of `transformers`, with a head of seven tags."""
    from transformers import AutoModelForTokenClassification

    config: Any = model.network.encoder.config
    config.id2label = dict(enumerate(["O", *(f"{t}-{e.label}" for e in EntityType for t in "BI")]))
    config.label2id = {label: i for i, label in config.id2label.items()}
    network = AutoModelForTokenClassification.from_config(config, dtype=torch.float32)
    network.base_model.load_state_dict(model.network.encoder.state_dict(), strict=True)
    network.classifier.load_state_dict(seven_tags(model))
    network.save_pretrained(folder)
    model.tokenizer.pretrained.model_max_length = WINDOW
    model.tokenizer.pretrained.save_pretrained(folder)
    return folder


def seven_tags(model: Model) -> dict[str, torch.Tensor]:
    """The softmax heads as one linear layer: O scores 0, B and I of a type their head's scores minus that of O."""
    of_types = [head[-1] for head in model.network.heads.of_types]  # type: ignore[index]
    weight = torch.cat([h.weight[1:] - h.weight[0] for h in of_types]) / model.network.standardise.spread
    bias = torch.cat([h.bias[1:] - h.bias[0] for h in of_types]) - weight @ model.network.standardise.mean
    nothing = torch.zeros(1)
    return {"weight": torch.cat([nothing.expand(1, weight.shape[1]), weight]), "bias": torch.cat([nothing, bias])}


def pipeline_child(scratch: Path, texts: list[str], folder: Path) -> subprocess.Popen[str]:
    """A child process that runs texts through transformers' pipeline, once for each input line."""
    script = str(Path(__file__).with_name("pipeline_child.py"))
    return ready([sys.executable, script, written(scratch, texts), str(folder), str(OVERLAP)])


def edsnlp_child(scratch: Path, texts: list[str], encoder: Path) -> subprocess.Popen[str]:
    """A child process that runs all texts through EDS-NLP, once for each input line."""
    venv, uv = scratch / "edsnlp", [sys.executable, "-m", "uv"]
    links = ["--find-links", os.environ["PIP_FIND_LINKS"]] if "PIP_FIND_LINKS" in os.environ else []
    if not (venv / "bin" / "python").exists():
        subprocess.run([*uv, "venv", "-q", "--python", sys.executable, str(venv)], check=True)
    pins = [f"torch=={version('torch').partition('+')[0]}", f"transformers=={version('transformers')}"]
    install = [*uv, "pip", "install", "-q", "--python", str(venv / "bin" / "python"), _EDSNLP, *pins, *links]
    subprocess.run(install, check=True)
    script = str(Path(__file__).with_name("edsnlp_child.py"))
    return ready([str(venv / "bin" / "python"), script, written(scratch, texts), str(encoder)])


def written(scratch: Path, texts: list[str]) -> str:
    """The file from which child processes read the texts."""
    given = scratch / "texts.json"
    given.write_text(json.dumps(texts), encoding="utf-8")
    return str(given)


def ready(command: list[str]) -> subprocess.Popen[str]:
    """Start the child process and wait until it is ready."""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    child = subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    while not (line := child.stdout.readline()).startswith("{"):
        if not line:
            assert child.stderr is not None
            raise RuntimeError(child.stderr.read()[-2000:])
    print(f"{Path(command[1]).stem}: {line.strip()}", file=sys.stderr)
    return child


def child_seconds(child: subprocess.Popen[str], line: str) -> float:
    """Seconds of one run, measured by the child process."""
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(f"{line}\n")
    child.stdin.flush()
    return float(child.stdout.readline().split()[0])


def floor(model: Model, tokens: int, batch_tokens: int) -> None:
    """Seconds of the encoder's linear layers only, on so many sub-words."""
    weights = [
        p.detach().to(torch.bfloat16)
        for n, p in model.network.encoder.named_parameters()
        if p.ndim == 2 and "embed" not in n
    ]
    inputs = {size: torch.randn(batch_tokens, size, dtype=torch.bfloat16) for size in {w.shape[1] for w in weights}}
    with torch.inference_mode():
        for done in range(0, tokens, batch_tokens):
            for weight in weights:
                linear(inputs[weight.shape[1]][: min(batch_tokens, tokens - done)], weight)


def sub_words(model: Model, documents: Sequence[Document]) -> int:
    """Number of sub-words of all windows, special tokens included."""
    special = len(model.tokenizer.prefix) + len(model.tokenizer.suffix)
    texts = model.tokenizer.encode([d.text for d in documents])
    return sum(len(w.ids) + special for t, d in zip(texts, documents, strict=True) for w in windows_of(model, t, d))


def seconds(run: Callable[[], object]) -> float:
    """Seconds of one run."""
    begun = time.perf_counter()
    run()
    return time.perf_counter() - begun


def precision_table(model: Model, documents: Sequence[Document], batch_tokens: int) -> None:
    """Print strict F1 of one model in both number formats, and the number of equal spans."""
    types = model.card.entity_types
    found = {p: Engine([model], batch_tokens, p).predict(documents)[0] for p in ("fp32", "bf16")}
    for entity_type in types:
        f1 = {}
        for precision, spans in found.items():
            predicted = {d.id: s for d, s in zip(documents, spans, strict=True)}
            gold = {d.id: d.entities for d in documents}
            counts = scoring.count_documents(gold, predicted, labels=[entity_type.label])
            f1[precision] = scoring.total(counts).strict.f1
        print(f"{entity_type.value}: strict F1 {f1['fp32']:.4f} float32, {f1['bf16']:.4f} bfloat16")
    one, other = (
        {(d.id, e.label, e.span) for d, s in zip(documents, f, strict=True) for e in s} for f in found.values()
    )
    alone = f"in float32 only {len(one - other)}, in bfloat16 only {len(other - one)}"
    print(f"{len(documents)} notes; spans in both {len(one & other)}, {alone}")


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", type=Path, required=True, help="folder of the encoder")
    parser.add_argument("--corpus", type=Path, default=Path("../shared/corpora/spaccc-es-train"))
    parser.add_argument("--notes", type=int, default=60)
    parser.add_argument("--scored", type=int, default=60, help="notes for strict F1 in both number formats")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--batch-tokens", type=int, default=4096)
    parser.add_argument("--scratch", type=Path, help="keeps EDS-NLP's environment between runs")
    parser.add_argument("--model", type=Path, help="a trained model: strict F1 in both number formats")
    arguments = parser.parse_args()
    documents = sample(arguments.corpus, arguments.notes, arguments.seed)
    with tempfile.TemporaryDirectory() as temporary:
        scratch = arguments.scratch or Path(temporary)
        compare(arguments, documents, scratch)
    if arguments.model:
        scored = sample(arguments.corpus, arguments.scored, arguments.seed)
        precision_table(load_model(arguments.model), scored, arguments.batch_tokens)


def compare(arguments: argparse.Namespace, documents: list[Document], scratch: Path) -> None:
    """The table of seconds."""
    texts = [d.text for d in documents]
    given = load_model(arguments.model) if arguments.model else quick_model(arguments.base, documents)
    model, packed = (chunked(given, chunker) for chunker in ("window", "sentence"))
    engine, sentences = (Engine([m], arguments.batch_tokens) for m in (model, packed))
    engine.predict(documents[:4])
    folder = pipeline_folder(model, scratch / "checkpoint")
    hugging, eds = pipeline_child(scratch, texts, folder), edsnlp_child(scratch, texts, folder)
    tokens = sub_words(model, documents)
    best = min(_BATCHES, key=lambda size: child_seconds(hugging, f"{size} 20"))
    runs: dict[str, Callable[[], float]] = {
        "enigma": lambda: seconds(lambda: engine.predict(documents)),
        "enigma, sentences": lambda: seconds(lambda: sentences.predict(documents)),
        "transformers pipeline, defaults": lambda: child_seconds(hugging, "default"),
        f"transformers pipeline, batches of {best}": lambda: child_seconds(hugging, str(best)),
        f"EDS-NLP {_EDSNLP.partition('==')[2]}, defaults": lambda: child_seconds(eds, "run"),
        "bfloat16 products alone": lambda: seconds(lambda: floor(model, tokens, arguments.batch_tokens)),
    }
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for repetition in range(arguments.repetitions):
        for name in list(runs) if repetition % 2 == 0 else reversed(runs):
            taken[name].append(runs[name]())
    for child in (hugging, eds):
        assert child.stdin is not None
        child.stdin.close()
        child.wait()
    ours, characters = statistics.median(taken["enigma"]), sum(map(len, texts))
    print(f"{len(documents)} notes of {arguments.corpus.name}, seed {arguments.seed}: {characters:,} characters,")
    print(f"{tokens:,} sub-words in windows of {WINDOW}; {torch.get_num_threads()} threads, torch {torch.__version__}")
    print(f"{'':<42}{'median s':>9}{'least':>7}{'most':>7}{'x enigma':>10}")
    for name, values in taken.items():
        middle = statistics.median(values)
        print(f"{name:<42}{middle:>9.2f}{min(values):>7.2f}{max(values):>7.2f}{middle / ours:>10.2f}")


if __name__ == "__main__":
    main()
