"""A night with the real engine and tiny trained ensembles; only the registry is a stand-in."""

from __future__ import annotations

import json
import shutil
import threading
from typing import TYPE_CHECKING

import pytest

from enigma_tasks.adapters import champions, mlflow_registry
from enigma_tasks.adapters.llm_endpoint import LlmEndpoints
from enigma_tasks.cli import main
from enigma_tasks.documents import EntityType, entity_at
from enigma_tasks.ensembles.folder import read_ensemble, write_ensemble
from enigma_tasks.ensembles.runner import EnsembleAnnotator
from enigma_tasks.ensembles.voting_rule import VotingRule
from enigma_tasks.formats.corpora import write_corpus
from enigma_tasks.formats.standoff import format_ann
from enigma_tasks.members.gliner import save_gliner
from enigma_tasks.members.gliner_training import train_gliner
from enigma_tasks.members.llm import LlmCard, save_llm
from enigma_tasks.ner.scoring import Counts, count
from enigma_tasks.pages.figures import read_night_record
from enigma_tasks.params.annotators import LlmMemberParams
from enigma_tasks.stages import annotate, monitor
from tests.integration.night_helpers import Nights, pin, stand_in_champions
from tests.integration.test_llm_endpoint import Endpoint, chat
from tests.unit.gliner_builders import checkpoint, gliner_task
from tests.unit.ner_builders import model_folder, notes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from enigma_tasks.notes.plans import Pin


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    """A language model that finds two of the notes' mentions; named in the environment."""
    server = Endpoint()
    named = [("fiebre alta", "symptom"), ("tos seca", "symptom"), ("peste", "symptom")]
    said = json.dumps({"mentions": [{"text": text, "type": kind} for text, kind in named]})
    server.answer = lambda _: chat(said)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    monkeypatch.setenv("ENIGMA_LLM_BASE_URL", server.url)
    monkeypatch.setenv("ENIGMA_LLM_ALLOWED_HOSTS", "127.0.0.1")
    yield server
    server.shutdown()
    server.server_close()


def test_a_night_runs_on_ensembles_of_members_of_all_kinds_fetched_into_the_cache(
    s3_root: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, endpoint: Endpoint
) -> None:
    encoders = [model_folder(tmp_path / f"encoder-{seed}", seed=seed, able=True) for seed in (1, 3)]
    task = gliner_task(checkpoint(tmp_path / "base"), epochs=0)
    save_gliner(train_gliner(task, notes(6), notes(2, 100))[0], tmp_path / "gliner")
    recipe = LlmMemberParams(kind="llm", model="m", language="es", language_name="Spanish", prompt_price=1.0)
    of_all = {"languages": ("es",), "entity_types": tuple(EntityType), "seed": 1, "steps": 0, "best_epoch": 0}
    save_llm(LlmCard(member="llm", recipe=recipe, dev={}, digests={}, **of_all), tmp_path / "llm")
    chosen = {
        EntityType.DISEASE: ([*encoders, tmp_path / "gliner"], VotingRule("weighted", weights=(0.4, 0.3, 0.5))),
        EntityType.PROCEDURE: (encoders, VotingRule("mean")),
        EntityType.SYMPTOM: ([*encoders, tmp_path / "gliner", tmp_path / "llm"], VotingRule("agreement", 2)),
    }
    pins = {}
    for entity_type, (members, rule) in chosen.items():
        digest = write_ensemble(tmp_path / entity_type.value, "es", entity_type, members, rule)
        pins[entity_type.value] = pin(f"enigma-es-{entity_type.value}", "1", digest, "s3://none")

    def fetch(pin: Pin, folder: Path, _: object) -> None:
        shutil.copytree(tmp_path / pin.name.rsplit("-", 1)[1], folder, dirs_exist_ok=True)

    monkeypatch.setenv("ENIGMA_CACHE", str(tmp_path / "cache"))
    engine = annotate._engine
    nights = Nights(monkeypatch)
    monkeypatch.setattr(annotate, "_engine", engine)
    monkeypatch.setattr(champions, "resolve", stand_in_champions({"es": pins}))
    monkeypatch.setattr(mlflow_registry, "_fetch", fetch)
    documents = {d.id: d for d in notes(5, first=200)}
    for document in documents.values():
        nights.drop(f"es/2026-06-11/{document.id}.txt", document.text)
    (shard,) = nights.plan("night-1")["shards"]
    commit = nights.annotate(shard)
    assert commit["counts"]["annotated"] == len(documents)
    assert commit["llm"]["asked"] == len({d.text for d in documents.values()})
    assert commit["llm"]["cost"] == pytest.approx(commit["llm"]["prompt_tokens"] / 1e6)
    nights.night("night-1")
    ensembles = [read_ensemble(tmp_path / t.value) for t in EntityType]
    direct = EnsembleAnnotator(ensembles, 4096, open_endpoint=LlmEndpoints(nights.settings))
    expected = {d.id: direct.annotate([d])[0].entities for d in documents.values()}
    assert {e.label for entities in expected.values() for e in entities} == {t.label for t in EntityType}
    found = {(r["note_id"], r["label"], r["char_start"], r["char_end"]) for r in nights.spans()}
    assert found == {(k, e.label, *e.span) for k, entities in expected.items() for e in entities}


def test_what_the_engine_finds_is_what_tables_and_files_hold(
    s3_root: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    model = model_folder(tmp_path / "model", able=True)
    pins = {}
    for entity_type in EntityType:
        folder = tmp_path / entity_type.value
        digest = write_ensemble(folder, "es", entity_type, [model], VotingRule("majority"))
        pins[entity_type.value] = pin(f"enigma-es-{entity_type.value}", "1", digest, "s3://none")
    engine = annotate._engine
    nights = Nights(monkeypatch)
    monkeypatch.setattr(annotate, "_engine", engine)
    monkeypatch.setattr(champions, "resolve", stand_in_champions({"es": pins}))
    monkeypatch.setattr(mlflow_registry, "download", lambda pin, cache: tmp_path / pin.name.rsplit("-", 1)[1])
    documents = {d.id: d for d in notes(12, first=200)}
    for document in documents.values():
        nights.drop(f"es/2026-06-11/{document.id}.txt", document.text)
    nights.night("night-1")

    direct = EnsembleAnnotator([read_ensemble(tmp_path / t.value) for t in EntityType], 4096)
    expected = {d.id: direct.annotate([d])[0].entities for d in documents.values()}
    assert sum(map(len, expected.values())) > 10
    rows = nights.spans()
    for row in rows:
        assert documents[row["note_id"]].text[row["char_start"] : row["char_end"]] == row["text"]
        assert row["model"] == f"enigma-es-{row['label'].lower()}/1"
    found = {(r["note_id"], r["label"], r["char_start"], r["char_end"]) for r in rows}
    assert found == {(k, e.label, *e.span) for k, entities in expected.items() for e in entities}
    for row in nights.notes():
        text = documents[row["note_id"]].text
        assert (row["characters"], row["characters_read"]) == (len(text), len(text))
        uri = f"{nights.settings.annotations}/es/2026-06-11/{row['note_id']}.ann"
        assert nights.store.get(uri).decode() == format_ann(expected[row["note_id"]])


def test_a_night_of_an_ensemble_fitted_on_dev_estimates_the_strict_f1_that_its_notes_have(
    s3_root: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    model = model_folder(tmp_path / "model", able=True)
    write_corpus(notes(40, first=400), tmp_path / "dev")
    words = ["--language", "es", "--entity", "all", "--gold", tmp_path / "dev", "--model", model, "--out", tmp_path]
    assert main(["ensemble", *map(str, words)]) == 0
    folders = {t: tmp_path / t.value for t in EntityType}
    digests = {t: read_ensemble(folder).digest for t, folder in folders.items()}
    pins = {t.value: pin(f"enigma-es-{t.value}", "1", digests[t], "s3://none") for t in EntityType}
    engine = annotate._engine
    nights = Nights(monkeypatch)
    monkeypatch.setattr(annotate, "_engine", engine)
    monkeypatch.setattr(champions, "resolve", stand_in_champions({"es": pins}))
    monkeypatch.setattr(mlflow_registry, "download", lambda pin, cache: tmp_path / pin.name.rsplit("-", 1)[1])
    documents = {d.id: d for d in notes(30, first=200)}
    for document in documents.values():
        nights.drop(f"es/2026-06-11/{document.id}.txt", document.text)
    nights.night("night-1")
    monitor.run(nights.arguments("monitor", "--batch", "night-1"), nights.params, nights.settings)

    summary = nights.store.get(f"{nights.settings.reports}/night-1/summary.json")
    estimated = read_night_record("summary.json", summary).figures.estimated["es"]
    found = {d: [r for r in nights.spans() if r["note_id"] == d] for d in documents}
    for entity_type in EntityType:
        label, counts = entity_type.label, Counts()
        for name, document in documents.items():
            own = [
                entity_at(name, document.text, label, r["char_start"], r["char_end"])
                for r in found[name]
                if r["label"] == label
            ]
            counts += count(document.of_type(entity_type), own).get(label, Counts())
        estimate = estimated[label]
        assert (estimate.notes, estimate.spans) == (len(documents), counts.predicted)
        assert estimate.low <= counts.strict.f1 <= estimate.high
        assert estimate.dev == read_ensemble(folders[entity_type]).calibration.dev  # type: ignore[union-attr]
