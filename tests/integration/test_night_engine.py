"""A night with the real engine and tiny trained ensembles; only the registry is a stand-in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from enigma_tasks.adapters import tracking
from enigma_tasks.annotators.ensemble import EnsembleAnnotator
from enigma_tasks.documents import EntityType
from enigma_tasks.ner.ensembles import read_ensemble, write_ensemble
from enigma_tasks.ner.standoff import format_ann
from enigma_tasks.ner.voting import VotingRule
from enigma_tasks.stages import annotate
from tests.integration.night_helpers import Nights
from tests.unit.ner_builders import model_folder, notes

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_what_the_engine_finds_is_what_tables_and_files_hold(
    s3_root: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    model = model_folder(tmp_path / "model", able=True)
    pins = {}
    for entity_type in EntityType:
        folder = tmp_path / entity_type.value
        digest = write_ensemble(folder, "es", entity_type, [model], VotingRule("majority"))
        pins[entity_type.value] = tracking.Pin(f"enigma-es-{entity_type.value}", "1", digest, "s3://none")
    engine = annotate._engine
    nights = Nights(monkeypatch)
    monkeypatch.setattr(annotate, "_engine", engine)
    monkeypatch.setattr(tracking, "resolve_champions", lambda languages: {"es": pins})
    monkeypatch.setattr(tracking, "download", lambda pin, cache: tmp_path / pin.name.rsplit("-", 1)[1])
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
