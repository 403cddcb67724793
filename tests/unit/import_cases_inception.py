"""INCEpTION's exports as their users have them, and what has to come out: `docs/gold.md` lists each.

An outcome is one of each document of the export, in order: the surfaces that are gold, or the rule that refuses it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tests.unit.import_builders import ASTHMA, Outcome, zipped
from tests.unit.inception_builders import (
    CHUNK,
    CTAKES,
    NAMED_ENTITY,
    POS,
    SEGMENTATION,
    TEXT,
    Annotation,
    as_json,
    cas_of,
)

BOTH = ("asma", "TAC craneal")
DISEASE: Annotation = (NAMED_ENTITY, 12, 16, {"value": "DISEASE"})
SCAN: Annotation = (NAMED_ENTITY, 41, 52, {"value": "PROCEDURE"})


@dataclass(frozen=True)
class CasCase:
    """One exported file, and the type system beside it."""

    name: str
    data: bytes
    outcomes: list[Outcome]
    type_system: bytes | None = None


def of(outcome: Outcome, *annotations: Annotation, text: str = TEXT) -> CasCase:
    return CasCase("case.json", as_json(cas_of(*annotations, text=text)), [outcome])


def files(user: str, *annotations: Annotation) -> dict[str, str | bytes]:
    cas = cas_of(*annotations)
    return {f"{user}.xmi": cas.to_xmi(), "TypeSystem.xml": cas.typesystem.to_xml()}


def xmi(outcome: Outcome, *, declared: bool = True) -> CasCase:
    cas = cas_of(DISEASE)
    return CasCase("case.xmi", cas.to_xmi().encode(), [outcome], cas.typesystem.to_xml().encode() if declared else None)


def project(*curated: str) -> bytes:
    made = {f"curation/{d}.txt/CURATION_USER.zip": zipped(files("CURATION_USER", DISEASE)) for d in curated}
    annotated = {f"annotation/{d}.txt/ana.zip": zipped(files("ana", DISEASE)) for d in ("a", "b")}
    return zipped({"exportedproject7.json": "{}", "source/a.txt": TEXT, "source/b.txt": TEXT} | annotated | made)


WORDS: list[Annotation] = [
    (f"{SEGMENTATION}.Token", 0, 7, {}),
    (f"{SEGMENTATION}.Lemma", 12, 16, {"value": "disease"}),
    (POS, 0, 7, {"PosValue": "V"}),
    (CHUNK, 0, 7, {"chunkValue": "VP"}),
    ("org.dkpro.core.api.xml.type.XmlElement", 0, 30, {"qName": "symptom"}),
]

INCEPTION: dict[str, CasCase] = {
    "in-layers": of(BOTH, ("custom.Disease", 12, 16, {}), ("webanno.custom.PROCEDIMIENTO", 41, 52, {"negated": "no"})),
    "in-values": of(BOTH, DISEASE, SCAN),
    "in-any-feature": of(
        BOTH,
        ("custom.Mention", 12, 16, {"concept": "C0004096", "tipo": "DISEASE"}),
        ("custom.Mention", 41, 52, {"concept": "C0040405", "tipo": "PROCEDURE"}),
    ),
    "in-two-types": of("label_ambiguous", ("custom.Disease", 12, 16, {"value": "SYMPTOM"})),
    "in-two-features": of("label_ambiguous", ("custom.Span", 12, 16, {"value": "DISEASE", "label": "SYMPTOM"})),
    "in-label": of("label_unknown", DISEASE, (NAMED_ENTITY, 41, 52, {"value": "DRUG"})),
    "in-no-label": of("label_missing", DISEASE, (NAMED_ENTITY, 41, 52, {"value": ""})),
    "in-other-layer": of("layer_not_understood", DISEASE, ("custom.Clinentity", 41, 52, {"entityID": "C0040405"})),
    "in-ctakes": of("layer_not_understood", (CTAKES, 12, 16, {"polarity": "1"})),
    "in-plain-annotation": of("layer_not_understood", DISEASE, ("uima.tcas.Annotation", 41, 52, {})),
    "in-unknown-of-tool": of("layer_not_understood", (f"{SEGMENTATION}.Finding", 12, 16, {})),
    "in-structure": of(ASTHMA, *WORDS, DISEASE),
    "in-structure-only": of((), *WORDS),
    "in-grammar-labels": of(ASTHMA, (CHUNK, 12, 16, {"chunkValue": "DISEASE"})),
    "in-grammar-mixed": of("label_unknown", (POS, 12, 16, {"PosValue": "DISEASE"}), (POS, 0, 7, {"PosValue": "V"})),
    "in-chunk": of("layer_not_understood", (CHUNK, 12, 16, {"chunkValue": "Diagnosis"})),
    "in-empty-span": of("span_inverted", ("custom.Disease", 12, 12, {})),
    "in-blank": of("blank", text=" \n"),
    "in-markup": of("not_plain_text", text="<html><p>asma</p></html>"),
    "in-xmi": xmi(ASTHMA),
    "in-xmi-alone": xmi("type_system_missing", declared=False),
    "in-zip": CasCase(
        "case.zip", zipped({"__MACOSX/._a.xmi": b"\0", "Thumbs.db": b"\0"} | files("a", DISEASE)), [ASTHMA]
    ),
    "in-project": CasCase("p.zip", project("a"), [ASTHMA, "not_curated"]),
    "in-project-uncurated": CasCase("p.zip", project(), ["zip_of_several"]),
    "in-initial": CasCase("doc1.txt/INITIAL_CAS.json", as_json(cas_of()), ["text_without_annotation"]),
    "in-cas-damaged": CasCase("case.xmi", b"<xmi", ["uima_invalid"], b"<typeSystemDescription/>"),
    "in-unlisted": CasCase(
        "case.xmi",
        re.sub('members="[^"]*"', 'members=""', cas_of(DISEASE).to_xmi()).encode(),
        ["uima_invalid"],
        cas_of(DISEASE).typesystem.to_xml().encode(),
    ),
    "in-dtd": CasCase("case.xmi", b"<!DOCTYPE x [<!ENTITY a 'b'>]><x/>", ["xml_unsafe"], b"<x/>"),
    "in-webanno-tsv": CasCase("case.tsv", b"#FORMAT=WebAnno TSV 3.3\n#T_SP=custom.Disease\n\n", ["export_unknown"]),
    "in-conll": CasCase("case.zip", zipped({"case.conll": "1\tasma\tB-DISEASE\n"}), ["file_type"]),
    "in-binary": CasCase("case.zip", zipped({"case.bin": b"UIMA\0"}), ["file_type"]),
}
