"""Names of places and objects."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enigma_tasks.artifacts import MAX_ANNOTATION_BYTES, QuarantinePlaces, RunPlaces, annotation_path
from enigma_tasks.config import load_settings
from enigma_tasks.errors import UsageError
from enigma_tasks.file_names import FileKind, kind_of, stem
from tests.unit.strategies import drops, notes

SETTINGS = load_settings({"ENIGMA_S3_ROOT": "s3://clinic/root"})


@pytest.mark.parametrize(
    ("language", "drop_path", "record_id", "path"),
    [
        ("es", "es/2026-06-11/a/b c%/n1.txt", None, "es/2026-06-11/a/b c%/n1.ann"),
        ("es", "es/2026-06-11/Ward-1/S0004-0614.TXT", None, "es/2026-06-11/Ward-1/S0004-0614.ann"),
        ("es", "es/2026-06-11/cafe\u0301 stra\u00dfe.txt", None, "es/2026-06-11/cafe\u0301 stra\u00dfe.ann"),
        ("es", "auto/2026-06-11/n1.txt", None, "es/2026-06-11/auto/n1.ann"),
        ("cs", "cz/2026-06-11/n1.txt", None, "cs/2026-06-11/cz/n1.ann"),
        ("cs", "CS/2026-06-11/er/n1.txt", None, "cs/2026-06-11/CS/er/n1.ann"),
        ("es", "es/2026-06-11/day.jsonl", "r/1", "es/2026-06-11/day.jsonl/r%2F1.ann"),
        ("es", "es/2026-06-11/Day.JSONL", "N1", "es/2026-06-11/Day.JSONL/N1.ann"),
        ("es", "es/2026-06-11/day.jsonl.gz", "..", "es/2026-06-11/day.jsonl.gz/%2E%2E.ann"),
        ("it", "es/2026-06-11/day.jsonl", "ž", "it/2026-06-11/es/day.jsonl/%C5%BE.ann"),
    ],
)
def test_an_annotation_lies_where_its_note_lies(
    language: str, drop_path: str, record_id: str | None, path: str
) -> None:
    assert annotation_path(language, drop_path, record_id) == path


SEPARATE = re.compile(r"~[0-9a-f]{32}/")


@pytest.mark.parametrize(
    "drop_path",
    [
        "es/2026-06-11//n1.txt",
        f"es/2026-06-11/~{'0' * 32}/n1.txt",
        f"es/2026-06-11/~{'A' * 32}/n1.txt",
        f"es/2026-06-11/~{'0' * 30}\ufb00/n1.txt",
    ],
)
def test_a_note_in_a_folder_that_is_no_note_s_own_has_a_separate_path_and_keeps_its_name(drop_path: str) -> None:
    path = annotation_path("es", drop_path, None)
    assert path == annotation_path("es", drop_path, None, separate=True)
    assert SEPARATE.search(path.removeprefix(drop_path.rsplit("/", 1)[0]))
    assert path.startswith("es/2026-06-11/")
    assert path.endswith("/n1.ann")


@given(drops, notes, st.booleans())
def test_no_path_is_too_long_or_leaves_its_folder(folder: str, note: tuple[str, str | None], separate: bool) -> None:
    rest, record = note
    path = annotation_path("es", f"{folder}/2026-06-11/{rest}", record, separate=separate)
    assert path.startswith("es/2026-06-11/")
    assert not {"", *({".", ".."} - set(rest.split("/")))} & set(path.split("/"))
    assert len(path.encode()) <= MAX_ANNOTATION_BYTES


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
