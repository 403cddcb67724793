"""Nights from drop to publication on a real S3 server, the engine being a stand-in."""

from __future__ import annotations

import gzip
import json
import re

import pytest

from enigma_tasks.adapters import champions, night_publication
from enigma_tasks.adapters.object_store import ObjectStore
from enigma_tasks.errors import DataError, IncompleteError, ModelError, ServiceError, UsageError
from tests.integration.night_helpers import Nights, pin, stand_in_champions, stand_in_engine

SPANISH = "Ingresa por neumonía basal derecha. Se inicia antibiótico."
ITALIAN = "Ricoverato per polmonite. Radiografia eseguita."


@pytest.fixture
def nights(s3_root: str, monkeypatch: pytest.MonkeyPatch) -> Nights:
    return Nights(monkeypatch)


def good_night(nights: Nights) -> None:
    for n in range(8):
        nights.drop(f"es/2026-06-11/ward/n{n}.txt", f"{SPANISH} Caso {n}.")
    for n in range(3):
        nights.drop(f"it/2026-06-11/n{n}.txt", f"{ITALIAN} Caso {n}.")


def test_a_night_is_planned_annotated_and_published(nights: Nights) -> None:
    good_night(nights)
    planned = nights.plan("night-1")
    assert planned["counts"] == {"listed": 11, "done": 0, "planned": 11, "quarantined": 0, "waiting": 0, "deferred": 0}
    assert len(planned["shards"]) == 3  # five notes of one language each
    for shard in planned["shards"]:
        nights.annotate(shard)
    report = nights.publish("night-1")
    assert (report["counts"]["annotated"], report["counts"]["entities"]) == (11, 11)
    assert set(nights.outcomes().values()) == {"annotated"}
    row = nights.notes()[0]
    assert (row["models"], row["characters_read"]) == ("enigma-es-disease/3", row["characters"])
    (ann,) = [v for k, v in nights.objects("annotations").items() if k.endswith("/es/2026-06-11/ward/n3.ann")]
    assert ann.decode() == "T1\tDISEASE 12 20\tneumonía\n"
    assert nights.store.exists(f"{nights.settings.runs}/night-1/_SUCCESS")


def test_the_second_time_nothing_is_annotated_and_no_byte_changes(nights: Nights) -> None:
    good_night(nights)
    nights.night("night-1")
    places = ("runs", "tables", "annotations", "quarantine")
    before = nights.objects(*places)
    nights.night("night-1")
    assert nights.objects(*places) == before
    assert nights.plan("night-2")["counts"] == {
        "listed": 11, "done": 11, "planned": 0, "quarantined": 0, "waiting": 0, "deferred": 0
    }  # fmt: skip
    nights.publish("night-2")
    assert nights.objects("tables", "annotations") == {
        k: v for k, v in before.items() if "/tables/" in k or "/annotations/" in k
    }
    assert nights.store.exists(f"{nights.settings.runs}/night-2/_SUCCESS")


def test_three_more_notes_are_three_and_a_note_written_over_is_one_with_both_versions_kept(nights: Nights) -> None:
    good_night(nights)
    nights.night("night-1")
    for n in range(3):
        nights.drop(f"en/2026-06-12/n{n}.txt", f"Admitted with pneumonia {n}.")
    assert nights.night("night-2")["counts"]["annotated"] == 3
    nights.drop("es/2026-06-11/ward/n3.txt", "Sin neumonía. Y otra neumonía.")
    assert nights.night("night-3")["counts"]["annotated"] == 1
    versions = [r for r in nights.notes() if r["key"].endswith("ward/n3.txt")]
    assert [r["batch_id"] for r in versions] == ["night-1", "night-3"]
    assert len({r["version"] for r in versions}) == 2
    (ann,) = [v for k, v in nights.objects("annotations").items() if k.endswith("/ward/n3.ann")]
    assert ann.count(b"\n") == 2


def test_every_bad_input_gets_its_rule_among_good_notes(nights: Nights) -> None:
    secret = "Geheimwort"
    drops: dict[str, bytes | str] = {
        "es/2026-06-11/good.txt": SPANISH,
        "es/2026-06-11/with space %20 'q' \"d\" ñandú.txt": SPANISH,
        "es/2026-06-11/crlf.txt": b"\xef\xbb\xbfNota\r\nneumon\xc3\xada\r\n",
        "es/2026-06-11/empty.txt": b"",
        "es/2026-06-11/blank.txt": b" \n\xef\xbb\xbf\t",
        "es/2026-06-11/latin.txt": secret.encode() + " neumonía".encode("latin-1"),
        "es/2026-06-11/nul.txt": f"{secret}\x00 neumonía",
        "es/2026-06-11/large.txt": secret * 1000,
        "es/2026-06-11/scan.pdf": secret,
        "es/2026-13-45/month.txt": secret,
        "es/../2026-06-11/up.txt": secret,
        "xx/2026-06-11/unknown.txt": secret,
        "stray.txt": secret,
        "cz/2026-06-11/waits.txt": "Pacient má zápal plic.",
        "es/2026-06-11/marker/": b"",
        "auto/2026-06-11/a.txt": "Il paziente è stato ricoverato per una polmonite con febbre e tosse persistente.",
        "auto/2026-06-11/b.txt": f"Der Patient wurde wegen Fieber und Husten stationär aufgenommen. {secret}",
        "auto/2026-06-11/c.txt": b"\xff\xfe" + secret.encode("utf-16-le"),
        "es/2026-06-11/batch.jsonl": "\n".join(
            [
                json.dumps({"id": "r1", "text": SPANISH}),
                '{"id": "r2", "text": "' + secret,
                json.dumps({"id": "r3", "text": ITALIAN, "language": "it"}),
                json.dumps({"id": "r1", "text": secret}),
                json.dumps({"text": secret}),
                json.dumps({"id": 5, "text": secret}),
                json.dumps({"id": "r4", "text": "x" * 40_000}),
                json.dumps({"id": "r5", "text": "  "}),
                json.dumps({"id": "r6", "text": "a\u0000b"}),
                '{"id": "r7", "text": "ab\\ud800"}',
                json.dumps({"id": "r8", "text": secret, "language": "xx"}),
                "[1, 2]",
                "",
                json.dumps({"id": "../r/9", "text": SPANISH}),
            ]
        ),
        "es/2026-06-11/none.jsonl": b"\n\n",
        "auto/2026-06-11/mixed.jsonl": json.dumps({"id": "d1", "text": SPANISH * 3}),
    }
    lines = b"".join(json.dumps({"id": f"g{n}", "text": f"{SPANISH} {n}"}).encode() + b"\n" for n in range(150))
    drops["es/2026-06-11/cut.jsonl.gz"] = gzip.compress(lines, mtime=0)[:-120]
    drops["es/2026-06-11/whole.jsonl.gz"] = gzip.compress(lines[: lines.index(b"\n") + 1], mtime=0)
    for path, data in drops.items():
        nights.drop(path, data)
    report = nights.night("night-1")
    found = nights.outcomes()
    cut = [name for name in found if name.startswith("es/2026-06-11/cut.jsonl.gz#")]
    assert 20 < len(cut) < 150
    assert {found.pop(name) for name in cut} == {"annotated"}
    line = "es/2026-06-11/batch.jsonl"
    assert found == {
        "es/2026-06-11/good.txt": "annotated",
        "es/2026-06-11/with space %20 'q' \"d\" ñandú.txt": "annotated",
        "es/2026-06-11/crlf.txt": "annotated",
        "es/2026-06-11/empty.txt": "empty",
        "es/2026-06-11/blank.txt": "blank",
        "es/2026-06-11/latin.txt": "not_utf8@17",
        "es/2026-06-11/nul.txt": "nul_byte@10",
        "es/2026-06-11/large.txt": "too_large",
        "es/2026-06-11/scan.pdf": "file_type",
        "es/2026-13-45/month.txt": "key_layout",
        "es/../2026-06-11/up.txt": "key_unsafe",
        "xx/2026-06-11/unknown.txt": "language_not_configured",
        "stray.txt": "key_layout",
        "auto/2026-06-11/a.txt": "annotated",
        "auto/2026-06-11/b.txt": "language_not_configured",
        "auto/2026-06-11/c.txt": "not_plain_text",
        f"{line}#r1": "annotated",
        f"{line}#L2": "json_invalid@2",
        f"{line}#r3": "annotated",
        f"{line}#L4": "duplicate_id@4",
        f"{line}#L5": "json_fields@5",
        f"{line}#5": "annotated",
        f"{line}#L7": "too_large@7",
        f"{line}#L8": "blank",
        f"{line}#L9": "nul_byte@1",
        f"{line}#L10": "not_utf8@2",
        f"{line}#r8": "language_not_configured",
        f"{line}#L12": "json_fields@12",
        f"{line}#../r/9": "annotated",
        "es/2026-06-11/none.jsonl": "blank",
        "auto/2026-06-11/mixed.jsonl#d1": "annotated",
        "es/2026-06-11/cut.jsonl.gz": f"gzip_damaged@{len(cut) + 1}",
        "es/2026-06-11/whole.jsonl.gz#g0": "annotated",
    }
    assert report["counts"]["waiting"] == 1
    listed = nights.objects("quarantine", "annotations", "runs")
    assert not [uri for uri, data in listed.items() if secret.encode() in data]
    quarantine = [
        json.loads(row) for uri, data in listed.items() if uri.endswith("quarantine.jsonl") for row in data.splitlines()
    ]
    assert len(quarantine) == sum(report["rules"].values()) == report["counts"]["quarantined"]
    keys = [k.split("/annotations/")[1] for k in listed if "/annotations/" in k]
    assert "it/2026-06-11/auto/a.ann" in keys
    assert "es/2026-06-11/batch.jsonl/%2E%2E%2Fr%2F9.ann" in keys
    again = nights.plan("night-2")["counts"]
    assert (again["planned"], again["quarantined"], again["waiting"]) == (0, 0, 1)


def test_a_record_waits_for_its_champion_and_its_file_is_opened_again(
    nights: Nights, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{"id": "a", "text": SPANISH}, {"id": "b", "text": "Lunginflammation.", "language": "sv"}, {"id": 1}]
    nights.drop("es/2026-06-11/two.jsonl", "\n".join(json.dumps(r) for r in rows))
    assert nights.night("night-1")["counts"]["waiting"] == 1
    everyone = {"sv": {"disease": pin("enigma-sv-disease", "1", "0" * 40, "s3://none/sv")}}
    monkeypatch.setattr(champions, "resolve", stand_in_champions(everyone))
    assert nights.plan("night-2")["counts"] == {
        "listed": 1, "done": 2, "planned": 1, "quarantined": 0, "waiting": 0, "deferred": 0
    }  # fmt: skip
    nights.night("night-2")
    assert [r["note_id"] for r in nights.notes("night-2")] == ["b"]
    assert nights.plan("night-3")["counts"]["done"] == 1  # the file as a whole: not opened any more


def test_appending_to_a_file_of_records_annotates_the_new_lines_only(nights: Nights) -> None:
    first = [json.dumps({"id": f"r{n}", "text": f"{SPANISH} {n}"}) for n in range(4)]
    nights.drop("es/2026-06-11/grows.jsonl", "\n".join(first))  # the last line has no newline yet
    nights.night("night-1")
    more = [json.dumps({"id": f"r{n}", "text": f"{SPANISH} {n}"}) for n in range(4, 6)]
    nights.drop("es/2026-06-11/grows.jsonl", "\r\n".join(first + more) + "\r\n")
    assert nights.night("night-2")["counts"]["annotated"] == 2
    assert {r["record_id"] for r in nights.notes("night-2")} == {"r4", "r5"}


def test_what_changes_after_the_plan_is_told_and_what_only_grew_is_annotated(nights: Nights) -> None:
    nights.drop("es/2026-06-11/changes.txt", SPANISH)
    nights.drop("es/2026-06-11/goes.txt", SPANISH)
    nights.drop("es/2026-06-11/stays.txt", SPANISH)
    rows = [json.dumps({"id": f"r{n}", "text": f"{SPANISH} {n}"}) for n in range(3)]
    nights.drop("es/2026-06-11/grows.jsonl", "\n".join(rows))
    nights.drop("es/2026-06-11/gone.jsonl", rows[0])
    shards = nights.plan("night-1")["shards"]
    nights.drop("es/2026-06-11/changes.txt", SPANISH + " Más texto.")
    gone = [f"{nights.settings.drops}/es/2026-06-11/{name}" for name in ("goes.txt", "gone.jsonl")]
    nights.store.delete_many(gone)
    changed = [rows[2], rows[0], json.dumps({"id": "r1", "text": "Otra neumonía."}), rows[1].replace("neum", "Neum")]
    nights.drop("es/2026-06-11/grows.jsonl", "\n".join(changed))
    for shard in shards:
        nights.annotate(shard)
    nights.publish("night-1")
    assert nights.outcomes() == {
        "es/2026-06-11/changes.txt": "changed_since_plan",
        "es/2026-06-11/goes.txt": "missing_since_plan",
        "es/2026-06-11/stays.txt": "annotated",
        "es/2026-06-11/grows.jsonl#r0": "annotated",
        "es/2026-06-11/grows.jsonl#r1": "changed_since_plan",
        "es/2026-06-11/grows.jsonl#r2": "annotated",
        "es/2026-06-11/gone.jsonl#r0": "missing_since_plan",
    }
    nights.drop("es/2026-06-11/goes.txt", SPANISH)  # the very version that was missing is there again
    nights.night("night-2")
    assert nights.outcomes("night-2") == {
        "es/2026-06-11/changes.txt": "annotated",
        "es/2026-06-11/goes.txt": "annotated",
        "es/2026-06-11/grows.jsonl#r1": "annotated",
        "es/2026-06-11/grows.jsonl#L4": "duplicate_id@4",
    }


class PanicException(BaseException):
    """Stands in for that of a tokenizer in Rust, which is no Exception."""


@pytest.mark.parametrize("kind", [ValueError, PanicException])
def test_a_note_on_which_the_engine_fails_is_quarantined_alone_and_its_text_is_not_logged(
    kind: type[BaseException], nights: Nights, caplog: pytest.LogCaptureFixture
) -> None:
    good_night(nights)
    nights.drop("es/2026-06-11/ward/bad.txt", "Geheimwort neumonía")

    def fails(documents):  # type: ignore[no-untyped-def]
        for document in documents:
            if "Geheimwort" in document.text:
                raise kind(document.text)
        return stand_in_engine(documents)

    nights.engine = fails
    nights.night("night-1")
    found = nights.outcomes()
    assert found.pop("es/2026-06-11/ward/bad.txt") == "annotation_failed"
    assert set(found.values()) == {"annotated"}
    assert "Geheimwort" not in caplog.text


def test_an_engine_that_fails_on_everything_quarantines_nothing(nights: Nights) -> None:
    good_night(nights)

    def broken(documents):  # type: ignore[no-untyped-def]
        raise RuntimeError("out of memory")

    nights.engine = broken
    shard = nights.plan("night-1")["shards"][0]
    with pytest.raises(ModelError):
        nights.annotate(shard)
    assert not list(nights.store.list(f"{nights.settings.runs}/night-1/results/"))


def test_a_service_that_goes_down_quarantines_nothing_although_it_answers_the_probe(nights: Nights) -> None:
    good_night(nights)

    def down(documents):  # type: ignore[no-untyped-def]
        if [d.id for d in documents] == ["probe"]:  # a language model's answer to it lies in the cache
            return stand_in_engine(documents)
        raise ServiceError("LLM endpoint: APIConnectionError")

    nights.engine = down
    shard = nights.plan("night-1")["shards"][0]
    with pytest.raises(ServiceError):
        nights.annotate(shard)
    assert not list(nights.store.list(f"{nights.settings.runs}/night-1/results/"))


def test_of_two_attempts_on_one_shard_the_first_commit_counts(nights: Nights, monkeypatch: pytest.MonkeyPatch) -> None:
    good_night(nights)
    shard = nights.plan("night-1")["shards"][0]
    late: list[dict[str, object]] = []

    def overtaken(documents):  # type: ignore[no-untyped-def]
        """A second attempt runs from start to end while the first is computing."""
        nights.engine = stand_in_engine
        late.append(nights.annotate(shard))
        return stand_in_engine(documents)

    nights.engine = overtaken
    assert nights.annotate(shard) == late[0]
    results = [i.key for i in nights.store.list(f"{nights.settings.runs}/night-1/results/")]
    assert len(results) == 3  # one done.json, one attempt's two files
    nights.night("night-1")
    assert len(nights.notes()) == len(nights.spans()) == 11


def test_an_incomplete_night_is_not_published(nights: Nights) -> None:
    good_night(nights)
    shards = nights.plan("night-1")["shards"]
    nights.annotate(shards[0])
    with pytest.raises(IncompleteError, match="2 of 3 shards"):
        nights.publish("night-1")
    assert nights.notes() == nights.spans() == []
    with pytest.raises(UsageError):
        nights.publish("night-9")


def test_a_result_that_is_not_what_the_attempt_wrote_is_not_published(nights: Nights) -> None:
    good_night(nights)
    nights.annotate(nights.plan("night-1")["shards"][0])
    (uri,) = [i.uri for i in nights.store.list(f"{nights.settings.runs}/night-1/results/") if "spans" in i.key]
    for shard in nights.plan("night-1")["shards"]:
        nights.annotate(shard)
    nights.store.put(uri, nights.store.get(uri)[:-1] + b"x")
    with pytest.raises(DataError, match="digest"):
        nights.publish("night-1")
    assert nights.notes() == []


def test_a_damaged_plan_or_commit_is_refused_by_name_and_publishes_nothing(nights: Nights) -> None:
    good_night(nights)
    planned = nights.plan("night-1")
    for shard in planned["shards"]:
        nights.annotate(shard)
    plan = nights.store.get(planned["plan"])
    for damage, field in ((plan[:-20], "json_invalid"), (plan.replace(b'"digest"', b'"digset"'), r"disease\.dig")):
        nights.store.put(planned["plan"], damage)
        for stage in (nights.plan, nights.publish):
            with pytest.raises(DataError, match=f"plan.json.*{field}"):
                stage("night-1")
        with pytest.raises(DataError, match=f"plan.json.*{field}"):
            nights.annotate(planned["shards"][0])
    nights.store.put(planned["plan"], plan)
    done = next(i.uri for i in nights.store.list(f"{nights.settings.runs}/night-1/results/") if "done" in i.key)
    nights.store.put(done, nights.store.get(done).replace(b'"rows"', b'"lines"'))
    with pytest.raises(DataError, match=r"done.json.*files\.notes\.(rows|lines)"):
        nights.publish("night-1")
    assert nights.notes() == []


def test_two_nights_that_planned_the_same_notes_publish_them_once(nights: Nights) -> None:
    good_night(nights)
    early, late = nights.plan("night-1"), nights.plan("night-2")
    for shard in early["shards"] + late["shards"]:
        nights.annotate(shard)
    nights.publish("night-2")
    nights.drop("es/2026-06-11/ward/n9.txt", SPANISH)
    report = nights.publish("night-1")
    assert (report["counts"]["left_out"], report["counts"]["annotated"]) == (11, 0)
    assert {r["batch_id"] for r in nights.notes()} == {"night-2"}
    assert {r["batch_id"] for r in nights.spans()} == {"night-2"}


def test_a_night_published_late_does_not_write_over_the_annotation_of_a_newer_version(nights: Nights) -> None:
    nights.drop("es/2026-06-11/n.txt", SPANISH)
    early = nights.plan("night-1")
    plan_uri = early["plan"]
    planned = json.loads(nights.store.get(plan_uri))
    nights.store.put(plan_uri, json.dumps(planned | {"planned_at": "2026-06-11T01:00:00+00:00"}).encode())
    for shard in early["shards"]:
        nights.annotate(shard)
    nights.drop("es/2026-06-11/n.txt", "Neumonía.")
    nights.night("night-2")
    nights.publish("night-1")
    (ann,) = nights.objects("annotations").values()
    assert ann.decode() == "T1\tDISEASE 0 8\tNeumonía\n"
    assert len(nights.notes()) == 2


def test_a_backfill_annotates_its_dates_again_and_only_those(nights: Nights) -> None:
    good_night(nights)
    nights.drop("es/2026-06-01/old.txt", SPANISH)
    nights.drop("es/2026-06-01/old.jsonl", json.dumps({"id": "r", "text": SPANISH}))
    nights.night("night-1")
    report = nights.night("again-1", "--backfill", "2026-05-30..2026-06-01")
    assert (report["counts"]["annotated"], report["counts"]["left_out"]) == (2, 0)
    assert len(nights.notes()) == 15
    with pytest.raises(UsageError):
        nights.plan("again-2", "--backfill", "2026-06-01..2026-05-30")


def test_a_shard_nobody_planned_and_a_batch_that_is_no_folder_are_refused(nights: Nights) -> None:
    good_night(nights)
    uri = nights.plan("night-1")["shards"][0]
    for words in (uri.replace("es-0001", "es-0009"), "s3://bucket/elsewhere.txt"):
        with pytest.raises(UsageError):
            nights.annotate(words)
    with pytest.raises(UsageError):
        nights.plan("../night")


def test_twins_lie_apart_the_first_at_the_obvious_place_and_each_keeps_its_place(nights: Nights) -> None:
    def annotations() -> dict[str, bytes]:
        return {uri.split("/annotations/")[1]: data for uri, data in nights.objects("annotations").items()}

    nights.drop("es/2026-06-11/ward/N1.txt", "Neumonía.")
    nights.night("2026-06-12")
    assert list(annotations()) == ["es/2026-06-11/ward/N1.ann"]
    nights.drop("es/2026-06-11/ward/n1.txt", "Sin neumonía.")
    nights.night("2026-06-13")
    first, second = sorted(annotations(), key=len)
    assert first == "es/2026-06-11/ward/N1.ann"
    assert re.fullmatch(r"es/2026-06-11/ward/~[0-9a-f]{32}/n1\.ann", second)
    nights.drop("es/2026-06-11/ward/n1.txt", "No hay ninguna neumonía.")
    nights.drop("es/2026-06-11/ward/N1.txt", "Con neumonía.")
    nights.night("2026-06-14")
    after = annotations()
    assert sorted(after, key=len) == [first, second]
    assert b" 4 12\t" in after[first]
    assert b" 15 23\t" in after[second]
    recorded = {row["key"]: row["annotation"] for row in nights.notes()}
    assert recorded == dict(zip(sorted(recorded), (first, second), strict=True))
    nights.night("2026-06-15", "--backfill", "2026-06-11..2026-06-11")
    assert annotations() == after


def test_a_publish_killed_after_its_commit_gives_the_same_places_after_a_later_night(
    nights: Nights, monkeypatch: pytest.MonkeyPatch
) -> None:
    nights.drop("es/2026-06-11/N1.txt", "Neumonía.")
    shards = nights.plan("2026-06-12")["shards"]
    for shard in shards:
        nights.annotate(shard)
    with monkeypatch.context() as killed:
        killed.setattr(ObjectStore, "put_many", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            nights.publish("2026-06-12")
    nights.drop("es/2026-06-11/n1.txt", "Sin neumonía.")
    nights.night("2026-06-13")
    nights.publish("2026-06-12")
    places = {row["key"].rsplit("/", 1)[1]: row["annotation"] for row in nights.notes()}
    assert places["N1.txt"] == "es/2026-06-11/N1.ann"
    written = {uri.split("/annotations/")[1] for uri in nights.objects("annotations")}
    assert written == set(places.values())
    assert "~" in places["n1.txt"]


def test_a_publish_killed_before_its_commit_leaves_the_place_that_a_later_night_has_taken(
    nights: Nights, monkeypatch: pytest.MonkeyPatch
) -> None:
    nights.drop("es/2026-06-11/N1.txt", "Neumonía.")
    for shard in nights.plan("2026-06-12")["shards"]:
        nights.annotate(shard)
    nights.store.delete_many([f"{nights.settings.drops}/es/2026-06-11/N1.txt"])
    nights.drop("es/2026-06-11/n1.txt", "Sin neumonía.")
    nights.night("2026-06-13")
    for write in ("write_deltalake", "put_many"):
        with monkeypatch.context() as killed:
            owner = ObjectStore if write == "put_many" else night_publication
            killed.setattr(owner, write, lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
            with pytest.raises(KeyboardInterrupt):
                nights.publish("2026-06-12")
    nights.publish("2026-06-12")
    places = {row["key"].rsplit("/", 1)[1]: row["annotation"] for row in nights.notes()}
    assert places["n1.txt"] == "es/2026-06-11/n1.ann"
    assert "~" in places["N1.txt"]
    written = {uri.split("/annotations/")[1]: data for uri, data in nights.objects("annotations").items()}
    assert written.keys() == set(places.values())
    assert b" 4 12\t" in written[places["n1.txt"]]
