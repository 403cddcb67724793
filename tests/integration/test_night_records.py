"""Who can write under `runs/`: hostile plans, shard commits and names, signatures, and texts that are left there."""

from __future__ import annotations

import gzip
import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from enigma_tasks.adapters.night_records import NightRecords
from enigma_tasks.adapters.object_store import ObjectStore
from enigma_tasks.artifacts import RunPlaces
from enigma_tasks.config import load_settings
from enigma_tasks.errors import DataError, UsageError
from enigma_tasks.notes.commits import PublishedCounts
from enigma_tasks.stages import monitor
from tests.integration.night_helpers import Nights
from tests.integration.test_night_kills import KilledError

if TYPE_CHECKING:
    from collections.abc import Callable

NIGHT = "night-1"
KEY = "a key of the nights"


@pytest.fixture
def nights(s3_root: str, monkeypatch: pytest.MonkeyPatch) -> Nights:
    nights = Nights(monkeypatch)
    nights.drop("es/2026-06-11/a.txt", "Ingresa por neumonía basal.")
    nights.drop("es/2026-06-11/bad.txt", b"\xff")
    return nights


def annotated(nights: Nights, batch: str = NIGHT) -> str:
    """Plan and annotate; the shard's URI."""
    (shard,) = nights.plan(batch)["shards"]
    nights.annotate(shard)
    return str(shard)


def change(nights: Nights, uri: str, edit: Callable[[dict[str, Any]], object]) -> None:
    tree = json.loads(nights.store.get(uri))
    edit(tree)
    nights.store.put(uri, json.dumps(tree).encode())


def places(nights: Nights, batch: str = NIGHT) -> RunPlaces:
    return RunPlaces.of(nights.settings, batch)


def done(nights: Nights, shard: str) -> str:
    return places(nights).done(RunPlaces.of_shard(shard)[1])


def with_key(nights: Nights, monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv("ENIGMA_NIGHT_KEY", key)
    nights.settings = load_settings()


HOSTILE_IDS = ("../..", "..", "a/b", "/etc/x", "a\\b", "", "x" * 200, "a\nb", "es-0001\n", "%2e%2e")


@pytest.mark.parametrize("name", HOSTILE_IDS)
def test_a_shard_id_that_is_no_name_is_refused_before_anything_is_written(nights: Nights, name: str) -> None:
    annotated(nights)

    def hostile(plan: dict[str, Any]) -> None:
        plan["shards"][0] |= {"id": name, "uri": places(nights).shard(name)}

    change(nights, places(nights).plan, hostile)
    before = nights.objects("runs", "tables", "annotations")
    for command in (nights.publish, nights.plan):
        with pytest.raises(DataError) as caught:
            command(NIGHT)
        assert caught.value.rule == "record_field"
    with pytest.raises((UsageError, DataError)):
        nights.annotate(places(nights).shard(name))
    assert nights.objects("runs", "tables", "annotations") == before


@pytest.mark.parametrize(
    ("edit", "rule"),
    [
        (lambda plan: plan.update(batch_id="../x"), "record_field"),
        (lambda plan: plan.update(batch_id="night-0"), "plan_place"),
        (lambda plan: plan["shards"][0].update(uri="s3://elsewhere/shards/x.jsonl.gz"), "plan_place"),
        (lambda plan: plan["shards"].append(plan["shards"][0]), "record_field"),
        (lambda plan: plan["shards"][0].update(sha256="../../x"), "record_field"),
        (lambda plan: plan["shards"][0].update(notes=-1), "record_field"),
        (lambda plan: plan["shards"][0].update(language="../x"), "record_field"),
        (lambda plan: plan.update(quarantined_sha256="../../../x"), "record_field"),
        (lambda plan: plan.update(planned_at="yesterday"), "record_field"),
        (lambda plan: plan.update(planned_at="2026-06-11T01:00:00"), "record_field"),
        (lambda plan: plan["models"]["es"]["disease"].update(digest="../../x"), "record_field"),
    ],
)
def test_a_hostile_plan_is_refused(nights: Nights, edit: Callable[[dict[str, Any]], object], rule: str) -> None:
    annotated(nights)
    change(nights, places(nights).plan, edit)
    with pytest.raises(DataError) as caught:
        nights.publish(NIGHT)
    assert caught.value.rule == rule
    assert nights.notes() == []


@pytest.mark.parametrize(
    ("edit", "rule"),
    [
        (lambda commit: commit.update(attempt="../../../x"), "record_field"),
        (lambda commit: commit.update(shard="../x"), "record_field"),
        (lambda commit: commit.update(shard="es-0002-abc"), "digest"),
        (lambda commit: commit.update(plan_sha256="0" * 64), "digest"),
        (lambda commit: commit.pop("plan_sha256"), "record_field"),
        (lambda commit: commit["files"]["spans"].update(sha256="0" * 64), "digest"),
    ],
)
def test_a_hostile_commit_is_refused(nights: Nights, edit: Callable[[dict[str, Any]], object], rule: str) -> None:
    shard = annotated(nights)
    change(nights, done(nights, shard), edit)
    with pytest.raises(DataError) as caught:
        nights.publish(NIGHT)
    assert caught.value.rule == rule
    assert nights.notes() == []


def test_a_plan_that_was_changed_after_annotation_takes_no_result_of_the_earlier_one(nights: Nights) -> None:
    annotated(nights)
    change(nights, places(nights).plan, lambda plan: plan["models"]["es"]["disease"].update(version="9"))
    with pytest.raises(DataError) as caught:
        nights.publish(NIGHT)
    assert caught.value.rule == "digest"


def test_with_a_key_a_night_is_signed_and_ends_like_one_without(
    nights: Nights, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_key(nights, monkeypatch, KEY)
    nights.night(NIGHT)
    assert len(nights.notes()) == 2
    for data in nights.objects("runs").values():
        assert KEY.encode() not in data


@pytest.mark.parametrize("record", ["plan", "commit"])
@pytest.mark.parametrize("forgery", ["unsigned", "other_key", "changed"])
def test_with_a_key_what_is_not_signed_with_it_is_refused(
    nights: Nights, monkeypatch: pytest.MonkeyPatch, record: str, forgery: str
) -> None:
    with_key(nights, monkeypatch, KEY)
    shard = annotated(nights)
    uri = places(nights).plan if record == "plan" else done(nights, shard)
    edits: dict[str, Callable[[dict[str, Any]], object]] = {
        "unsigned": lambda tree: tree.pop("hmac"),
        "changed": lambda tree: tree.update(seconds={"load": 0.0} if record == "commit" else 0.5),
        "other_key": lambda _: None,
    }
    if record == "plan" or forgery != "other_key":
        change(nights, uri, edits[forgery])
    if forgery == "other_key":
        with_key(nights, monkeypatch, KEY + "!")
    with pytest.raises(DataError) as caught:
        nights.publish(NIGHT)
    assert caught.value.rule == "hmac"
    assert nights.notes() == []
    if record == "plan":
        with pytest.raises(DataError, match="hmac"):
            nights.annotate(shard)
        with pytest.raises(DataError, match="hmac"):
            nights.plan(NIGHT)


def test_a_short_key_is_refused_and_a_key_is_not_shown() -> None:
    with pytest.raises(UsageError, match="ENIGMA_NIGHT_KEY"):
        load_settings({"ENIGMA_NIGHT_KEY": "short"})
    assert KEY not in repr(load_settings({"ENIGMA_NIGHT_KEY": KEY}))


def texts(nights: Nights) -> list[str]:
    """Objects under `runs/` that hold a span's text."""
    found = []
    for uri, data in nights.objects("runs").items():
        if uri.endswith("/spans.parquet") or "neumonía".encode() in data:
            found.append(uri)
    return found


def test_no_text_stays_under_runs_once_the_night_is_published(nights: Nights, monkeypatch: pytest.MonkeyPatch) -> None:
    shard = annotated(nights)
    killed = places(nights).attempt(RunPlaces.of_shard(shard)[1], "0" * 32, "spans")
    nights.store.put(killed, b"neumonia of an attempt that was killed")
    assert len(texts(nights)) == 2
    with monkeypatch.context() as patch:

        def kill(*_: object) -> None:
            raise KilledError

        patch.setattr(NightRecords, "delete_texts", kill)
        with pytest.raises(KilledError):
            nights.publish(NIGHT)
    assert len(texts(nights)) == 2, "killed after _SUCCESS"
    report = nights.publish(NIGHT)
    assert texts(nights) == []
    assert report == nights.publish(NIGHT)
    watched = monitor.run(nights.arguments("monitor", "--batch", NIGHT), nights.params, nights.settings)
    assert watched["counts"]["entities"] == 1
    assert nights.annotate(shard)["counts"]["entities"] == 1
    assert ObjectStore().exists(done(nights, shard))


def test_with_a_key_a_forged_publication_neither_hides_a_night_nor_deletes_its_results(
    nights: Nights, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_key(nights, monkeypatch, KEY)
    annotated(nights)
    forged = {
        "schema_version": 1, "batch_id": NIGHT, "planned_at": "2026-06-11T01:00:00+00:00", "rules": {}, "seconds": 1.0,
        "counts": dict.fromkeys(PublishedCounts.model_fields, 0),
        "languages": {},
    }  # fmt: skip
    nights.store.put(places(nights).published, json.dumps(forged).encode())
    nights.store.put(places(nights).success, b"")
    before = nights.objects("runs")
    with pytest.raises(DataError, match="hmac"):
        nights.publish(NIGHT)
    assert nights.objects("runs") == before
    nights.store.delete_many([places(nights).success])
    nights.publish(NIGHT)
    assert nights.publish(NIGHT)["counts"]["annotated"] == 1


def test_a_note_outside_the_drops_is_not_read(nights: Nights) -> None:
    nights.store.put(f"{nights.settings.gold}/secret.txt", "Neumonía de otra carpeta.".encode())
    shard = nights.plan(NIGHT)["shards"][0]
    lines = [json.loads(line) for line in gzip.decompress(nights.store.get(shard)).splitlines()]
    lines[1]["key"] = f"{nights.settings.gold}/secret.txt".split("/", 3)[3]
    data = gzip.compress("\n".join(map(json.dumps, lines)).encode())
    nights.store.put(shard, data)
    change(nights, places(nights).plan, lambda plan: plan["shards"][0].update(sha256=hashlib.sha256(data).hexdigest()))
    with pytest.raises(DataError) as caught:
        nights.annotate(shard)
    assert caught.value.rule == "note_place"


@pytest.mark.parametrize(
    "data", [b"", b"no gzip", gzip.compress(b"{}", mtime=0)[:-4], b"\x1f\x8b\x08\x00" + b"\xff" * 40]
)
def test_a_shard_that_is_no_gzip_is_refused(nights: Nights, data: bytes) -> None:
    shard = nights.plan(NIGHT)["shards"][0]
    nights.store.put(shard, data)
    change(nights, places(nights).plan, lambda plan: plan["shards"][0].update(sha256=hashlib.sha256(data).hexdigest()))
    with pytest.raises(DataError) as caught:
        nights.annotate(shard)
    assert caught.value.rule == ("gzip_damaged" if data else "note_count")
