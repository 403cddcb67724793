"""The morning page and the reviewer's page of nights on a real S3 server, the engine being a stand-in."""

from __future__ import annotations

import json
import stat
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from enigma_tasks.adapters.review_index import ReviewIndex
from enigma_tasks.adapters.s3_client import forget_client
from enigma_tasks.config import load_settings
from enigma_tasks.errors import DataError, ObjectMissing, UsageError
from enigma_tasks.estimates import DevError
from enigma_tasks.monitoring.review_manifest import ReviewImport
from enigma_tasks.monitoring.reviews import ReviewedCounts, ReviewedNote
from enigma_tasks.notes.names import Names
from enigma_tasks.pages.figures import read_night_record
from enigma_tasks.review_places import ReviewIndexPlaces
from enigma_tasks.stages import monitor, review
from tests.integration.night_helpers import Nights, stand_in_engine

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from enigma_tasks.documents import Document
    from enigma_tasks.ensembles.runner import AnnotatedDocument
    from enigma_tasks.pages.figures import NightRecord

PLANTED = "Zanahoria Violeta"
SPANISH = (
    f"Ingresa {PLANTED} por neumonía basal derecha.\r\nSe inicia <b>antibiótico</b> &amp; reposo; sin otra neumonía."
)


@pytest.fixture
def nights(s3_root: str, monkeypatch: pytest.MonkeyPatch) -> Nights:
    return Nights(monkeypatch)


def watch(nights: Nights, batch: str) -> dict[str, Any]:
    return monitor.run(nights.arguments("monitor", "--batch", batch), nights.params, nights.settings)


def look(nights: Nights, uri: str, out: Path) -> dict[str, Any]:
    return review.run(nights.arguments("review", "--note", uri, "--out", str(out)), nights.params, nights.settings)


def summary(nights: Nights, batch: str) -> NightRecord:
    return read_night_record(batch, nights.store.get(f"{nights.settings.reports}/{batch}/summary.json"))


def drop_night(nights: Nights, day: str, notes: int = 7) -> None:
    for n in range(notes):
        nights.drop(f"es/{day}/ward/n{n}.txt", f"{SPANISH} {day} {n}")
    nights.drop(f"it/{day}/n.txt", f"Polmonite di {PLANTED}, {day}.")
    nights.drop(f"sv/{day}/n.txt", f"Väntar, {PLANTED}, {day}.")
    nights.drop(f"es/{day}/bad<script>.txt", f"{PLANTED} {day} ".encode() + b"\xff\xfe")


def test_the_page_tells_what_the_tables_hold_and_no_text(nights: Nights) -> None:
    drop_night(nights, "2026-06-11")
    nights.night("night-1")
    report = watch(nights, "night-1")
    assert report["counts"] == {
        "planned": 9,
        "annotated": 8,
        "quarantined": 1,
        "waiting": 1,
        "deferred": 0,
        "entities": 15,
        "reviewed": 0,
    }
    assert [a["rule"] for a in report["alerts"]] == ["waiting"]
    figures = summary(nights, "night-1").figures
    assert figures.rules == {"not_utf8": 1}
    assert figures.languages["es"].entities == {"DISEASE": 14}
    assert figures.languages["it"].annotated == 1
    assert figures.waiting == {"sv": 1}
    assert sum(figures.scores["DISEASE"]) == 15
    assert figures.scores["DISEASE"][10] == 15  # the stand-in's score is 0.5
    assert figures.completeness == 1
    assert {row["record_id"] for row in nights.notes("night-1")} == {None}
    for uri, data in nights.objects("reports").items():
        text = data.decode()
        assert PLANTED not in text, uri
        assert "neumon" not in text.lower(), uri
        assert "bad<script>" not in text, uri
    assert "bad&lt;script&gt;.txt" in nights.store.get(report["page"]).decode()


DEV = DevError(documents=40, mentions=300, estimated=0.71, measured=0.72, rms=0.02)


def calibrated_engine(documents: Sequence[Document]) -> list[AnnotatedDocument]:
    """The stand-in with a calibration: every mention is right with probability 0.75, and half a mention is missed."""
    return [
        replace(found, probabilities=(0.75,) * len(found.entities), missed={"DISEASE": 0.5}, dev={"DISEASE": DEV})
        for found in stand_in_engine(documents)
    ]


def test_a_night_of_calibrated_models_has_an_estimate_of_strict_f1(nights: Nights) -> None:
    nights.engine = calibrated_engine
    drop_night(nights, "2026-06-11")
    nights.night("night-1")
    report = watch(nights, "night-1")
    estimated = summary(nights, "night-1").figures.estimated
    assert set(estimated) == {"es", "it"}
    spanish = estimated["es"]["DISEASE"]
    assert (spanish.notes, spanish.spans, spanish.matched, spanish.missed) == (7, 14, 10.5, 3.5)
    assert (spanish.precision, spanish.recall, spanish.f1, spanish.dev) == (0.75, 0.75, 0.75, DEV)
    assert spanish.low < 0.75 < spanish.high
    assert {row["probability"] for row in nights.spans("night-1")} == {0.75}
    assert [row["missed"] for row in nights.notes("night-1") if row["outcome"] == "annotated"] == [
        [("DISEASE", 0.5)]
    ] * 8
    page = nights.store.get(report["page"]).decode()
    assert "Estimated strict F1" in page
    assert page.count("<b>75.0\N{NO-BREAK SPACE}%</b>") == 1


def test_models_without_a_calibration_have_no_estimate_and_it_is_not_shown(nights: Nights) -> None:
    drop_night(nights, "2026-06-11")
    nights.night("night-1")
    report = watch(nights, "night-1")
    assert summary(nights, "night-1").figures.estimated == {}
    assert {row["missed"] for row in nights.notes("night-1")} == {None}
    assert "Estimated strict F1" not in nights.store.get(report["page"]).decode()


def test_notes_of_a_shard_without_a_calibration_are_left_out_of_the_estimate(nights: Nights) -> None:
    drop_night(nights, "2026-06-11")
    shards = nights.plan("night-1")["shards"]
    for shard in shards:
        nights.engine = calibrated_engine if shard == shards[0] else stand_in_engine
        nights.annotate(shard)
    nights.publish("night-1")
    watch(nights, "night-1")
    (estimate,) = (e for of_labels in summary(nights, "night-1").figures.estimated.values() for e in of_labels.values())
    assert estimate.notes == 4  # of seven, in two shards
    assert estimate.matched == pytest.approx(0.75 * estimate.spans)


def test_the_second_time_the_pages_are_the_same_bytes(nights: Nights) -> None:
    drop_night(nights, "2026-06-11")
    nights.night("night-1")
    watch(nights, "night-1")
    before = nights.objects("reports")
    assert {uri.rsplit("/reports/", 1)[1] for uri in before} == {
        "index.html", "night-1/index.html", "night-1/summary.json",
    }  # fmt: skip
    watch(nights, "night-1")
    assert nights.objects("reports") == before


def test_a_night_is_compared_with_those_before_it_and_not_with_later_ones(nights: Nights) -> None:
    for batch, day in (("night-1", "2026-06-11"), ("night-2", "2026-06-12")):
        drop_night(nights, day)
        nights.night(batch)
        watch(nights, batch)
    second = nights.store.get(f"{nights.settings.reports}/night-2/index.html").decode()
    assert "../night-1/index.html" in second
    assert "nothing to compare it with" not in second
    watch(nights, "night-1")
    assert "nothing to compare it with" in nights.store.get(f"{nights.settings.reports}/night-1/index.html").decode()
    listed = nights.store.get(f"{nights.settings.reports}/index.html").decode()
    assert listed.index("night-2/index.html") < listed.index("night-1/index.html")


def test_an_unpublished_night_has_a_page_that_names_what_is_missing(nights: Nights) -> None:
    drop_night(nights, "2026-06-11")
    first, *others = nights.plan("night-1")["shards"]
    nights.annotate(first)
    report = watch(nights, "night-1")
    assert (report["published"], report["verdict"]) == (False, "Incomplete")
    assert summary(nights, "night-1").figures.missing_shards == tuple(
        uri.rsplit("/", 1)[1].removesuffix(".jsonl.gz") for uri in others
    )
    for shard in others:
        nights.annotate(shard)
    nights.publish("night-1")
    assert watch(nights, "night-1")["published"] is True


def test_an_unpublished_night_is_no_measure_for_the_next_one(nights: Nights) -> None:
    drop_night(nights, "2026-06-11")
    nights.plan("night-1")
    watch(nights, "night-1")
    drop_night(nights, "2026-06-12")
    nights.night("night-2")
    watch(nights, "night-2")
    assert "nothing to compare it with" in nights.store.get(f"{nights.settings.reports}/night-2/index.html").decode()


def test_a_night_without_notes_has_a_page(nights: Nights) -> None:
    nights.night("night-1")
    assert watch(nights, "night-1")["verdict"] == "Nothing new"
    with pytest.raises(UsageError, match="no plan"):
        watch(nights, "night-2")


def test_a_summary_of_another_make_is_left_out(nights: Nights) -> None:
    nights.store.put(f"{nights.settings.reports}/night-0/summary.json", json.dumps({"figures": 1}).encode())
    nights.night("night-1")
    assert watch(nights, "night-1")["verdict"] == "Nothing new"


def test_the_reviewers_page_shows_the_note_as_it_was_annotated(nights: Nights, tmp_path: Path) -> None:
    uri = nights.drop("es/2026-06-11/n.txt", SPANISH)
    nights.night("night-1")
    report = look(nights, uri, tmp_path / "deep" / "n.html")
    assert (report["entities"], report["characters"]) == (2, len(SPANISH))
    assert PLANTED not in json.dumps(report)
    page = tmp_path / "deep" / "n.html"
    shown = page.read_bytes().decode()
    assert stat.S_IMODE(page.stat().st_mode) == 0o600
    assert PLANTED in shown
    assert 'title="DISEASE 30–38, score 0.50"' in shown
    assert "&lt;b&gt;antibiótico&lt;/b&gt; &amp;amp; reposo" in shown
    nights.drop("es/2026-06-11/n.txt", SPANISH + " Otra línea.")
    with pytest.raises(DataError, match="changed_since_plan"):
        look(nights, uri, tmp_path / "again.html")
    assert not (tmp_path / "again.html").exists()
    nights.night("night-2")
    assert look(nights, uri, tmp_path / "again.html")["characters"] == len(SPANISH) + 12


@pytest.mark.parametrize("record", ["carta-1", "carta#2", "L3"])
def test_a_record_of_a_file_is_named_by_its_id(nights: Nights, tmp_path: Path, record: str) -> None:
    lines = [{"id": i, "text": f"{i}: neumonía"} for i in ("carta-1", "carta#2", "L3", "otra")]
    uri = nights.drop("es/2026-06-11/a#b/feed.jsonl", "\n".join(json.dumps(line) for line in lines))
    nights.night("night-1")
    report = look(nights, f"{uri}#{record}", tmp_path / "n.html")
    assert report["entities"] == 1
    assert report["record"].endswith(f"feed.jsonl#{record}")
    with pytest.raises(UsageError, match="is not in the tables"):
        look(nights, f"{uri}#nobody", tmp_path / "m.html")


def test_a_note_in_quarantine_is_named_with_its_rule_and_not_shown(nights: Nights, tmp_path: Path) -> None:
    uri = nights.drop("es/2026-06-11/n.txt", PLANTED.encode() + b"\xff")
    nights.night("night-1")
    with pytest.raises(DataError, match="not_utf8 at 17") as caught:
        look(nights, uri, tmp_path / "n.html")
    assert PLANTED not in str(caught.value)
    assert not (tmp_path / "n.html").exists()


def test_garbled_notes_are_annotated_and_told(nights: Nights) -> None:
    note = "Ingresa por neumonía basal. Presentó también disnea, náuseas y vómitos; evolución clínica favorable."
    nights.drop("es/2026-06-11/good.txt", note)
    nights.drop("es/2026-06-11/twice.txt", note.encode().decode("cp1252"))
    nights.drop("es/2026-06-11/lost.txt", note.replace("á", "\ufffd"))
    nights.drop("es/2026-06-11/one.txt", note * 30 + "\ufffd")
    nights.night("night-1")
    assert set(nights.outcomes().values()) == {"annotated"}
    assert {r["note_id"]: r["characters_garbled"] > 0 for r in nights.notes()} == {
        "good": False, "twice": True, "lost": True, "one": True,
    }  # fmt: skip
    report = watch(nights, "night-1")
    assert [a["rule"] for a in report["alerts"]] == ["text_garbled"]
    assert report["alerts"][0]["reason"].startswith("2 of 4 notes in es have more than 0.5 % garbled characters")
    assert "2 of 4 notes in es" in nights.store.get(report["page"]).decode()


def test_with_a_name_key_no_key_or_id_is_shown_and_each_is_shown_alike(
    nights: Nights,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("ENIGMA_NAME_KEY", "a secret of this hospital")
    nights.settings = load_settings()
    forget_client()
    number = "HC-434881"
    bad = nights.drop(f"es/2026-06-11/{number}.txt", b"\xff")
    nights.drop(f"es/2026-06-11/{number}.jsonl", json.dumps({"id": f"{number}-x", "text": "<p>x</p>"}) + "\n{}\n")
    nights.drop(f"es/2026-06-11/{number}-fails.txt", SPANISH)

    def fails(documents):  # type: ignore[no-untyped-def]
        if any(d.id.endswith("-fails") for d in documents):
            raise ValueError(number)
        return stand_in_engine(documents)

    nights.engine = fails
    nights.night("night-1")
    page = nights.store.get(watch(nights, "night-1")["page"]).decode()
    listed = nights.store.get(f"{nights.settings.quarantine}/night-1/quarantine.jsonl")
    rows = [json.loads(line) for line in listed.splitlines()]
    names = Names.of(nights.settings)
    shown = names.shown(bad.split("/", 3)[3])
    assert shown in {r["record"] for r in rows}
    assert all(r["record"] in page for r in rows)
    assert f"{shown.split('-')[0]}-" in caplog.text
    for text in (page, json.dumps(rows), caplog.text, *map(str, capsys.readouterr())):
        assert number not in text
    with pytest.raises(ObjectMissing) as caught:
        nights.store.get(f"{nights.settings.drops}/es/2026-06-11/{number}-gone.txt")
    assert number not in str(caught.value)
    assert {r["note_id"] for r in nights.notes()} >= {number}  # the tables hold names as they are: work needs them


def reviewed(nights: Nights, count: int, *, tp: int, errors: int, day: str = "2026-06-10") -> None:
    """An import of `count` reviewed notes of the random stream of one night."""
    counts = ReviewedCounts(tp=tp, fp=errors, fn=errors)
    notes = tuple(
        ReviewedNote(
            bucket="b",
            key=f"drops/es/{day}/ward-1/n{n}.txt",
            record_id=None,
            version="v",
            language="es",
            site="ward-1",
            batch_id=day,
            planned_at=f"{day}T01:00:00+00:00",
            models={"disease": "d" * 64},
            reviewed_at=f"{day}T09:00:00+00:00",
            source="0" * 64,
            marks="0" * 64,
            stream="random",
            probability=0.2,
            counts={"disease": counts if n % 2 else counts.model_copy(update={"tp": tp + 1})},
        )
        for n in range(count)
    )
    index = ReviewIndex(nights.store, ReviewIndexPlaces.of(nights.settings))
    assert index.create_import(ReviewImport(batch_id=day, drops=(), counts={}, rules={}, reviews=notes))


def report_on(nights: Nights, week: str) -> dict[str, Any]:
    return monitor.run(nights.arguments("monitor", "--week", week), nights.params, nights.settings)


def test_the_weekly_report_asks_for_retraining_once_where_f1_is_surely_below_the_floor(nights: Nights) -> None:
    reviewed(nights, 30, tp=3, errors=7)
    report = report_on(nights, "2026-W24")
    assert report["alerted"] == [{"alert": "alert:f1_below_floor:es:DISEASE", "value": 0.333333, "low": 0.6}]
    assert report["announce"]["below_floor"] == 1
    assert report["metrics"]["es"]["f1"] == 0.333333
    page = nights.store.get(report["page"]).decode()
    assert "Strict F1 of DISEASE in es is 0.333" in page
    assert "ward-1" in page
    before = nights.objects("reports")
    assert report_on(nights, "2026-W24") == report
    assert nights.objects("reports") == before
    later = report_on(nights, "2026-W25")
    assert [a["rule"] for a in later["alerts"]] == ["f1_below_floor"]
    assert (later["alerted"], "announce" in later) == ([], False)  # told the week before
    assert report_on(nights, "2026-W23")["counts"] == {"reviewed": 0, "below_floor": 0}


def test_good_notes_and_too_few_poor_ones_ask_for_nothing(nights: Nights) -> None:
    reviewed(nights, 30, tp=9, errors=1)
    reviewed(nights, nights.params.monitor.reviewed.notes_needed - 1, tp=1, errors=9, day="2026-05-06")
    for week in ("2026-W24", "2026-W19"):
        report = report_on(nights, week)
        assert report["counts"]["reviewed"] > 0
        assert (report["alerts"], "announce" in report) == ([], False)
    with pytest.raises(UsageError, match="2026-W24"):
        report_on(nights, "2026-06")
