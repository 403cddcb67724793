"""Everything that is recorded of a note: nights, models with their journal lines, reviews, gold; a real S3 server."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from enigma_tasks.adapters import champions, note_gold
from enigma_tasks.adapters.champions import Champions
from enigma_tasks.adapters.journal_store import JournalStore
from enigma_tasks.adapters.mlflow_registry import Version
from enigma_tasks.adapters.review_index import ReviewIndex
from enigma_tasks.cli import main
from enigma_tasks.errors import DataError, UsageError
from enigma_tasks.formats.standoff import format_ann
from enigma_tasks.promotion.journal import Draft, ModelVersion
from enigma_tasks.review_places import ReviewIndexPlaces
from enigma_tasks.stages import explain, ingest, reviewed, select
from tests.integration.night_helpers import Nights, pin
from tests.integration.test_review_loop import CANARY, LONGER, SPANISH
from tests.unit.test_journal import DECISION

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from enigma_tasks.promotion.journal import JournalLine

NAME = "enigma-es-disease"
PATH = "es/2026-06-11/ward-1/n0.txt"


class History(Nights):
    """Nights whose champion is that of a real journal; the registry is a stand-in."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *overrides: str) -> None:
        super().__init__(monkeypatch, "review.random_notes=4", *overrides)
        self.journal = JournalStore(self.store, self.settings.journal)
        monkeypatch.setattr(champions, "resolve", self._resolved)
        monkeypatch.setattr(champions, "follow", lambda _: None)

    def _resolved(self, languages: Iterable[str], journal: JournalStore) -> Champions:
        last = journal.last(NAME)
        if last is None or last.champion is None or "es" not in languages:
            return Champions({}, {})
        pinned = pin(NAME, last.champion.version, last.champion.digest, "s3://none/es")
        return Champions({"es": {"disease": pinned}}, {NAME: last.n})

    def line(self, kind: str, number: int, **more: Any) -> JournalLine:
        version = ModelVersion(version=str(number), digest=f"{number:064x}")
        draft = Draft(by="gate", kind=kind, approver="ana", reason="A test.", **{"champion": version} | more)
        return self.journal.append(NAME, draft, after=self.journal.last(NAME))

    def promoted(self, number: int) -> tuple[JournalLine, JournalLine]:
        """A look and the promotion that follows from it."""
        last = self.journal.last(NAME)
        assert last
        challenger = ModelVersion(version=str(number), digest=f"{number:064x}")
        look = self.line("look", number, champion=last.champion, challenger=challenger, decision=DECISION)
        return look, self.line("promoted", number, challenger=challenger, decision=DECISION)

    def explain(self, note: str) -> dict[str, Any]:
        return explain.run(self.arguments("explain", note), self.params, self.settings)

    def run(self, stage: Any, word: str, batch: str) -> dict[str, Any]:
        report: dict[str, Any] = stage.run(self.arguments(word, "--batch", batch), self.params, self.settings)
        return report


@pytest.fixture
def history(s3_root: str, monkeypatch: pytest.MonkeyPatch) -> History:
    return History(monkeypatch)


def two_nights(history: History) -> tuple[str, JournalLine, JournalLine, JournalLine]:
    """A note, annotated by the first champion; overwritten by a text that is refused, and by one that is not."""
    first = history.line("first", 1)
    uri = history.drop(PATH, SPANISH)
    history.drop("es/2026-06-11/other.txt", SPANISH)
    history.night("night-1")
    look, made = history.promoted(2)
    history.drop(PATH, b"Ingresa por neumon\xeda.\xff")
    history.night("night-2")
    history.drop(PATH, f"{SPANISH} Mejora.")
    history.night("night-3")
    return uri, first, look, made


def test_every_night_of_a_note_is_told_with_its_models_and_the_lines_that_made_them(history: History) -> None:
    uri, first, look, made = two_nights(history)
    report = history.explain(uri)
    assert report["note"] == uri.split("/", 3)[3]
    assert (report["state"], report["versions"], report["nights"]) == ("annotated", 3, 3)
    assert [(r["night"], r["outcome"], r["rule"]) for r in report["outcomes"]] == [
        ("night-1", "annotated", None), ("night-2", "quarantined", "not_utf8"), ("night-3", "annotated", None)
    ]  # fmt: skip
    assert report["outcomes"][0]["annotation"] == "es/2026-06-11/ward-1/n0.ann"
    assert report["outcomes"][1]["annotation"] is None
    rows = {r["night"]: r for r in report["models"]}
    assert list(rows) == ["night-1", "night-3"]  # a refused text was read by no model
    assert rows["night-1"] == {
        "night": "night-1", "model": NAME, "model_version": "1", "digest": f"{1:064x}", "line": 1, "kind": "first",
        "since": first.at, "by": "gate", "approver": "ana", "line_digest": first.sha256, "decision_digest": None,
    }  # fmt: skip
    now = rows["night-3"]
    assert (now["model_version"], now["digest"], now["line"], now["kind"]) == ("2", f"{2:064x}", made.n, "promoted")
    assert now["decision_digest"] == look.sha256
    for place in ("gold", "trained_on"):
        assert report[place] == "not configured"


def test_the_line_is_that_of_the_night_although_the_journal_went_on(history: History) -> None:
    uri, *_ = two_nights(history)
    history.line("rollback", 1)
    assert [(r["night"], r["line"]) for r in history.explain(uri)["models"]] == [("night-1", 1), ("night-3", 3)]


def test_without_a_plan_the_journal_is_read_as_of_the_night(history: History) -> None:
    history.line("first", 1)
    uri = history.drop(PATH, SPANISH)
    history.night("night-1")
    with_plan = history.explain(uri)["models"]
    history.store.delete_many([f"{history.settings.runs}/night-1/plan.json"])
    assert history.explain(uri)["models"] == with_plan
    assert with_plan[0]["line"] == 1


def test_a_journal_that_was_edited_is_refused(history: History) -> None:
    uri, *_ = two_nights(history)
    line = f"{history.settings.journal}/{NAME}/00000001.json"
    history.store.put(line, history.store.get(line).replace(b'"ana"', b'"eva"'))
    with pytest.raises(DataError, match="journal_changed at 1"):
        history.explain(uri)


def test_a_record_is_explained_by_its_id_or_its_line(history: History) -> None:
    history.line("first", 1)
    rows = [{"id": "a#1", "text": SPANISH, "language": "es"}, {"text": SPANISH}]
    uri = history.drop("es/2026-06-11/r.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    history.night("night-1")
    assert history.explain(f"{uri}#a#1")["state"] == "annotated"
    refused = history.explain(f"{uri}#L2")
    assert (refused["state"], refused["outcomes"][0]["rule"], refused["models"]) == ("quarantined", "json_fields", [])
    with pytest.raises(UsageError, match="not in the tables"):
        history.explain(f"{uri}#b")
    with pytest.raises(UsageError, match="not in the tables"):
        history.explain(uri)


def test_a_note_that_no_night_has_is_found_in_the_drops(history: History) -> None:
    text = history.drop("es/2026-06-11/n.txt", SPANISH)
    rows = [{"id": "a", "text": SPANISH}, {"id": "b"}, {"id": "c", "text": SPANISH, "language": "tlh"}]
    records = history.drop("es/2026-06-11/r.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    undated = history.drop("es/n.txt", SPANISH)
    assert history.explain(text)["state"] == "in drops/, its language has no champion"
    history.line("first", 1)
    for note, state, rule in (
        (text, "in drops/, in no published night", None),
        (f"{records}#a", "in drops/, in no published night", None),
        (f"{records}#L2", "in drops/, the night will refuse it", "json_fields"),
        (f"{records}#c", "in drops/, the night will refuse it", "language_not_configured"),
        (undated, "in drops/, the night will refuse it", "key_layout"),
    ):
        report = history.explain(note)
        assert (report["state"], report["rule"]) == (state, rule)
    for unknown in (f"{records}#d", text.replace("n.txt", "m.txt"), "s3://elsewhere/n.txt"):
        with pytest.raises(UsageError, match="not in the tables"):
            history.explain(unknown)


def test_exports_reviews_gold_and_the_models_made_from_it(
    history: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = tmp_path / "gold.git"
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(repository)], check=True)
    history.settings = history.settings.model_copy(
        update={"gold_repository": str(repository), "mlflow_tracking_uri": "http://stand-in"}
    )
    history.line("first", 1)
    uri = history.drop(PATH, SPANISH)
    history.night("night-1")
    history.run(select, "select", "night-1")
    report = history.explain(uri)
    assert (report["reviewed"], report["gold"], report["trained_on"]) == ("no", "no", "no")
    (export,) = report["exports"]
    assert (export["night"], export["stream"]) == ("night-1", "random")

    manifest = ReviewIndex(history.store, ReviewIndexPlaces.of(history.settings)).find_manifest("night-1")
    assert manifest
    (task,) = manifest.tasks
    other = "Acude por neumonía."
    for place, name, text in (
        (f"{history.settings.reviewed}/ana", task.task, SPANISH),
        (f"{history.settings.gold}/es/disease/early", "another", other),
    ):
        history.store.put(f"{place}/{name}.txt", text.encode())
        history.store.put(f"{place}/{name}.ann", format_ann([LONGER] if text == SPANISH else []).encode())
    history.run(reviewed, "reviewed", "import-1")
    before = history.run(ingest, "ingest", "gold-1")["revision"]
    history.store.put(f"{history.settings.gold}/es/disease/{task.task}.txt", SPANISH.encode())
    history.store.put(f"{history.settings.gold}/es/disease/{task.task}.ann", format_ann([LONGER]).encode())
    after = history.run(ingest, "ingest", "gold-2")["revision"]
    tags = {"1": {}, "2": {"gold_revision": before}, "3": {"gold_revision": after}, "4": {"gold_revision": "0" * 40}}
    versions = [Version(NAME, number, {"digest": number * 64} | tag) for number, tag in tags.items()]
    monkeypatch.setattr(note_gold, "versions_of", lambda name: versions if name == NAME else [])

    report = history.explain(uri)
    assert (report["reviewed"], report["gold"], report["trained_on"]) == ("yes", "yes", "yes")
    (review,) = report["reviews"]
    assert (review["stream"], review["counts"], review["type"]) == ("random", True, "disease")
    assert (review["tp"], review["fp"], review["fn"]) == (0, 1, 1)
    assert review["digest"] == f"{1:064x}"
    (document,) = report["gold_documents"]
    assert document == {
        "delivery": f"es/disease/{task.task}.txt", "document": task.task, "language": "es", "type": "disease",
        "known_by": "export",
    }  # fmt: skip
    assert report["trained"] == [
        {"model": NAME, "version": "3", "digest": "3" * 64, "revision": after, "known_by": "export"}
    ]
    assert report["not_recorded"] == [f"{NAME}/1", f"{NAME}/4"]


def test_people_get_tables_and_names_are_shown_by_the_rule(
    history: History, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    uri, *_ = two_nights(history)
    assert main(["explain", uri, "--quiet"]) == 0
    table = capsys.readouterr().out
    assert [line.split()[0] for line in table.splitlines() if line.startswith("  night-")] == [
        "night-1", "night-2", "night-3", "night-1", "night-3"
    ]  # fmt: skip
    assert "gold            not configured" in table
    monkeypatch.setenv("ENIGMA_NAME_KEY", "k" * 32)
    assert main(["explain", uri, "--json", "--quiet"]) == 0
    hidden = capsys.readouterr().out
    assert json.loads(hidden)["note"].startswith("name-")
    assert "n0" not in hidden
    assert CANARY not in table + hidden
