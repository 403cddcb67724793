"""The parts that importers share: which annotation counts, which id a document has, pages as they are shown, tables."""

from __future__ import annotations

import json
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enigma_tasks.documents import canonical_label, check_id, label_hint
from enigma_tasks.errors import DataError
from enigma_tasks.formats.imports.files import parsed_json, parsed_table, unzipped
from enigma_tasks.formats.imports.ids import Source, own_id, places_of
from enigma_tasks.formats.imports.latest import latest
from enigma_tasks.formats.imports.markup import has_markup, shown
from enigma_tasks.formats.imports.spans import is_location
from enigma_tasks.formats.limits import Budget
from tests.unit.import_builders import zipped

OLD_FIRST: list[list[dict[str, Any]]] = [
    [{"id": 9}, {"id": 10}],
    [{"id": "9"}, {"id": "10"}],
    [{"id": 9, "created_at": None}, {"id": 2, "created_at": "2026-05-01"}],
    [{"id": 9, "updated_at": "2026-05-01T10:00:00Z"}, {"id": 2, "updated_at": "2026-05-01T10:00:00.1Z"}],
    [{"updated_at": "2026-05-01T10:00:00.45Z"}, {"updated_at": "2026-05-01T10:00:00.5Z"}],
    [{"updated_at": "2026-05-01T11:00:00+02:00"}, {"updated_at": "2026-05-01T10:00:00"}],
    [{"updated_at": "2026-05-01T23:30:00-03:00", "id": 1}, {"updated_at": "2026-05-02T02:30:00Z", "id": 2}],
    [{"created_at": "2026-05-01"}, {"created_at": "2026-04-01", "updated_at": "2026-05-02"}],
    [{"created_at": 1609789589, "id": 3}, {"created_at": 1609789590, "id": 2}],
    [{"created_at": 1609789589, "id": 3}, {"created_at": 1609789589500, "id": 2}],
    [{"updated_at": "2027-01-01"}, {"ground_truth": True}],
    [{"updated_at": "2027-01-01", "updated_by": 1}, {"ground_truth": True}],
    [{"updated_at": "2027-01-01", "updated_by": 1}, {"ground_truth": True, "updated_by": 2}],
    [{"updated_at": "2027-01-01", "updated_by": None}, {"ground_truth": True, "updated_by": None}],
    [{"ground_truth": True, "updated_by": None}, {"updated_at": "2026-05-01", "updated_by": 1}],
    [
        {"ground_truth": True, "updated_by": None, "updated_at": "2027-01-01"},
        {"created_at": "2026-05", "updated_by": 1},
    ],
    [{"ground_truth": True, "updated_by": None}, {"updated_by": 1}, {"ground_truth": True, "updated_by": 2}],
]


@pytest.mark.parametrize("annotations", OLD_FIRST)
def test_the_last_annotation_is_the_last_in_whatever_order_they_come(annotations: list[dict[str, Any]]) -> None:
    numbered = [a | {"result": [n]} for n, a in enumerate(annotations)]
    for order in permutations(numbered):
        assert latest("d", order) == numbered[-1]


def test_where_nothing_tells_the_last_two_that_differ_are_refused_and_two_alike_are_one() -> None:
    with pytest.raises(DataError, match="annotations_tie"):
        latest("d", [{"result": [1]}, {"result": [2]}])
    assert latest("d", [{"result": [1]}, {"result": [1]}])["result"] == [1]
    with pytest.raises(DataError, match="text_without_annotation"):
        latest("d", [])


def test_an_import_that_a_person_only_confirmed_stays_the_ground_truth() -> None:
    imported = {"ground_truth": True, "updated_by": None, "result": [1]}
    for person in ({"updated_by": 1, "result": [1]}, {"updated_by": None, "result": [2]}, {"result": [2]}):
        assert latest("d", [imported, person | {"updated_at": "2026-05-01"}]) == imported


def test_an_id_that_may_be_a_persons_name_is_a_digest_that_stays_the_same() -> None:
    assert own_id([{"name": "Ejemplo, Juan 1"}]) is None
    assert own_id([None, {"filename": "n-17.txt"}]) == "n-17"
    assert own_id([{"note_id": 17}]) == "17"
    assert own_id([{"document_id": 18.0}]) == "18"
    assert own_id([{"document_id": 18.5, "doc_id": True, "note_id": float("nan"), "filename": "n9.TXT"}]) == "n9"
    for name in ("Ejemplo, Juan.txt", "juan.ejemplo", "Juan Ejemplo 1956"):
        digest = own_id([{"filename": name}])
        assert digest == own_id([{"filename": name}])
        assert digest
        assert digest.startswith("id-")
        assert "juan" not in digest.lower()


@pytest.mark.parametrize(
    ("path", "document"),
    [
        ("wards/n17.txt", "wards-n17"),
        ("a/b/n17.ann", "a-b-n17"),
        ("./n17.txt", "n17"),
        ("../n17.txt.txt", "n17"),
        (r"C:\notas\n17.TXT", "notas-n17"),
        ("s3://bucket/2026/n17.txt", "bucket-2026-n17"),
        ("sen\u0303al1.txt", "se\u00f1al1"),
    ],
)
def test_the_folders_of_a_path_stay_part_of_the_id(path: str, document: str) -> None:
    assert own_id([{"filename": path}]) == document
    check_id(document)


@pytest.mark.parametrize(
    "text",
    [
        "s3://notes/2026/note17.txt",
        "s3://notes/2026/note 17.txt",
        "https://h.example/n/17",
        "/data/upload/7/note17.txt",
        "/tasks/7/resolve/?fileuri=abc",
        "C:\\notes\\note 17.txt",
        "upload/7/note 17.txt",
        "note17.txt",
        "data:text/plain;base64,QQ==",
        "VGllbmUgYXNtYSBicm9ucXVpYWwgc2V2ZXJhIHkgZmllYnJlLg==",
    ],
)
def test_a_path_is_no_text(text: str) -> None:
    assert is_location(text)


@pytest.mark.parametrize(
    "text",
    [
        "Tiene asma.",
        "Ver https://h.example/n/17 y tratar.",
        "TA 120/80.",
        "Alta",
        "Pide /data/x.txt\nAlta.",
        "A/B: no.",
    ],
)
def test_a_text_that_holds_a_path_is_one(text: str) -> None:
    assert not is_location(text)


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("<p>Tos.</p><p>Asma.</p>", "Tos.\nAsma."),
        ("<p>Tos.</p>\n  <p>Asma.</p>", "Tos.\n  Asma."),
        ("Tos<br>asma<br/>alta", "Tos\nasma\nalta"),
        ("<b>Neu</b>monía &amp; <i>tos</i>", "Neumonía & tos"),
        ("<style>p {}</style><script>x()</script>Tos", "Tos"),
        ("TA <90 y >60", "TA <90 y >60"),
    ],
)
def test_a_page_is_the_text_that_a_browser_shows(page: str, text: str) -> None:
    assert shown(page).text == text
    assert has_markup(page) == ("</" in page or "<br" in page)


@given(st.lists(st.sampled_from(["<p>", "</p>", "<br>", "tos", " ", "\n", "&amp;", "<b>", "</b>", "🙂"]), max_size=15))
def test_what_was_inserted_into_a_page_is_line_ends_only(pieces: list[str]) -> None:
    page = shown("".join(pieces))
    assert all(page.text[i] == "\n" for i in page.inserted)
    counted = "".join(c for i, c in enumerate(page.text) if i not in page.inserted)
    assert counted == "".join({"<br>": "\n", "&amp;": "&"}.get(p, "" if p.startswith("<") else p) for p in pieces)


def test_a_section_that_html_does_not_know_is_not_shown() -> None:
    assert shown("<p>Tos<![x y]></p><p>Asma<![if 1]>.<![endif]></p>").text == "Tos\nAsma."


def test_a_tag_that_does_not_end_is_text_and_what_follows_is_markup_until_there_are_too_many() -> None:
    assert shown("<p>TA</p><b <i <u").text == "TA\n<b <i <u"
    assert shown("<a " * 500).text == "<a " * 500


def test_only_the_body_of_a_whole_page_is_taken_where_that_is_asked() -> None:
    page = "<html><head><title>Alta</title></head>\n<body>Tos</body></html>"
    assert (shown(page).text, shown(page, body_only=True).text) == ("\nTos", "Tos")


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_table_keeps_line_ends_and_quotes_whatever_divides_its_cells(delimiter: str) -> None:
    table = f'id{delimiter}text\n7{delimiter}"a ""b""\r\nc{delimiter}d"\n\n'.encode("utf-8-sig")
    assert parsed_table("a.csv", table, Budget()).values == [(1, {"id": "7", "text": f'a "b"\r\nc{delimiter}d'})]


@pytest.mark.parametrize(
    ("table", "rule"),
    [
        ("id,text\n7", "table_invalid"),
        ("id,id\n7,8", "table_invalid"),
        ('id,text\n7,"open', "table_invalid"),
        ("id,text\n", "export_empty"),
        ("", "export_empty"),
    ],
)
def test_a_table_that_is_none_is_refused(table: str, rule: str) -> None:
    with pytest.raises(DataError, match=rule):
        parsed_table("a.csv", table.encode(), Budget())


@pytest.mark.parametrize("malformed", ["8,Tos, fiebre,DISEASE", "8,Tos", "8"])
def test_a_row_with_another_number_of_cells_costs_only_itself(malformed: str) -> None:
    table = f"id,text,label\n7,Asma,DISEASE\n{malformed}\n\n9,Tos,SYMPTOM\n"
    found = parsed_table("a.csv", table.encode(), Budget())
    assert [(place, row["id"]) for place, row in found.values] == [(1, "7"), (3, "9")]
    assert [(d.record, d.rule, d.offset) for d in found.defects] == [("a.csv", "row_malformed", 3)]
    assert "Tos" not in str(found.defects[0])


def test_other_rows_of_a_malformed_row_s_document_are_refused_with_it() -> None:
    """Of several rows of one document the last counts, which may be the malformed one."""
    table = "id,text,document_id\n7,Asma,n1\n8,Tos,n2\n9.0,Tos,n3\n7,Asma,y,n4\n5,x,9,n5\n6,y,z,n2\n1,Tos,n6\n"
    found = parsed_table("a.csv", table.encode(), Budget())
    assert [place for place, _ in found.values] == [7]
    assert [(d.rule, d.offset) for d in found.defects] == [("row_malformed", row) for row in range(2, 8)]


@pytest.mark.parametrize(
    "malformed",
    ['8,"Tos', '8,"Tos"', '"8,Tos\n\n9,Asma",DISEASE', '8,Tos, "fiebre",DISEASE', "Tos"],
)
def test_a_row_of_which_it_is_not_known_what_is_lost_refuses_the_table(malformed: str) -> None:
    columns = "text,id,label" if malformed == "Tos" else "id,text,label"
    table = f"{columns}\n7,7,DISEASE\n{malformed}\n9,9,SYMPTOM\n"
    with pytest.raises(DataError, match="table_invalid"):
        parsed_table("a.csv", table.encode(), Budget())


ROWS = st.lists(st.lists(st.sampled_from(["1", "2", "3.0", "tos", "", '"', "a;b"]), max_size=4), max_size=8)


@given(ROWS)
def test_every_row_of_a_table_is_read_or_refused_once(rows: list[list[str]]) -> None:
    table = "\n".join(["id,text,label", *(",".join(row) for row in rows)])
    try:
        found = parsed_table("a.csv", table.encode(), Budget())
    except DataError as error:
        assert error.rule in ("table_invalid", "export_empty")  # noqa: PT017
        return
    quoted = sum('"' in cell for row in rows for cell in row)
    places = {place for place, _ in found.values}
    assert len(places) == len(found.values)
    total = sum(",".join(row) != "" for row in rows)
    assert len(found.values) + len(found.defects) == total or quoted
    lost = {cell.partition(".0")[0] for row in rows if len(row) not in (0, 3) for cell in row if cell}
    if not quoted:
        assert not lost & {row["id"].partition(".0")[0] for _, row in found.values}


def test_files_that_systems_hide_in_a_zip_are_none_of_its_files() -> None:
    names = ["__MACOSX/._a.json", ".DS_Store", "x/.git/a.json", "Thumbs.db", "x/desktop.ini", "~$a.docx", "README.md"]
    files = {"x/a.json": b"[]", "TypeSystem.xml": b""} | dict.fromkeys(names, b"x")
    assert [m.name for m in unzipped("a.zip", zipped(files), Budget())] == ["x/a.json", "TypeSystem.xml"]


LINES = [b'{"id": 1}', b'{"id"', b"", b'{"id": "\xf3"}', b"[]", b'{"id": 2}\r']


def test_a_line_that_is_no_json_costs_no_other_line_anything() -> None:
    found = parsed_json("a.jsonl", b"\n".join(LINES), Budget())
    assert found.values == [(1, {"id": 1}), (5, []), (6, {"id": 2})]
    assert [(d.record, d.rule, d.offset) for d in found.defects] == [
        ("a.jsonl", "json_invalid", 2), ("a.jsonl#4", "not_utf8", 8)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("data", "rule", "offset"),
    [
        (b'[\n {"id": 1},\n {"id": 2}\n', "json_invalid", 4),
        (b'{\n "id": 1,\n "n": [\n  7\n ]\n', "json_invalid", 6),
        (b'[{"id": 1},\n{"id": 2}\n', "json_invalid", 3),
        (b'{"id"\n{"id"\n', "json_invalid", 2),
        (b"7\n8\n{", "json_invalid", 2),
        (b"", "json_invalid", 1),
        ('["a\u00f1o"]'.encode("latin-1"), "not_utf8", 3),
        ('{"id": 1}'.encode("utf-16"), "not_utf8", 0),
    ],
)
def test_a_file_of_another_kind_is_one_refusal_and_not_one_for_each_line(data: bytes, rule: str, offset: int) -> None:
    with pytest.raises(DataError) as caught:
        parsed_json("a.json", data, Budget())
    assert (caught.value.rule, caught.value.offset) == (rule, offset)


@given(st.lists(st.sampled_from([*LINES[:4], b"[", b"{", b"}", b"7", b' "x": {}', b"[{}]"]), max_size=8))
def test_every_line_that_holds_something_is_a_value_or_a_defect_or_the_file_is_one(lines: list[bytes]) -> None:
    data = b"\n".join(lines)
    try:
        json.loads(data)
        return
    except ValueError:
        pass
    try:
        found = parsed_json("a.jsonl", data, Budget())
    except DataError:
        assert not any(line.startswith(b'{"id": 1}') for line in lines) or data.lstrip().startswith(b"[")
        return
    assert len(found.values) + len(found.defects) == sum(bool(line.strip()) for line in lines)


@pytest.mark.parametrize("label", ["Síntoma", "SINTOMA", " symptom ", "Si\u0301ntoma"])
def test_a_label_is_read_with_or_without_its_accent(label: str) -> None:
    assert canonical_label(label) == "SYMPTOM"


def test_a_label_that_is_a_piece_of_the_note_is_not_shown() -> None:
    assert "found Hallazgo" in label_hint("Hallazgo", "Tiene asma.")
    for label in ("asma", "ASMA", "tiene ASMA", "x" * 60, "a\nb", "un texto de la nota entera"):
        assert label not in label_hint(label, "Tiene asma.")


def test_the_first_unknown_labels_of_a_text_are_shown_and_no_more_are_looked_for() -> None:
    hints = [label_hint(f"Hallazgo{i}", "Tiene asma.") for i in range(1000)]
    assert "found Hallazgo0" in hints[0]
    assert "found" not in hints[-1].replace("label found", "")
    assert label_hint("Hallazgo0", "Tiene asma.") == hints[0]


def test_records_of_one_id_are_named_by_their_number_and_file() -> None:
    one = [Source("a.jsonl", 1), Source("a.jsonl", 4)]
    assert places_of(one) == "records 1, 4 of the export"
    two = [Source("a.zip/ana.jsonl", 1), Source("a.zip/ben.jsonl", 1, of_file=2)]
    assert places_of(two) == "records 1 of file 1, 1 of file 2 of the export"
