"""A note is forgotten: nothing of it is found in any place, and it does not come back; a real S3 server."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from enigma_tasks.adapters import forget_deliveries
from enigma_tasks.adapters.forget_drops import dropped, remove_dropped
from enigma_tasks.adapters.object_store import split_uri
from enigma_tasks.adapters.review_index import ReviewIndex
from enigma_tasks.adapters.s3_client import s3_client
from enigma_tasks.config import load_settings
from enigma_tasks.errors import DataError, IncompleteError, UsageError
from enigma_tasks.notes.forgotten import Target
from enigma_tasks.notes.names import Names
from enigma_tasks.review_places import ReviewIndexPlaces
from enigma_tasks.stages import forget, ingest, select
from tests.integration.night_helpers import Nights
from tests.unit.memory import traced

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DAY = "es/2026-06-11"
PATH = f"{DAY}/ward-1/Zzyzxova-77.txt"
TEXT_PATH = "es/disease/txt/Zzyzxova.txt"
SURNAME, MENTION = "Zzyzxova", "neumoniaqqq"
TEXT = f"Zzyzxova, 77 años, ingresa por {MENTION} y otra vez por neumonía; alta sin incidencias."
OTHER = "Ingresa por neumonía y se da de alta sin incidencias al tercer día."


class Forgetting(Nights):
    def forget(self, uri: str, *more: str) -> dict[str, Any]:
        return forget.run(self.arguments("forget", uri, *more), self.params, self.settings)

    def select(self, batch: str) -> None:
        select.run(self.arguments("select", "--batch", batch), self.params, self.settings)

    def holding(self) -> list[str]:
        """Objects anywhere whose key or bytes hold the surname or the mention: a search of its own."""
        root = self.settings.drops.rpartition("/")[0]
        found = []
        for info in self.store.list(f"{root}/"):
            data = self.store.get(info.uri)
            data = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
            if any(word in info.uri or word.encode() in data for word in (SURNAME, MENTION)):
                found.append(info.uri.removeprefix(f"{root}/"))
        return found


@pytest.fixture
def nights(s3_root: str, monkeypatch: pytest.MonkeyPatch) -> Forgetting:
    monkeypatch.setenv("ENIGMA_FORGET_KEY", "f" * 32)
    nights = Forgetting(monkeypatch, "review.random_notes=9")
    nights.settings = load_settings()
    return nights


def published(nights: Forgetting) -> str:
    """A note and two others in a night that was reviewed; the note was overwritten by a text that is refused."""
    uri = nights.drop(PATH, TEXT)
    for name in ("n1", "n2"):
        nights.drop(f"{DAY}/ward-1/{name}.txt", f"{name}: {OTHER}")
    nights.night("night-1")
    nights.select("night-1")
    nights.drop(PATH, TEXT.encode() + b"\xff")
    nights.night("night-2")
    nights.drop(PATH, TEXT)
    return uri


def test_a_note_is_removed_from_every_place_and_the_others_stay(nights: Forgetting) -> None:
    uri = published(nights)
    holding = nights.holding()
    for place in ("drops/", "annotations/", "tables/notes/", "tables/spans/", "runs/", "quarantine/", "to-review/",
                  "reviewed-index/"):  # fmt: skip
        assert any(name.startswith(place) for name in holding), place
    others = [r for r in nights.notes() if SURNAME not in r["key"]], [r for r in nights.spans() if "n" in r["note_id"]]
    before = nights.objects(*nights_places())
    dry = nights.forget(uri)
    assert not dry["written"]
    assert dry["found"] > len(others)
    assert nights.objects(*nights_places()) == before
    report = nights.forget(uri, "--yes")
    assert (report["found"], report["left"], report["exit_code"], report["texts"]) == (0, [], 0, 1)
    assert report["searched"] > 10
    assert nights.holding() == []
    assert nights.notes() == others[0]
    assert [r for r in nights.spans() if "n" in r["note_id"]] == others[1]
    assert len(nights.objects("annotations")) == 2
    tasks = json.loads(next(d for u, d in nights.objects("to_review").items() if u.endswith("label-studio.json")))
    assert len(tasks) == 2
    assert (SURNAME in json.dumps(report).replace(report["note"], "")) is False
    after = nights.objects(*nights_places())
    again = nights.forget(uri, "--yes")
    assert (again["found"], again["removed"]) == (0, {})
    assert nights.objects(*nights_places()) == after


def nights_places() -> tuple[str, ...]:
    return ("drops", "annotations", "tables", "runs", "quarantine", "to_review", "reviewed_index", "forgotten")


def test_it_does_not_come_back_under_its_name_nor_its_text_under_another(nights: Forgetting) -> None:
    uri = published(nights)
    nights.forget(uri, "--yes")
    nights.drop(PATH, f"{TEXT} Otra versión.")
    nights.drop(f"{DAY}/copy.txt", TEXT)
    nights.drop(f"{DAY}/r.jsonl", json.dumps({"id": "a", "text": TEXT}) + "\n")
    nights.drop(f"{DAY}/new.txt", OTHER)
    planned = nights.plan("night-3")
    assert planned["counts"]["quarantined"] == 1
    nights.night("night-3")
    assert nights.outcomes("night-3") == {
        PATH: "forgotten",
        f"{DAY}/copy.txt": "forgotten",
        f"{DAY}/r.jsonl#a": "forgotten",
        f"{DAY}/new.txt": "annotated",
    }
    report = nights.forget(uri, "--yes")
    assert {row["object"].rpartition("/")[2] for row in report["left"]} == {"copy.txt", "r.jsonl"}
    assert report["exit_code"] == 1


def test_one_record_of_a_file_and_a_whole_folder(nights: Forgetting) -> None:
    rows = [{"id": name, "text": f"{name}: {TEXT if name == 'b' else OTHER}"} for name in ("a", "b", "c")]
    body = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    plain = nights.drop(f"{DAY}/r.jsonl", body)
    packed = nights.drop(f"{DAY}/s.jsonl.gz", gzip.compress(body))
    nights.night("night-1")
    copy = nights.forget(f"{plain}#b", "--yes")
    assert [(row["place"], row["object"]) for row in copy["left"]] == [
        ("drops", packed)
    ]  # the same text in another file
    assert nights.forget(f"{packed}#b", "--yes")["found"] == 0
    assert nights.holding() == []
    assert [r["record_id"] for r in nights.notes()] == ["a", "c", "a", "c"]
    assert [json.loads(line)["id"] for line in nights.store.get(plain).splitlines()] == ["a", "c"]
    assert nights.plan("night-2")["counts"]["planned"] == 0
    nights.publish("night-2")
    report = nights.forget(f"{nights.settings.drops}/{DAY}/", "--yes")
    assert (report["found"], nights.notes(), nights.objects("drops")) == (0, [], {})


def test_reviewed_files_pages_and_a_hashed_name(nights: Forgetting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENIGMA_NAME_KEY", "n" * 32)
    nights.settings = load_settings()
    uri = published(nights)
    index = ReviewIndex(nights.store, ReviewIndexPlaces.of(nights.settings)).find_manifest("night-1")
    assert index
    tasks = {t.key.rpartition("/")[2]: t.task for t in index.tasks}
    own, other = tasks[f"{SURNAME}-77.txt"], tasks["n1.txt"]
    shown = Names.of(nights.settings).shown(uri.split("/", 3)[3])
    files = {
        f"reviewed/ana/{own}.ann": "T1\tDISEASE 0 1\tZ",
        f"reviewed/ana/{own}.txt": TEXT,
        f"reviewed/eva/{SURNAME}-77.ann": "",
        f"reviewed/eva/{SURNAME}-77.txt": TEXT,
        f"reviewed/ana/{other}.txt": "another",
        "reviewed/all.json": json.dumps([{"data": {"text": TEXT}}, {"data": {"text": OTHER}}], ensure_ascii=False),
        "reviewed/one.json": json.dumps([{"data": {"text": TEXT}}]),
        "reports/night-2/index.html": f"<td>{shown}</td>",
        "reports/night-1/index.html": f"<td>{shown}0</td>",
    }
    root = nights.settings.drops.removesuffix("/drops")
    for name, text in files.items():
        nights.store.put(f"{root}/{name}", text.encode())
    report = nights.forget(shown, "--yes")
    assert report["monitor_again"] == ["night-2"]
    assert [row["place"] for row in report["left"]] == ["reviewed"]
    assert report["left"][0]["object"].startswith("s3://")
    assert report["exit_code"] == 1
    there = {u.removeprefix(f"{root}/") for u in nights.objects("reviewed", "reports")}
    assert there == {f"reviewed/ana/{other}.txt", "reviewed/all.json", "reports/night-1/index.html"}
    assert SURNAME not in json.dumps(report)


def test_every_version_of_a_bucket_with_versions(nights: Forgetting, s3_root: str) -> None:
    bucket = s3_root.removeprefix("s3://").partition("/")[0]
    s3_client().put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    uri = published(nights)
    nights.store.delete_many([uri])
    report = nights.forget(uri, "--yes")
    assert (report["found"], report["left"]) == (0, [])
    versions = s3_client().list_object_versions(Bucket=bucket)
    for version in versions["Versions"]:
        data = s3_client().get_object(Bucket=bucket, Key=version["Key"], VersionId=version["VersionId"])["Body"].read()
        data = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
        assert SURNAME not in version["Key"]
        assert SURNAME.encode() not in data
    assert not [m for m in versions.get("DeleteMarkers", []) if SURNAME in m["Key"]]


def test_a_night_that_has_planned_it_leaves_it_out_and_is_waited_for(nights: Forgetting) -> None:
    uri = nights.drop(PATH, TEXT)
    nights.drop(f"{DAY}/n1.txt", OTHER)
    shards = nights.plan("night-1")["shards"]
    for shard in shards:
        nights.annotate(shard)
    with pytest.raises(IncompleteError, match="night-1"):
        nights.forget(uri, "--yes")
    assert nights.publish("night-1")["counts"]["left_out"] == 1
    assert list(nights.outcomes()) == [f"{DAY}/n1.txt"]
    assert nights.forget(uri, "--yes")["found"] == 0
    assert nights.holding() == []


def test_without_its_key_neither_forgetting_nor_planning(nights: Forgetting, monkeypatch: pytest.MonkeyPatch) -> None:
    uri = published(nights)
    nights.forget(uri, "--yes")
    for key in ("", "g" * 32):
        monkeypatch.setenv("ENIGMA_FORGET_KEY", key)
        nights.settings = load_settings()
        for command in (lambda: nights.plan("night-3"), lambda: nights.forget(uri, "--yes")):
            with pytest.raises(UsageError, match="ENIGMA_FORGET_KEY"):
                command()
    monkeypatch.setenv("ENIGMA_FORGET_KEY", "f" * 32)
    nights.settings = load_settings()
    with pytest.raises(UsageError, match="neither"):
        nights.forget(f"{nights.settings.drops}/es/none.txt")


class Killed(BaseException):
    """The process ends here."""


def test_killed_at_each_write_and_run_again_it_ends_the_same(
    nights: Forgetting, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = published(nights)
    client, kills = s3_client(), 0
    while True:
        with monkeypatch.context() as patched:
            for name in ("put_object", "delete_object"):
                patched.setattr(client, name, killed_after(getattr(client, name), kills % 2))
            try:
                report = nights.forget(uri, "--yes")
            except Killed:
                kills += 1
                assert kills < 150
                continue
        break
    assert kills > 20
    assert (report["found"], report["exit_code"]) == (0, 0)
    assert nights.holding() == []
    assert len(nights.notes()) == 2
    assert nights.plan("night-3")["counts"]["planned"] == 0


def killed_after(call: Callable[..., Any], writes: int) -> Callable[..., Any]:
    """The call, after which the process is killed at its first write (the write is done), or before its second one."""
    count = 0

    def killing(**words: Any) -> Any:
        nonlocal count
        count += 1
        if count > writes and writes:
            raise Killed
        reply = call(**words)
        if not writes:
            raise Killed
        return reply

    return killing


def test_gold_is_named_and_forgotten_text_is_refused_as_gold(nights: Forgetting, tmp_path: Path) -> None:
    repository = tmp_path / "gold.git"
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(repository)], check=True)
    nights.settings = nights.settings.model_copy(update={"gold_repository": str(repository)})
    uri = nights.drop(PATH, TEXT)
    nights.night("night-1")
    folder = f"{nights.settings.gold}/es/disease"

    def ingested(batch: str, name: str, text: str) -> dict[str, Any]:
        nights.store.put(f"{folder}/{name}.txt", text.encode())
        nights.store.put(f"{folder}/{name}.ann", b"")
        report: dict[str, Any] = ingest.run(
            nights.arguments("ingest", "--batch", batch), nights.params, nights.settings
        )
        return report

    ingested("gold-1", f"{SURNAME}-77", TEXT)
    report = nights.forget(uri, "--yes")
    assert {row["place"] for row in report["left"]} == {"gold", "dvc"}
    assert [d["known_by"] for d in report["gold"]] == ["note_id"]
    assert report["exit_code"] == 1
    assert ingested("gold-2", "other-1", TEXT)["rules"] == {"forgotten": 1}
    assert ingested("gold-3", "other-2", OTHER)["rules"] == {}


@pytest.mark.parametrize("packed", [True, False])
def test_a_record_of_a_large_file_is_cut_out_without_taking_the_file_into_memory(
    nights: Forgetting, packed: bool
) -> None:
    rows = [json.dumps({"id": f"r{n}", "text": f"{n}: {OTHER} {os.urandom(700).hex()}"}) for n in range(20_000)]
    target = json.dumps({"id": "Zzyzxova-77", "text": TEXT})
    content = "\n".join([*rows[:9], target, *rows[9:]]).encode()
    suffix = ".gz" if packed else ""
    uri = nights.drop(f"{DAY}/day.jsonl{suffix}", gzip.compress(content, 1) if packed else content)
    texts: list[str] = []

    def removed() -> None:
        (found,) = dropped(Target(*split_uri(uri), "Zzyzxova-77"), (), nights.params.notes, texts.append)
        remove_dropped(nights.store, found, nights.params.notes)

    _, most = traced(removed)
    assert texts == [TEXT]
    rest = nights.store.get(uri)
    assert (gzip.decompress(rest) if packed else rest).decode() == "\n".join(rows)
    assert most < 20_000_000 < len(content)


def test_the_table_of_a_large_delivery_is_cut_row_by_row(nights: Forgetting) -> None:
    table = f"{nights.settings.gold}/es/disease/tsv/all.tsv"
    rows = [f"n{n}\tDISEASE\t0\t9\t{os.urandom(400).hex()}\n" for n in range(20_000)]
    nights.store.put(table, "".join([*rows[:7], "Zzyzxova\tDISEASE\t0\t9\tx\n" * 2, *rows[7:]]).encode())
    nights.store.put(f"{nights.settings.gold}/es/disease/txt/Zzyzxova.txt", TEXT.encode())
    removed, most = traced(lambda: forget_deliveries._cut_tables(nights.store, nights.settings.gold, TEXT_PATH))
    assert removed == 1
    assert nights.store.get(table).decode() == "".join(rows)
    assert most < 14_000_000 < len(nights.store.get(table))


def test_a_record_of_a_file_that_is_not_read_to_its_end_is_not_called_absent(nights: Forgetting) -> None:
    lines = json.dumps({"id": "r", "text": TEXT}) + "\n" * 3_000_000 + json.dumps({"id": "after", "text": TEXT})
    uri = nights.drop(f"{DAY}/bomb.jsonl.gz", gzip.compress(lines.encode()))
    with pytest.raises(DataError, match="too_many_records at 100001"):
        nights.forget(f"{uri}#after")
    assert nights.forget(uri, "--yes")["found"] == 0
    assert not nights.holding()
