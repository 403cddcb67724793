"""What reviewed documents are compared with, which review counts, and what is refused."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enigma_tasks.documents import Document, Entity, EntityType
from enigma_tasks.errors import DataError
from enigma_tasks.file_names import site_of
from enigma_tasks.monitoring.review_manifest import (
    ReadDrop,
    ReviewCounts,
    ReviewImport,
    ReviewManifest,
    ReviewNight,
    ReviewTask,
    Stratum,
    import_bytes,
    manifest_bytes,
    note_of_task,
    read_import,
    read_manifest,
    task_id,
)
from enigma_tasks.monitoring.review_matching import Dropped, Subject, compared, fates, subject_of
from enigma_tasks.monitoring.reviews import ReviewedCounts, ReviewedNote, latest_reviews
from enigma_tasks.notes.references import NoteRef, Rule

TEXT = "Refiere asma y tos. Sin fiebre."
ASTHMA, COUGH, FEVER = Entity("DISEASE", 8, 12, "asma"), Entity("SYMPTOM", 15, 18, "tos"), Entity("SYMPTOM", 24, 30, "")
BOTH = frozenset({EntityType.DISEASE, EntityType.SYMPTOM})
NIGHT = ReviewNight(
    batch_id="night-1", planned_at="2026-06-11T01:00:00+00:00", models={"es": {"disease": "d1", "symptom": "s1"}}
)
TASK = ReviewTask(
    task="n1-0a", bucket="b", key="drops/es/2026-06-11/w1/n1.txt", record_id=None, version="v1", object_version="v1",
    note_id="n1", language="es", site="w1", stream="random", probability=0.25, stratum="es/w1/found",
)  # fmt: skip
SUBJECT = Subject(TASK, NIGHT, TEXT)
JUNE = "2026-06-12T10:00:00+00:00"


def document(*entities: Entity, text: str = TEXT, types: frozenset[EntityType] = BOTH) -> Document:
    return Document("n1-0a", text, entities, "es", types)


def review(*entities: Entity, source: str = "ana.json", at: str = JUNE, **more: Any) -> ReviewedNote:
    return compared(document(*entities), SUBJECT, more.pop("published", [ASTHMA]), Dropped(source, at))


def rule_of(call: Any) -> tuple[str, int | None]:
    with pytest.raises(DataError) as refused:
        call()
    assert "asma" not in str(refused.value)
    return refused.value.rule, refused.value.offset


def test_strict_counts_are_by_type_and_of_every_reviewed_type() -> None:
    moved = Entity("SYMPTOM", 14, 18, " tos")
    found = review(ASTHMA, COUGH, FEVER, published=[ASTHMA, moved])
    assert found.counts == {
        "disease": ReviewedCounts(tp=1, fp=0, fn=0), "symptom": ReviewedCounts(tp=0, fp=1, fn=2)
    }  # fmt: skip
    assert (found.stream, found.probability, found.stratum, found.site) == ("random", 0.25, "es/w1/found", "w1")
    assert found.models == {"disease": "d1", "symptom": "s1"}
    assert review(published=[]).counts["disease"] == ReviewedCounts(tp=0, fp=0, fn=0)


def test_spans_of_types_that_were_not_reviewed_are_left_out() -> None:
    only = document(ASTHMA, types=frozenset({EntityType.DISEASE}))
    found = compared(only, SUBJECT, [ASTHMA, COUGH], Dropped("a", JUNE))
    assert found.counts == {"disease": ReviewedCounts(tp=1, fp=0, fn=0)}
    assert found.models == {"disease": "d1"}


def test_a_label_that_no_model_of_the_night_annotates_is_refused() -> None:
    probe = Entity("PROCEDURE", 0, 7, "Refiere")
    everything = document(ASTHMA, probe, types=frozenset(EntityType))
    assert rule_of(lambda: compared(everything, SUBJECT, [], Dropped("a", JUNE))) == ("label_unexpected", 0)
    procedures = document(types=frozenset({EntityType.PROCEDURE}))
    assert rule_of(lambda: compared(procedures, SUBJECT, [], Dropped("a", JUNE))) == ("types_not_published", None)


def test_a_document_is_of_the_one_note_that_has_its_text() -> None:
    other = Subject(TASK.model_copy(update={"key": "drops/es/2026-06-11/w2/n1.txt"}), NIGHT, TEXT[:20])
    gone = Subject(TASK.model_copy(update={"version": "v0"}), NIGHT, rule=Rule.CHANGED)
    assert subject_of(document(), [gone, other, SUBJECT]) is SUBJECT
    assert rule_of(lambda: subject_of(document(), [])) == ("note_unknown", None)
    assert rule_of(lambda: subject_of(document(), [gone])) == ("changed_since_plan", None)
    assert rule_of(lambda: subject_of(document(text=TEXT[:25] + "X"), [gone, other, SUBJECT])) == ("text_differs", 25)
    assert rule_of(lambda: subject_of(document(), [SUBJECT, SUBJECT])) == ("note_ambiguous", None)


def test_the_same_again_from_one_source_is_unchanged_and_a_later_review_of_anyone_supersedes() -> None:
    first = review(ASTHMA)
    assert fates([first], []) == ["new"]
    assert fates([review(ASTHMA, at="2026-06-13T10:00:00+00:00")], [first]) == ["unchanged"]
    assert fates([review(COUGH, at="2026-06-13T10:00:00+00:00")], [first]) == ["new"]
    assert fates([review(ASTHMA, source="ben.json", at="2026-06-11T10:00:00+00:00")], [first]) == ["superseded"]
    later = review(COUGH, source="ben.json", at="2026-06-14T10:00:00+00:00")
    assert fates([later, first], []) == ["new", "superseded"]


def test_what_was_said_first_is_new_again_after_something_else_was_said() -> None:
    history = [review(ASTHMA), review(COUGH, at="2026-06-13T10:00:00+00:00")]
    back = review(ASTHMA, at="2026-06-14T10:00:00+00:00")
    assert fates([back], history) == ["new"]
    assert latest_reviews([*history, back]) == [back]


said = st.builds(
    lambda who, day, marks: review(*marks, source=who, at=f"2026-06-{day:02}T10:00:00+00:00"),
    st.sampled_from(["ana.json", "ben.json"]), st.integers(1, 9), st.sampled_from([(), (ASTHMA,), (ASTHMA, COUGH)]),
)  # fmt: skip


@given(st.lists(said, max_size=6), st.lists(said, max_size=6))
def test_every_review_has_a_fate_and_the_one_that_counts_depends_on_no_order(held, arriving) -> None:
    found = fates(arriving, held)
    assert len(found) == len(arriving)
    kept = [r for r, fate in zip(arriving, found, strict=True) if fate != "unchanged"]
    counts = latest_reviews([*held, *kept])
    assert counts == latest_reviews([*reversed(kept), *held])
    assert len(counts) == bool(held or arriving)
    if "new" in found:
        assert counts[0] in [r for r, fate in zip(arriving, found, strict=True) if fate == "new"]


def test_counts_must_add_up() -> None:
    with pytest.raises(AssertionError, match="5 were read, and 4 have an outcome"):
        ReviewCounts(read=5, new=1, unchanged=1, superseded=1, refused=1, ignored=0)


def test_manifests_and_imports_come_back_from_their_bytes_and_other_versions_are_refused() -> None:
    manifest = ReviewManifest(
        night=NIGHT, tasks=(TASK,), strata={"es/w1/found": Stratum(notes=4, drawn=1)}, skipped={"changed_since_plan": 1}
    )
    assert read_manifest("m", manifest_bytes(manifest)) == manifest
    assert manifest.counts() == {"exported": 1, "random": 1, "useful": 0, "both": 0, "skipped": 1}
    drop = ReadDrop(record="ana.json", state=(("ana.json", "e1"),), modified=JUNE)
    counts = ReviewCounts(read=1, new=1, unchanged=0, superseded=0, refused=0, ignored=0).to_json()
    found = ReviewImport(batch_id="b", drops=(drop,), counts=counts, rules={}, reviews=(review(ASTHMA),))
    assert read_import("i", import_bytes(found)) == found
    assert b"asma" not in import_bytes(found)
    newer = import_bytes(found).replace(b'"schema_version": 1', b'"schema_version": 2')
    assert rule_of(lambda: read_import("i", newer)) == ("record_field", None)


def note(note_id: str = "n1", version: str = "v1") -> NoteRef:
    return NoteRef("b", f"drops/es/2026-06-11/{note_id}.txt", version, version, note_id, "es", "path", "2026-06-11", 9)


def test_a_task_has_an_id_for_each_night_and_version_that_can_name_a_file() -> None:
    ids = [task_id(b, note(version=v), "n1") for b, v in itertools.product(("night-1", "night-2"), ("v1", "v2"))]
    assert len(set(ids)) == 4
    assert all(name.startswith("n1-") for name in ids)
    for shown in ("../ñ/1", ".hidden", "x" * 300, "a b\n"):
        name = task_id("night-1", note(), shown)
        assert Document(name, TEXT).id == name
        assert name.isascii()
        assert not name.startswith(".")
        assert "/" not in name
        assert len(name) <= 97
    assert note_of_task(TASK).identity == TASK.note


@pytest.mark.parametrize(
    ("path", "site"),
    [("es/2026-06-11/w1/a/n.txt", "w1"), ("es/2026-06-11/n.txt", ""), ("auto/2026-06-11/w2/day.jsonl", "w2")],
)
def test_the_site_is_the_folder_below_the_drop_date(path: str, site: str) -> None:
    assert site_of(path) == site
