"""Tasks for Label Studio: its annotations of them are read back as they were."""

from __future__ import annotations

import json
from typing import Any
from xml.etree import ElementTree as ET

from hypothesis import event, given
from hypothesis import strategies as st

from enigma_tasks.documents import Document, Entity, EntityType, sorted_entities
from enigma_tasks.formats.corpus_files import ALL_TYPES
from enigma_tasks.formats.imports import read_export
from enigma_tasks.formats.label_studio_tasks import brat_configuration, labelling_configuration, tasks_json
from tests.unit.strategies import annotated_texts


def accepted(tasks: str) -> bytes:
    """An export after a reviewer submitted every prediction as it was."""
    exported: list[dict[str, Any]] = []
    for number, task in enumerate(json.loads(tasks), 1):
        results = [{**r, "value": dict(r["value"])} for r in task["predictions"][0]["result"]]
        annotation = {"id": number, "result": results, "created_at": "2026-06-12T10:00:00Z"}
        exported.append({"id": number, **task, "annotations": [annotation]})
    return json.dumps(exported).encode()


@given(annotated_texts())
def test_predictions_that_a_reviewer_accepts_come_back_as_published(annotated: tuple[str, tuple[Entity, ...]]) -> None:
    named = Document("n1-0a", annotated[0], sorted_entities(annotated[1]), "es")
    (read,) = read_export("export.json", accepted(tasks_json([(named, "disease:ab")])), "es", ALL_TYPES)
    assert read.document == named or read.defects
    event(read.defects[0].rule if read.defects else "read")


def test_a_task_holds_its_id_the_text_and_one_prediction_with_scores() -> None:
    entity = Entity("DISEASE", 8, 12, "asma", 0.8)
    (task,) = json.loads(tasks_json([(Document("n1-0a", "Refiere asma.", (entity,), "es"), "disease:ab")]))
    assert task["data"] == {"document_id": "n1-0a", "text": "Refiere asma."}
    (prediction,) = task["predictions"]
    assert prediction["model_version"] == "disease:ab"
    (result,) = prediction["result"]
    assert (result["from_name"], result["to_name"], result["type"], result["score"]) == ("label", "text", "labels", 0.8)
    assert result["value"] == {"start": 8, "end": 12, "text": "asma", "labels": ["DISEASE"]}
    assert sorted_entities([entity]) == (entity,)


@given(st.sets(st.sampled_from(list(EntityType))))
def test_configurations_have_the_labels_of_the_types_that_are_reviewed_and_of_no_other(types: set[EntityType]) -> None:
    view = ET.fromstring(labelling_configuration(types))
    labels = [label.get("value") for label in view.iter("Label")]
    assert labels == [t.label for t in EntityType if t in types]
    names = {tag.tag: tag.attrib for tag in view}
    assert names["Labels"]["toName"] == names["Text"]["name"] == "text"
    assert brat_configuration(types).split("\n\n")[0].split("\n")[1:] == labels or not types
