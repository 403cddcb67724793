"""Readers of model folders, their own and downloaded ones, and models on strange texts."""

from __future__ import annotations

import hashlib
import json
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from enigma_tasks import artifacts
from enigma_tasks.documents import Document, EntityType
from enigma_tasks.ensembles.folder import read_ensemble, write_ensemble
from enigma_tasks.ensembles.voting_rule import VotingRule
from enigma_tasks.members.gliner import load_checkpoint
from enigma_tasks.ner.base_models import load_base
from enigma_tasks.ner.engine import Engine
from enigma_tasks.ner.model_folder import load_model
from enigma_tasks.notes.references import text_of_bytes
from tests.fuzz.mutations import mutated
from tests.fuzz.reader import MAX_BYTES, Files, Reader, placed_in
from tests.unit.base_builders import base_folder
from tests.unit.gliner_builders import checkpoint
from tests.unit.ner_builders import SENTENCES, model_folder, recipe, trained

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from enigma_tasks.errors import DataError


def files_of(folder: Path) -> Files:
    """Every file below a folder, by its path."""
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@cache
def model_files() -> Files:
    """A model's."""
    with tempfile.TemporaryDirectory() as folder:
        return files_of(model_folder(Path(folder)))


@cache
def ensemble_files() -> Files:
    """Of an ensemble with one member."""
    with tempfile.TemporaryDirectory() as folder:
        model = placed_in(model_files(), Path(folder) / "model")
        write_ensemble(Path(folder) / "e", "es", EntityType("disease"), [model], VotingRule("majority"))
        return files_of(Path(folder) / "e")


def forged_model(rng: random.Random, files: Files) -> Files:
    """One file changed, mostly with its new digest in the card."""
    name = rng.choice([*sorted(files), artifacts.MODEL_CARD])
    files = files | {name: mutated(rng, name, files[name])}
    if name != artifacts.MODEL_CARD and rng.random() < 0.9:
        card = json.loads(files[artifacts.MODEL_CARD])
        card["files"][name] = hashlib.sha256(files[name]).hexdigest()
        files[artifacts.MODEL_CARD] = json.dumps(card).encode()
    return files


def read_model(files: Files, folder: Path) -> list[DataError]:
    """As every command that runs a model does."""
    load_model(placed_in(files, folder / "model"))
    return []


def forged_ensemble(rng: random.Random, files: Files) -> Files:
    """Its card changed: the members are models."""
    return files | {artifacts.ENSEMBLE_CARD: mutated(rng, artifacts.ENSEMBLE_CARD, files[artifacts.ENSEMBLE_CARD])}


def read_ensemble_folder(files: Files, folder: Path) -> list[DataError]:
    """As `annotate` does."""
    read_ensemble(placed_in(files, folder / "ensemble"))
    return []


def downloaded(build: Callable[[Path], Path]) -> list[Files]:
    """The files of a folder as a hub gives it."""
    with tempfile.TemporaryDirectory() as folder:
        return [files_of(build(Path(folder) / "base"))]


def read_base(files: Files, folder: Path) -> list[DataError]:
    """As `train` does."""
    load_base(placed_in(files, folder / "base"), recipe(base="x", scratch=None))
    return []


def read_gliner(files: Files, folder: Path) -> list[DataError]:
    """As `train` and `annotate` do."""
    load_checkpoint(placed_in(files, folder / "base"), None)
    return []


@cache
def engine() -> Engine:
    """With the model of `model_files`."""
    return Engine([trained()], 2000, "fp32")


def annotate_note(files: Files, _: Path) -> list[DataError]:
    """A note that may be read is annotated, whatever its characters are."""
    text = text_of_bytes("n.txt", files["n.txt"], MAX_BYTES)
    (predictions,) = engine().predict([Document("n", text, language="es")])
    for entity in (e for found in predictions for e in found):
        assert text[entity.char_start : entity.char_end] == entity.text
    return []


MODEL_READERS: dict[str, Reader] = {
    "model": Reader(lambda: [model_files()], read_model, 2, forged_model),
    "ensemble": Reader(lambda: [ensemble_files()], read_ensemble_folder, 2, forged_ensemble),
    "base": Reader(lambda: downloaded(base_folder), read_base, 1),
    "gliner": Reader(lambda: downloaded(checkpoint), read_gliner, 1),
    "engine": Reader(lambda: [{"n.txt": " ".join(SENTENCES).encode()}], annotate_note, 0.2),
}
