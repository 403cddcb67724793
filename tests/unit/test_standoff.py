"""BRAT and TSV, both ways, on texts that break careless readers."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given

from enigma_tasks.documents import Document, Entity, entity_at
from enigma_tasks.errors import DataError
from enigma_tasks.formats.standoff import (
    TSV_HEADER,
    format_ann,
    format_rows,
    format_tsv,
    parse_ann,
    parse_tsv,
    verified,
)
from tests.unit.strategies import annotated_texts

TEXT = "Refiere tos seca y\r\nfiebre alta."


def rules(defects: list[DataError]) -> list[tuple[str, int | None]]:
    return [(d.rule, d.offset) for d in defects]


@given(annotated_texts())
def test_brat_brings_every_entity_back(sample: tuple[str, tuple[Entity, ...]]) -> None:
    text, entities = sample
    assert parse_ann("n", text, format_ann(entities)).entities == entities


@given(annotated_texts())
def test_brat_with_windows_line_ends_and_a_bom_brings_every_entity_back(
    sample: tuple[str, tuple[Entity, ...]],
) -> None:
    text, entities = sample
    assert parse_ann("n", text, "\ufeff" + format_ann(entities).replace("\n", "\r\n")).entities == entities


@given(annotated_texts(), annotated_texts())
def test_tsv_brings_every_entity_back(
    first: tuple[str, tuple[Entity, ...]], second: tuple[str, tuple[Entity, ...]]
) -> None:
    documents = {"case a": Document("case a", *first), "b.1": Document("b.1", *second)}
    rows = parse_tsv(format_tsv(documents.values()))
    assert set(rows) == {d.id for d in documents.values() if d.entities}
    for name, entities in rows.items():
        assert verified(name, documents[name].text, entities) == documents[name].entities


@given(annotated_texts())
def test_every_row_of_a_tsv_is_one_line_of_five_cells_and_nothing_is_quoted(
    sample: tuple[str, tuple[Entity, ...]],
) -> None:
    text, entities = sample
    lines = format_tsv([Document("n", text, entities)]).split("\n")
    assert lines[0] == TSV_HEADER
    assert lines[-1] == ""
    assert [line.count("\t") for line in lines[1:-1]] == [4] * len(entities)
    for line, e in zip(lines[1:-1], entities, strict=True):
        assert len(line.split("\t")[4]) == len(e.text)


def test_brat_lines_are_numbered_by_offset_and_newlines_become_spaces() -> None:
    entities = [entity_at("n", TEXT, "SYMPTOM", 20, 31), entity_at("n", TEXT, "SYMPTOM", 8, 26)]
    assert format_ann(entities) == "T1\tSYMPTOM 8 26\ttos seca y  fiebre\nT2\tSYMPTOM 20 31\tfiebre alta\n"


def test_no_entities_make_an_empty_ann_file_and_a_tsv_of_its_header() -> None:
    assert format_ann([]) == ""
    assert format_tsv([Document("n", TEXT)]) == TSV_HEADER + "\n"
    assert parse_tsv(TSV_HEADER + "\n") == {}


def test_a_discontinuous_span_is_read_as_its_outer_span_and_counted() -> None:
    parsed = parse_ann("n", TEXT, "T1\tSYMPTOM 8 11;20 26\ttos fiebre\nT2\tSYMPTOM 8 11\ttos\n")
    assert [e.span for e in parsed.entities] == [(8, 11), (8, 26)]
    assert parsed.entities[1].text == "tos seca y\r\nfiebre"
    assert parsed.discontinuous == 1


def test_fragments_around_a_newline_as_brat_writes_them_are_understood() -> None:
    parsed = parse_ann("n", TEXT, "T1\tSYMPTOM 8 18;20 26\ttos seca y fiebre\n")
    assert [e.span for e in parsed.entities] == [(8, 26)]


def test_a_crlf_in_a_surface_may_have_become_one_space() -> None:
    assert parse_ann("n", TEXT, "T1\tSYMPTOM 8 26\ttos seca y fiebre").entities[0].span == (8, 26)


def test_other_brat_lines_are_kept_out_and_counted_by_kind() -> None:
    ann = "T1\tSYMPTOM 8 11\ttos\nA1\tNegated T1\nR1\tCauses Arg1:T1 Arg2:T1\n#1\tAnnotatorNotes T1\tver\n\n"
    ann += "E1\tSYMPTOM:T1\nN1\tReference T1 X:1\tx\n*\tEquiv T1 T1\nM1\tNegation T1\nA2\tSure T1\n"
    parsed = parse_ann("n", TEXT, ann)
    assert len(parsed.entities) == 1
    assert parsed.other_lines == {"#": 1, "*": 1, "A": 2, "E": 1, "M": 1, "N": 1, "R": 1}


BROKEN = [
    ("T1 SYMPTOM 8 11 tos", "ann_line_malformed", 1),
    ("T1\tSYMPTOM 8 11", "ann_line_malformed", 1),
    ("T1\tSYMPTOM 8 x\ttos", "ann_line_malformed", 1),
    ("T1\tSYMPTOM 8\ttos", "ann_line_malformed", 1),
    ("tos", "ann_line_malformed", 1),
    ("T1\tSYMPTOM 8 11\ttoz", "surface_differs", 8),
    ("T1\tSYMPTOM 7 11\ttos", "surface_differs", 7),
    ("T1\tSYMPTOM 8 11;20 26\ttos seca", "surface_differs", 8),
    ("T1\tSYMPTOM 8 110\ttos", "span_outside_text", 8),
    ("T1\tSYMPTOM -3 11\ttos", "span_outside_text", -3),
    ("T1\tSYMPTOM 11 8\ttos", "span_inverted", 11),
    ("T1\tSYMPTOM 8 11;26 20\ttos", "span_inverted", 26),
    ("T1\tDRUG 8 11\ttos", "label_unknown", 8),
]


@pytest.mark.parametrize(("line", "rule", "offset"), BROKEN)
def test_a_broken_ann_line_is_an_error_of_its_rule_and_place(line: str, rule: str, offset: int) -> None:
    with pytest.raises(DataError) as caught:
        parse_ann("note-7", TEXT, line)
    assert (caught.value.record, caught.value.rule, caught.value.offset) == ("note-7", rule, offset)
    assert "tos" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_every_defect_of_an_ann_file_is_named_and_the_sound_rest_is_read() -> None:
    defects: list[DataError] = []
    good = "T1\tSYMPTOM 8 16\ttos seca"
    ann = "\n".join([good, *(line for line, _, _ in BROKEN)])
    assert [e.span for e in parse_ann("n", TEXT, ann, defects).entities] == [(8, 16)]
    expected = [
        (rule, n if rule == "ann_line_malformed" else offset) for n, (_, rule, offset) in enumerate(BROKEN, start=2)
    ]
    assert rules(defects) == expected


def test_file_names_of_a_tsv_may_end_in_txt() -> None:
    rows = f"{TSV_HEADER}\r\nb.txt\tSINTOMA\t8\t11\ttos\r\na\tDisease\t2\t4\txx\r\nb\tDISEASE\t0\t2\tRe\r\n"
    parsed = parse_tsv(rows)
    assert list(parsed) == ["a", "b"]
    assert [(e.label, e.span) for e in parsed["b"]] == [("DISEASE", (0, 2)), ("SYMPTOM", (8, 11))]


def test_a_tab_in_the_text_column_belongs_to_the_surface() -> None:
    rows = parse_tsv(f"{TSV_HEADER}\nn\tSYMPTOM\t0\t5\tto\tsx\n")["n"]
    assert verified("n", "to\tsx", rows)[0].text == "to\tsx"
    assert verified("n", "to\nsx", rows)[0].text == "to\nsx"


def test_every_defect_of_a_tsv_is_named() -> None:
    defects: list[DataError] = []
    broken = ["n\tSYMPTOM\t8", "n\tDRUG\t8\t11\ttos", "n\tSYMPTOM\t-8\t11\ttos", "n\tSYMPTOM\t11\t8\ttos", "tos"]
    parsed = parse_tsv("\n".join([TSV_HEADER, *broken, "n\tSYMPTOM\t8\t11\ttos"]), "pred.tsv", defects)
    assert [e.span for e in parsed["n"]] == [(8, 11)]
    assert rules(defects) == [
        ("tsv_line_malformed", 2),
        ("label_unknown", 8),
        ("span_outside_text", -8),
        ("span_inverted", 11),
        ("tsv_line_malformed", 6),
    ]
    with pytest.raises(DataError, match=r"pred\.tsv: tsv_line_malformed at 2"):
        parse_tsv("\n".join([TSV_HEADER, *broken]), "pred.tsv")


@pytest.mark.parametrize("content", ["", "a\tSYMPTOM\t0\t1\tx\n", TSV_HEADER.replace("\t", ",") + "\n"])
def test_a_file_without_the_header_is_no_tsv(content: str) -> None:
    with pytest.raises(DataError, match="tsv_header_unknown"):
        parse_tsv(content)


def test_a_row_whose_surface_differs_from_its_text_is_named() -> None:
    defects: list[DataError] = []
    rows = parse_tsv(f"{TSV_HEADER}\nn\tSYMPTOM\t8\t11\ttoz\nn\tSYMPTOM\t8\t99\ttos\nn\tSYMPTOM\t8\t11\ttos\n")["n"]
    assert [e.text for e in verified("n", TEXT, rows, defects)] == ["tos"]
    assert rules(defects) == [("surface_differs", 8), ("span_outside_text", 8)]


@pytest.mark.parametrize("name", ["", "a\tb", "a\nb", "a\r", "a.txt"])
def test_a_file_name_that_a_row_cannot_hold_is_refused(name: str) -> None:
    with pytest.raises(DataError, match="id_unsafe"):
        format_rows([(name, [])])


@given(annotated_texts())
def test_a_tsv_that_a_csv_writer_has_quoted_is_read(sample: tuple[str, tuple[Entity, ...]]) -> None:
    text, entities = sample
    out = io.StringIO()
    writer = csv.writer(out, delimiter="\t", lineterminator="\n")
    writer.writerow(TSV_HEADER.split("\t"))
    for e in entities:
        writer.writerow(["n", e.label, e.char_start, e.char_end, e.text.translate({10: " ", 13: " ", 9: " "})])
    assert verified("n", text, parse_tsv(out.getvalue()).get("n", ())) == entities


def test_a_quoted_surface_over_two_lines_is_one_row() -> None:
    rows = f'{TSV_HEADER}\nn\tSYMPTOM\t0\t10\t"tos ""x""\nya"\nn\tSYMPTOM\t11\t14\ttos\n'
    text = 'tos "x"\nya tos'
    assert [e.text for e in verified("n", text, parse_tsv(rows)["n"])] == ['tos "x"\nya', "tos"]


def test_quotation_marks_of_the_text_itself_stay() -> None:
    rows = f'{TSV_HEADER}\nn\tSYMPTOM\t0\t5\t"tos"\nn\tSYMPTOM\t6\t10\t"tos\nn\tSYMPTOM\t11\t14\ttos\n'
    text = '"tos" "tos tos'
    assert [e.text for e in verified("n", text, parse_tsv(rows)["n"])] == ['"tos"', '"tos', "tos"]
