"""Documents -> Label Studio's tasks with predictions, and the labelling configuration that they belong to.

Offsets are code points, as Label Studio's page counts them in a `Text`. The importer (`formats.imports.label_studio`)
reads back what is exported from such a project.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from enigma_tasks.documents import EntityType

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from enigma_tasks.documents import Document, Entity

CONTROL, OBJECT = "label", "text"
"""The names that a result refers to: of the labels, and of the text that they are put on."""
ID = "document_id"
"""The field of a task's data that the importer takes the document's id from."""


def labelling_configuration(types: Iterable[EntityType]) -> str:
    """Label Studio's XML: a label for each of the entity types, over one text."""
    view = ET.Element("View")
    labels = ET.SubElement(view, "Labels", name=CONTROL, toName=OBJECT)
    wanted = set(types)
    for entity_type in (t for t in EntityType if t in wanted):
        ET.SubElement(labels, "Label", value=entity_type.label, background=entity_type.entry.colours[0])
    ET.SubElement(view, "Text", name=OBJECT, value=f"${OBJECT}")
    ET.indent(view)
    return ET.tostring(view, encoding="unicode") + "\n"


def brat_configuration(types: Iterable[EntityType]) -> str:
    """BRAT's `annotation.conf`: the entity types, and nothing else."""
    wanted = set(types)
    entities = "".join(f"{t.label}\n" for t in EntityType if t in wanted)
    return f"[entities]\n{entities}\n[relations]\n\n[events]\n\n[attributes]\n"


def tasks_json(tasks: Iterable[tuple[Document, str]]) -> str:
    """Tasks as Label Studio imports them. Each document's entities are its prediction, of the given model version."""
    return json.dumps([_task(d, version) for d, version in tasks], ensure_ascii=False, indent=1) + "\n"


def _task(document: Document, model_version: str) -> dict[str, Any]:
    results = [_result(number, entity) for number, entity in enumerate(document.entities, 1)]
    return {
        "data": {ID: document.id, OBJECT: document.text},
        "predictions": [{"model_version": model_version, "result": results}],
    }


def _result(number: int, entity: Entity) -> Mapping[str, Any]:
    value = {"start": entity.char_start, "end": entity.char_end, "text": entity.text, "labels": [entity.label]}
    result = {"id": f"p{number}", "from_name": CONTROL, "to_name": OBJECT, "type": "labels", "value": value}
    return result if entity.score is None else {**result, "score": round(entity.score, 6)}
