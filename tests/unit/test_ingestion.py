"""Gold drops without a store: what belongs together, what is refused for its place, what is new, what is merged."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enigma_tasks.config import load_params
from enigma_tasks.documents import Document, Entity, EntityType
from enigma_tasks.errors import DataError
from enigma_tasks.formats.packed import pack
from enigma_tasks.gold.deliveries import ReadDelivery, read_delivery
from enigma_tasks.gold.ingestion import Delivery, GoldObject, arrange, content_digest, news
from enigma_tasks.gold.manifest import ManifestEntry, pack_manifest, unpack_manifest

PARAMS = load_params(Path(__file__).parents[2] / "params.yaml")
TEXT = "Refiere asma y tos."
ANN = "T1\tDISEASE 8 12\tasma\n"
ASTHMA = Entity("DISEASE", 8, 12, "asma")
DISEASE = frozenset({EntityType.DISEASE})


def objects(*paths: str, etag: str = "e", size: int = 10) -> list[GoldObject]:
    return [GoldObject(p, etag, size, f"2026-06-11T00:00:{i:02}") for i, p in enumerate(paths)]


def arranged(*paths: str, **more: int) -> list[Delivery]:
    return arrange(objects(*paths, **more), PARAMS.language, 1000)[0]


def read(delivery: Delivery, files: dict[str, bytes], scratch: Path) -> ReadDelivery:
    return read_delivery(delivery, {p: files[p] for p, _ in delivery.state}, scratch / "new")


def read_all(files: dict[str, str | bytes], scratch: Path) -> ReadDelivery:
    data = {p: c if isinstance(c, bytes) else c.encode() for p, c in files.items()}
    (delivery,) = arranged(*data)
    return read(delivery, data, scratch)


@pytest.mark.parametrize(
    ("text", "annotation"),
    [
        ("es/disease/x.txt", "es/disease/x.ann"),
        ("es/disease/june/ward-3/x.txt", "es/disease/june/ward-3/x.ann"),
        ("es/disease/txt/x.txt", "es/disease/ann/x.ann"),
        ("es/all/june/disease/txt/x.txt", "es/all/june/disease/ann/x.ann"),
        ("es/disease/june/TXT/ward-3/x.TXT", "es/disease/june/ann/ward-3/x.Ann"),
        ("es/all/Disease/x.txt", "es/all/Disease/x.ann"),
        (
            "es/disease/MultiClinNER-es/MultiClinNER-es-train/MultiClinNER-es-train-disease/txt/x.txt",
            "es/disease/MultiClinNER-es/MultiClinNER-es-train/MultiClinNER-es-train-disease/ann/x.ann",
        ),
    ],
)
def test_a_text_and_its_annotation_belong_together_in_every_shape(text: str, annotation: str, tmp_path: Path) -> None:
    reading = read_all({annotation: ANN, text: TEXT}, tmp_path)
    assert reading.documents == [Document("x", TEXT, (ASTHMA,), "es", DISEASE)]
    assert reading.refusals == []


def test_the_releases_code_for_czech_is_ours_and_all_types_means_all() -> None:
    (pair,) = arranged("cz/all/MultiClinNER-cz/MultiClinNER-cz-train/a.txt")
    assert (pair.language, pair.types, pair.rule) == ("cs", frozenset(EntityType), None)


@pytest.mark.parametrize(
    ("path", "rule"),
    [
        ("x.txt", "key_layout"),
        ("es/x.txt", "key_layout"),
        ("fr/disease/x.txt", "language_not_configured"),
        ("es/drug/x.txt", "type_unknown"),
        ("es/disease/symptom/x.txt", "place_differs"),
        ("es/disease/MultiClinNER-it/x.txt", "place_differs"),
        ("es/disease/scan.pdf", "file_type"),
        ("es/disease/../../x.txt", "key_unsafe"),
        ("es/disease//x.txt", "key_unsafe"),
        ("es/disease/a\nb/x.txt", "key_unsafe"),
        (f"es/disease/{'x' * 300}.txt", "id_unsafe"),
    ],
)
def test_an_object_in_a_wrong_place_is_refused_with_its_rule(path: str, rule: str) -> None:
    (delivery,) = arranged(path)
    assert delivery.rule == rule
    assert delivery.record.isprintable()


def test_a_large_object_is_refused_unread() -> None:
    (delivery,) = arranged("es/disease/x.txt", size=1001)
    assert delivery.rule == "too_large"


def test_two_texts_for_one_annotation_are_refused_together() -> None:
    (delivery,) = arranged("es/disease/x.txt", "es/disease/txt/x.txt", "es/disease/x.ann")
    assert delivery.rule == "id_duplicate"
    assert len(delivery.objects) == 3


BESIDE = [
    "es/disease/tsv/a.tsv",
    "es/disease/.DS_Store",
    "es/disease/",
    "es/disease/MultiClinNER-es/MultiClinNER-es-test/MultiClinNER-es-test-disease/txt/x.txt",
    "es/disease/annotation.conf",
    "es/disease/visual.conf",
    "es/disease/june/tools.conf",
    "es/disease/THUMBS.DB",
    "es/disease/desktop.ini",
    "es/disease/__MACOSX/._x.txt",
    "es/disease/.ipynb_checkpoints/x-checkpoint.txt",
    "es/disease/~$case.docx",
    "es/disease/README.txt",
    "es/disease/LICENSE",
    "es/disease/TypeSystem.xml",
]


@pytest.mark.parametrize("path", BESIDE)
def test_what_lies_beside_a_corpus_and_what_is_to_be_judged_is_none_of_ours(path: str) -> None:
    assert arrange(objects(path), PARAMS.language, 1000) == ([], 1)


def test_a_table_is_a_companion_of_texts_only() -> None:
    beside, ignored = arrange(
        objects("es/disease/x.tsv", "es/disease/txt/x.txt", "es/disease/ann/x.ann"), PARAMS.language, 1000
    )
    assert ([d.rule for d in beside], ignored) == ([None], 1)
    alone, ignored = arrange(objects("es/disease/webanno/x.tsv"), PARAMS.language, 1000)
    assert ([(d.kind, d.rule) for d in alone], ignored) == ([("export", None)], 0)


def test_an_annotators_version_is_none_of_ours_where_the_document_was_curated() -> None:
    project = [
        "annotation/a.txt/INITIAL_CAS.xmi",
        "annotation/a.txt/ana.xmi",
        "annotation/b.txt/INITIAL_CAS.xmi",
        "annotation/b.txt/ana.xmi",
        "annotation/c.txt/INITIAL_CAS.xmi",
        "curation/a.txt/CURATION_USER.xmi",
        "export.json",
        "CURATION_USER.json",
    ]
    deliveries, ignored = arrange(objects(*(f"es/all/{p}" for p in project)), PARAMS.language, 1000)
    assert [d.record.removeprefix("es/all/") for d in deliveries] == [
        "CURATION_USER.json",
        "annotation/b.txt/ana.xmi",
        "annotation/c.txt/INITIAL_CAS.xmi",
        "curation/a.txt/CURATION_USER.xmi",
        "export.json",
    ]
    assert ignored == 3


def test_label_studios_target_storage_has_files_without_a_suffix() -> None:
    (numbered, named) = arranged("es/all/111", "es/all/notes")
    assert (numbered.kind, numbered.rule, named.rule) == ("export", None, "file_type")


@pytest.mark.parametrize(
    ("files", "rule", "offset"),
    [
        ({"x.txt": TEXT}, "text_without_annotation", None),
        ({"x.ann": ANN}, "annotation_without_text", None),
        ({"x.txt": TEXT.encode() + b"\xff", "x.ann": ANN}, "not_utf8", 19),
        ({"x.txt": TEXT, "x.ann": b"\xff"}, "not_utf8", 0),
        ({"x.txt": TEXT, "x.ann": "T1\tDISEASE 8 99\tasma\n"}, "span_outside_text", 8),
        ({"x.txt": TEXT, "x.ann": "T1\tDISEASE 12 8\tasma\n"}, "span_inverted", 12),
        ({"x.txt": TEXT, "x.ann": "T1\tDISEASE 7 11\tasma\n"}, "surface_differs", 7),
        ({"x.txt": TEXT, "x.ann": "T1\tDRUG 8 12\tasma\n"}, "label_unknown", 8),
        ({"x.txt": TEXT, "x.ann": "T1\tSYMPTOM 15 18\ttos\n"}, "label_unexpected", 15),
        ({"x.json": b"[{"}, "json_invalid", 1),
        ({"x.jsonl.gz": b"no gzip"}, "packed_damaged", 1),
    ],
)
def test_a_bad_document_is_refused_with_its_rule(
    files: dict[str, str | bytes], rule: str, offset: int | None, tmp_path: Path
) -> None:
    reading = read_all({f"es/disease/{name}": content for name, content in files.items()}, tmp_path)
    assert reading.documents == []
    (refusal,) = reading.refusals
    assert (refusal.document, refusal.rule, refusal.offset) == ("", rule, offset)


def test_all_defects_of_a_document_are_counted_under_the_first(tmp_path: Path) -> None:
    wrong = "T1\tDISEASE 7 11\tasma\nT2\tDISEASE 0 90\tasma\nT3\tDISEASE 8 12\tasma\n"
    reading = read_all({"es/disease/x.txt": TEXT, "es/disease/x.ann": wrong}, tmp_path)
    assert [(r.rule, r.more) for r in reading.refusals] == [("surface_differs", 1)]


def test_a_packed_file_loses_only_its_bad_documents(tmp_path: Path) -> None:
    sound = Document("a", TEXT, (ASTHMA,), "es", DISEASE)
    elsewhere = Document("b", TEXT, (), "it", DISEASE)
    other_type = Document("c", TEXT, (), "es", frozenset({EntityType.SYMPTOM}))
    undeclared = Document("d", TEXT, (), None, DISEASE)
    spans = [{"label": "DISEASE", "start": 8, "end": end, "text": "asma"} for end in (12, 99)]
    wrong = json.dumps({"id": "e", "text": TEXT, "language": "es", "annotated": ["disease"], "entities": spans})
    data = gzip.compress(gzip.decompress(pack([sound, elsewhere, other_type, undeclared])) + wrong.encode())
    reading = read_all({"es/disease/x.jsonl.gz": data}, tmp_path)
    assert reading.documents == [sound, Document("d", TEXT, (), "es", DISEASE)]
    assert {(r.document, r.rule) for r in reading.refusals} == {
        ("2", "place_differs"),
        ("3", "label_unexpected"),
        ("5", "span_outside_text"),
    }


def test_an_export_loses_only_its_bad_documents_and_all_that_share_an_id(tmp_path: Path) -> None:
    lines = [
        {"id": 1, "text": TEXT, "label": [[8, 12, "DISEASE"]]},
        {"id": 2, "text": TEXT, "label": [[8, 99, "DISEASE"]]},
        {"id": 1, "text": TEXT, "label": []},
        {"id": 3, "text": TEXT, "label": [[8, 12, "DISEASE"]]},
    ]
    reading = read_all({"es/disease/x.jsonl": "\n".join(map(json.dumps, lines))}, tmp_path)
    assert reading.documents == [Document("doccano-3", TEXT, (ASTHMA,), "es", DISEASE)]
    assert [(r.document, r.rule) for r in reading.refusals] == [
        ("1", "id_duplicate"),
        ("3", "id_duplicate"),
        ("2", "span_outside_text"),
    ]
    assert reading.read == 4


@pytest.mark.parametrize(
    ("name", "rule"),
    [("12", None), ("a.csv", None), ("A.CSV", None), ("12.conll", "file_type"), ("notes", "file_type")],
)
def test_an_export_is_told_by_its_suffix_or_by_a_number_alone(name: str, rule: str | None) -> None:
    (delivery,), _ = arrange(objects(f"es/all/{name}"), PARAMS.language, 1000)
    assert delivery.rule == rule


def test_why_a_document_was_refused_is_said_with_its_label_but_not_with_text(tmp_path: Path) -> None:
    lines = [{"id": n, "text": TEXT, "label": [[8, 12, label]]} for n, label in enumerate(("ILLNESS", "asma"), start=1)]
    reading = read_all({"es/disease/x.jsonl": "\n".join(map(json.dumps, lines))}, tmp_path)
    assert [r.rule for r in reading.refusals] == ["label_unknown"] * 2
    shown, hidden = (r.hint for r in reading.refusals)
    assert "ILLNESS" in shown
    assert "asma" not in hidden


def test_only_what_changed_is_new_and_what_was_refused_when_asked() -> None:
    pairs = arranged("es/disease/a.txt", "es/disease/a.ann", "es/disease/b.txt")
    manifest = {d.record: ManifestEntry(d.state, "digest", refused) for d, refused in zip(pairs, (0, 1), strict=True)}
    assert news(pairs, manifest) == []
    assert [d.record for d in news(pairs, manifest, again=True)] == ["es/disease/b.txt"]
    (written_over,) = arrange(objects("es/disease/b.txt", etag="other"), PARAMS.language, 1000)[0]
    assert news([written_over], manifest) == [written_over]
    completed = arranged("es/disease/b.txt", "es/disease/b.ann")
    assert news(completed, manifest) == completed


def test_the_digest_is_of_the_content_alone() -> None:
    (one,) = arranged("es/disease/a.txt", "es/disease/a.ann")
    data = {"es/disease/a.txt": b"text", "es/disease/a.ann": b""}
    (other,) = arrange(objects("es/disease/a.txt", "es/disease/a.ann", etag="other"), PARAMS.language, 1000)[0]
    assert content_digest(one, data) == content_digest(other, data)
    assert content_digest(one, data) != content_digest(one, data | {"es/disease/a.ann": b"x"})


paths = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
entries = st.builds(
    ManifestEntry,
    st.lists(st.tuples(paths, paths), max_size=3).map(tuple),
    paths,
    st.integers(0, 9),
    st.lists(st.tuples(paths, paths, paths), max_size=3).map(tuple),
)


@given(st.dictionaries(paths, entries, max_size=5))
def test_a_manifest_comes_back_and_its_bytes_do_not_depend_on_order(manifest: dict[str, ManifestEntry]) -> None:
    packed = pack_manifest(manifest)
    assert unpack_manifest(packed) == manifest
    assert pack_manifest(dict(reversed(manifest.items()))) == packed


@pytest.mark.parametrize("damage", [b"", b"no gzip", pack_manifest({"a": ManifestEntry((), "d", 0)})[:-4]])
def test_a_damaged_manifest_is_named(damage: bytes) -> None:
    with pytest.raises(DataError, match="manifest_damaged"):
        unpack_manifest(damage)


segments = st.lists(st.sampled_from(["es", "disease", "all", "txt", "ann", "..", "", "x", "a\x00b", "é"]), max_size=4)
names = st.sampled_from(
    [
        "a.txt",
        "a.ann",
        "A.TXT",
        "b.json",
        "c.zip",
        "TypeSystem.xml",
        "d.xmi",
        ".x",
        "e",
        "",
        "a.tsv",
        "README.txt",
        "CURATION_USER.xmi",
        "INITIAL_CAS.xmi",
        "7",
        "Thumbs.db",
    ]
)


@given(st.lists(st.tuples(segments, names), max_size=8))
def test_every_object_is_in_one_delivery_or_ignored(keys: list[tuple[list[str], str]]) -> None:
    listed = sorted({"/".join([*folders, name]) for folders, name in keys})
    deliveries, ignored = arrange(objects(*listed), PARAMS.language, 1000)
    delivered = [o.path for d in deliveries for o in d.objects if not o.path.endswith("TypeSystem.xml")]
    assert len(delivered) == len(set(delivered))
    assert len(delivered) + ignored == len(listed)
    records = [d.record for d in deliveries]
    assert len(records) == len(set(records))


def test_an_unforeseen_exception_is_a_refusal_of_its_file_that_quotes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise TypeError("asma is not what was expected")

    monkeypatch.setattr("enigma_tasks.gold.deliveries.read_export", broken)
    reading = read_all({"es/disease/x.json": "[]"}, tmp_path)
    assert (reading.read, reading.documents) == (1, [])
    (refused,) = reading.refusals
    assert refused.rule == "unreadable"
    assert "asma" not in repr(refused) + caplog.text
    assert "TypeError" in caplog.text


@pytest.mark.parametrize("offsets", [(10**30, 10**30 + 4), (-(10**30), 12), (8, 10**30)])
def test_offsets_that_no_table_has_numbers_for_are_refused(offsets: tuple[int, int], tmp_path: Path) -> None:
    record = {"id": 1, "text": TEXT, "label": [[*offsets, "DISEASE"]]}
    (refused,) = read_all({"es/disease/x.jsonl": json.dumps(record)}, tmp_path).refusals
    assert refused.offset is None or abs(refused.offset) < 2**63


@pytest.mark.parametrize("line", [b"[" * 5000 + b"]" * 5000, b'{"record": []}', b"7"])
def test_a_manifest_of_another_shape_is_damaged(line: bytes) -> None:
    with pytest.raises(DataError, match="manifest_damaged"):
        unpack_manifest(gzip.compress(line))
