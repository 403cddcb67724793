"""A packed corpus: nothing is lost, the same documents are the same bytes, and every damage has a name."""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enigma_tasks.cli import main
from enigma_tasks.documents import Document, Entity, EntityType, entity_at
from enigma_tasks.errors import DataError
from enigma_tasks.formats.corpora import CorpusReport, read_corpus, write_corpus
from enigma_tasks.formats.packed import pack, read_packed, write_packed
from enigma_tasks.gold.folds import shape_of, write_fold
from tests.unit.strategies import annotated_texts, is_note

D, P, S = EntityType.DISEASE, EntityType.PROCEDURE, EntityType.SYMPTOM
TEXT = "\ufeffCrise de goutte.\r\nOn fait une e\u0301chographie.\rFin\u2028"
LINE: dict[str, Any] = {
    "id": "note-1",
    "language": "es",
    "annotated": ["disease"],
    "text": "Gota aguda con tos.",
    "entities": [{"label": "DISEASE", "start": 0, "end": 10, "text": "Gota aguda"}],
}


def document(name: str = "note-1", *types: EntityType, text: str = TEXT, language: str | None = "es") -> Document:
    own = types or (D,)
    entities = tuple(entity_at(name, text, t.label, 10, 16) for t in (D, P, S) if t in own)
    return Document(name, text, entities, language, frozenset(own))


def packed(path: Path, *lines: Any) -> Path:
    """A file of lines given as objects, or as bytes."""
    data = b"".join((i if isinstance(i, bytes) else json.dumps(i).encode()) + b"\n" for i in lines)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(data))
    return path


TYPES = st.sets(st.sampled_from(EntityType), min_size=1)
SAMPLES = st.tuples(
    annotated_texts().filter(lambda sample: is_note(sample[0])), TYPES, st.sampled_from(["cs", "es", None])
)


@given(st.lists(SAMPLES, min_size=1, max_size=4))
def test_no_code_point_offset_type_or_language_is_lost(
    tmp_path_factory: pytest.TempPathFactory,
    samples: list[tuple[tuple[str, tuple[Entity, ...]], set[EntityType], str | None]],
) -> None:
    documents = [
        Document(f"n{i}", text, tuple(e for e in found if e.label in {t.label for t in types}), code, frozenset(types))
        for i, ((text, found), types, code) in enumerate(samples)
    ]
    folder = tmp_path_factory.mktemp("packed")
    write_packed(documents, folder / "gold.jsonl.gz")
    assert read_packed(folder / "gold.jsonl.gz") == documents
    assert sorted(read_corpus(folder / "gold.jsonl.gz"), key=lambda d: d.id) == documents
    write_corpus(documents, folder / "by", "packed")
    assert sorted(read_corpus(folder / "by"), key=lambda d: d.id) == documents


def test_carriage_returns_bom_combining_and_separator_characters_stay(tmp_path: Path) -> None:
    write_packed([document()], tmp_path / "disease.jsonl.gz")
    (back,) = read_packed(tmp_path / "disease.jsonl.gz")
    assert back.text == TEXT
    assert back.entities[0].text == "goutte"
    assert gzip.decompress((tmp_path / "disease.jsonl.gz").read_bytes()).isascii()


def test_repeated_and_overlapping_spans_stay_for_validation_to_judge(tmp_path: Path) -> None:
    again = entity_at("n", TEXT, "DISEASE", 10, 16), entity_at("n", TEXT, "DISEASE", 8, 14)
    twice = Document("n", TEXT, (again[1], again[0], again[0]), "es", frozenset({D}))
    write_packed([twice], tmp_path / "disease.jsonl.gz")
    assert read_packed(tmp_path / "disease.jsonl.gz") == [twice]


def test_the_same_documents_are_the_same_bytes_in_any_order_and_under_any_name(tmp_path: Path) -> None:
    documents = [document("b"), document("a"), document("a", language="cs")]
    first = write_packed(documents, tmp_path / "one.jsonl.gz")
    second = write_packed(documents[::-1], tmp_path / "deeper" / "two.jsonl.gz")
    data = (tmp_path / "one.jsonl.gz").read_bytes()
    assert data == (tmp_path / "deeper" / "two.jsonl.gz").read_bytes() == pack(documents)
    assert first == second == hashlib.sha256(data).hexdigest()
    assert data[:10] == bytes([0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 2, 255])  # RFC 1952: no name, no time, no system
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["deeper", "one.jsonl.gz", "two.jsonl.gz"]


def test_ids_are_in_order_in_the_file(tmp_path: Path) -> None:
    write_packed([document("b"), document("a")], tmp_path / "x.jsonl.gz")
    assert [d.id for d in read_packed(tmp_path / "x.jsonl.gz")] == ["a", "b"]


WRONG = Document("n", TEXT, (Entity("DISEASE", 10, 16, "gouttx"),), "es", frozenset({D}))


@pytest.mark.parametrize(
    ("documents", "rule"),
    [
        ([document("../up")], "id_unsafe"),
        ([document("n"), document("n", S)], "id_duplicate"),
        ([Document("n", TEXT, (), "es", frozenset())], "text_without_annotation"),
        ([Document("n", TEXT, document("n", D, S).entities, "es", frozenset({D}))], "label_unexpected"),
        ([WRONG], "surface_differs"),
        ([Document("n", "x", (Entity("DISEASE", 0, 9, "x"),), "es", frozenset({D}))], "span_outside_text"),
    ],
)
def test_what_cannot_be_read_back_is_not_written(tmp_path: Path, documents: list[Document], rule: str) -> None:
    with pytest.raises(DataError, match=rule):
        write_packed(documents, tmp_path / "out.jsonl.gz")
    assert not list(tmp_path.iterdir())


DEFECTS: dict[str, tuple[Any, str, str, int | None]] = {
    "no json": (b"{Gota", "disease.jsonl.gz", "packed_line_malformed", 2),
    "no object": ([1], "disease.jsonl.gz", "packed_line_malformed", 2),
    "a field less": ({"id": "x", "text": "Gota"}, "disease.jsonl.gz", "packed_line_malformed", 2),
    "a field more": (LINE | {"more": 1}, "disease.jsonl.gz", "packed_line_malformed", 2),
    "an unknown type": (LINE | {"annotated": ["drug"]}, "disease.jsonl.gz", "packed_line_malformed", 2),
    "a language that leaves the folder": (LINE | {"language": "../e"}, "disease.jsonl.gz", "packed_line_malformed", 2),
    "no offsets": (LINE | {"entities": [{"label": "DISEASE"}]}, "disease.jsonl.gz", "packed_line_malformed", 2),
    "an offset that is true": (
        LINE | {"entities": [{"label": "DISEASE", "start": True, "end": 2, "text": "o"}]},
        "disease.jsonl.gz",
        "packed_line_malformed",
        2,
    ),
    "a number of 5000 digits": (b'{"id": ' + b"9" * 5000 + b"}", "disease.jsonl.gz", "packed_line_malformed", 2),
    "bytes that are no UTF-8": (b'{"id": "\xe9"}', "disease.jsonl.gz#2", "not_utf8", 8),
    "half a character": (
        json.dumps(LINE | {"text": "Gota \ud83d"}).encode(),
        "disease.jsonl.gz#2",
        "not_utf8",
        5,
    ),
    "an id that leaves the folder": (LINE | {"id": "../up"}, "'../up'", "id_unsafe", None),
    "an id again": (LINE | {"id": "first"}, "first", "id_duplicate", None),
}  # fmt: skip


@pytest.mark.parametrize("name", DEFECTS)
def test_a_damaged_line_is_named_and_costs_no_other(tmp_path: Path, name: str) -> None:
    line, record, rule, offset = DEFECTS[name]
    path = packed(tmp_path / "disease.jsonl.gz", LINE | {"id": "first"}, line, LINE | {"id": "last"})
    defects: list[DataError] = []
    twice = rule == "id_duplicate"  # neither of the two is kept: nothing tells which is meant
    assert [d.id for d in read_packed(path, defects)] == (["last"] if twice else ["first", "last"])
    assert [(d.record, d.rule, d.offset) for d in defects] == [(record, rule, offset)] * (1 + twice)
    with pytest.raises(DataError) as caught:
        read_packed(path)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    assert "Gota" not in str(caught.value)


@pytest.mark.parametrize(
    ("entity", "rule", "offset"),
    [
        ({"label": "DISEASE", "start": 0, "end": 99, "text": "Gota"}, "span_outside_text", 0),
        ({"label": "DISEASE", "start": 4, "end": 4, "text": ""}, "span_inverted", 4),
        ({"label": "DISEASE", "start": 1, "end": 5, "text": "Gota"}, "surface_differs", 1),
        ({"label": "DRUG", "start": 0, "end": 4, "text": "Gota"}, "label_unknown", 0),
        ({"label": "SYMPTOM", "start": 15, "end": 18, "text": "tos"}, "label_unexpected", 15),
    ],
)
def test_a_wrong_span_refuses_its_document_and_no_other(
    tmp_path: Path, entity: dict[str, Any], rule: str, offset: int
) -> None:
    wrong = LINE | {"entities": [*LINE["entities"], entity]}
    path = packed(tmp_path / "disease.jsonl.gz", wrong, LINE | {"id": "last"})
    defects: list[DataError] = []
    assert [d.id for d in read_packed(path, defects)] == ["last"]
    assert [(d.record, d.rule, d.offset) for d in defects] == [("note-1", rule, offset)]


@pytest.mark.parametrize("cut", ["end", "middle", "head"])
def test_a_damaged_stream_is_named_with_its_line(tmp_path: Path, cut: str) -> None:
    path = packed(tmp_path / "disease.jsonl.gz", *[LINE | {"id": f"n{i}"} for i in range(3)])
    data = path.read_bytes()
    path.write_bytes({"end": data[:-9], "middle": data[:20], "head": b"PK" + data[2:]}[cut])
    defects: list[DataError] = []
    found = read_packed(path, defects)
    assert [(d.record, d.rule, d.offset) for d in defects] == [("disease.jsonl.gz", "packed_damaged", len(found) + 1)]
    with pytest.raises(DataError, match="packed_damaged"):
        read_corpus(path)


def test_an_empty_file_is_an_empty_corpus(tmp_path: Path) -> None:
    write_packed([], tmp_path / "disease.jsonl.gz")
    assert read_packed(tmp_path / "disease.jsonl.gz") == []


def test_a_packed_folder_is_a_corpus_shape(tmp_path: Path) -> None:
    documents = [document("a", D, S), document("b", P, language="cs")]
    write_fold(documents, tmp_path, "packed")
    assert sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*.gz")) == [
        "cs/procedure.jsonl.gz", "es/disease.jsonl.gz", "es/symptom.jsonl.gz",
    ]  # fmt: skip
    assert read_corpus(tmp_path) == [documents[1], documents[0]]
    assert read_corpus(tmp_path, language="es") == [documents[0]]
    assert read_corpus(tmp_path / "es" / "symptom.jsonl.gz") == [document("a", S)]
    assert read_corpus(tmp_path, entity=D) == [document("a", D)]
    assert [shape_of(tmp_path), shape_of(tmp_path / "es" / "symptom.jsonl.gz")] == ["packed", "packed"]


def test_a_record_without_language_takes_that_of_its_place(tmp_path: Path) -> None:
    write_packed([document(language=None)], tmp_path / "sv" / "disease.jsonl.gz")
    assert read_corpus(tmp_path)[0].language == "sv"
    assert read_corpus(tmp_path / "sv", language="nl")[0].language == "nl"


def test_a_record_of_another_type_than_its_file_is_a_defect(tmp_path: Path) -> None:
    packed(tmp_path / "symptom.jsonl.gz", LINE, LINE | {"id": "s", "annotated": ["symptom"], "entities": []})
    report = CorpusReport()
    assert [d.id for d in read_corpus(tmp_path, report=report)] == ["s"]
    assert [(d.record, d.rule) for d in report.defects] == [("note-1", "label_unexpected")]


def test_a_packed_file_is_read_whatever_its_name_and_the_list_of_what_was_ingested_is_none(tmp_path: Path) -> None:
    packed(tmp_path / "june.JSONL.GZ", LINE)
    packed(tmp_path / "ingested.jsonl.gz", {"record": "es/disease/a.txt"})
    assert read_corpus(tmp_path) == read_corpus(tmp_path / "june.JSONL.GZ")
    assert len(read_corpus(tmp_path)) == 1


def sample(out: Path | str, *words: str) -> int:
    params = str(Path(__file__).parents[2] / "params.yaml")
    return main(["sample", "--notes", "4", "--language", "es", "sv", "--out", str(out), "--params", params, *words])


def test_a_packed_sample_holds_the_notes_of_an_unpacked_one(tmp_path: Path) -> None:
    assert sample(tmp_path / "packed", "--packed") == sample(tmp_path / "folders") == 0
    assert read_corpus(tmp_path / "packed") == read_corpus(tmp_path / "folders")
    assert len(list((tmp_path / "packed").rglob("*.jsonl.gz"))) == 6
    assert len([p for p in (tmp_path / "packed").rglob("*") if p.is_file()]) == 6


@pytest.mark.parametrize("words", [["--drop-date", "2026-06-11"], ["--out", "s3://bucket/gold"]])
def test_packed_gold_goes_into_folders_only(tmp_path: Path, words: list[str]) -> None:
    assert sample(tmp_path / "out", "--packed", *words) == 2
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("", "empty"),
        (" \u200b\n", "blank"),
        ("Gota aguda\0", "nul_byte"),
        ("<html><p>Gota</p></html>", "not_plain_text"),
    ],
)
def test_a_packed_text_obeys_the_rules_of_every_other(text: str, rule: str, tmp_path: Path) -> None:
    defects: list[DataError] = []
    path = packed(tmp_path / "g.jsonl.gz", LINE | {"text": text, "entities": []}, LINE | {"id": "note-2"})
    assert [d.id for d in read_packed(path, defects)] == ["note-2"]
    assert [(e.record, e.rule) for e in defects] == [("g.jsonl.gz#1", rule)]
    with pytest.raises(DataError) as caught:
        pack([Document("note-1", text, (), "es", frozenset({D}))])
    assert caught.value.rule == rule
