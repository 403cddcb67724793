"""A fourth entity type and an eighth language, added to a copy of the project by data files alone, through a night."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from enigma_tasks.adapters import night_table
from enigma_tasks.adapters.object_store import ObjectStore
from enigma_tasks.config import load_settings, quiet_third_parties
from tests.integration.mlflow_server import mlflow_server

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
MEDICATION = """
[medication]
aliases = ["MEDICAMENTO", "FARMACO"]
meaning = "a drug or other medicinal product"
gliner_labels = ["medication"]
colours = ["#8a4fc0", "#bd8fe8"]
"""
LANGUAGES = "languages:\n"
PORTUGUESE = "  pt: {name: Portuguese, augmentation: oversample}\n"
PORTUGUESE_RULES = """\
aliases: [po]
neighbours: [gl, es]
stop_words: a o as os de da do em com
sentences:
  never_end: dra sra
  starters: a o foi
"""
MENTIONS = {
    "pneumonia": "DISEASE",
    "radiografia de tórax": "PROCEDURE",
    "febre": "SYMPTOM",
    "tosse": "SYMPTOM",
    "amoxicilina": "MEDICAMENTO",  # an alias, as annotation files may have it
    "paracetamol": "Medication",
}
NOTES = {
    "train": [
        "Refere febre e tosse. Foi diagnosticada pneumonia. Realizou radiografia de tórax. Iniciou amoxicilina.",
        "Doente com pneumonia e febre alta. Radiografia de tórax sem alterações. Mantém paracetamol e amoxicilina.",
        "Internada por tosse. A radiografia de tórax confirma pneumonia. A febre cedeu com paracetamol.",
    ],
    "dev": ["Recorre por febre. Tem tosse e pneumonia na radiografia de tórax. Alta com amoxicilina e paracetamol."],
}
NIGHT = "2026-06-11"
DROPS = {
    f"pt/{NIGHT}/carta-1.txt": "Doente com febre. Foi diagnosticada pneumonia. Iniciou amoxicilina e paracetamol.",
    f"auto/{NIGHT}/carta-2.txt": "A senhora não refere dor. Tem febre e tosse há três dias. Realizou radiografia de "
    "tórax, que confirma pneumonia, e iniciou amoxicilina.",
}


def write_corpus(folder: Path, notes: list[str]) -> None:
    folder.mkdir(parents=True)
    for i, text in enumerate(notes):
        spans = sorted(
            (at, at + len(word), label)
            for word, label in MENTIONS.items()
            for at in range(len(text))
            if text.lower().startswith(word, at)
        )
        lines = [f"T{n}\t{label} {a} {b}\t{text[a:b]}\n" for n, (a, b, label) in enumerate(spans, 1)]
        (folder / f"{folder.name}-{i}.txt").write_text(text, encoding="utf-8")
        (folder / f"{folder.name}-{i}.ann").write_text("".join(lines), encoding="utf-8")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The project as git has it, with the type and the language added."""
    copy = tmp_path / "project"
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, copy / name)
    types, params = copy / "enigma_tasks/entity_types.toml", copy / "params.yaml"
    types.write_text(types.read_text("utf-8") + MEDICATION, "utf-8")
    assert params.read_text("utf-8").count(LANGUAGES) == 1
    params.write_text(params.read_text("utf-8").replace(LANGUAGES, LANGUAGES + PORTUGUESE), "utf-8")
    (copy / "enigma_tasks/languages/pt.yaml").write_text(PORTUGUESE_RULES, "utf-8")
    return copy


class Project:
    """The copy's command line."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "enigma_tasks", *map(str, arguments), "--json", "--quiet"]
        environment = {**os.environ, "PYTHONPATH": str(self.folder)}
        return subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=600)

    def done(self, *arguments: str | Path) -> dict[str, Any]:
        done = self.run(*arguments)
        assert done.returncode == 0, done.stderr
        report: dict[str, Any] = json.loads(done.stdout)
        return report


def test_samples_of_what_no_lexicon_knows_are_refused(project: Path, tmp_path: Path) -> None:
    enigma = Project(project)
    asked = ["sample", "--notes", "4", "--seed", "1", "--out", tmp_path / "out", "--language"]
    no_lexicon = enigma.run(*asked, "pt")
    assert no_lexicon.returncode == 2
    assert "no synthetic notes in 'pt'; there are: cs, en, es" in no_lexicon.stderr
    no_terms = enigma.run(*asked, "es")
    assert no_terms.returncode == 2
    assert "the lexicon of es has no terms for medication" in no_terms.stderr
    assert not (tmp_path / "out").exists()
    texts = enigma.done(*asked, "es", "--drop-date", NIGHT)
    assert (texts["notes"], texts["spans"]["medication"]) == (4, 0)
    assert not list((tmp_path / "out").rglob("*.ann"))


def test_a_night_marks_the_new_type_in_the_new_language(
    project: Path, tmp_path: Path, s3_root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    quieted: dict[str, str] = {}
    quiet_third_parties(quieted)
    for name, value in {**quieted, "OMP_NUM_THREADS": "1", "ENIGMA_CACHE": str(tmp_path / "cache")}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MLFLOW_BOTO_CLIENT_ADDRESSING_STYLE", "path")
    enigma, store, settings = Project(project), ObjectStore(), load_settings()
    for split, notes in NOTES.items():
        write_corpus(tmp_path / split, notes)
    trained = enigma.done(
        "train", "--language", "po", "--entity", "all", "--member", "tiny", "--train", tmp_path / "train",
        "--dev", tmp_path / "dev", "--out", tmp_path / "model", "--set", "members.tiny.epochs=40",
        "--set", "members.tiny.batch_size=1", "--set", "members.tiny.scratch.vocabulary=300",
        "--set", "members.tiny.scratch.min_notes=1",
    )  # fmt: skip
    assert [row["entity"] for row in trained["dev"]] == ["disease", "procedure", "symptom", "medication"]
    for name, text in DROPS.items():
        store.put(f"{settings.drops}/{name}", text.encode())
    with mlflow_server(tmp_path / "mlflow", f"{s3_root}/mlflow") as url:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", url)
        enigma.done("register", "--language", "pt", "--entity", "all", "--model", tmp_path / "model", "--first")
        plan = enigma.done("plan", "--batch", NIGHT)
        (shard,) = plan["shards"]
        assert enigma.done("annotate", "--shard", shard)["counts"]["annotated"] == len(DROPS)
        enigma.done("publish", "--batch", NIGHT)
        page = enigma.done("monitor", "--batch", NIGHT)["page"]

    spans = night_table.read_spans(settings.tables, NIGHT).to_pylist()
    texts = {name.rsplit("/", 1)[1].removesuffix(".txt"): text for name, text in DROPS.items()}
    assert {row["note_id"] for row in spans if row["label"] == "MEDICATION"} == set(texts)
    for row in spans:
        assert texts[row["note_id"]][row["char_start"] : row["char_end"]] == row["text"]
        assert row["model"] == f"enigma-pt-{row['label'].lower()}/1"
    assert {"amoxicilina", "paracetamol"} <= {row["text"] for row in spans if row["label"] == "MEDICATION"}
    annotations = [store.get(info.uri).decode() for info in store.list(f"{settings.annotations}/pt/")]
    assert len(annotations) == len(DROPS)
    assert all("\tMEDICATION " in written for written in annotations)
    html = store.get(page).decode()
    assert "Medication</th>" in html
    assert "--t3: #8a4fc0;" in html
    assert "Portuguese" in html
