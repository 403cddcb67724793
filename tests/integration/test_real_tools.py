"""Real annotation tools: notes go into a server, and what it exports comes back as gold, or is refused by a rule."""

from __future__ import annotations

import html
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from enigma_tasks.documents import Entity
from tests.integration import label_studio_server as studio
from tests.integration.annotated_samples import annotated_notes, every_unit_agrees, hard_note
from tests.integration.chromium_page import chromium_page
from tests.integration.doccano_server import Doccano, doccano_server, line_of
from tests.integration.label_studio_page import annotate_in_page
from tests.integration.label_studio_server import LabelStudio, label_studio_server
from tests.integration.test_ingest import Hospital, hospital

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from enigma_tasks.documents import Document

__all__ = ["hospital"]
pytestmark = pytest.mark.slow

UNANNOTATED = "text_without_annotation"


@pytest.fixture(scope="module")
def label_studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabelStudio]:
    with label_studio_server(tmp_path_factory.mktemp("label-studio")) as server:
        yield server


@pytest.fixture(scope="module")
def doccano(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doccano]:
    with doccano_server(tmp_path_factory.mktemp("doccano")) as server:
        yield server


def taken_in(hospital: Hospital, folder: Path, name: str, data: bytes) -> tuple[dict[str, Document], dict[str, int]]:
    """(documents held, how many were refused by which rule) after one export was dropped and ingested."""
    hospital.drop(f"es/all/export/{name}", data)
    return ingested(hospital, folder)


def ingested(hospital: Hospital, folder: Path) -> tuple[dict[str, Document], dict[str, int]]:
    report = hospital.ingest("export")
    held = hospital.documents(folder) if report["counts"]["added"] else {}
    assert len(held) == report["counts"]["added"]
    assert sum(report["rules"].values()) == report["counts"]["quarantined"]
    return held, report["rules"]


def by_id(documents: list[Document]) -> dict[str, Document]:
    return {document.id: document for document in documents}


# ---- Label Studio


def task(document: Document, result: studio.Result | None = None, text: str | None = None) -> dict[str, Any]:
    """A task whose mentions are an annotation and, as a member wrote them, a prediction."""
    regions = studio.text_result(document) if result is None else result
    return {
        "data": {"text": document.text if text is None else text, "document_id": document.id},
        "annotations": [{"result": regions, "ground_truth": False}],
        "predictions": [{"model_version": "enigma", "result": regions}],
    }


@pytest.fixture(scope="module")
def text_project(label_studio: LabelStudio) -> int:
    """Every sample, one of them in UTF-16 units too; and what else happens to tasks."""
    documents = annotated_notes()
    project = label_studio.create_project("plain text", studio.TEXT_CONFIG)
    emoji = hard_note("emoji")
    label_studio.import_tasks(
        project,
        [*map(task, documents), task(replace(emoji, id="utf-16"), studio.text_result(emoji, "utf-16-le"))],
    )
    waiting, skipped, corrected, twice = label_studio.import_tasks(
        project,
        [
            {key: value for key, value in task(replace(emoji, id=name)).items() if key != "annotations"}
            for name in ("waiting-1", "skipped-1", "corrected-1", "twice-1")
        ],
    )
    right, wrong = studio.text_result(emoji), studio.text_result(hard_note("emoji"))[:1]
    label_studio.annotate(skipped, right, skip=True)
    label_studio.correct(label_studio.annotate(corrected, wrong), right)
    label_studio.annotate(twice, wrong)
    label_studio.annotate(twice, right)
    (again,) = label_studio.import_tasks(project, [task(replace(emoji, id="again-1"), wrong)])
    label_studio.annotate(again, right)
    assert label_studio.annotations(waiting) == []
    return project


def text_project_gold() -> dict[str, Document]:
    more = [replace(hard_note("emoji"), id=name) for name in ("utf-16", "corrected-1", "twice-1", "again-1")]
    return by_id([*annotated_notes(), *more])


@pytest.mark.parametrize("kind", ["JSON", "snapshot", "JSON_MIN", "CSV", "TSV"])
def test_every_text_task_of_label_studio_that_somebody_annotated_comes_back_as_it_was(
    kind: str, label_studio: LabelStudio, text_project: int, hospital: Hospital, tmp_path: Path
) -> None:
    """JSON-MIN and the tables leave out what was skipped; what nobody annotated they hold without a span."""
    if kind == "snapshot":
        download = label_studio.snapshot(text_project, "JSON")
    else:
        download = label_studio.export(text_project, kind)
    held, rules = taken_in(hospital, tmp_path, *download)
    assert held == text_project_gold()
    assert rules == {UNANNOTATED: 2 if kind in {"JSON", "snapshot"} else 1}


def test_a_format_of_tokens_is_refused(
    label_studio: LabelStudio, text_project: int, hospital: Hospital, tmp_path: Path
) -> None:
    """CoNLL 2003 has neither texts nor offsets; of the others that are offered each was tried above."""
    assert label_studio.export_types(text_project) == ["JSON", "JSON_MIN", "CSV", "TSV", "CONLL2003"]
    held, rules = taken_in(hospital, tmp_path, *label_studio.export(text_project, "CONLL2003"))
    assert (held, sum(rules.values())) == ({}, 1)


def test_the_target_storage_of_label_studio_is_a_drop(
    label_studio: LabelStudio, s3_endpoint: str, hospital: Hospital, tmp_path: Path
) -> None:
    """One object an annotation, called after its number; two of one task are two files of one id, and both refused."""
    documents = annotated_notes()
    project = label_studio.create_project("target storage", studio.TEXT_CONFIG)
    first, *_ = label_studio.import_tasks(project, [{"data": task(d)["data"]} for d in documents[:1]])
    label_studio.annotate(first, [])
    label_studio.annotate(first, studio.text_result(documents[0]))
    label_studio.import_tasks(project, [task(d) for d in documents[1:]])
    bucket, _, root = hospital.settings.gold.removeprefix("s3://").partition("/")
    sent = label_studio.send_to_s3(project, bucket, f"{root}/es/all/label-studio", s3_endpoint)
    assert sent == len(documents) + 1
    assert ingested(hospital, tmp_path) == (by_id(documents[1:]), {"id_duplicate": 2})


@pytest.mark.parametrize("kind", ["JSON", "CSV"])
def test_hypertext_comes_back_as_a_browser_shows_it_or_is_refused(
    kind: str, label_studio: LabelStudio, hospital: Hospital, tmp_path: Path
) -> None:
    """A note shown as hypertext is its own rendering; of an HTML source the rendering is the document.

    Where a browser shows other characters than the note has, CR LF or blanks at its head, the note may be refused.
    """
    plain = [d for d in annotated_notes() if not set(d.text) & {"<", "&"}]
    sources = [replace(d, id=f"html-{d.id}") for d in plain if d.entities]
    project = label_studio.create_project("hypertext", studio.HYPERTEXT_CONFIG)
    label_studio.import_tasks(
        project,
        [task(d, studio.hypertext_result(d)) for d in plain]
        + [task(d, studio.hypertext_result(d, "/p[1]/text()[1]"), f"<p>{html.escape(d.text)}</p>") for d in sources],
    )
    held, rules = taken_in(hospital, tmp_path, *label_studio.export(project, kind))
    gold = by_id([*plain, *sources])
    assert set(rules) <= {"surface_differs", "offset_unit_unknown", "hypertext_not_understood"}
    assert sum(rules.values()) == len(gold) - len(held)
    for name, document in held.items():
        assert with_line_feeds(document) == with_line_feeds(gold[name])
        assert name.startswith("html-") or document == gold[name]
    assert {d.id for d in gold.values() if "\r" not in d.text and not d.text[0].isspace()} <= held.keys()


def with_line_feeds(document: Document) -> Document:
    """The same with CR LF as a browser reads it, its mentions moved along."""

    def place(position: int) -> int:
        return position - document.text.count("\r\n", 0, position)

    entities = tuple(Entity(e.label, place(e.char_start), place(e.char_end), e.text) for e in document.entities)
    return replace(document, text=document.text.replace("\r\n", "\n"), entities=entities)


@pytest.mark.browser
@pytest.mark.parametrize(
    ("config", "doubtful"),
    [(studio.TEXT_CONFIG, frozenset()), (studio.HYPERTEXT_CONFIG, frozenset({"crlf-1"}))],
    ids=["text", "hypertext"],
)
def test_what_is_marked_by_hand_in_the_page_of_label_studio_is_read(
    config: str, doubtful: frozenset[str], label_studio: LabelStudio, hospital: Hospital, tmp_path: Path
) -> None:
    """Its page writes surfaces with blanks made one and a line end as a backslash and an n; it counts code points.

    Of hypertext, a browser makes one of CR LF, and the note may be refused; it drops blanks at the head of a page.
    """
    documents = [hard_note(name) for name in ("emoji", "crlf", "nfd", "blanks", "invisible", "quoting", "line-end")]
    project = label_studio.create_project("by hand", config)
    tasks = label_studio.import_tasks(project, [{"data": task(d)["data"]} for d in documents])
    with chromium_page(tmp_path) as page:
        cookies = label_studio.log_in()
        for number, document in zip(tasks, documents, strict=True):
            annotate_in_page(page, cookies, label_studio, (project, number), document)
    held, rules = taken_in(hospital, tmp_path / "clone", *label_studio.export(project, "JSON"))
    gold = by_id(documents)
    assert held == {name: gold[name] for name in held}
    assert gold.keys() - held.keys() <= doubtful
    assert sum(rules.values()) == len(gold) - len(held)


# ---- doccano


@pytest.mark.parametrize(
    ("relations", "shared"),
    [(False, True), (True, False)],
    ids=["`label` in all.jsonl", "`entities` in a file for each annotator"],
)
def test_a_confirmed_example_of_doccano_comes_back_as_it_was_or_its_offsets_are_in_doubt(
    relations: bool, shared: bool, doccano: Doccano, hospital: Hospital, tmp_path: Path
) -> None:
    """doccano writes no surface: only where every way to count agrees is a span's place sure.

    Nor does it say of a note without a span whether anybody looked at it.
    """
    documents = annotated_notes()
    project = doccano.create_project("notes", relations=relations, shared=shared)
    moved = line_of(replace(hard_note("nested"), id="moved-1"))
    right = moved["label"]
    moved["label"] = [[start + 1, end, label] for start, end, label in right]
    unconfirmed = line_of(replace(hard_note("nested"), id="unconfirmed-1"))
    examples = doccano.import_lines(project, [*map(line_of, documents), moved, unconfirmed])
    spans = sorted(doccano.spans(project, examples[-2]), key=lambda s: (s["start_offset"], s["end_offset"]))
    for span, (start, end, _) in zip(spans, sorted(right), strict=True):
        doccano.correct(project, examples[-2], span["id"], start, end)
    for example in examples[:-1]:
        doccano.confirm(project, example)

    held, rules = taken_in(hospital, tmp_path, "project.zip", doccano.export(project, confirmed_only=True))
    gold = by_id([*documents, replace(hard_note("nested"), id="moved-1")])
    assert held == {name: gold[name] for name in held}
    assert {name for name, d in gold.items() if d.entities and every_unit_agrees(d.text)} <= held.keys()
    assert set(rules) == {"offset_unit_unknown", UNANNOTATED}
    assert rules[UNANNOTATED] == len([d for d in gold.values() if not d.entities])
    assert len(held) + sum(rules.values()) == len(gold)


def test_an_example_of_doccano_without_a_span_is_no_gold(doccano: Doccano, hospital: Hospital, tmp_path: Path) -> None:
    """A download of everything holds what nobody looked at, and does not tell it from a note without a mention."""
    project = doccano.create_project("untouched")
    doccano.import_lines(
        project, [line_of(hard_note("nested")), {"document_id": "untouched-1", "text": "asma", "label": []}]
    )
    held, rules = taken_in(hospital, tmp_path, "project.zip", doccano.export(project, confirmed_only=False))
    assert rules == {UNANNOTATED: 1}
    assert held.keys() == {"nested-1"}
