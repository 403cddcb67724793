"""Exports of annotation tools, piece by piece, as their users have them."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

TEXT = "Tiene asma bronquial severa y fiebre."
PAGE = "<p>Paciente con <b>neumonía</b>.</p><p>Tos<br/>y fiebre &amp; asma.</p>"
WINDOWS = "Motivo:\r\nTiene asma.\r\nAlta."
ASTHMA = ("asma",)
BOTH = ("asma", "fiebre")
Outcome = tuple[str, ...] | str


@dataclass(frozen=True)
class Case:
    """One exported file."""

    name: str
    content: Any
    """Bytes, or what is to be written as JSON."""
    outcomes: list[Outcome]

    @property
    def data(self) -> bytes:
        return self.content if isinstance(self.content, bytes) else json.dumps(self.content).encode()


def zipped(files: Mapping[str, str | bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return packed.getvalue()


def region(start: Any, end: Any, surface: Any, label: str = "DISEASE", **more: Any) -> dict[str, Any]:
    value = {"start": start, "end": end, "text": surface, "labels": [label]}
    if surface is None:
        del value["text"]
    return {"id": f"r{start}", "from_name": "label", "to_name": "text", "type": "labels", "value": value | more}


def of_page(first: int, last: int, surface: str | None, kind: str = "hypertextlabels", **more: Any) -> dict[str, Any]:
    node = "/p[1]/b[1]/text()[1]"
    offsets = {"globalOffsets": {"start": first, "end": last}, "startOffset": 0, "endOffset": 4}
    value: dict[str, Any] = {"start": node, "end": node, kind: ["DISEASE"]} | offsets | more
    if surface is not None:
        value |= {"text": surface}
    return {"type": kind, "value": value}


def annotation(*results: Any, **more: Any) -> dict[str, Any]:
    return {"id": 1, "was_cancelled": False, "updated_at": "2026-05-01T10:00:00Z", "result": list(results)} | more


def task(*annotations: Any, text: Any = TEXT, **more: Any) -> dict[str, Any]:
    return {"id": 7, "data": {"text": text}, "annotations": list(annotations), "predictions": []} | more


def labelled(*results: Any, text: Any = TEXT) -> list[dict[str, Any]]:
    return [task(annotation(*results), text=text)]


def row(**more: Any) -> dict[str, Any]:
    return {"id": 7, "text": TEXT, "annotator": 1, "annotation_id": 4, "updated_at": "2026-05-01T10:00:00Z"} | more


def line(**more: Any) -> dict[str, Any]:
    return {"id": 7, "text": TEXT, "Comments": []} | more


def lines(*values: dict[str, Any]) -> bytes:
    return "\n".join(map(json.dumps, values)).encode()


ONE = region(6, 10, "asma")
TWO = region(30, 36, "fiebre", "SYMPTOM")
BARE = region(6, 10, None)
TWO_TEXTS = {"text": "Dijo: tose poco, hoy está bien y sin quejas.", "plan": "Tiene asma y se va de alta."}
WRONG = region(0, 5, "Tiene")
SPANS = [ONE["value"], TWO["value"]]
CELL = json.dumps([ONE["value"]])
QUOTED = CELL.replace('"', '""')
ABOUT_ONE = {"id": "r6", "type": "choices", "value": {"start": 6, "end": 10, "text": "asma", "choices": ["leve"]}}
ABOUT_TEXT = {"id": "c", "type": "choices", "value": {"choices": ["alta"]}}
ANNOTATED = {"label": [[6, 10, "DISEASE"]]}
OBJECTS = [
    {"id": 1, "label": "DISEASE", "start_offset": 6, "end_offset": 10},
    {"id": 2, "label": "SYMPTOM", "start_offset": 30, "end_offset": 36},
]
HEADER = "text,id,label,annotator,annotation_id,created_at,updated_at,lead_time"
STORED = {"id": 12, "updated_at": "2026-05-01T10:00:00Z", "task": {"id": 7, "data": {"text": TEXT}}}
UNREAD = [
    json.dumps(CELL),
    json.dumps(json.dumps(CELL)),
    QUOTED,
    CELL.replace('"', '\\"'),
    CELL.replace('"', "\u201c"),
    *(f"{before}{CELL}" for before in ("'", "=", "\ufeff", "<")),
    CELL[:-1].removeprefix("["),
    CELL[:1],
    "DISEASE 6 10",
    "DISEASE",
    ["DISEASE"],
    {"spans": 1},
    7,
]
"""What became of a cell of spans, or stands in its place."""
WRITTEN = [
    json.dumps('[[6, 10, "DISEASE"]]'),
    json.dumps(json.dumps('[[6, 10, "DISEASE"]]')),
    "[(6, 10, 'DISEASE')]",
    "{'spans': [(6, 10, 'DISEASE')]}",
    """'[[6, 10, "DISEASE"]]""",
    '=[[6, 10, "DISEASE"]]',
    '[[6, 10, \\"DISEASE\\"]]',
    '[[6, 10, ""DISEASE""]]',
    '[[6, 10, "DISEASE',
    '[{"start_offset": 6, "end_offset": 10, "lab',
    "start=6 end=10 labels=DISEASE",
    "DISEASE 6 10; SYMPTOM 30 36",
    "6:10:Enfermedad",
]
"""Spans as programs write them into a text."""
