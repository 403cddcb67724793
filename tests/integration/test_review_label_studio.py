"""Review with a real Label Studio: a night goes in by its API, a correction comes back, is counted and becomes gold."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from enigma_tasks.documents import Entity
from enigma_tasks.monitoring.reviews import ReviewedCounts
from enigma_tasks.stages import monitor
from tests.integration.annotated_samples import HARD
from tests.integration.label_studio_server import LabelStudio, label_studio_server
from tests.integration.test_ingest import Hospital, hospital
from tests.integration.test_review_loop import BATCH, Loop

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["hospital"]
pytestmark = pytest.mark.slow

CANARY = "zanahoria"


@pytest.fixture(scope="module")
def label_studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabelStudio]:
    with label_studio_server(tmp_path_factory.mktemp("label-studio")) as server:
        yield server


def longer(region: dict[str, Any], text: str, by: int) -> dict[str, Any]:
    """The region with another end, as a reviewer drags it."""
    value = region["value"]
    end = value["end"] + by
    return {**region, "value": {**value, "end": end, "text": text[value["start"] : end]}}


def submit(label_studio: LabelStudio, number: int, exported: dict[str, Any], name: str) -> None:
    """Check that the server shows what was exported, correct two of the notes, and submit."""
    (shown,) = label_studio.predictions(number)
    (prediction,) = exported["predictions"]
    assert shown["model_version"] == prediction["model_version"]
    assert [r["value"] for r in shown["result"]] == [r["value"] for r in prediction["result"]]
    regions = shown["result"]
    if name == "quoting":
        regions = [longer(regions[0], exported["data"]["text"], len(" #1.")), *regions[1:]]
    elif name == "emoji":
        regions = regions[1:]
    label_studio.annotate(number, regions)


def counted(loop: Loop) -> dict[str, ReviewedCounts]:
    """By note."""
    return {name.removesuffix(".txt"): review.counts["disease"] for name, review in loop.reviews().items()}


def test_a_correction_in_label_studio_is_counted_and_becomes_gold(
    label_studio: LabelStudio,
    hospital: Hospital,
    s3_root: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loop = Loop(monkeypatch, "review.random_notes=20", "review.useful_notes=0")
    for name, text in HARD.items():
        loop.drop(f"es/2026-06-11/ward-1/{name}.txt", f"{text} {CANARY}: neumonía basal.")
    loop.night(BATCH)
    loop.select()
    project = label_studio.create_project("review", loop.files()["es/labels.xml"].decode())
    numbers = label_studio.import_tasks(project, json.loads(loop.files()["es/label-studio.json"]))
    assert len(numbers) == len(HARD)
    tasks = dict(zip(loop.tasks(), numbers, strict=True))
    by_note = {t.note_id: t for t in loop.manifest().tasks}
    for name, task in by_note.items():
        if name != "nothing":  # left to the next day
            submit(label_studio, tasks[task.task], loop.tasks()[task.task], name)

    name, data = label_studio.export(project, "JSON")
    loop.review(name, data)
    report = loop.reviewed("import-1")
    assert report["rules"] == {"text_without_annotation": 1}
    assert report["counts"]["new"] == len(HARD) - 1
    found = {n: sum(s["note_id"] == n for s in loop.spans(BATCH)) for n in HARD}
    expected = {n: ReviewedCounts(tp=k, fp=0, fn=0) for n, k in found.items() if n != "nothing"}
    expected["quoting"] = ReviewedCounts(tp=found["quoting"] - 1, fp=1, fn=1)
    expected["emoji"] = ReviewedCounts(tp=found["emoji"] - 1, fp=1, fn=0)
    assert counted(loop) == expected

    for kind in ("JSON_MIN", "CSV"):
        file, content = label_studio.export(project, kind)
        loop.review(f"{kind}/{file}", content)
        again = loop.reviewed(f"import-{kind}")
        assert again["rules"] == {"text_without_annotation": 1}
        assert again["counts"]["new"] + again["counts"]["superseded"] == len(HARD) - 1
        assert counted(loop) == expected

    loop.night("night-2")
    page = monitor.run(loop.arguments("monitor", "--batch", "night-2"), loop.params, loop.settings)
    assert page["counts"]["reviewed"] == len(HARD) - 1

    hospital.drop(f"es/disease/reviewed/{name}", data)  # the reviewer says that it is gold
    ingested = hospital.ingest("reviewed")
    assert (ingested["counts"]["added"], ingested["rules"]) == (len(HARD) - 1, {"text_without_annotation": 1})
    gold = hospital.documents(tmp_path / "clone")
    assert set(gold) == {t.task for n, t in by_note.items() if n != "nothing"}
    corrected = gold[by_note["quoting"].task]
    text = corrected.text
    start = text.index("neumonía")
    assert corrected.entities[0] == Entity("DISEASE", start, start + 12, text[start : start + 12])
    shown = "".join(data.decode() for data in loop.objects("reviewed_index", "quarantine", "reports").values())
    assert CANARY not in shown
