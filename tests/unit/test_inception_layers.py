"""INCEpTION's layers: which are mentions, which are text structure, and which refuse the document."""

from __future__ import annotations

import pytest

from tests.unit.inception_builders import (
    ASTHMA,
    CHUNK,
    CTAKES,
    NAMED_ENTITY,
    SCAN,
    SEGMENTATION,
    WEBANNO,
    Annotation,
    both,
    cas_of,
    entities,
    rule,
)


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
            ("de.tudarmstadt.ukp.dkpro.core.api.lexmorph.type.pos.POS_VERB", 0, 7, {"PosValue": "V"}),
            (CHUNK, 0, 7, {"chunkValue": "VP"}),
            ("org.dkpro.core.api.pdf.type.PdfPage", 0, 30, {}),
            ("org.dkpro.core.api.xml.type.XmlElement", 0, 30, {"qName": "symptom"}),
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
        ([("uima.tcas.Annotation", 12, 16, {})], "layer_not_understood"),
        ([(f"{WEBANNO}.Diagnosis", 12, 16, {})], "layer_not_understood"),
        ([(f"{SEGMENTATION}.Finding", 12, 16, {})], "layer_not_understood"),
        ([("de.tudarmstadt.ukp.dkpro.core.api.metadata.type.Section", 0, 16, {})], "layer_not_understood"),
        ([(CHUNK, 12, 16, {"chunkValue": "Diagnosis"})], "layer_not_understood"),
        ([(CHUNK, 12, 16, {"chunkValue": "DISEASE"}), (CHUNK, 0, 7, {"chunkValue": "VP"})], "label_unknown"),
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


@pytest.mark.parametrize(
    ("layer", "features"),
    [
        (CHUNK, {"chunkValue": "DISEASE"}),
        ("de.tudarmstadt.ukp.dkpro.core.api.lexmorph.type.pos.POS", {"PosValue": "Disease"}),
        (f"{WEBANNO}.Disease", {}),
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
