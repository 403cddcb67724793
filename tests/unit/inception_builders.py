"""CAS files of INCEpTION, built with cassis, and what is read of them."""

from __future__ import annotations

import warnings
from typing import Any

import cassis

from enigma_tasks.documents import Entity, EntityType
from enigma_tasks.formats.imports import Imported, read_export

ALL = frozenset(EntityType)
TEXT = "Ingresa con asma 😀 grave.\nSe realiza una TAC craneal."
ASTHMA = Entity("DISEASE", 12, 16, "asma")
SCAN = Entity("PROCEDURE", 41, 52, "TAC craneal")
STRING = "uima.cas.String"
SEGMENTATION = "de.tudarmstadt.ukp.dkpro.core.api.segmentation.type"
WEBANNO = "de.tudarmstadt.ukp.clarin.webanno.api.type"
CHUNK = "de.tudarmstadt.ukp.dkpro.core.api.syntax.type.chunk.Chunk"
POS = "de.tudarmstadt.ukp.dkpro.core.api.lexmorph.type.pos.POS"
CTAKES = "org.apache.ctakes.typesystem.type.textsem.DiseaseDisorderMention"
NAMED_ENTITY = "de.tudarmstadt.ukp.dkpro.core.api.ner.type.NamedEntity"
Annotation = tuple[str, int, int, dict[str, str]]


def cas_of(*annotations: Annotation, text: str = TEXT, title: str | None = None) -> cassis.Cas:
    """A CAS whose layers have the features that its annotations set."""
    system = cassis.TypeSystem()
    for layer, _, _, features in annotations:
        if layer != "uima.tcas.Annotation" and not system.contains_type(layer):
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
