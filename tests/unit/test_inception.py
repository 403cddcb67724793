"""INCEpTION's UIMA exports: what is read right, and by which rule a document is refused that is not understood."""

from __future__ import annotations

import io
import warnings
import zipfile
from typing import Any

import cassis
import pytest

from enigma_tasks.documents import Document, Entity, EntityType
from enigma_tasks.formats.imports import Imported, read_export
from enigma_tasks.formats.imports.inception import export_name

ALL = frozenset(EntityType)
TEXT = "Ingresa con asma 😀 grave.\nSe realiza una TAC craneal."
ASTHMA = Entity("DISEASE", 12, 16, "asma")
SCAN = Entity("PROCEDURE", 41, 52, "TAC craneal")
STRING = "uima.cas.String"
SEGMENTATION = "de.tudarmstadt.ukp.dkpro.core.api.segmentation.type"
CTAKES = "org.apache.ctakes.typesystem.type.textsem.DiseaseDisorderMention"
NAMED_ENTITY = "de.tudarmstadt.ukp.dkpro.core.api.ner.type.NamedEntity"
Annotation = tuple[str, int, int, dict[str, str]]


def cas_of(*annotations: Annotation, text: str = TEXT, title: str | None = None) -> cassis.Cas:
    """A CAS whose layers have the features that its annotations set."""
    system = cassis.TypeSystem()
    for layer, _, _, features in annotations:
        if not system.contains_type(layer):
            own = system.create_type(layer, "uima.tcas.Annotation")
            for feature in features:
                system.create_feature(own, feature, STRING)
    cas = cassis.Cas(typesystem=system)
    cas.sofa_string, cas.sofa_mime = text, "text/plain"
    for layer, begin, end, features in annotations:
        cas.add(system.get_type(layer)(begin=begin, end=end, **features))
    if title:
        name = "de.tudarmstadt.ukp.dkpro.core.api.metadata.type.DocumentMetaData"
        metadata = system.create_type(name, "uima.tcas.DocumentAnnotation")
        system.create_feature(metadata, "documentTitle", STRING)
        cas.add(metadata(begin=0, end=len(text), documentTitle=title))
    return cas


def read(name: str, data: bytes, **more: Any) -> list[Imported]:
    return read_export(name, data, "es", ALL, **more)


def as_json(cas: cassis.Cas) -> bytes:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return cas.to_json().encode()


def both(cas: cassis.Cas, name: str = "case") -> list[Imported]:
    """The document from JSON and from XMI, which must be the same."""
    (first,) = read(f"{name}.json", as_json(cas))
    (second,) = read(f"{name}.xmi", cas.to_xmi().encode(), type_system=cas.typesystem.to_xml().encode())
    assert (first.document, [d.rule for d in first.defects]) == (second.document, [d.rule for d in second.defects])
    return [first, second]


def entities(*annotations: Annotation) -> tuple[Entity, ...]:
    first, _ = both(cas_of(*annotations))
    assert first.document, first.defects
    return first.document.entities


def rule(cas: cassis.Cas) -> str:
    first, _ = both(cas)
    assert first.document is None
    assert not [d for d in first.defects if "asma" in str(d)]
    return first.defects[0].rule


@pytest.mark.parametrize(
    "annotations",
    [
        [("custom.Disease", 12, 16, {}), ("custom.PROCEDIMIENTO", 41, 52, {"negated": "false"})],
        [(NAMED_ENTITY, 12, 16, {"value": "DISEASE"}), (NAMED_ENTITY, 41, 52, {"value": "Procedure"})],
        [("custom.Span", 12, 16, {"label": "enfermedad"}), ("custom.Span", 41, 52, {"label": "PROCEDURE"})],
        [("custom.Mention", 12, 16, {"category": "DISEASE"}), ("custom.Mention", 41, 52, {"category": "PROCEDURE"})],
        [
            ("custom.Mention", 12, 16, {"value": "C0004096", "tipo": "DISEASE"}),
            ("custom.Mention", 41, 52, {"value": "C0040405", "tipo": "PROCEDURE"}),
        ],
        [
            (f"{SEGMENTATION}.Token", 0, 7, {}),
            (f"{SEGMENTATION}.Lemma", 0, 7, {"value": "ingresar"}),
            ("de.tudarmstadt.ukp.dkpro.core.api.lexmorph.type.pos.POS", 0, 7, {"PosValue": "V"}),
            ("org.dkpro.core.api.pdf.type.PdfPage", 0, 30, {}),
            ("custom.Disease", 12, 16, {}),
            ("custom.Procedure", 41, 52, {}),
        ],
    ],
)
def test_a_layers_name_or_any_feature_that_holds_labels_says_the_type(annotations: list[Annotation]) -> None:
    # cassis takes code points and writes UTF-16 units
    assert entities(*annotations) == (ASTHMA, SCAN)


@pytest.mark.parametrize(
    ("annotations", "expected"),
    [
        ([("custom.Clinentity", 12, 16, {"entityID": "C0004096"})], "layer_not_understood"),
        ([("custom.Disease", 12, 16, {}), ("custom.Comment", 0, 7, {"note": "?"})], "layer_not_understood"),
        ([(CTAKES, 12, 16, {"polarity": "1"})], "layer_not_understood"),
        ([("de.tudarmstadt.ukp.dkpro.core.api.semantics.type.SemPred", 12, 16, {})], "layer_not_understood"),
        ([(NAMED_ENTITY, 12, 16, {"value": "PER"})], "label_unknown"),
        (
            [("custom.Span", 12, 16, {"kind": "DISEASE"}), ("custom.Span", 0, 7, {"kind": "VERB"})],
            "label_unknown",
        ),
        ([("custom.Span", 12, 16, {"label": ""})], "label_missing"),
        ([("custom.Disease", 12, 16, {"value": "SYMPTOM"})], "label_ambiguous"),
        ([("custom.Span", 12, 16, {"value": "DISEASE", "label": "SYMPTOM"})], "label_ambiguous"),
        ([("custom.Disease", 12, 12, {})], "span_inverted"),
    ],
)
def test_what_is_not_understood_refuses_the_document(annotations: list[Annotation], expected: str) -> None:
    assert rule(cas_of(*annotations)) == expected


def test_the_layer_is_named_that_was_not_understood() -> None:
    first, _ = both(cas_of(("custom.Clinentity", 12, 16, {})))
    assert "layer Clinentity" in str(first.defects[0])


def test_a_relation_is_no_mention() -> None:
    cas = cas_of(("custom.Disease", 12, 16, {}))
    relation = cas.typesystem.create_type("custom.Treats", "uima.tcas.Annotation")
    for feature in ("Governor", "Dependent"):
        cas.typesystem.create_feature(relation, feature, "uima.tcas.Annotation")
    (disease,) = cas.select("custom.Disease")
    cas.add(relation(begin=12, end=16, Governor=disease, Dependent=disease))
    first, _ = both(cas)
    assert first.document
    assert first.document.entities == (ASTHMA,)


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


def zipped(files: dict[str, str | bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return packed.getvalue()


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


@pytest.mark.parametrize(
    ("layer", "features"),
    [
        ("de.tudarmstadt.ukp.dkpro.core.api.syntax.type.chunk.Chunk", {"chunkValue": "DISEASE"}),
        ("de.tudarmstadt.ukp.dkpro.core.api.lexmorph.type.pos.POS", {"PosValue": "Disease"}),
        ("de.tudarmstadt.ukp.clarin.webanno.api.type.Disease", {}),
    ],
)
def test_a_layer_of_the_tools_own_that_holds_our_labels_is_read(layer: str, features: dict[str, str]) -> None:
    found = both(cas_of((layer, 12, 16, features)))[0]
    assert found.document is not None
    assert found.document.entities == (ASTHMA,)


def test_a_lemma_that_is_called_like_a_type_is_no_label() -> None:
    lemma = (f"{SEGMENTATION}.Lemma", 12, 16, {"value": "disease"})
    found = both(cas_of(lemma, (NAMED_ENTITY, 41, 52, {"value": "PROCEDURE"})))[0]
    assert found.document is not None
    assert found.document.entities == (SCAN,)


def test_a_title_that_may_be_a_persons_name_is_not_shown() -> None:
    found = both(cas_of((NAMED_ENTITY, 12, 16, {"value": "DISEASE"}), title="Ejemplo Prueba, Juana.txt"))[0]
    assert found.document is not None
    assert found.document.id.startswith("id-")
