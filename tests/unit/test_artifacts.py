"""Names of places and objects."""

from __future__ import annotations

import pytest

from enigma_tasks.artifacts import QuarantinePlaces, RunPlaces
from enigma_tasks.config import load_settings
from enigma_tasks.errors import UsageError
from enigma_tasks.file_names import FileKind, kind_of, stem

SETTINGS = load_settings({"ENIGMA_S3_ROOT": "s3://clinic/root"})


@pytest.mark.parametrize(
    ("name", "kind", "stem_"),
    [
        ("a/n1.txt", FileKind.TEXT, "n1"), ("N1.TXT", FileKind.TEXT, "N1"), ("n.1.Txt", FileKind.TEXT, "n.1"),
        ("day.jsonl", FileKind.LINES, "day.jsonl"), ("DAY.JSONL.GZ", FileKind.PACKED, "DAY.JSONL.GZ"),
        ("n1.ANN", FileKind.ANNOTATION, "n1"),
        (".txt", FileKind.HIDDEN, ".txt"), ("a/.jsonl.gz", FileKind.HIDDEN, ".jsonl.gz"),
        ("n1.txt.gz", FileKind.OTHER, "n1.txt.gz"), ("txt", FileKind.OTHER, "txt"),
    ],
)  # fmt: skip
def test_a_name_tells_its_kind_in_any_letter_case(name: str, kind: FileKind, stem_: str) -> None:
    assert (kind_of(name.rpartition("/")[2])[0], stem(name)) == (kind, stem_)


def test_a_shard_uri_leads_back_to_its_night() -> None:
    places = RunPlaces.of(SETTINGS, "night-1")
    assert RunPlaces.of_shard(places.shard("es-0001")) == (places, "es-0001")
    for uri in ("s3://clinic/x.jsonl.gz", f"{places.root}/shards/a/b.jsonl.gz", f"{places.root}/shards/a.json"):
        with pytest.raises(UsageError):
            RunPlaces.of_shard(uri)


@pytest.mark.parametrize("batch", ["2026-06-11", "manual__2026-06-11T01:00:00+00:00", "a"])
def test_a_batch_id_of_airflow_is_one_folder(batch: str) -> None:
    assert RunPlaces.of(SETTINGS, batch).plan == f"s3://clinic/root/runs/{batch}/plan.json"
    assert QuarantinePlaces.of(SETTINGS, batch).notes == f"s3://clinic/root/quarantine/{batch}/quarantine.jsonl"


@pytest.mark.parametrize("batch", ["", "..", "a/b", "a b", ".hidden", "a\n", "ä", "x" * 201])
def test_a_batch_id_that_is_no_plain_folder_is_refused(batch: str) -> None:
    with pytest.raises(UsageError):
        RunPlaces.of(SETTINGS, batch)
    with pytest.raises(UsageError):
        QuarantinePlaces.of(SETTINGS, batch)
