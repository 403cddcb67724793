"""Annotated notes for the annotation tools' tests: synthetic Spanish ones, and hard ones of a line or two."""

from __future__ import annotations

import regex  # type: ignore[import-untyped]

from enigma_tasks.documents import Document, Entity, sorted_entities
from enigma_tasks.synthetic.generator import notes

MENTIONS = {
    "neumonía": "DISEASE",
    "neumoni\u0301a": "DISEASE",
    "neumonía basal derecha": "DISEASE",
    "neu\u00admonía": "DISEASE",
    "asma": "DISEASE",
    "fiebre": "SYMPTOM",
    "fiebre\u00a0alta": "SYMPTOM",
    "fie\u200bbre": "SYMPTOM",
    "dolor\ntorácico": "SYMPTOM",
    "dolor  torácico": "SYMPTOM",
    "dolor tora\u0301cico": "SYMPTOM",
    "tos\tseca": "SYMPTOM",
    "radiografía": "PROCEDURE",
}
HARD = {
    "emoji": "Ingresa \U0001f912 con fiebre \U0001f469\u200d\u2695\ufe0f y neumonía; asma.",
    "crlf": "Motivo:\r\n\r\nfiebre y asma.\r\nSe pide radiografía.\r\n",
    "nfd": "Paciente con neumoni\u0301a y dolor tora\u0301cico.",
    "blanks": "  Refiere dolor  torácico,\ttos\tseca  y fiebre\u00a0alta. \n\n  asma  \n",
    "invisible": "\ufeffRefiere neu\u00admonía con fie\u200bbre y asma.",
    "quoting": "Dice \"fiebre\"; 'asma', \\n y 100 % | neumonía\\ #1.",
    "line-end": "Consulta por dolor\ntorácico y neumonía.",
    "nested": "Se ve neumonía basal derecha en la radiografía, sin asma.",
    "nothing": "Acude a revisión. Sin hallazgos.",
}


def hard_note(name: str) -> Document:
    """One of `HARD`, called `{name}-1`, each of `MENTIONS` marked wherever it stands."""
    text = HARD[name]
    found = [
        (m.start(), word, label) for word, label in MENTIONS.items() for m in regex.finditer(regex.escape(word), text)
    ]
    entities = [Entity(label, start, start + len(word), word) for start, word, label in found]
    return Document(f"{name}-1", text, sorted_entities(entities), "es")


def annotated_notes() -> list[Document]:
    """Six synthetic notes and the hard ones, annotated for all three types."""
    return [*notes(6, ["es"], seed=13), *map(hard_note, HARD)]


def every_unit_agrees(text: str) -> bool:
    """Code points, UTF-16 units and grapheme clusters are the same in number, whatever a tool counts."""
    return len(text) == len(text.encode("utf-16-le")) // 2 == len(regex.findall(r"\X", text))
