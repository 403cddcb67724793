"""INCEpTION's UIMA exports: what is read right, and by which rule a document is refused that is not understood."""

from __future__ import annotations

import io
import json
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from enigma_tasks.documents import Document
from enigma_tasks.formats.imports.inception import export_name
from tests.unit.import_builders import zipped
from tests.unit.import_cases_inception import DISEASE, INCEPTION
from tests.unit.inception_builders import ALL, ASTHMA, NAMED_ENTITY, TEXT, as_json, both, cas_of, read, rule

if TYPE_CHECKING:
    import cassis

    from tests.unit.import_cases_inception import CasCase


@pytest.mark.parametrize("case", INCEPTION.values(), ids=INCEPTION)
def test_an_export_of_inception_is_read_right_or_refused_by_its_rule(case: CasCase) -> None:
    found = read(case.name, case.data, type_system=case.type_system)
    outcomes = [tuple(e.text for e in f.document.entities) if f.document else f.defects[0].rule for f in found]
    assert outcomes == case.outcomes


def test_the_view_is_read_whose_text_was_annotated() -> None:
    cas = cas_of(text="<p>Ingresa con asma</p>")
    view = cas.create_view("plain")
    view.sofa_string, view.sofa_mime = TEXT, "text/plain"
    layer = cas.typesystem.create_type("custom.Disease", "uima.tcas.Annotation")
    view.add(layer(begin=12, end=16))
    first, _ = both(cas)
    assert first.document == Document("case", TEXT, (ASTHMA,), "es", ALL)
    cas.add(layer(begin=15, end=19))
    assert rule(cas) == "views_several"


def test_a_cas_of_more_views_than_any_tool_makes_is_refused_unread() -> None:
    cas = cas_of()
    for number in range(20):
        cas.create_view(f"v{number}")
    (found,) = read("case.json", as_json(cas))
    assert [(error.rule, error.hint) for error in found.defects] == [
        ("views_several", "21 views, expected one that is annotated")
    ]


def test_of_two_texts_without_annotation_none_is_guessed() -> None:
    cas = cas_of()
    cas.create_view("translated").sofa_string = "Admitted with asthma."
    assert rule(cas) == "views_several"


def test_a_layer_that_the_type_system_lacks_is_not_left_out() -> None:
    cas = cas_of(("custom.Disease", 12, 16, {}), (NAMED_ENTITY, 12, 16, {"value": "DISEASE"}))
    other = cas_of((NAMED_ENTITY, 12, 16, {"value": "DISEASE"})).typesystem.to_xml().encode()
    (found,) = read("case.xmi", cas.to_xmi().encode(), type_system=other)
    assert [d.rule for d in found.defects] == ["type_system_differs"]


def test_an_offset_inside_a_character_is_refused() -> None:
    cas = cas_of(("custom.Disease", 12, 16, {}))
    xmi = cas.to_xmi().replace('begin="12" end="16"', 'begin="12" end="18"')
    assert 'end="18"' in xmi
    (found,) = read("case.xmi", xmi.encode(), type_system=cas.typesystem.to_xml().encode())
    assert [d.rule for d in found.defects] == ["span_outside_text"]


@pytest.mark.parametrize(
    ("path", "title", "document"),
    [
        ("es/all/case-1.json", None, "case-1"),
        ("es/all/case-1.txt.json", None, "case-1"),
        ("es/all/doc1.txt/ana.json", None, "doc1"),
        ("es/all/doc1.pdf/ana.json", None, "doc1.pdf"),
        ("es/all/ward/CURATION_USER.json", None, "ward"),
        ("es/all/doc1.txt/CURATION_USER.json", "note-7.txt", "note-7"),
        ("CURATION_USER.json", None, "CURATION_USER"),
    ],
)
def test_a_document_is_called_by_its_title_its_folder_or_its_file(path: str, title: str | None, document: str) -> None:
    (found,) = read(export_name(path.split("/")), as_json(cas_of(("custom.Disease", 12, 16, {}), title=title)))
    assert found.document_id == document


def test_what_nobody_annotated_is_no_document_without_entities() -> None:
    cas = cas_of()
    for name, data in (
        ("doc1.txt/INITIAL_CAS.json", as_json(cas)),
        ("doc1.zip", zipped({"INITIAL_CAS.xmi": cas.to_xmi(), "TypeSystem.xml": cas.typesystem.to_xml()})),
    ):
        (found,) = read(name, data)
        assert (found.document_id, [d.rule for d in found.defects]) == ("doc1", ["text_without_annotation"])
    (annotated,) = read("doc1.txt/ana.json", as_json(cas))
    assert annotated.document
    assert annotated.document.entities == ()


def version(cas: cassis.Cas, user: str) -> dict[str, str | bytes]:
    return {f"{user}.xmi": cas.to_xmi(), "TypeSystem.xml": cas.typesystem.to_xml()}


ONE = cas_of(("custom.Disease", 12, 16, {}))
PROJECT: dict[str, str | bytes] = {
    "exportedproject7.json": "{}",
    "log/project-7.log": "",
    "source/a.txt": TEXT,
    "source/b.txt": TEXT,
    "annotation/a.txt/ana.zip": zipped(version(ONE, "ana")),
    "annotation/b.txt/ana.zip": zipped(version(ONE, "ana")),
}


def test_a_project_gives_its_curated_documents_and_names_the_others() -> None:
    curated: dict[str, str | bytes] = {"curation/a.txt/CURATION_USER.zip": zipped(version(ONE, "CURATION_USER"))}
    first, second = read("project.zip", zipped(PROJECT | curated))
    assert first.document == Document("a", TEXT, (ASTHMA,), "es", ALL)
    assert (second.document_id, [d.rule for d in second.defects]) == ("b", ["not_curated"])
    curated = {"curation/a.txt/CURATION_USER.tsv": "#FORMAT=WebAnno TSV 3.3\n"}
    first, second = read("project.zip", zipped(PROJECT | curated))
    assert (first.document_id, [d.rule for d in first.defects]) == ("a", ["export_unknown"])


def test_a_java_serialisation_beside_a_curated_document_that_can_be_read_is_no_second_version() -> None:
    both: dict[str, str | bytes] = {
        "annotation_ser/a.txt/ana.ser": b"\xac\xed\0\5",
        "curation_ser/a.txt/CURATION_USER.ser": b"\xac\xed\0\5",
        "curation_ser/b.txt/CURATION_USER.ser": b"\xac\xed\0\5",
        "curation/a.txt/CURATION_USER.zip": zipped(version(ONE, "CURATION_USER")),
    }
    first, second = read("project.zip", zipped(PROJECT | both))
    assert first.document == Document("a", TEXT, (ASTHMA,), "es", ALL)
    assert (second.document_id, [d.rule for d in second.defects]) == ("b", ["export_unknown"])


@pytest.mark.parametrize(
    "files",
    [
        PROJECT,
        {"a.txt/ana.xmi": "<x/>", "a.txt/ben.xmi": "<x/>", "a.txt/TypeSystem.xml": "<x/>"},
        {"ana.zip": b"", "ben.zip": b""},
    ],
)
def test_a_zip_of_which_nothing_says_what_counts_is_refused_whole(files: dict[str, str | bytes]) -> None:
    (found,) = read("all.zip", zipped(files))
    assert [d.rule for d in found.defects] == ["zip_of_several"]


def damaged(packed: bytes, name: str) -> bytes:
    """The zip with a byte of one of its files changed; its directory is as it was."""
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        file = archive.getinfo(name)
    at = file.header_offset + 30 + len(file.filename.encode()) + file.compress_size // 2
    return packed[:at] + bytes([packed[at] ^ 0xFF]) + packed[at + 1 :]


A, B = "curation/a.txt/CURATION_USER.zip", "curation/b.txt/CURATION_USER.xmi"
CURATED_TWICE: dict[str, str | bytes] = {
    **PROJECT,
    A: zipped(version(ONE, "CURATION_USER")),
    **{B.replace("CURATION_USER.xmi", name): content for name, content in version(ONE, "CURATION_USER").items()},
}


@pytest.mark.parametrize(("lost", "kept"), [(A, "b"), (B, "a")])
def test_a_damaged_document_of_a_project_costs_only_itself(lost: str, kept: str) -> None:
    whole = zipped(CURATED_TWICE)
    others = {one.document_id for one in read("project.zip", whole)}
    found = read("project.zip", damaged(whole, lost))
    assert [one.document.id for one in found if one.document] == [kept]
    assert {one.document_id for one in found} == others, "each document is read or refused"
    assert [d.rule for one in found for d in one.defects if d.rule != "not_curated"] == ["zip_member_damaged"]


def test_a_damaged_file_whose_name_alone_is_read_costs_nothing() -> None:
    files = CURATED_TWICE | {"source/a.txt": "Asma " * 50}
    assert read("project.zip", damaged(zipped(files), "source/a.txt")) == read("project.zip", zipped(files))


def test_a_damaged_file_by_which_others_are_read_refuses_the_zip() -> None:
    system = next(name for name in CURATED_TWICE if name.endswith("TypeSystem.xml"))
    document = {f"doc/{name}": content for name, content in version(ONE, "ana").items()}
    only = next(name for name in document if name.endswith("ana.xmi"))
    label_studio = {"a.json": "[{}, {}, {}]", "b.json": "[]"}
    for files, lost in ((CURATED_TWICE, system), (document, only), (label_studio, "a.json")):
        (found,) = read("all.zip", damaged(zipped(files), lost))
        assert [d.rule for d in found.defects] == ["zip_invalid"]


def test_what_systems_add_to_a_zip_is_not_looked_at() -> None:
    files = {f"doc/{name}": content for name, content in version(ONE, "ana").items()}
    more = {"__MACOSX/doc/._ana.xmi": b"\0", "doc/.DS_Store": b"\0", "doc/Thumbs.db": b"\0", "doc/desktop.ini": b""}
    (found,) = read("case.zip", zipped(files | more))
    assert found.document == Document("case", TEXT, (ASTHMA,), "es", ALL)


@pytest.mark.parametrize(
    ("files", "rule"),
    [({}, "export_empty"), ({"a.txt": "x"}, "file_type"), ({"TypeSystem.xml": "<x/>"}, "zip_invalid")],
)
def test_a_zip_without_an_annotated_document_is_refused(files: dict[str, str | bytes], rule: str) -> None:
    assert [d.rule for d in read("case.zip", zipped(files))[0].defects] == [rule]


def test_a_zip_without_its_type_system_says_what_is_missing() -> None:
    (found,) = read("case.zip", zipped({"ana.xmi": ONE.to_xmi()}))
    assert "type_system_missing" in str(found.defects[0])
    assert "TypeSystem.xml" in str(found.defects[0])


def test_a_title_that_may_be_a_persons_name_is_not_shown() -> None:
    found = both(cas_of((NAMED_ENTITY, 12, 16, {"value": "DISEASE"}), title="Ejemplo Prueba, Juana.txt"))[0]
    assert found.document is not None
    assert found.document.id.startswith("id-")


@pytest.mark.parametrize(
    "change",
    [
        {"sofaString": ["asma"]},
        {"sofaString": 7},
        {"sofaID": ["_InitialView"]},
        {"sofaID": {}},
        {"%ID": []},
    ],
)
@pytest.mark.parametrize("views", [{}, {"other": {"%SOFA": 1, "%MEMBERS": [[]]}}])
def test_a_cas_whose_ids_or_text_are_of_another_type_is_refused(change: dict[str, Any], views: dict[str, Any]) -> None:
    tree = json.loads(as_json(cas_of(DISEASE)))
    sofa = next(fs for fs in tree["%FEATURE_STRUCTURES"] if fs["%TYPE"] == "uima.cas.Sofa")
    sofa.update(change)
    tree["%VIEWS"].update(views)
    (one,) = read("case.json", json.dumps(tree).encode())
    assert [d.rule for d in one.defects] in (["uima_invalid"], ["span_outside_text"])


def test_a_cas_with_values_nested_deeply_is_refused() -> None:
    deep = "[" * 970 + "]" * 970
    data = as_json(cas_of(DISEASE)).replace(b'"%FEATURE_STRUCTURES"', f'"x": {deep}, "%FEATURE_STRUCTURES"'.encode(), 1)
    (one,) = read("case.json", data)
    assert {d.rule for d in one.defects} == {"too_deep"}
    assert one.document is None
