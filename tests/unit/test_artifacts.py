"""Names of places and objects."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enigma_tasks.artifacts import MAX_KEY_BYTES, QuarantinePlaces, RunPlaces, annotation_uri
from enigma_tasks.config import load_settings
from enigma_tasks.errors import UsageError

SETTINGS = load_settings({"ENIGMA_S3_ROOT": "s3://clinic/root"})
ROOT = "s3://clinic/annotations"


@pytest.mark.parametrize(
    ("language", "drop_path", "record_id", "name"),
    [
        ("es", "es/2026-06-11/a/b c%/n1.txt", None, "es/2026-06-11/a/b c%/n1.ann"),
        ("es", "auto/2026-06-11/n1.txt", None, "es/2026-06-11/auto/n1.ann"),
        ("cs", "cz/2026-06-11/n1.txt", None, "cs/2026-06-11/cz/n1.ann"),
        ("es", "es/2026-06-11/day.jsonl", "r/1", "es/2026-06-11/day.jsonl/r%2F1.ann"),
        ("es", "es/2026-06-11/day.jsonl.gz", "..", "es/2026-06-11/day.jsonl.gz/%2E%2E.ann"),
        ("it", "es/2026-06-11/day.jsonl", "ž", "it/2026-06-11/es/day.jsonl/%C5%BE.ann"),
    ],
)
def test_an_annotation_lies_where_its_note_lies(
    language: str, drop_path: str, record_id: str | None, name: str
) -> None:
    assert annotation_uri(ROOT, language, drop_path, record_id) == f"{ROOT}/{name}"


_ids = st.none() | st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=40)
_names = st.sampled_from(["n.txt", "n.jsonl", "n.jsonl.gz", "auto/n.txt", "x" * 900 + "/n.txt"])


@given(st.lists(st.tuples(st.sampled_from(["es", "auto", "cz"]), _names, _ids), max_size=8, unique=True))
def test_no_two_notes_of_a_day_share_an_annotation_and_no_name_leaves_its_folder(
    notes: list[tuple[str, str, str | None]],
) -> None:
    notes = [(f, n, r) for f, n, r in notes if n.endswith(".txt") == (r is None) and not (f == "cz" and "auto" in n)]
    notes = [(f, n, r) for f, n, r in notes if f != "es" or "auto/" not in n]  # es/auto/ is where auto/ goes
    uris = [annotation_uri(ROOT, "es", f"{f}/2026-06-11/{n}", r) for f, n, r in notes]
    assert len(set(uris)) == len(notes)
    for uri in uris:
        assert uri.startswith(f"{ROOT}/es/2026-06-11/")
        assert not {".", "..", ""} & set(uri.removeprefix("s3://").split("/"))
        assert len(uri.split("/", 3)[3].encode()) <= MAX_KEY_BYTES


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
