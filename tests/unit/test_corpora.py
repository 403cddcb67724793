"""Every corpus shape, read and written; every defect by its name."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enigma_tasks.documents import Document, Entity, EntityType, entity_at
from enigma_tasks.errors import DataError, UsageError
from enigma_tasks.formats.corpora import CorpusReport, check_id, file_id, read_corpus, read_text, write_corpus
from enigma_tasks.formats.standoff import TSV_HEADER
from tests.unit.strategies import annotated_texts, is_note

if TYPE_CHECKING:
    from pathlib import Path

D, P, S = EntityType.DISEASE, EntityType.PROCEDURE, EntityType.SYMPTOM
TEXT = "Gota aguda con dolor.\r\nSe pide ecografía."
MENTIONS = {D: (0, 10), S: (15, 20), P: (31, 40)}


def document(*types: EntityType, name: str = "case-1", text: str = TEXT) -> Document:
    entities = tuple(entity_at(name, text, t.label, *MENTIONS[t]) for t in (D, S, P) if t in types)
    return Document(name, text, entities, None, frozenset(types))


def put(folder: Path, *documents: Document, ann: str = "ann", txt: str = "txt") -> None:
    for d in documents:
        lines = "".join(
            f"T{n}\t{e.label} {e.char_start} {e.char_end}\t{e.text}\n" for n, e in enumerate(d.entities, start=1)
        )
        for place, name, content in ((txt, f"{d.id}.txt", d.text), (ann, f"{d.id}.ann", lines)):
            (folder / place).mkdir(parents=True, exist_ok=True)
            (folder / place / name).write_bytes(content.encode())


def ids(documents: list[Document]) -> list[str]:
    return [d.id for d in documents]


def test_txt_and_ann_side_by_side_are_annotated_for_all_types(tmp_path: Path) -> None:
    put(tmp_path, document(D, P, S, name="b"), document(name="a"))
    assert read_corpus(tmp_path) == [Document("a", TEXT), document(D, P, S, name="b")]


def test_pairs_in_one_folder_are_read(tmp_path: Path) -> None:
    put(tmp_path, document(D, P, S), ann=".", txt=".")
    (tmp_path / "annotation.conf").write_text("[entities]\n")
    assert read_corpus(tmp_path) == [document(D, P, S)]


def test_texts_alone_are_annotated_for_nothing(tmp_path: Path) -> None:
    put(tmp_path / "c", document())
    assert read_corpus(tmp_path / "c" / "txt") == [Document("case-1", TEXT, (), None, frozenset())]
    (tmp_path / "c" / "ann" / "case-1.ann").unlink()
    (tmp_path / "c" / "ann").rmdir()
    assert read_corpus(tmp_path / "c", language="es")[0].annotated == frozenset()
    assert read_corpus(tmp_path / "c", language="es")[0].language == "es"


def test_one_text_in_several_entity_folders_is_one_document_annotated_for_them(tmp_path: Path) -> None:
    put(tmp_path / "disease", document(D))
    put(tmp_path / "symptom", document(S))
    assert read_corpus(tmp_path) == [document(D, S)]
    assert read_corpus(tmp_path, entity=S) == [document(S)]
    assert read_corpus(tmp_path / "symptom") == [document(S)]


def test_one_id_with_different_texts_stays_apart_under_ids_of_their_own(tmp_path: Path) -> None:
    put(tmp_path / "disease", document(D))
    put(tmp_path / "symptom", document(S))
    put(tmp_path / "procedure", document(P, text=TEXT + " Fin."))
    documents = read_corpus(tmp_path)
    assert ids(documents) == ["case-1~disease+symptom", "case-1~procedure"]
    assert [d.annotated for d in documents] == [{D, S}, {P}]
    assert [file_id(d.id) for d in documents] == ["case-1", "case-1"]
    assert ids(read_corpus(tmp_path, entity=P)) == ["case-1"]


@pytest.fixture
def release(tmp_path: Path) -> Path:
    root = tmp_path / "release"
    for language in ("cz", "es"):
        for t in EntityType:
            name = f"{language}-{t.value}"
            split = root / f"MultiClinNER-{language}" / f"MultiClinNER-{language}-train"
            put(split / f"MultiClinNER-{language}-train-{t.value}", document(t, name=name))
            (split / f"MultiClinNER-{language}-train-{t.value}" / "tsv").mkdir()
    put(root / "MultiClinNER-es" / "MultiClinNER-es-test", document(name="es-judged"))
    (root / "README.txt").write_text("About the release.")
    return root


def test_the_release_is_read_at_each_of_its_levels(release: Path) -> None:
    everything = read_corpus(release)
    names = ["disease", "procedure", "symptom"]
    assert ids(everything) == [f"{code}-{t}" for code in ("cz", "es") for t in names]
    assert [d.language for d in everything] == ["cs"] * 3 + ["es"] * 3
    assert [d.annotated for d in everything] == [{D}, {P}, {S}] * 2
    czech = release / "MultiClinNER-cz"
    for level in (czech, czech / "MultiClinNER-cz-train"):
        assert read_corpus(level) == everything[:3]
    assert read_corpus(czech / "MultiClinNER-cz-train" / "MultiClinNER-cz-train-symptom") == everything[2:3]


def test_the_release_is_read_for_one_language_or_type(release: Path) -> None:
    assert ids(read_corpus(release, language="es")) == ["es-disease", "es-procedure", "es-symptom"]
    assert ids(read_corpus(release, entity=P)) == ["cz-procedure", "es-procedure"]
    with pytest.raises(UsageError):
        read_corpus(release, language="sv")


def test_texts_to_be_judged_are_read_only_when_their_own_folder_is_named(release: Path) -> None:
    judged = release / "MultiClinNER-es" / "MultiClinNER-es-test"
    assert ids(read_corpus(judged)) == ["es-judged"]
    assert "es-judged" not in ids(read_corpus(release / "MultiClinNER-es"))


def test_folders_named_like_languages_enclose_corpora(tmp_path: Path) -> None:
    put(tmp_path / "es" / "disease", document(D))
    put(tmp_path / "cz", document(D, P, S))
    documents = read_corpus(tmp_path)
    assert [d.language for d in documents] == ["cs", "es"]
    assert [d.annotated for d in documents] == [{D, P, S}, {D}]


def test_the_two_letters_of_the_folder_that_is_named_are_no_language(tmp_path: Path) -> None:
    put(tmp_path / "in", document(D))
    assert [d.language for d in read_corpus(tmp_path / "in", language="es")] == ["es"]


def test_an_asked_type_leaves_other_annotations_out(tmp_path: Path) -> None:
    put(tmp_path, document(D, P, S))
    assert read_corpus(tmp_path, entity=S) == [document(S)]


@pytest.mark.parametrize("name", ["missing", "file", "empty", "nothing/inside", "other", "split"])
def test_a_place_that_is_no_corpus_is_wrong_usage(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("tos")
    (tmp_path / "empty" / "txt").mkdir(parents=True)
    (tmp_path / "nothing" / "inside" / "disease" / "ann").mkdir(parents=True)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "note.pdf").write_bytes(b"%PDF")
    put(tmp_path / "split" / "train", document(D))
    put(tmp_path / "split" / "dev", document(D, name="b"))
    with pytest.raises(UsageError):
        read_corpus(tmp_path / name)


def test_names_are_read_without_letter_case_in_folders_of_any_name_and_depth(tmp_path: Path) -> None:
    put(tmp_path / "ward 1" / "june", document(D, name="A1"))
    put(tmp_path / "ward 2" / "Disease", document(D, name="B1"), ann="ANN", txt="Txt")
    put(tmp_path, document(D, P, S, name="c"), ann=".", txt=".")
    for name in ("txt/A1.txt", "ann/A1.ann"):
        path = tmp_path / "ward 1" / "june" / name
        path.rename(path.with_suffix(path.suffix.upper()))
    (tmp_path / ".ipynb_checkpoints").mkdir()
    (tmp_path / ".ipynb_checkpoints" / "c-checkpoint.txt").write_text("tos")
    (tmp_path / "Thumbs.db").write_bytes(b"\0")
    (tmp_path / "scan.pdf").write_bytes(b"%PDF")
    report = CorpusReport()
    documents = read_corpus(tmp_path, report=report)
    assert [(d.id, d.annotated) for d in documents] == [("A1", {D, P, S}), ("B1", {D}), ("c", {D, P, S})]
    assert (report.defects, report.ignored) == ([], {".pdf": 1})


def test_an_id_that_two_wards_use_is_refused_for_both(tmp_path: Path) -> None:
    put(tmp_path / "ward-1", document(D, name="0001"))
    put(tmp_path / "ward-2", document(D, name="0001", text=TEXT + " Fin."), document(D, name="0002"))
    report = CorpusReport()
    assert ids(read_corpus(tmp_path, report=report)) == ["0002"]
    assert {(d.record, d.rule) for d in report.defects} == {("0001", "id_duplicate")}


def test_two_files_whose_names_differ_in_letter_case_only_are_refused(tmp_path: Path) -> None:
    put(tmp_path, document(D), ann=".", txt=".")
    (tmp_path / "case-1.TXT").write_text("tos")
    with pytest.raises(DataError, match="case-1: id_duplicate"):
        read_corpus(tmp_path)


def test_texts_without_annotation_beside_annotated_ones_are_defects_and_a_readme_is_not(tmp_path: Path) -> None:
    put(tmp_path / "annotated", document(D))
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "b.txt").write_text("tos")
    (tmp_path / "README.txt").write_text("About the corpus.")
    report = CorpusReport()
    assert ids(read_corpus(tmp_path, report=report)) == ["case-1"]
    assert [(d.record, d.rule) for d in report.defects] == [("b", "text_without_annotation")]


def test_notes_and_exports_are_read_as_a_drop_would_be(tmp_path: Path) -> None:
    line = {"id": 7, "text": TEXT, "label": [[0, 10, "DISEASE"]]}
    (tmp_path / "gold").mkdir()
    (tmp_path / "gold" / "all.JSONL").write_text(json.dumps(line))
    assert [d.entities for d in read_corpus(tmp_path / "gold")] == [document(D).entities]
    (tmp_path / "notes" / "2026").mkdir(parents=True)
    (tmp_path / "notes" / "2026" / "n.jsonl").write_text(json.dumps({"id": "n1", "text": TEXT, "language": "es-ES"}))
    packed = gzip.compress(json.dumps({"id": "n2", "text": TEXT}).encode())
    (tmp_path / "notes" / "m.jsonl.gz").write_bytes(packed)
    found = read_corpus(tmp_path / "notes")
    assert [(d.id, d.language, d.annotated) for d in found] == [("n2", None, frozenset()), ("n1", "es", frozenset())]
    (tmp_path / "gold" / "x.json").write_text("{}")
    with pytest.raises(DataError, match=r"x\.json: export_unknown"):
        read_corpus(tmp_path / "gold")


def test_languages_are_named_by_three_letters_too_and_und_names_none(tmp_path: Path) -> None:
    put(tmp_path / "ita", document(D, P, S, name="c"))
    rows = [{"id": 1, "text": "Gota.", "language": "SPA"}, {"id": 2, "text": "Tos.", "language": "und"}]
    (tmp_path / "nld").mkdir()
    (tmp_path / "nld" / "day.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    assert {d.id: d.language for d in read_corpus(tmp_path)} == {"c": "it", "1": "es", "2": "nl"}
    assert [d.language for d in read_corpus(tmp_path / "ita")] == [None]


def test_folders_that_contradict_each_other_are_a_defect(tmp_path: Path) -> None:
    put(tmp_path / "disease" / "symptom", document(D))
    with pytest.raises(DataError, match="disease/symptom: place_differs"):
        read_corpus(tmp_path)


def test_offsets_that_a_windows_tool_counted_are_converted_and_reported(tmp_path: Path) -> None:
    put(tmp_path, document())
    (tmp_path / "ann" / "case-1.ann").write_bytes(b"T1\tPROCEDURE 30 39\tecograf\xc3\xada\r\n")
    report = CorpusReport()
    (found,) = read_corpus(tmp_path, report=report)
    assert [e.span for e in found.entities] == [MENTIONS[P]]
    assert (report.defects, report.converted) == ([], {"code points, CRLF once": 1})


def test_text_is_read_byte_for_byte(tmp_path: Path) -> None:
    (tmp_path / "n.txt").write_bytes("\ufeffa\u0301\r\nřež\r😀".encode())
    assert read_text(tmp_path / "n.txt") == "\ufeffa\u0301\r\nřež\r😀"


def test_text_that_is_no_utf8_is_named_with_its_byte(tmp_path: Path) -> None:
    (tmp_path / "n.txt").write_bytes("ño".encode() + b"\xe9 tos")
    with pytest.raises(DataError) as caught:
        read_text(tmp_path / "n.txt")
    assert (caught.value.record, caught.value.rule, caught.value.offset) == ("n.txt", "not_utf8", 3)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def broken(folder: Path) -> None:
    put(folder / "disease", document(D, name="good"), document(D, name="wrong"), document(D, name="mixed"))
    (folder / "disease" / "ann" / "wrong.ann").write_text("T1\tDISEASE 0 4\tTos\nT2\tDISEASE 0 4;15 20\tGota dolor\n")
    (folder / "disease" / "ann" / "mixed.ann").write_text("T1\tSYMPTOM 15 20\tdolor\nA1\tNegated T1\n")
    (folder / "disease" / "ann" / "lost.ann").write_text("")
    (folder / "disease" / "txt" / "alone.txt").write_text("tos")
    (folder / "disease" / "txt" / "latin.txt").write_bytes(b"\xe9")
    (folder / "disease" / "ann" / "latin.ann").write_text("")
    (folder / "disease" / "txt" / ".hidden.txt").write_bytes(b"\xff")


def test_every_defect_of_a_corpus_is_named_and_the_sound_documents_are_read(tmp_path: Path) -> None:
    broken(tmp_path)
    report = CorpusReport()
    documents = read_corpus(tmp_path, report=report)
    assert [(d.id, [e.span for e in d.entities]) for d in documents] == [("good", [(0, 10)])]
    assert sorted((d.record, d.rule, d.offset) for d in report.defects) == [
        ("alone", "text_without_annotation", None),
        ("latin.txt", "not_utf8", 0),
        ("lost", "annotation_without_text", None),
        ("mixed", "label_unexpected", 15),
        ("wrong", "surface_differs", 0),
    ]
    assert report.discontinuous == 1
    assert report.other_lines == {"A": 1}


def test_the_first_defect_is_raised_where_nobody_collects(tmp_path: Path) -> None:
    broken(tmp_path)
    with pytest.raises(DataError, match="alone: text_without_annotation"):
        read_corpus(tmp_path)


def test_an_id_twice_for_one_type_is_a_defect(tmp_path: Path) -> None:
    put(tmp_path / "es", document(D, P, S))
    put(tmp_path / "MultiClinNER-es", document(D, P, S))
    with pytest.raises(DataError, match="case-1: id_duplicate"):
        read_corpus(tmp_path)


IDS = st.text(st.characters(blacklist_categories=["Cs", "Cc"], blacklist_characters="/\\"), min_size=1, max_size=20)


NOTES = annotated_texts().filter(lambda sample: is_note(sample[0]))


@given(st.lists(NOTES, min_size=1, max_size=3), st.data())
def test_what_is_written_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, samples: list[tuple[str, tuple[Entity, ...]]], data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("corpus")
    names = data.draw(
        st.lists(IDS.filter(lambda i: not i.startswith(".")), min_size=len(samples), max_size=len(samples), unique=True)
    )
    documents = sorted((Document(n, *s) for n, s in zip(names, samples, strict=True)), key=lambda d: d.id)
    write_corpus(documents, folder / "flat")
    assert read_corpus(folder / "flat") == documents
    write_corpus(documents, folder / "by", "by_entity")
    assert read_corpus(folder / "by") == documents


def test_by_entity_keeps_what_a_document_was_annotated_for(tmp_path: Path) -> None:
    documents = [document(D, name="a"), document(P, S, name="b")]
    write_corpus(documents, tmp_path, "by_entity")
    assert read_corpus(tmp_path) == documents
    assert (tmp_path / "symptom" / "symptom.tsv").read_text() == (
        "filename\tlabel\tstart_span\tend_span\ttext\nb\tSYMPTOM\t15\t20\tdolor\n"
    )


def test_texts_without_annotation_are_written_as_texts_alone(tmp_path: Path) -> None:
    write_corpus([document()], tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["txt"]


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../up", "a/b", "a\\b", ".hidden", "a\tb", "a\nb", "a\x00b", "a.txt", "ř" * 200, "\udcff"],
)
def test_an_id_that_could_leave_the_folder_or_break_a_line_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="id_unsafe"):
        check_id(name)
    with pytest.raises(DataError, match="id_unsafe"):
        write_corpus([document(D), document(D, name=name)], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_two_documents_of_one_id_are_not_written_over_each_other(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="id_duplicate"):
        write_corpus([document(D), document(P)], tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("annotated", [True, False])
@pytest.mark.parametrize(
    ("data", "rule", "offset"),
    [
        (b"{\\rtf1\\ansi tos\\par}", "not_plain_text", None),
        (b"%PDF-1.7\n", "not_plain_text", None),
        ("tos".encode("utf-16"), "not_plain_text", None),
        (b"<html><body><p>Tos</p></body></html>", "not_plain_text", None),
        (b"Refiere tos.\x00", "nul_byte", 12),
        (b"", "empty", None),
        (b" \r\n\t", "blank", None),
        ("\ufeff \u200b\n".encode(), "blank", None),
    ],
)
def test_a_text_that_the_night_refuses_is_no_gold(
    tmp_path: Path, data: bytes, rule: str, offset: int | None, annotated: bool
) -> None:
    (tmp_path / "n.txt").write_bytes(data)
    (tmp_path / "sound.txt").write_bytes(b"tos")
    for name in ("n", "sound") if annotated else ():
        (tmp_path / f"{name}.ann").write_bytes(b"")
    report = CorpusReport()
    assert [d.id for d in read_corpus(tmp_path, report=report)] == ["sound"]
    assert [(d.record, d.rule, d.offset) for d in report.defects] == [("n.txt", rule, offset)]


def test_predictions_of_the_shared_task_beside_a_folder_of_texts_are_no_export(tmp_path: Path) -> None:
    write_corpus([Document("n1", "Refiere asma.", (), "es")], tmp_path)
    (tmp_path / "disease").mkdir()
    rows = f"{TSV_HEADER}\nn1\tDISEASE\t8\t12\tasma\n"
    for name in ("gold.tsv", "member.tsv"):
        (tmp_path / "disease" / name).write_bytes(rows.encode())
    report = CorpusReport()
    assert [d.id for d in read_corpus(tmp_path, report=report)] == ["n1"]
    assert report.ignored[".tsv"] == 2
