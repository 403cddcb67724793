"""BRAT and TSV, both ways, on texts that break careless readers."""

from __future__ import annotations

import csv
import io
import unicodedata
from typing import Literal

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

Form = Literal["NFC", "NFD"]
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


def test_brat_lines_are_numbered_by_offset_and_cut_at_line_ends() -> None:
    entities = [entity_at("n", TEXT, "SYMPTOM", 20, 31), entity_at("n", TEXT, "SYMPTOM", 8, 26)]
    assert format_ann(entities) == "T1\tSYMPTOM 8 18;20 26\ttos seca y fiebre\nT2\tSYMPTOM 20 31\tfiebre alta\n"


def test_white_space_around_a_line_end_is_in_no_fragment_as_in_brat() -> None:
    text = "dolor \r\n\n  torácico\u2028agudo"
    written = format_ann([entity_at("n", text, "SYMPTOM", 0, len(text))])
    assert written == "T1\tSYMPTOM 0 5;11 19;20 25\tdolor torácico agudo\n"
    parsed = parse_ann("n", text, written)
    assert ([e.span for e in parsed.entities], parsed.discontinuous) == ([(0, len(text))], 0)


@given(annotated_texts())
def test_brats_own_reader_would_find_every_line_and_surface(sample: tuple[str, tuple[Entity, ...]]) -> None:
    """It cuts at every Unicode line end and compares the fragments, joined by a blank, with the surface."""
    text, entities = sample
    lines = format_ann(entities).splitlines()
    assert len(lines) == len(entities)
    for line, e in zip(lines, entities, strict=True):
        _, data, surface = line.split("\t", 2)
        fragments = [tuple(map(int, f.split(" "))) for f in data.split(" ", 1)[1].split(";")]
        assert (fragments[0][0], fragments[-1][1]) == e.span
        if e.text.strip() == e.text:
            assert " ".join(text[start:end] for start, end in fragments) == surface


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


@pytest.mark.parametrize(
    ("offsets", "surface"),
    [
        ("8 16", "tos seca  "),
        ("8 16", "tos seca\tconfirmada"),
        ("8 16", "tos seca (véase la nota)"),
        ("8 16 ", "tos seca"),
        ("8 11;12 16", "tosseca"),
        ("8 11;12 16", "tos seca \tcomentario"),
        ("8 11;20 26", "tosfiebre"),
        ("8 11;20 26", "tosfiebre  "),
    ],
)
def test_what_brat_accepts_after_and_within_a_surface_is_accepted(offsets: str, surface: str) -> None:
    (entity,) = parse_ann("n", TEXT, f"T1\tSYMPTOM {offsets}\t{surface}\n").entities
    assert (entity.char_start, entity.text) == (8, TEXT[8 : entity.char_end])


def test_blanks_that_a_tool_collapsed_are_accepted() -> None:
    assert parse_ann("n", "dolor   torácico", "T1\tSYMPTOM 0 16\tdolor torácico\n").entities[0].span == (0, 16)


@pytest.mark.parametrize(("of_text", "of_surface"), [("NFD", "NFC"), ("NFC", "NFD")])
@pytest.mark.parametrize("after", ["", " ", "\tcomentario"])
def test_composed_accents_make_no_difference(of_text: Form, of_surface: Form, after: str) -> None:
    text = unicodedata.normalize(of_text, "Neumonía y señal.")
    end = text.index(" ")
    surface = unicodedata.normalize(of_surface, text[:end])
    (entity,) = parse_ann("n", text, f"T1\tSYMPTOM 0 {end}\t{surface}{after}\n").entities
    assert entity.text == text[:end]
    rows = parse_tsv(f"{TSV_HEADER}\nn\tSYMPTOM\t0\t{end}\t{surface}\n")["n"]
    assert verified("n", text, rows) == (entity,)


@pytest.mark.parametrize("surface", ["Neumonia", "Neumoni", "Neumonía\u0301", "neumonía"])
def test_an_accent_more_or_less_is_another_surface(surface: str) -> None:
    with pytest.raises(DataError, match="surface_differs"):
        parse_ann("n", "Neumoni\u0301a.", f"T1\tSYMPTOM 0 9\t{surface}\n")


@pytest.mark.parametrize("surface", ["tos seca y", "tos secas", "tos seca.", "tos", ""])
def test_a_surface_that_goes_on_as_the_text_does_or_into_the_word_is_no_comment(surface: str) -> None:
    with pytest.raises(DataError, match="surface_differs"):
        parse_ann("n", TEXT, f"T1\tSYMPTOM 8 16\t{surface}\n")


@pytest.mark.parametrize("first", ["T1\tSYMPTOM 8 11\ttos", "#1\tAnnotatorNotes T1\tver", "A1\tNegated T1"])
@pytest.mark.parametrize("second", ["T2\tSYMPTOM 20 26\tfiebre", "T2 Síntoma 20 26 fiebre", "T2\tDRUG 20 26;27 31\tx"])
@pytest.mark.parametrize("end", ["\r", "\x85", "\v", "\f", "\u2028", "\t", " ", " \t ", "\ufeff"])
def test_a_second_mention_of_a_line_is_no_comment(first: str, second: str, end: str) -> None:
    ann = f"T1\tSYMPTOM 8 11\ttos\n{first}{end}{second}\r"
    with pytest.raises(DataError, match=r"ann_line_malformed at 2 .*one annotation a line") as caught:
        parse_ann("n", TEXT, ann)
    assert "fiebre" not in str(caught.value)


def test_a_file_whose_lines_end_with_cr_alone_is_malformed() -> None:
    ann = "T1\tSYMPTOM 8 11\ttos\rT2\tSYMPTOM 20 26\tfiebre\r"
    defects: list[DataError] = []
    assert parse_ann("n", TEXT, ann, defects).entities == ()
    assert rules(defects) == [("ann_line_malformed", 1)]


@pytest.mark.parametrize("surface", ["T2 DISEASE 3 4", "tos\tlesión en T2 de 3 4 cm", "tos\tvéase T12 L1"])
def test_a_surface_or_a_comment_that_only_resembles_a_mention_is_read(surface: str) -> None:
    text = surface.partition("\t")[0]
    ann = f"T1\tSYMPTOM 0 {len(text)}\t{surface}\n"
    assert [e.text for e in parse_ann("n", text, ann).entities] == [text]


LINES = "Motivo: 😀 tos.\r\nNiega fiebre.\r\nAsma, señala.\r\nTos seca."


def counted(text: str, unit: str) -> str:
    """The text as the tool saw it, whose length in its unit is an offset."""
    return {"once": text.replace("\r\n", "\n"), "twice": text.replace("\n", "\r\n")}.get(unit, text)


def units_of(text: str, unit: str) -> int:
    if unit == "UTF-16":
        return len(text.encode("utf-16-le")) // 2
    return len(text.encode()) if unit == "UTF-8" else len(counted(text, unit))


@pytest.mark.parametrize(
    ("text", "unit", "said"),
    [
        (LINES, "code points", None),
        (LINES, "once", "code points, CRLF once"),
        (LINES.replace("\r\n", "\n"), "twice", "code points, line ends twice"),
        (LINES, "UTF-16", "UTF-16 units"),
        (LINES, "UTF-8", "UTF-8 bytes"),
    ],
)
def test_the_surfaces_tell_what_was_counted(text: str, unit: str, said: str | None) -> None:
    spans = [(text.index(word), text.index(word) + len(word)) for word in ("tos", "fiebre", "Asma", "Tos seca")]
    ann = "".join(
        f"T{n}\tSYMPTOM {units_of(text[:s], unit)} {units_of(text[:e], unit)}\t{text[s:e]}\n"
        for n, (s, e) in enumerate(spans, start=1)
    )
    parsed = parse_ann("n", text, ann)
    assert [e.span for e in parsed.entities] == spans
    assert parsed.unit == said


def test_a_byte_order_mark_that_the_tool_skipped_is_seen_by_the_surfaces() -> None:
    parsed = parse_ann("n", "\ufefftos seca", "T1\tSYMPTOM 4 8\tseca\n")
    assert ([e.span for e in parsed.entities], parsed.unit) == ([(5, 9)], "code points, without BOM")


def test_surfaces_that_fit_two_ways_of_counting_are_not_guessed() -> None:
    text = "\r\nñ" + "ab" * 9
    # were the CRLF counted once, the span would be one code point later; were bytes counted, one earlier
    with pytest.raises(DataError, match="offset_unit_unknown"):
        parse_ann("n", text, "T1\tSYMPTOM 6 8\tab\n")


def test_one_surface_that_lies_nowhere_leaves_the_unit_open_and_is_the_defect() -> None:
    defects: list[DataError] = []
    parse_ann("n", "uno\r\ntos seca", "T1\tSYMPTOM 4 7\ttos\nT2\tSYMPTOM 8 12\tnada\n", defects)
    assert {d.rule for d in defects} == {"surface_differs"}


def test_other_brat_lines_are_kept_out_and_counted_by_kind() -> None:
    ann = "T1\tSYMPTOM 8 11\ttos\nA1\tNegated T1\nR1\tCauses Arg1:T1 Arg2:T1\n#1\tAnnotatorNotes T1\tver\n\n"
    ann += "E1\tSYMPTOM:T1\nN1\tReference T1 X:1\tx\n*\tEquiv T1 T1\nM1\tNegation T1\nA2\tSure T1\n"
    parsed = parse_ann("n", TEXT, ann)
    assert len(parsed.entities) == 1
    assert parsed.other_lines == {"#": 1, "*": 1, "A": 2, "E": 1, "M": 1, "N": 1, "R": 1}


@pytest.mark.parametrize(
    "line",
    [
        "A1\tNegated T9",
        "M1\tNegation T9",
        "R1\tCauses Arg1:T1 Arg2:T9",
        "E1\tSYMPTOM:T9",
        "E1\tSYMPTOM:T1 Cause:T9",
        "N1\tReference T9 X:1\tx",
        "#1\tAnnotatorNotes T9\tver",
        "*\tEquiv T1 T9",
        "R1\tSYMPTOM 20 26\tfiebre",
        "A1\tSYMPTOM 20 22;23 26\tfiebre",
        "#1\tSYMPTOM 20 26\tfiebre",
        "N1 SYMPTOM 20 26 fiebre",
    ],
)
def test_a_line_that_speaks_of_an_absent_mention_or_is_one_under_another_letter_is_malformed(line: str) -> None:
    with pytest.raises(DataError, match="ann_line_malformed at 2 ") as caught:
        parse_ann("n", TEXT, f"T1\tSYMPTOM 8 11\ttos\n{line}\n")
    assert "fiebre" not in str(caught.value)


def test_mentions_may_follow_what_speaks_of_them_and_values_and_notes_are_no_references() -> None:
    ann = "A1\tStage T1 T4\n#1\tAnnotatorNotes T1\tver T9\nN1\tReference T1 ICD:T9\tT9\nE1\tSYMPTOM:T1\nA2\tX E1\n"
    parsed = parse_ann("n", TEXT, ann + "T1\tSYMPTOM 8 11\ttos\n")
    assert (len(parsed.entities), sum(parsed.other_lines.values())) == (1, 5)


def test_a_line_that_speaks_of_a_malformed_mention_is_no_second_defect() -> None:
    defects: list[DataError] = []
    parse_ann("n", TEXT, "T1\tSYMPTOM 8 x\ttos\nA1\tNegated T1\n", defects)
    assert rules(defects) == [("ann_line_malformed", 1)]


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


def test_file_names_of_a_tsv_may_end_in_txt_or_ann() -> None:
    rows = f"{TSV_HEADER}\r\nb.ANN\tSINTOMA\t8\t11\ttos\r\na\tDisease\t2\t4\txx\r\nb\tDISEASE\t0\t2\tRe\r\n"
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
        ("label_unknown", 3),
        ("span_outside_text", 4),
        ("span_inverted", 5),
        ("tsv_line_malformed", 6),
    ]
    assert {d.record for d in defects} == {"pred.tsv"}
    with pytest.raises(DataError, match=r"pred\.tsv: tsv_line_malformed at 2"):
        parse_tsv("\n".join([TSV_HEADER, *broken]), "pred.tsv")


@pytest.mark.parametrize("content", ["", "a\tSYMPTOM\t0\t1\tx\n", TSV_HEADER.replace("\t", ",") + "\n"])
def test_a_file_without_the_header_is_no_tsv_and_the_message_shows_the_one_wanted(content: str) -> None:
    with pytest.raises(DataError, match=r"tsv_header_unknown at 1 .*filename label start_span end_span text"):
        parse_tsv(content)


def test_no_cell_of_a_row_is_repeated_but_a_label_that_is_no_text() -> None:
    row = "Paciente con asma\t{}\t0\t3\tasma"
    for label, shown in (("DRUG", True), ("asma", False), ("Paciente con", False)):
        with pytest.raises(DataError) as caught:
            parse_tsv(f"{TSV_HEADER}\n{row.format(label)}\n", "leak.tsv")
        message = str(caught.value)
        assert message.startswith("leak.tsv: label_unknown at 2")
        assert ("DRUG" in message) == shown
        assert "asma" not in message
        assert "Paciente" not in message


def test_a_label_is_named_unless_the_note_holds_it() -> None:
    with pytest.raises(DataError, match="expected DISEASE, PROCEDURE, SYMPTOM, found DRUG"):
        parse_ann("n", TEXT, "T1\tDRUG 8 11\ttos\n")
    with pytest.raises(DataError) as caught:
        parse_ann("n", TEXT, "T1\ttos 8 11\tSYMPTOM\n")
    assert "tos" not in str(caught.value)


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


@pytest.mark.parametrize("broken", [["b\tSYMPTOM\tcero\ttres\ttos"], ["b\tSYMPTOM\tcero\ttres\ttos", "resto"], ["tos"]])
@pytest.mark.parametrize("after", [[], ["c\tSYMPTOM\t0\t3\ttos"], ['c\tSYMPTOM\t0\t4\ttos"']])
def test_an_open_quotation_mark_swallows_no_row(broken: list[str], after: list[str]) -> None:
    rows = ['a\tDISEASE\t0\t5\t"asma', *broken, *after]
    defects: list[DataError] = []
    parsed = parse_tsv("\n".join([TSV_HEADER, *rows]), "p.tsv", defects)
    assert rules(defects) == [("tsv_line_malformed", n) for n in range(3, 3 + len(broken))]
    assert list(parsed) == ["a", "c"][: 1 + len(after)]


def test_a_line_with_the_cells_of_a_row_is_no_rest_of_a_quotation() -> None:
    rows = f'{TSV_HEADER}\na\tDISEASE\t0\t5\t"asma\nb\tSYMPTOM\tcero\ttres\t"tos"\nc\tSYMPTOM\tx\t3\ttos"\n'
    rows += 'd\tDISEASE\t0\t5\t"asma\ne\tSíntoma\t3 tos"\n'
    defects: list[DataError] = []
    assert list(parse_tsv(rows, "p.tsv", defects)) == ["a", "d"]
    assert rules(defects) == [("tsv_line_malformed", n) for n in (3, 4, 6)]


def test_quotation_marks_of_the_text_itself_stay() -> None:
    rows = f'{TSV_HEADER}\nn\tSYMPTOM\t0\t5\t"tos"\nn\tSYMPTOM\t6\t10\t"tos\nn\tSYMPTOM\t11\t14\ttos\n'
    text = '"tos" "tos tos'
    assert [e.text for e in verified("n", text, parse_tsv(rows)["n"])] == ['"tos"', '"tos', "tos"]
