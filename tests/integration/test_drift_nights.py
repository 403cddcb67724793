"""Faults planted in nights of the real stages with tiny models: each is found in the night in which it begins."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from enigma_tasks.adapters import champions
from enigma_tasks.documents import EntityType
from enigma_tasks.ensembles.folder import read_ensemble, write_ensemble
from enigma_tasks.ensembles.runner import EnsembleAnnotator
from enigma_tasks.ensembles.voting_rule import VotingRule
from enigma_tasks.pages.figures import read_night_record
from enigma_tasks.stages import monitor
from enigma_tasks.synthetic.generator import notes as synthetic_notes
from tests.integration.night_helpers import Nights, pin, stand_in_champions
from tests.unit.ner_builders import model_folder, notes

if TYPE_CHECKING:
    from pathlib import Path


NOTES = 30
QUIET = 6
PLANTED = "Zanahoria Violeta"


class Watched:
    """Nights of one hospital, each with new notes in Spanish."""

    def __init__(self, nights: Nights, folder: Path) -> None:
        self.nights, self.count = nights, 0
        members = [model_folder(folder / f"member-{seed}", seed=seed, able=True) for seed in (1, 3)]
        pins, ensembles = {}, []
        for entity_type in EntityType:
            place = folder / entity_type.value
            digest = write_ensemble(place, "es", entity_type, members, VotingRule("agreement", 1))
            pins[entity_type.value] = pin(f"enigma-es-{entity_type.value}", "1", digest, "s3://none")
            ensembles.append(read_ensemble(place))
        self.annotator = EnsembleAnnotator(ensembles, 4096)
        nights.engine = self.annotator.annotate
        self.champions = stand_in_champions({"es": pins, "cs": pins})

    def texts(self) -> list[str]:
        """Of one night: several of the builders' short notes together, so that lengths are like those of real notes."""
        documents = [d.text for d in notes(9 * NOTES, first=1000 + 10 * NOTES * self.count)]
        return ["\n".join(documents[9 * n : 9 * n + 5 + n % 5]) for n in range(NOTES)]

    def night(self, texts: list[str]) -> dict[str, Any]:
        self.count += 1
        batch = f"night-{self.count}"
        for n, text in enumerate(texts):
            self.nights.drop(f"es/2026-06-{self.count:02}/n{n}.txt", text)
        self.nights.night(batch)
        return self.watch(batch)

    def watch(self, batch: str) -> dict[str, Any]:
        nights = self.nights
        return monitor.run(nights.arguments("monitor", "--batch", batch), nights.params, nights.settings)

    def subjects(self, report: dict[str, Any]) -> set[str]:
        return {f"{a['rule']} {a['subject']}" for a in report["alerts"]}


@pytest.mark.slow
def test_planted_faults_are_found_the_same_night_and_quiet_nights_are_not_flagged(
    s3_root: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # seconds per note are the machine's: never unusual here
    nights = Nights(monkeypatch, "plan.notes_per_shard=100", "monitor.unusual_share=1000")
    watched = Watched(nights, tmp_path)
    monkeypatch.setattr(champions, "resolve", watched.champions)
    for _ in range(QUIET):
        assert watched.night(watched.texts())["alerts"] == []

    doubled = watched.night([f"{t}\n{t}" for t in watched.texts()])
    assert watched.subjects(doubled) == {"drift es length"}
    assert doubled["alerted"][0]["alert"] == "alert:drift:es:length"
    assert doubled["metrics"]["es"]["length.drifted"] == 1

    english = [d.text for d in synthetic_notes(NOTES, ["en"], seed=5)]
    swapped = watched.subjects(watched.night(english))
    assert {s for s in swapped if s.startswith("drift es entities.")}
    assert "drift es sub_words" in swapped

    dead = watched.annotator.ensembles[0].members[0].digest
    members = watched.annotator._members

    def without_one(documents: Any) -> Any:
        predictions = members.read(documents)
        predictions.entities[dead] = [() for _ in documents]
        return predictions

    monkeypatch.setattr(watched.annotator, "_members", SimpleNamespace(read=without_one))
    silent = watched.night(watched.texts())
    assert {f"member_silent es {dead[:12]}", "drift es disagreement"} <= watched.subjects(silent)
    again = watched.night(watched.texts())
    assert f"member_silent es {dead[:12]}" in watched.subjects(again)
    assert again["alerted"] == []  # told the night before
    monkeypatch.setattr(watched.annotator, "_members", members)
    assert watched.night(watched.texts())["alerts"] == []
    assert watched.watch("night-9")["alerted"] == silent["alerted"]  # a night that is monitored again says the same


def test_nothing_of_a_note_is_in_what_a_night_keeps_for_later_ones(
    s3_root: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    nights = Nights(monkeypatch, "plan.notes_per_shard=100")
    watched = Watched(nights, tmp_path)
    monkeypatch.setattr(champions, "resolve", watched.champions)
    report = watched.night([f"{t} {PLANTED}." for t in watched.texts()])
    data = nights.store.get(f"{nights.settings.reports}/night-1/summary.json")
    spanish = read_night_record("night-1", data).figures.languages["es"]
    assert {m.partition(".")[0] for m in spanish.measures} == {
        "length", "without_entities", "entities", "probability", "disagreement", "unknown_sub_words", "sub_words",
    }  # fmt: skip
    assert all(m.n == NOTES for m in spanish.measures.values())
    assert len(spanish.found_by) == 2
    for row in nights.notes():
        assert row["words"] > 0
        assert row["sub_words"] >= row["words"] // 2
        assert row["member_spans"] >= row["member_spans_agreed"] >= 0
    for text in (data.decode(), str(report), *(o.decode() for o in nights.objects("reports").values())):
        assert "Zanahoria" not in text
