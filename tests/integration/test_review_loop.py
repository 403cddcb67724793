"""From a published night to what is reviewed, and from what reviewers drop to counts; a real S3 server and tables."""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from enigma_tasks.adapters.object_store import ObjectStore
from enigma_tasks.adapters.review_index import ReviewIndex
from enigma_tasks.documents import Entity
from enigma_tasks.ensembles.agreement import Agreement
from enigma_tasks.ensembles.runner import AnnotatedDocument
from enigma_tasks.errors import IncompleteError, UsageError
from enigma_tasks.formats.standoff import format_ann
from enigma_tasks.monitoring.reviews import ReviewedCounts
from enigma_tasks.review_places import ReviewIndexPlaces
from enigma_tasks.stages import monitor, reviewed, select
from tests.integration.night_helpers import Nights

if TYPE_CHECKING:
    from collections.abc import Sequence

    from enigma_tasks.documents import Document
    from enigma_tasks.monitoring.review_manifest import ReviewManifest, ReviewTask
    from enigma_tasks.monitoring.reviews import ReviewedNote

CANARY = "zanahoria"
SPANISH = f"Ingresa por neumonía basal derecha ({CANARY}). Se inicia antibiótico."
NOTHING = f"Acude a revisión ({CANARY}). Sin hallazgos."
PNEUMONIA = Entity("DISEASE", 12, 20, "neumonía")
LONGER = Entity("DISEASE", 12, 34, "neumonía basal derecha")
BATCH = "night-1"


class Loop(Nights):
    """Nights, and what reviewers get and drop."""

    @property
    def index(self) -> ReviewIndex:
        return ReviewIndex(self.store, ReviewIndexPlaces.of(self.settings))

    def select(self, batch: str = BATCH) -> dict[str, Any]:
        return select.run(self.arguments("select", "--batch", batch), self.params, self.settings)

    def reviewed(self, batch: str) -> dict[str, Any]:
        return reviewed.run(self.arguments("reviewed", "--batch", batch), self.params, self.settings)

    def manifest(self, batch: str = BATCH) -> ReviewManifest:
        found = self.index.find_manifest(batch)
        assert found is not None
        return found

    def files(self, batch: str = BATCH) -> dict[str, bytes]:
        """What was exported, by path below to-review/{batch}/."""
        folder = f"{self.settings.to_review}/{batch}/"
        return {u.removeprefix(folder): data for u, data in self.objects("to_review").items() if u.startswith(folder)}

    def tasks(self, language: str = "es") -> dict[str, dict[str, Any]]:
        """Label Studio's tasks by document id."""
        tasks = json.loads(self.files()[f"{language}/label-studio.json"])
        return {task["data"]["document_id"]: task for task in tasks}

    def review(self, path: str, data: bytes | str) -> None:
        self.store.put(f"{self.settings.reviewed}/{path}", data.encode() if isinstance(data, str) else data)

    def review_later(self, path: str, data: str) -> None:
        """As `review`, in a later second than all before: the store's times have no fractions."""
        before = max(info.last_modified for info in self.store.list(f"{self.settings.reviewed}/"))
        for _ in range(100):
            self.review(path, data)
            written = self.store.head(f"{self.settings.reviewed}/{path}")
            if written is not None and written.last_modified > before:
                return
            time.sleep(0.1)
        raise AssertionError("the store's clock stands still")

    def refused(self, batch: str) -> dict[str, int]:
        """How often each rule is in the quarantine list."""
        uri = f"{self.settings.quarantine}/reviewed-{batch}/quarantine.jsonl"
        rows = [json.loads(line) for line in self.store.get(uri).splitlines()]
        return dict(sorted(Counter(row["rule"] for row in rows).items()))

    def reviews(self) -> dict[str, ReviewedNote]:
        return {review.key.rpartition("/")[2]: review for review in self.index.reviews()}


@pytest.fixture
def loop(s3_root: str, monkeypatch: pytest.MonkeyPatch) -> Loop:
    return Loop(monkeypatch, "review.random_notes=4", "review.useful_notes=2")


def published(loop: Loop) -> None:
    for n in range(6):
        loop.drop(f"es/2026-06-11/ward-1/n{n}.txt", f"{SPANISH} Caso {n}.")
    for n in range(3):
        loop.drop(f"es/2026-06-11/ward-2/e{n}.txt", f"{NOTHING} Caso {n}.")
    loop.drop("it/2026-06-11/i0.txt", f"Ricoverato per polmonite ({CANARY}).")
    loop.night(BATCH)


def export(loop: Loop, *tasks: ReviewTask, spans: tuple[Entity, ...] = (LONGER,)) -> str:
    """Label Studio's JSON of tasks that a reviewer annotated."""
    exported = []
    for number, task in enumerate(tasks, 1):
        one = loop.tasks(task.language)[task.task]
        results = [
            {
                "from_name": "label", "to_name": "text", "type": "labels",
                "value": {"start": e.char_start, "end": e.char_end, "text": e.text, "labels": [e.label]},
            }
            for e in spans
        ]  # fmt: skip
        exported.append({"id": number, **one, "annotations": [{"id": number, "result": results}]})
    return json.dumps(exported)


def pair(loop: Loop, folder: str, name: str, text: str, *entities: Entity) -> None:
    loop.review(f"{folder}/{name}.txt", text)
    loop.review(f"{folder}/{name}.ann", format_ann(entities))


def text_of(loop: Loop, task: ReviewTask) -> str:
    return loop.files()[f"{task.language}/brat/{task.task}.txt"].decode()


def found_in(loop: Loop) -> list[ReviewTask]:
    """Exported Spanish notes in which something was found."""
    return sorted((t for t in loop.manifest().tasks if t.note_id.startswith("n")), key=lambda t: t.note_id)


def test_a_night_is_exported_as_brat_and_as_label_studio_tasks_with_what_was_published(loop: Loop) -> None:
    published(loop)
    report = loop.select()
    manifest = loop.manifest()
    assert report["counts"] == manifest.counts()
    assert report["counts"]["random"] == 4
    assert report["rules"] == {}
    assert {name: s.notes for name, s in manifest.strata.items()} == {
        "es/ward-1/found": 6, "es/ward-2/empty": 3, "it//found": 1
    }  # fmt: skip
    assert all(s.drawn >= 1 for s in manifest.strata.values())
    assert manifest.night.models["es"] == {"disease": "es0" * 20}
    assert len({t.note for t in manifest.tasks}) == len(manifest.tasks)
    assert sum(t.also_chosen or t.stream == "chosen" for t in manifest.tasks) == 2
    for task in manifest.tasks:
        text, ann = (loop.files()[f"{task.language}/brat/{task.task}.{kind}"].decode() for kind in ("txt", "ann"))
        assert loop.store.get(f"s3://{task.bucket}/{task.key}").decode() == text
        assert loop.tasks(task.language)[task.task]["data"]["text"] == text
        (prediction,) = loop.tasks(task.language)[task.task]["predictions"]
        assert prediction["model_version"] == f"disease:{task.language}0{f'{task.language}0' * 19}"
        marks = [(r["value"]["start"], r["value"]["end"], r["score"]) for r in prediction["result"]]
        expected = [(e["char_start"], e["char_end"], e["score"]) for e in loop.spans() if e["key"] == task.key]
        assert marks == expected
        assert len(ann.splitlines()) == len(expected)
    assert b'<Label value="DISEASE"' in loop.files()["es/labels.xml"]
    assert b"SYMPTOM" not in loop.files()["es/labels.xml"]
    assert loop.files()["it/brat/annotation.conf"].startswith(b"[entities]\nDISEASE\n\n")


def test_text_is_in_to_review_and_reviewed_and_nowhere_else(loop: Loop, capfd: pytest.CaptureFixture[str]) -> None:
    published(loop)
    reports = [loop.select()]
    task = found_in(loop)[0]
    loop.review("ana.json", export(loop, task))
    pair(loop, "brat", "stray-1", SPANISH, PNEUMONIA)
    reports.append(loop.reviewed("import-1"))
    assert any(CANARY.encode() in data for data in loop.objects("to_review").values())
    elsewhere = loop.objects("reviewed_index", "quarantine", "reports")
    assert len(elsewhere) >= 4
    said = "".join(capfd.readouterr()) + json.dumps(reports)
    assert [uri for uri, data in elsewhere.items() if CANARY.encode() in data or b"neumon" in data] == []
    assert CANARY not in said


def test_a_run_that_was_killed_anywhere_ends_with_the_same_bytes(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    published(loop)
    loop.select()
    whole = loop.objects("to_review", "reviewed_index")
    loop.select()
    assert loop.objects("to_review", "reviewed_index") == whole
    for allowed in (0, 1, len(whole) // 2, len(whole) - 1):
        loop.store.delete_many(loop.objects("to_review", "reviewed_index"))
        loop.store.put(f"{loop.settings.to_review}/{BATCH}/es/brat/left-over.txt", b"of an earlier run")
        with monkeypatch.context() as dying:
            kill_after(allowed, dying)
            with pytest.raises(KeyboardInterrupt):
                loop.select()
        assert loop.index.find_manifest(BATCH) is None
        loop.select()
        assert loop.objects("to_review", "reviewed_index") == whole


def kill_after(writes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process dies at its next write after so many."""
    left = [writes]

    def dying(real: Any) -> Any:
        def write(*arguments: Any) -> Any:
            if not left[0]:
                raise KeyboardInterrupt
            left[0] -= 1
            return real(*arguments)

        return write

    def put_many(self: ObjectStore, objects: Any, threads: int = 1) -> int:
        return sum(1 for pair in objects if self.put(*pair) is None)

    monkeypatch.setattr(ObjectStore, "put_many", put_many)
    monkeypatch.setattr(ObjectStore, "put", dying(ObjectStore.put))
    monkeypatch.setattr(ObjectStore, "put_if_absent", dying(ObjectStore.put_if_absent))


def test_a_night_without_notes_exports_nothing_and_an_unpublished_one_is_refused(loop: Loop) -> None:
    loop.night("empty")
    assert loop.select("empty")["counts"]["exported"] == 0
    loop.drop("es/2026-06-11/n1.txt", SPANISH)
    loop.night("one-note")
    loop.night("empty-again")  # now there are tables
    assert loop.select("empty-again")["counts"]["exported"] == 0
    assert loop.objects("to_review") == {}
    loop.drop("es/2026-06-11/n2.txt", SPANISH)
    loop.plan(BATCH)
    with pytest.raises(IncompleteError, match="is not published"):
        loop.select()
    with pytest.raises(UsageError, match="there is no plan"):
        loop.select("never")


def test_a_note_that_was_overwritten_since_is_skipped_and_counted(loop: Loop) -> None:
    published(loop)
    loop.drop("es/2026-06-11/ward-2/e0.txt", "Otro texto.")
    loop.drop("es/2026-06-11/ward-2/e1.txt", "Otro texto.")
    loop.drop("es/2026-06-11/ward-2/e2.txt", "Otro texto.")
    report = loop.select()
    assert report["rules"] == {"changed_since_plan": report["counts"]["skipped"]}
    assert report["counts"]["skipped"] >= 1
    assert not [t for t in loop.manifest().tasks if t.site == "ward-2"]


def test_what_a_reviewer_corrected_is_counted_against_what_was_published(loop: Loop) -> None:
    published(loop)
    loop.select()
    first, second, *_ = found_in(loop)
    empty = next(t for t in loop.manifest().tasks if t.note_id.startswith("e"))
    loop.review("project-1-at-2026-06-12-10-00-0a1b2c3d.json", export(loop, first))
    pair(loop, "ben/brat", second.task, text_of(loop, second), PNEUMONIA)
    pair(loop, "ben/brat", empty.task, text_of(loop, empty))
    report = loop.reviewed("import-1")
    assert report["counts"] == {"read": 3, "new": 3, "unchanged": 0, "superseded": 0, "refused": 0, "ignored": 0}
    found = loop.reviews()
    assert found[f"{first.note_id}.txt"].counts == {"disease": ReviewedCounts(tp=0, fp=1, fn=1)}
    assert found[f"{second.note_id}.txt"].counts == {"disease": ReviewedCounts(tp=1, fp=0, fn=0)}
    assert found[f"{empty.note_id}.txt"].counts == {"disease": ReviewedCounts(tp=0, fp=0, fn=0)}
    for task in (first, second, empty):
        review = found[f"{task.note_id}.txt"]
        assert (review.batch_id, review.language, review.site) == (BATCH, "es", task.site)
        assert (review.stream, review.probability, review.stratum) == (task.stream, task.probability, task.stratum)
        assert review.models == {"disease": "es0" * 20}


def test_an_import_is_made_once_and_the_same_files_are_not_read_again(loop: Loop) -> None:
    published(loop)
    loop.select()
    first = found_in(loop)[0]
    loop.review("a.json", export(loop, first))
    report = loop.reviewed("import-1")
    after = loop.objects("reviewed_index", "quarantine")
    assert loop.reviewed("import-1") == report
    assert loop.reviewed("import-2")["counts"]["read"] == 0
    assert loop.objects("reviewed_index", "quarantine") == after


def test_an_import_that_was_killed_or_made_twice_at_once_counts_each_review_once(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    published(loop)
    loop.select()
    loop.review("a.json", export(loop, *found_in(loop)[:2]))
    loop.review("broken.json", "{")
    loop.reviewed("import-1")
    whole = loop.objects("reviewed_index", "quarantine")
    imported = f"{loop.settings.reviewed_index}/imported/import-1.json"
    for allowed in range(3):
        loop.store.delete_many([imported])
        with monkeypatch.context() as dying:
            kill_after(allowed, dying)
            with pytest.raises(KeyboardInterrupt):
                loop.reviewed("import-1")
        loop.reviewed("import-1")
        assert loop.objects("reviewed_index", "quarantine") == whole
    loop.store.delete_many([imported])
    loop.reviewed("import-2")  # which did not see the other
    loop.store.put(imported, whole[imported])
    assert len(loop.index.reviews()) == 2
    assert loop.reviewed("import-3")["counts"]["read"] == 0


def test_with_a_name_key_no_list_and_no_log_shows_a_note_s_name(
    loop: Loop, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("ENIGMA_NAME_KEY", "a key of sixteen")
    loop = Loop(monkeypatch, "review.random_notes=4", "review.useful_notes=2")
    loop.drop("es/2026-06-11/ward-1/patient-4711.txt", SPANISH)
    loop.night(BATCH)
    reports = [loop.select()]
    (task,) = loop.manifest().tasks
    pair(loop, "patient-4711", task.task, SPANISH + "x", PNEUMONIA)
    pair(loop, "patient-4711", "patient-4711", SPANISH + "x", PNEUMONIA)
    reports.append(loop.reviewed("import-1"))
    assert loop.refused("import-1") == {"text_differs": 2}
    shown = loop.objects("quarantine")
    assert b"name-" in b"".join(shown.values())
    said = "".join([*(data.decode() for data in shown.values()), *capfd.readouterr(), caplog.text, json.dumps(reports)])
    assert "4711" not in said


def test_two_people_and_a_later_export_of_one_of_them(loop: Loop) -> None:
    """The last one counts; the same export dropped again under a later name says nothing new."""
    published(loop)
    loop.select()
    first = found_in(loop)[0]
    name = "project-7-at-2026-06-{}-10-00-0a1b2c3d.json"
    loop.review(f"ana/{name.format(12)}", export(loop, first))
    loop.review("ben/b.json", export(loop, first, spans=(PNEUMONIA,)))
    counts = loop.reviewed("import-1")["counts"]
    assert (counts["read"], counts["new"], counts["superseded"]) == (2, 1, 1)
    loop.review(f"ana/{name.format(13)}", export(loop, first))
    assert loop.reviewed("import-2")["counts"]["unchanged"] == 1
    loop.review_later("ana/corrected.json", export(loop, first, spans=(Entity("DISEASE", 0, 7, "Ingresa"),)))
    assert loop.reviewed("import-3")["counts"]["new"] == 1
    history = [r for found in loop.index.imports() for r in found.reviews]
    assert len(history) == 3
    (review,) = loop.index.reviews()
    assert review.counts == {"disease": ReviewedCounts(tp=0, fp=1, fn=1)}


def test_what_cannot_be_counted_is_refused_by_its_rule_and_costs_nothing_else(loop: Loop) -> None:
    published(loop)
    loop.drop("es/2026-06-11/ward-3/n0.txt", f"{SPANISH} Caso 0.")  # the id and the text of another ward's note
    loop.night("night-2")
    loop.select()
    good, overwritten, *_ = found_in(loop)
    italian = next(t for t in loop.manifest().tasks if t.language == "it")
    texts = {t.task: text_of(loop, t) for t in (good, overwritten, italian)}
    loop.review("good.json", export(loop, good))
    loop.review("overwritten.json", export(loop, overwritten))
    loop.drop(f"es/2026-06-11/{overwritten.site}/{overwritten.note_id}.txt", "Otro texto.")
    moved = export(loop, good).replace('"start": 12, "end": 34', '"start": 900, "end": 922')
    loop.review("outside.json", moved)
    pair(loop, "differs", good.task, texts[good.task].replace("Ingresa", "Ingreso"))
    pair(loop, "unknown", "never-exported-1", SPANISH, PNEUMONIA)
    pair(loop, "ambiguous", "n0", f"{SPANISH} Caso 0.", PNEUMONIA)
    pair(loop, "label", italian.task, texts[italian.task], Entity("SYMPTOM", 0, 10, "Ricoverato"))
    untouched = json.dumps([loop.tasks()[good.task]])
    loop.review("untouched.json", untouched)
    loop.review("broken.json", "{")
    loop.review("README.md", "hello")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("inner.zip", b"PK\x05\x06" + bytes(18))
        archive.writestr("one.json", export(loop, good))
    loop.review("export.zip", packed.getvalue())
    report = loop.reviewed("import-1")
    assert report["rules"] == {
        "changed_since_plan": 1,
        "json_invalid": 1,
        "label_unexpected": 1,
        "note_ambiguous": 1,
        "note_unknown": 1,
        "span_outside_text": 1,
        "text_differs": 1,
        "text_without_annotation": 1,
        "zip_in_zip": 1,
    }
    counts = report["counts"]
    assert counts["refused"] == sum(report["rules"].values())
    assert loop.refused("import-1") == report["rules"]
    assert (counts["new"], counts["superseded"], counts["ignored"]) == (1, 1, 1)
    assert set(loop.reviews()) == {f"{good.note_id}.txt"}


def test_a_note_that_was_chosen_by_hand_counts_apart(loop: Loop) -> None:
    published(loop)
    start = SPANISH.index("antibiótico")
    pair(loop, "hand", "n5", f"{SPANISH} Caso 5.", PNEUMONIA, Entity("DISEASE", start, start + 11, "antibiótico"))
    assert loop.reviewed("import-1")["counts"]["new"] == 1
    (review,) = loop.index.reviews()
    assert (review.stream, review.probability, review.batch_id) == ("chosen", None, BATCH)
    assert review.counts == {"disease": ReviewedCounts(tp=1, fp=0, fn=1)}


def test_the_morning_page_counts_the_week_s_reviews_and_names_the_notes_worth_one(loop: Loop) -> None:
    published(loop)
    loop.select()
    assert monitored(loop, BATCH)["counts"]["reviewed"] == 0
    first, second, *_ = found_in(loop)
    loop.review("a.json", export(loop, first, second))
    loop.reviewed("import-1")
    loop.night("night-2")
    assert monitored(loop, "night-2")["counts"]["reviewed"] == 2
    before, after = (loop.store.get(f"{loop.settings.reports}/{b}/index.html").decode() for b in (BATCH, "night-2"))
    assert "<p>2 notes were reviewed in the last seven days.</p>" in after
    useful = [t.key for t in loop.manifest().tasks if t.also_chosen or t.stream == "chosen"]
    assert len(useful) == 2
    assert all(key in before for key in useful)
    assert CANARY not in before + after


def monitored(loop: Loop, batch: str) -> dict[str, Any]:
    return monitor.run(loop.arguments("monitor", "--batch", batch), loop.params, loop.settings)


def test_records_of_a_file_are_exported_and_come_back_also_after_the_file_has_grown(loop: Loop) -> None:
    lines = [json.dumps({"id": f"r/{n}", "text": f"{SPANISH} {n}"}) for n in range(3)]
    loop.drop("es/2026-06-11/ward-9/day.jsonl", "\n".join(lines))
    loop.night(BATCH)
    loop.select()
    assert {t.record_id for t in loop.manifest().tasks} == {"r/0", "r/1", "r/2"}
    task = loop.manifest().tasks[0]
    loop.drop("es/2026-06-11/ward-9/day.jsonl", "\n".join([json.dumps({"id": "r/9", "text": "Nuevo."}), *lines]))
    loop.review("a.json", export(loop, task, spans=(PNEUMONIA,)))
    assert loop.reviewed("import-1")["counts"]["new"] == 1
    (review,) = loop.index.reviews()
    assert (review.record_id, review.site) == (task.record_id, "ward-9")
    assert review.counts == {"disease": ReviewedCounts(tp=1, fp=0, fn=0)}


def test_a_later_night_with_another_model_is_reviewed_apart(loop: Loop) -> None:
    published(loop)
    loop.select()
    loop.night("night-2", "--backfill", "2026-06-11..2026-06-11")
    loop.select("night-2")
    one = found_in(loop)[0]
    loop.review("a.json", export(loop, one))
    loop.reviewed("import-1")
    assert [r.batch_id for r in loop.index.reviews()] == [BATCH]
    names = {t.task for t in loop.manifest().tasks} & {t.task for t in loop.manifest("night-2").tasks}
    assert names == set()


def test_the_most_useful_notes_are_those_that_models_doubt_dispute_or_expect_more_in(
    s3_root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = Loop(monkeypatch, "review.random_notes=0", "review.useful_notes=3")
    texts = {
        name: f"{name.ljust(12)} neumonía basal." for name in ("certain", "doubted", "disputed", "missing", "sure")
    }
    start = 13

    def engine(documents: Sequence[Document]) -> list[AnnotatedDocument]:
        found = []
        for d in documents:
            name = d.text.split()[0]
            probability = 0.5 if name == "doubted" else 1.0
            entity = Entity("DISEASE", start, start + 8, "neumonía", 1.0)
            one = AnnotatedDocument(
                (entity,),
                len(d.text),
                probabilities=(probability,),
                missed={"DISEASE": 0.9 if name == "missing" else 0.0},
                agreement=Agreement(spans=3, agreed=1 if name == "disputed" else 3),
            )
            found.append(one)
        return found

    loop.engine = engine
    for name, text in texts.items():
        loop.drop(f"es/2026-06-11/ward/{name}.txt", text)
    loop.night(BATCH)
    loop.select()
    assert [t.note_id for t in loop.manifest().tasks] == ["disputed", "doubted", "missing"]
    assert {t.stream for t in loop.manifest().tasks} == {"chosen"}
