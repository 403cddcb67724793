"""Names of places and objects."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enigma_tasks.annotation_places import MAX_KEY_BYTES, annotation_uri
from enigma_tasks.artifacts import QuarantinePlaces, RunPlaces
from enigma_tasks.config import load_settings
from enigma_tasks.errors import UsageError
from enigma_tasks.file_names import FileKind, kind_of, stem

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


OWN = re.compile(r"~[0-9a-f]{32}/")


@pytest.mark.parametrize(
    ("drop_path", "record_id"),
    [
        ("es/2026-06-11/N1.txt", None),
        ("es/2026-06-11/Ward/n1.txt", None),
        ("es/2026-06-11/n1.TXT", None),
        ("es/2026-06-11/cafe\u0301.txt", None),
        ("es/2026-06-11/stra\u00dfe.txt", None),
        ("es/2026-06-11/auto/n1.txt", None),
        ("es/2026-06-11/cz/n1.txt", None),
        ("es/2026-06-11/day.jsonl/n1.txt", None),
        ("es/2026-06-11//n1.txt", None),
        ("ES/2026-06-11/n1.txt", None),
        ("es/2026-06-11/day.jsonl", "R1"),
        ("es/2026-06-11/day.JSONL", "r1"),
        (f"es/2026-06-11/~{'0' * 32}/n1.txt", None),
    ],
)
def test_a_note_whose_place_another_key_could_mean_gets_a_folder_of_its_own_and_keeps_its_name(
    drop_path: str, record_id: str | None
) -> None:
    uri = annotation_uri(ROOT, "es", drop_path, record_id)
    assert OWN.search(uri)
    assert uri.startswith(f"{ROOT}/es/2026-06-11/")
    assert uri.rsplit("/", 1)[1] == f"{record_id or drop_path.rsplit('/', 1)[1][:-4]}.ann"


_STEMS = [
    "n",
    "N",
    "n1",
    "é",
    "e\u0301",
    "É",
    "ß",
    "ss",
    "ſ",
    "s",
    "..",
    "x.jsonl",
    "auto",
    "es",
    "%2E",
    "~" + "0" * 32,
]
_parts = st.sampled_from(_STEMS) | st.text(
    st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="/"), max_size=4
)
_folders = st.lists(_parts | st.sampled_from(["x.jsonl", "a.ann", "auto", "cz", "y" * 500]), max_size=3)
_texts = st.tuples(_folders, _parts, st.sampled_from([".txt", ".TXT"])).map(
    lambda t: ("/".join([*t[0], t[1] + t[2]]), None)
)
_records = st.tuples(
    _folders, st.sampled_from(["x.jsonl", "X.jsonl", "x.jsonl.gz", "x.JSONL"]), _parts.filter(bool)
).map(lambda t: ("/".join([*t[0], t[1]]), t[2]))
_drops = st.sampled_from(["es", "auto", "cz", "ES", "Auto", "es-es", "spanish"])


def folded(uri: str) -> str:
    """As a store that keeps neither letter case nor the form of accents would name it."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", uri).casefold())


@settings(max_examples=400)
@given(st.lists(st.tuples(_drops, _texts | _records), max_size=8, unique=True))
def test_no_two_notes_of_a_day_share_an_annotation_and_no_name_leaves_its_folder(
    notes: list[tuple[str, tuple[str, str | None]]],
) -> None:
    uris = [annotation_uri(ROOT, "es", f"{folder}/2026-06-11/{rest}", record) for folder, (rest, record) in notes]
    assert len({folded(uri) for uri in uris}) == len(notes)
    for uri, (_, (rest, _)) in zip(uris, notes, strict=True):
        assert uri.startswith(f"{ROOT}/es/2026-06-11/")
        assert not {"", *({".", ".."} - set(rest.split("/")))} & set(uri.removeprefix("s3://").split("/"))
        assert len(uri.split("/", 3)[3].encode()) <= MAX_KEY_BYTES


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("auto/2026-06-11/n1.txt", None), ("es/2026-06-11/auto/n1.txt", None)),
        (("es/2026-06-11/x.jsonl", "n1"), ("es/2026-06-11/x.jsonl/n1.txt", None)),
        (("es/2026-06-11/caf\u00e9.txt", None), ("es/2026-06-11/cafe\u0301.txt", None)),
        (("es/2026-06-11/N1.txt", None), ("es/2026-06-11/n1.txt", None)),
        (("es/2026-06-11/n1.TXT", None), ("es/2026-06-11/n1.txt", None)),
        (("es/2026-06-11/x.jsonl", "N1"), ("es/2026-06-11/x.jsonl", "n1")),
        (("cz/2026-06-11/n1.txt", None), ("cs/2026-06-11/cz/n1.txt", None)),
        (("es/2026-06-11//n1.txt", None), ("es/2026-06-11/n1.txt", None)),
        (("AUTO/2026-06-11/n1.txt", None), ("auto/2026-06-11/n1.txt", None)),
    ],
)
def test_known_twins_lie_apart(one: tuple[str, str | None], other: tuple[str, str | None]) -> None:
    for language in ("es", "cs"):
        assert folded(annotation_uri(ROOT, language, *one)) != folded(annotation_uri(ROOT, language, *other))


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
