"""Whole nights through the real scheduler: again and again, killed in the middle, and silent about the notes."""

from __future__ import annotations

import gzip
import json
import os
import signal
import time
from typing import TYPE_CHECKING

import psutil
import pytest

from infra.local.processes import wait_until
from infra.local.stack import BUCKET, DAG
from tests.e2e.night_tables import results_of, rows
from tests.e2e.planted import places_that_hold

if TYPE_CHECKING:
    from collections import Counter

    from infra.local.user import Night, User

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]

DAY = "2026-06-11"
NIGHT_SECONDS = 600
CANARY = "zanahoria7431azul"
OF_A_BATCH = ("runs/", "reports/", "quarantine/", "to-review/")
NIGHTS_PAGE = "reports/index.html"
"""Lists every night, so the second one is added to it."""


def night(user: User) -> Night:
    """Trigger a run, wait for its success."""
    ended = user.night(NIGHT_SECONDS)
    assert ended.state == "success", user.failure(ended)
    return ended


def drop(user: User, folder: str, texts: dict[str, list[bytes]], count: int) -> None:
    notes = {f"{code}/{DAY}/{folder}/n{i}.txt": t for code, ts in texts.items() for i, t in enumerate(ts[:count])}
    user.drop(notes)


@pytest.mark.slow
def test_a_second_night_changes_nothing_and_what_is_new_or_written_over_is_annotated(user: User, texts) -> None:
    drop(user, "calm-week", texts, 10)
    bad = {f"es/{DAY}/calm-week/empty.txt": b"", f"es/{DAY}/calm-week/latin.txt": "año".encode("latin-1")}
    user.drop(bad)
    first = night(user)
    assert user.counts(first)["annotated"] == 20
    assert user.counts(first)["quarantined"] == 2
    assert user.counts(first)["entities"] > 20
    after_first = {k: v for k, v in user.objects().items() if k != NIGHTS_PAGE}

    second = night(user)
    assert second.batch_id != first.batch_id
    assert (user.counts(second)["annotated"], user.counts(second)["quarantined"]) == (0, 0)
    after_second = user.objects()
    assert {k: v for k, v in after_second.items() if k in after_first} == after_first
    new = [k for k in after_second if k not in after_first and k != NIGHTS_PAGE]
    elsewhere = [k for k in new if not k.startswith(tuple(f"{p}{second.batch_id}/" for p in OF_A_BATCH))]
    assert elsewhere == [f"reviewed-index/exported/{second.batch_id}.json"]

    added = {f"en/{DAY}/calm-week/added{i}.txt": text for i, text in enumerate(texts["en"][20:23])}
    user.drop(added)
    third = night(user)
    assert (user.counts(third)["annotated"], user.counts(third)["quarantined"]) == (3, 0)

    key = f"en/{DAY}/calm-week/added0.txt"
    user.drop({key: texts["en"][30]})
    fourth = night(user)
    assert (user.counts(fourth)["annotated"], user.counts(fourth)["quarantined"]) == (1, 0)
    versions = [r for r in rows(user, "notes") if r["key"] == f"drops/{key}"]
    assert {r["batch_id"] for r in versions} == {third.batch_id, fourth.batch_id}
    assert len({r["version"] for r in versions}) == 2
    published = user.read(f"annotations/en/{DAY}/calm-week/added0.ann").decode()
    text = texts["en"][30].decode()
    marks = [line.split("\t") for line in published.splitlines() if line.startswith("T")]
    assert marks
    for _, span, surface in marks:
        _, start, end = span.split()
        assert text[int(start) : int(end)].replace("\n", " ") == surface


def annotating(user: User) -> list[psutil.Process]:
    """The processes that annotate a shard below this stack's Airflow."""
    found = []
    for child in user.stack.children["airflow"]:
        if top := child.process():
            for p in top.children(recursive=True):
                try:
                    line = p.cmdline()
                except psutil.Error:
                    continue
                if "enigma_tasks" in line and "annotate" in line:
                    found.append(p)
    return found


def stop_in_the_middle(user: User, run_id: str) -> list[psutil.Process]:
    """Freeze every annotating process of a run as soon as one has said how far it is; none has a result yet."""
    logs = user.stack.folder / f"airflow/logs/dag_id={DAG}/run_id={run_id}/task_id=annotate"

    def under_way() -> bool:
        return any(" INFO 25 notes" in p.read_text(errors="replace") for p in logs.rglob("*.log"))

    wait_until(under_way, user.stack.children["airflow"], "a shard under way", NIGHT_SECONDS)
    frozen = annotating(user)
    for p in frozen:
        p.send_signal(signal.SIGSTOP)
    assert frozen
    batch = user.batch_id(run_id)
    done = [k for k in user.objects(f"runs/{batch}/results/") if k.endswith("done.json")]
    assert len(done) < len(user.api.xcom(DAG, run_id, "plan"))
    return frozen


@pytest.fixture(scope="module")
def undisturbed(user: User, texts) -> tuple[Counter[str], Counter[str]]:
    """What a night over 100 notes a language leaves when nothing happens to it."""
    drop(user, "calm", texts, 100)
    assert user.counts(night(user))["annotated"] == 200
    notes, spans = results_of(user, "calm")
    assert notes.total() == 200
    assert spans
    return notes, spans


@pytest.mark.slow
def test_killing_annotate_in_the_middle_and_clearing_it_ends_like_an_undisturbed_night(
    user: User, texts, undisturbed
) -> None:
    drop(user, "killed", texts, 100)
    run_id = user.api.trigger(DAG)
    for p in stop_in_the_middle(user, run_id):
        p.kill()

    def noticed() -> bool:
        states = {t["state"] for t in user.api.tasks(DAG, run_id) if t["task_id"] == "annotate"}
        return bool(states & {"up_for_retry", "failed"})

    wait_until(noticed, user.stack.children["airflow"], "the end of the killed task", NIGHT_SECONDS)
    user.api.clear(DAG, run_id, ["annotate"])
    ended = user.ended(run_id, NIGHT_SECONDS)
    assert ended.state == "success", user.failure(ended)
    assert results_of(user, "killed") == undisturbed
    assert user.counts(ended)["annotated"] == 200


@pytest.mark.slow
def test_killing_all_of_airflow_and_starting_it_again_ends_like_an_undisturbed_night(
    user: User, texts, undisturbed
) -> None:
    drop(user, "blackout", texts, 100)
    run_id = user.api.trigger(DAG)
    frozen = stop_in_the_middle(user, run_id)
    user.stack.kill_airflow()
    deadline = time.monotonic() + 300
    while any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in frozen):
        assert time.monotonic() < deadline, "an annotating process outlived Airflow"
        time.sleep(0.2)
    user.stack.start_airflow()
    ended = user.ended(run_id, NIGHT_SECONDS)
    assert ended.state == "success", user.failure(ended)
    assert results_of(user, "blackout") == undisturbed
    assert user.counts(ended)["annotated"] == 200


@pytest.mark.slow
def test_a_planted_string_is_found_nowhere_but_in_the_notes_and_their_annotations(user: User, texts) -> None:
    planted = f"\n{CANARY} ({CANARY}).\n"
    folder = f"{DAY}/canary"
    picked = [(code, i) for code in texts for i in (40, 41, 42)]
    good = {f"{code}/{folder}/good{i}.txt": texts[code][i] + planted.encode() for code, i in picked}
    broken = [
        json.dumps({"id": "fine", "text": texts["es"][50].decode() + planted, "language": "es"}),
        f'{{"id": "torn", "text": "{CANARY}',
        json.dumps({"id": "no-text", "txt": CANARY}),
        json.dumps({"id": 7, "text": CANARY}),
        json.dumps({"id": "surrogate", "text": CANARY})[:-2] + '\\ud800"}',
        json.dumps({"id": "elsewhere", "text": CANARY, "language": "xx"}),
        CANARY,
    ]
    bad = {
        f"es/{folder}/latin.txt": planted.encode() + "año".encode("latin-1"),
        f"es/{folder}/nul.txt": planted.encode() + b"\x00",
        f"auto/{folder}/unknown.txt": f"{CANARY} {CANARY}".encode(),
        f"xx/{folder}/language.txt": planted.encode(),
        f"es/{folder}/kind.pdf": planted.encode(),
        f"es/{folder}/records.jsonl": "\n".join(broken).encode(),
        f"es/{folder}/short.jsonl.gz": gzip.compress("\n".join(broken).encode(), mtime=0)[:-12],
    }
    user.drop(good | bad)
    ended = night(user)
    counts = user.counts(ended)
    assert counts["annotated"] >= len(good)
    assert counts["quarantined"] >= 10
    review(user, ended.batch_id)
    after = night(user)
    imported = json.loads(user.read(f"reviewed-index/imported/{after.batch_id}.json"))
    assert (imported["counts"]["new"], imported["counts"]["refused"]) == (1, 2)
    assert places_that_hold(user, folder)  # the search does find what is there: a key
    assert places_that_hold(user, CANARY) == []


def review(user: User, batch: str) -> None:
    """Drop a night's tasks as a reviewer's export: one accepted, one whose text differs, one that nobody looked at."""
    tasks = json.loads(user.read(f"to-review/{batch}/es/label-studio.json"))
    right, wrong, untouched = [t for t in tasks if CANARY in t["data"]["text"]][:3]
    for task in (right, wrong):
        task["annotations"] = [{"id": 1, "result": task["predictions"][0]["result"]}]
    wrong["data"]["text"] += CANARY
    export = json.dumps([right, wrong, untouched]).encode()
    user.s3.put_object(Bucket=BUCKET, Key="reviewed/ana/export.json", Body=export)


@pytest.mark.slow
def test_a_stage_that_crashes_says_nothing_of_the_note_that_it_choked_on(user: User, texts) -> None:
    # a plan whose shard quotes a note: the loader fails on it, in the task's log and in Airflow's database
    user.drop({f"es/{DAY}/crash/n.txt": texts["es"][60]})
    run_id = user.api.trigger(DAG)
    frozen: list[psutil.Process] = []

    def started() -> bool:
        frozen.extend(annotating(user))
        return bool(frozen)

    wait_until(started, user.stack.children["airflow"], "a shard under way", NIGHT_SECONDS)
    frozen[0].send_signal(signal.SIGSTOP)
    (shard,) = user.api.xcom(DAG, run_id, "plan")
    key = shard.removeprefix(f"s3://{BUCKET}/")
    whole = user.read(key)
    secret = f"{CANARY}crash"
    user.s3.put_object(Bucket=BUCKET, Key=key, Body=gzip.compress(f'{{"text": "{secret}'.encode()))
    os.kill(frozen[0].pid, signal.SIGKILL)

    def failed() -> bool:
        (task,) = [t for t in user.api.tasks(DAG, run_id) if t["task_id"] == "annotate"]
        return task["state"] == "failed"

    wait_until(failed, user.stack.children["airflow"], "the failure of the damaged shard", NIGHT_SECONDS)
    assert [p for p in places_that_hold(user, secret) if p != key] == []
    user.s3.put_object(Bucket=BUCKET, Key=key, Body=whole)
    user.api.clear(DAG, run_id, ["annotate"])
    ended = user.ended(run_id, NIGHT_SECONDS)
    assert ended.state == "success", user.failure(ended)
    assert user.counts(ended)["annotated"] == 1
