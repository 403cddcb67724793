"""Exports of annotation tools: every shape gives the same documents, and a bad document costs no other anything."""

from __future__ import annotations

import io
import json
import warnings
import zipfile
from typing import Any

import cassis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from enigma_tasks.documents import Document, Entity, EntityType
from enigma_tasks.errors import DataError
from enigma_tasks.formats.imports import Imported, read_export
from enigma_tasks.formats.imports.files import unzipped
from enigma_tasks.formats.limits import Budget
from tests.unit.import_builders import zipped
from tests.unit.strategies import is_note

ALL = frozenset(EntityType)
DISEASE = frozenset({EntityType.DISEASE})
TEXT = "Ingresa con asma grave.\nSe realiza una TAC craneal."
ASTHMA = Entity("DISEASE", 12, 16, "asma")
SCAN = Entity("PROCEDURE", 39, 50, "TAC craneal")
NAMED_ENTITY = "de.tudarmstadt.ukp.dkpro.core.api.ner.type.NamedEntity"
METADATA = "de.tudarmstadt.ukp.dkpro.core.api.metadata.type.DocumentMetaData"


def read(name: str, tree: Any, types: frozenset[EntityType] = ALL, **more: Any) -> list[Imported]:
    return read_export(name, tree if isinstance(tree, bytes) else json.dumps(tree).encode(), "es", types, **more)


def only(found: list[Imported]) -> Document:
    (one,) = found
    assert one.document, one.defects
    return one.document


def rules(found: list[Imported]) -> list[str]:
    return [d.rule for one in found for d in one.defects]


def utf16(text: str, position: int) -> int:
    return len(text[:position].encode("utf-16-le")) // 2


def label_studio(text: str, entities: list[Entity], *, units: bool = False, **task: Any) -> dict[str, Any]:
    def result(e: Entity) -> dict[str, Any]:
        start, end = (utf16(text, e.char_start), utf16(text, e.char_end)) if units else e.span
        value = {"start": start, "end": end, "text": e.text, "labels": [e.label]}
        return {"type": "labels", "from_name": "label", "to_name": "text", "value": value}

    annotation = {"id": 1, "was_cancelled": False, "updated_at": "2026-06-01", "result": [result(e) for e in entities]}
    return {"id": 7, "data": {"text": text}, "annotations": [annotation], "predictions": []} | task


def cas_of(text: str, entities: list[Entity], title: str | None = None) -> cassis.Cas:
    system = cassis.load_dkpro_core_typesystem()
    cas = cassis.Cas(typesystem=system)
    cas.sofa_string = text
    cas.sofa_mime = "text/plain"
    named, token = (
        system.get_type(NAMED_ENTITY),
        system.get_type("de.tudarmstadt.ukp.dkpro.core.api.segmentation.type.Token"),
    )
    cas.add(token(begin=0, end=7))
    for e in entities:
        cas.add(named(begin=e.char_start, end=e.char_end, value=e.label))
    if title:
        metadata = system.create_type(METADATA, "uima.tcas.DocumentAnnotation")
        system.create_feature(metadata, "documentTitle", "uima.cas.String")
        cas.add(metadata(begin=0, end=len(text), documentTitle=title))
    return cas


def as_json(cas: cassis.Cas) -> bytes:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return cas.to_json().encode()


def test_label_studio_json_gives_text_spans_and_an_id_of_its_own() -> None:
    document = only(read("export.json", [label_studio(TEXT, [SCAN, ASTHMA])]))
    assert document == Document("labelstudio-7", TEXT, (ASTHMA, SCAN), "es", ALL)


def test_the_hospitals_own_id_is_kept_where_the_tool_was_given_one() -> None:
    task = label_studio(TEXT, [ASTHMA], data={"text": TEXT, "note_id": "n-17.txt"})
    assert only(read("export.json", [task])).id == "n-17"
    line = {"id": 3, "text": TEXT, "label": [[12, 16, "DISEASE"]], "meta": {"filename": "n-18.txt"}}
    assert only(read("export.jsonl", line)).id == "n-18"


def test_label_studio_json_min_is_read_whatever_its_control_is_called() -> None:
    value = {"start": 12, "end": 16, "text": "asma", "labels": ["Disease"]}
    task = {"text": TEXT, "id": 7, "tags": [value], "annotator": 1, "annotation_id": 4}
    assert only(read("min.json", [task])) == Document("labelstudio-7", TEXT, (ASTHMA,), "es", ALL)


def test_of_several_annotations_the_ground_truth_counts_else_the_last_and_never_a_cancelled_one() -> None:
    def annotation(number: int, updated: str, entity: Entity, **more: Any) -> dict[str, Any]:
        (one,) = label_studio(TEXT, [entity])["annotations"]
        return one | {"id": number, "updated_at": updated} | more

    other = Entity("DISEASE", 0, 7, "Ingresa")
    last = [annotation(1, "2026-06-02", ASTHMA), annotation(2, "2026-06-01", other)]
    assert only(read("a.json", [label_studio(TEXT, [], annotations=last)])).entities == (ASTHMA,)
    truth = [annotation(1, "2026-06-02", other), annotation(2, "2026-06-01", ASTHMA, ground_truth=True)]
    assert only(read("a.json", [label_studio(TEXT, [], annotations=truth)])).entities == (ASTHMA,)
    cancelled = [annotation(1, "2026-06-02", other, was_cancelled=True), annotation(2, "2026-06-01", ASTHMA)]
    assert only(read("a.json", [label_studio(TEXT, [], annotations=cancelled)])).entities == (ASTHMA,)


def test_a_task_that_nobody_annotated_is_no_document_without_entities() -> None:
    assert rules(read("a.json", [label_studio(TEXT, [], annotations=[])])) == ["text_without_annotation"]
    assert only(read("a.json", [label_studio(TEXT, [])])).entities == ()


@pytest.mark.parametrize(
    "spans",
    [
        {"label": [[12, 16, "DISEASE"], [39, 50, "PROCEDURE"]]},
        {"labels": [[39, 50, "PROCEDURE"], [12, 16, "DISEASE"]]},
        {"entities": [[12, 16, "ENFERMEDAD"], [39, 50, "PROCEDIMIENTO"]]},
        {
            "entities": [
                {"id": 1, "label": "DISEASE", "start_offset": 12, "end_offset": 16},
                {"id": 2, "label": "PROCEDURE", "start_offset": 39, "end_offset": 50},
            ],
            "relations": [],
            "Comments": [],
        },
    ],
)
def test_every_shape_of_doccano_gives_the_same_document(spans: dict[str, Any]) -> None:
    lines = "\n".join(json.dumps({"id": n, "text": TEXT} | spans) for n in (1, 2)).encode()
    assert [found.document for found in read("all.jsonl", lines)] == [
        Document(f"doccano-{n}", TEXT, (ASTHMA, SCAN), "es", ALL) for n in (1, 2)
    ]
    assert only(read("all.json", [{"id": 1, "text": TEXT} | spans])).entities == (ASTHMA, SCAN)


def test_doccano_beside_an_emoji_is_refused_for_nothing_tells_what_was_counted() -> None:
    line = {"id": 1, "text": "🙂 asma", "label": [[2, 6, "DISEASE"]]}
    assert rules(read("a.jsonl", line)) == ["offset_unit_unknown"]
    after = {"id": 1, "text": "asma 🙂", "label": [[0, 4, "DISEASE"]]}
    assert only(read("a.jsonl", after)).entities[0].text == "asma"


@pytest.mark.parametrize("units", [False, True])
def test_label_studios_surface_tells_which_units_were_counted(units: bool) -> None:
    text = "🙂🙂 tiene asma, no asma"
    entity = Entity("DISEASE", 9, 13, "asma")
    assert only(read("a.json", [label_studio(text, [entity], units=units)])).entities == (entity,)


def test_inception_json_keeps_labelled_spans_and_leaves_out_the_tools_own_layers() -> None:
    document = only(read("doc.json", as_json(cas_of(TEXT, [SCAN, ASTHMA], "case-4.txt"))))
    assert document == Document("case-4", TEXT, (ASTHMA, SCAN), "es", ALL)


def test_inception_xmi_is_read_with_its_type_system_beside_it_or_in_one_zip() -> None:
    cas = cas_of("🙂 " + TEXT, [Entity("DISEASE", 14, 18, "asma")])
    system = cas.typesystem.to_xml().encode()
    xmi = cas.to_xmi().encode()
    beside = only(read("case-5.xmi", xmi, type_system=system))
    assert beside == Document("case-5", "🙂 " + TEXT, (Entity("DISEASE", 14, 18, "asma"),), "es", ALL)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("case-5.xmi", xmi)
        archive.writestr("TypeSystem.xml", system)
    assert only(read("case-5.zip", packed.getvalue())) == beside


def test_a_layer_that_is_called_after_a_type_needs_no_label() -> None:
    system = cassis.TypeSystem()
    layer = system.create_type("webanno.custom.Disease", "uima.tcas.Annotation")
    cas = cassis.Cas(typesystem=system)
    cas.sofa_string = TEXT
    cas.add(layer(begin=12, end=16))
    assert only(read("case-6.json", as_json(cas))).entities == (ASTHMA,)


BOMB = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/hostname">]><x>&a;</x>'
SECOND = label_studio(TEXT, [ASTHMA]) | {"id": 8}


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.json", b"[{", "json_invalid"),
        ("a.json", b"", "json_invalid"),
        ("a.jsonl", b'{"id": 1, "text"\n{"id"', "json_invalid"),
        ("a.json", '["año"]'.encode("latin-1"), "not_utf8"),
        ("a.json", b'{"something": "else"}', "export_unknown"),
        ("a.json", b"[" * 100_000, "too_deep"),
        ("a.json", b'{"%FEATURE_STRUCTURES": 7}', "uima_invalid"),
        ("a.xmi", b"<x/>", "type_system_missing"),
        ("a.zip", b"PK no zip", "zip_invalid"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_defect_with_its_rule(name: str, content: bytes, expected: str) -> None:
    assert rules(read(name, content)) == [expected]


def test_a_bad_line_of_an_export_costs_that_line_only() -> None:
    line = json.dumps({"id": 1, "text": TEXT, "label": [[12, 16, "DISEASE"]]})
    damaged, sound = read("a.jsonl", f'{{"id"\n{line}\n'.encode())
    assert [(d.rule, d.offset) for d in damaged.defects] == [("json_invalid", 1)]
    assert sound.document is not None


@pytest.mark.parametrize("content", [b'{"something": "else"}', b'{"a": 1}\n{"b": 2}', b"{"])
def test_json_that_is_no_cas_among_curated_documents_is_refused_and_no_other(content: bytes) -> None:
    cas = as_json(cas_of(TEXT, [ASTHMA], "case-4.txt"))
    files = {"curation/b.txt/CURATION_USER.json": content, "curation/case-4.txt/CURATION_USER.json": cas}
    packed = zipped(files | {"exportedproject.json": b"{}"})
    bad, sound = read("project.zip", packed)
    assert bad.defects[0].rule in ("uima_invalid", "json_invalid")
    assert sound.document is not None


@pytest.mark.parametrize("xmi", [BOMB, BOMB.decode().encode("utf-16"), b'<?xml version="1.0" encoding="UTF-7"?><x/>'])
def test_xml_that_could_reach_for_other_files_is_not_parsed(xmi: bytes) -> None:
    assert rules(read("a.xmi", xmi, type_system=b"<x/>")) in (["xml_unsafe"], ["not_utf8"])


def test_a_zip_that_unpacks_to_far_more_than_itself_is_refused() -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.xmi", b" " * 20_000_000)
        archive.writestr("TypeSystem.xml", b"<x/>")
    assert rules(read("a.zip", packed.getvalue())) == ["unpacked_ratio"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"start": 12, "end": 900, "text": "asma"}, "span_outside_text"),
        ({"start": 16, "end": 12, "text": "asma"}, "span_inverted"),
        ({"start": 11, "end": 15, "text": "asma"}, "surface_differs"),
        ({"start": "12", "end": 16, "text": "asma"}, "span_malformed"),
        ({"start": True, "end": 16, "text": "asma"}, "span_malformed"),
        ({"start": 12, "end": 16, "text": "asma", "labels": ["CITY"]}, "label_unknown"),
        ({"start": 12, "end": 16, "text": "asma", "labels": ["SYMPTOM"]}, "label_unexpected"),
        ({"start": 12, "end": 16, "text": "asma", "labels": "DISEASE"}, "span_malformed"),
    ],
)
def test_a_bad_span_refuses_its_document_and_no_other_and_is_named_without_text(
    value: dict[str, Any], expected: str
) -> None:
    bad = label_studio(TEXT, [])
    bad["annotations"][0]["result"] = [{"type": "labels", "value": {"labels": ["DISEASE"]} | value}]
    first, second = read("a.json", [bad, SECOND], DISEASE)
    assert (first.document, [d.rule for d in first.defects]) == (None, [expected])
    assert first.defects[0].record == "labelstudio-7"
    assert not [word for word in ("asma", "grave") if word in str(first.defects)]
    assert second.document is not None


@pytest.mark.parametrize("text", [None, "", 7, "\ud800 asma"])
def test_a_task_without_a_usable_text_is_refused(text: Any) -> None:
    task = label_studio(TEXT, []) | {"data": {"text": text}}
    first, second = read("a.json", [task, SECOND])
    assert (first.document, len(first.defects)) == (None, 1)
    assert second.document is not None


@pytest.mark.parametrize("document_id", [".hidden3", "4" * 300, "a5\x00"])
def test_a_hostile_id_is_no_file_name_and_is_not_shown(document_id: str) -> None:
    found = read("a.json", [label_studio(TEXT, [], data={"text": TEXT, "document_id": document_id})])
    assert (rules(found), found[0].document_id, found[0].defects[0].record) == (["id_unsafe"], None, "a.json#1")


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\\"), min_size=1, max_size=40).filter(
    is_note
)


@given(texts, st.data())
def test_every_span_of_every_tool_has_its_surface_at_its_offsets(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    entity = Entity("DISEASE", start, end, text[start:end])
    for units in (False, True):
        (found,) = read("a.json", [label_studio(text, [entity], units=units)])
        if found.document is None:  # the same surface lies elsewhere in another unit, or the text is the head of a path
            assert rules([found]) in (["offset_unit_unknown"], ["text_missing"])
            continue
        (own,) = found.document.entities
        assert text[own.char_start : own.char_end] == own.text
        assert own == entity or own.text.split() == entity.text.split()
    cas = cassis.Cas(typesystem=cassis.TypeSystem())
    layer = cas.typesystem.create_type("custom.Disease", "uima.tcas.Annotation")
    cas.sofa_string = text
    cas.add(layer(begin=start, end=end))
    assert only(read("a.json", as_json(cas))).entities == (entity,)


def test_a_zip_with_a_symbolic_link_is_refused() -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        link = zipfile.ZipInfo("a.json")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
        archive.writestr("b.json", "[]")
    assert rules(read("a.zip", packed.getvalue())) == ["zip_invalid"]
    with pytest.raises(DataError, match="symbolic link"):
        unzipped("a.zip", packed.getvalue(), Budget())
