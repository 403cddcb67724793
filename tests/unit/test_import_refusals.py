"""What an export does not say in a known way is refused, and an id that may be a name is not shown."""

from __future__ import annotations

import json
from typing import Any

import pytest

from enigma_tasks.documents import EntityType
from enigma_tasks.errors import DataError
from enigma_tasks.formats.imports import Imported, read_export
from enigma_tasks.formats.standoff import TSV_HEADER, parse_ann, parse_tsv
from tests.unit.import_builders import zipped

TEXT = "Paciente con asma y fiebre alta."
PERSON = "Ejemplo Prueba, Juana"


def read(*trees: Any) -> list[Imported]:
    return read_export("x.json", json.dumps(list(trees)).encode(), "es", frozenset(EntityType))


def rules(found: list[Imported]) -> list[str]:
    return [defect.rule for one in found for defect in one.defects]


def task(data: dict[str, Any], *values: dict[str, Any], kind: str = "labels", task_id: Any = 7) -> dict[str, Any]:
    results = [{"id": str(i), "from_name": "a", "to_name": "b", "type": kind, "value": v} for i, v in enumerate(values)]
    return {"id": task_id, "data": data, "annotations": [{"id": 1, "result": results}]}


ASMA = {"start": 13, "end": 17, "text": "asma", "labels": ["DISEASE"]}


@pytest.mark.parametrize("between", ["\r", "\x85", "\v", "\t", " "])
def test_a_second_annotation_on_a_brat_line_is_not_taken_for_a_comment(between: str) -> None:
    ann = f"T1\tDISEASE 13 17\tasma{between}T2\tSYMPTOM 20 26\tfiebre\n"
    with pytest.raises(DataError, match="ann_line_malformed at 1"):
        parse_ann("n", TEXT, ann)


def test_a_comment_after_a_brat_surface_is_still_one() -> None:
    found = parse_ann("n", TEXT, "T1\tDISEASE 13 17\tasma\tT2 disagrees, see 12 13\n")
    assert [e.span for e in found.entities] == [(13, 17)]


def test_an_open_quotation_in_a_tsv_does_not_hide_the_malformed_row_after_it() -> None:
    tsv = f'{TSV_HEADER}\na\tDISEASE\t0\t5\t"asma\nb\tDISEASE\tx\t9\tgripe\nc\tDISEASE\t0\t4\tgota\n'
    defects: list[DataError] = []
    found = parse_tsv(tsv, "p.tsv", defects)
    assert [(d.rule, d.offset) for d in defects] == [("tsv_line_malformed", 3)]
    assert sorted(found) == ["a", "c"]


def test_a_surface_that_a_csv_writer_wrapped_is_still_joined() -> None:
    tsv = f'{TSV_HEADER}\na\tDISEASE\t0\t9\t"asma\nleve"\nc\tDISEASE\t0\t4\tgota\n'
    assert [e.span for e in parse_tsv(tsv)["a"]] == [(0, 9)]


def test_the_only_string_beside_a_dialogue_is_not_its_text() -> None:
    assert rules(read(task({"dialogue": [{"author": "a", "text": TEXT}], "title": "Alta"}))) == ["text_missing"]
    assert read(task({"body": TEXT, "meta": {"ward": 3}}, ASMA))[0].document is not None


@pytest.mark.parametrize("column", ["history", "agreement"])
def test_a_column_of_the_data_that_is_called_as_one_of_the_tool_is_read(column: str) -> None:
    row = {"id": 7, "annotation_id": 1, "annotator": 1, column: TEXT, "title": "Alta", "label": [ASMA]}
    (found,) = read(row)
    assert found.document is not None
    assert found.document.text == TEXT
    (found,) = read({**row, "text": TEXT, column: "0.5" if column == "agreement" else "[]"})
    assert found.document is not None


@pytest.mark.parametrize("kind", ["timeserieslabels", "brushlabels", "rectanglelabels", "nerlabels"])
def test_a_region_of_another_medium_is_no_span(kind: str) -> None:
    value = {"start": 3, "end": 9, kind: ["DISEASE"]}
    assert rules(read(task({"text": TEXT}, value, kind=kind))) == ["region_not_understood"]


def test_a_text_region_of_a_kind_of_its_own_is_read_where_its_text_is_there() -> None:
    value = {"start": 13, "end": 17, "text": "asma", "nerlabels": ["DISEASE"]}
    assert read(task({"text": TEXT}, value, kind="nerlabels"))[0].document is not None


@pytest.mark.parametrize(
    "export",
    [
        task({"text": TEXT}, ASMA, task_id=PERSON),
        {"id": PERSON, "text": TEXT, "label": [[13, 17, "DISEASE"]]},
        {"text": TEXT, "label": [[13, 17, "DISEASE"]], "meta": {"id": PERSON}},
    ],
)
def test_an_id_of_any_kind_that_may_be_a_name_is_not_shown(export: dict[str, Any]) -> None:
    (found,) = read(export)
    assert found.document is not None
    assert "Juana" not in found.document.id
    assert "Ejemplo" not in found.document.id


def test_blanks_around_an_id_do_not_count() -> None:
    (found,) = read(task({"text": TEXT}, ASMA, task_id=" 7 "))
    assert found.document_id == "labelstudio-7"


@pytest.mark.parametrize(
    "said", [f"DISEASE 6 {'9' * 5000}", f"start={'9' * 5000} end={'9' * 5001}", ["9" * 5000, "9" * 5001, "DISEASE"]]
)
def test_a_number_of_thousands_of_digits_is_no_offset(said: Any) -> None:
    (one,) = read({"id": 1, "text": TEXT, "label": [[13, 17, "DISEASE"]], "remark": said})
    assert one.document is not None


def test_a_nameless_file_in_a_zip_makes_the_zip_invalid() -> None:
    packed = zipped({"x.json": json.dumps([task({"text": TEXT}, ASMA)])}).replace(b"x.json", b"")
    data = packed.replace((6).to_bytes(2, "little") + bytes(2), bytes(4))
    assert rules(read_export("x.zip", data, "es", frozenset(EntityType))) == ["zip_invalid"]
