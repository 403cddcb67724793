"""The loop in the real scheduler: gold drop, retraining, gate, a person's answers, the next night, and ways back."""

from __future__ import annotations

import gzip
import html
import json
from typing import TYPE_CHECKING, Any

import pytest
import requests
import yaml

from enigma_tasks.formats.corpora import read_corpus
from infra.local.stack import BUCKET, ROOT, Stack
from infra.local.user import PROMOTE, RETRAIN, Night, User, register, sample_corpora, train

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(2700)]

SECONDS = 900
RETRAINING = ("changes", "prepare", "train", "ensemble", "evaluate", "register")
TYPES = ("disease", "procedure", "symptom")
FIRST_NOTES, GOLD_NOTES = 16, 110
"""Of so few notes a model learns next to nothing."""
CHANGE_PLAN = {"documents": 20, "floors": {"default": 0.3}, "cost": 20.0}
"""The test set is a fifth of the gold; tiny models take milliseconds a note, which a busy machine stretches."""
KEPT_OF_WORSE_GOLD = 5
"""One document in so many keeps one of its annotations; the others lose all."""


def name_of(entity: str) -> str:
    return f"enigma-es-{entity}"


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[User]:
    """A user of a running stack, whose first champions were trained on a few notes."""
    work = tmp_path_factory.mktemp("work")
    params = yaml.safe_load((ROOT / "params.yaml").read_bytes())
    params["promotion"] |= CHANGE_PLAN
    (work / "params.yaml").write_text(yaml.safe_dump(params))
    stack = Stack(
        tmp_path_factory.mktemp("stack"),
        preferred_ports={"s3": 0, "mlflow": 0, "airflow": 0},
        extra={"ENIGMA_WORKDIR": str(work), "ENIGMA_RETRY_SECONDS": "3"},
        trained=["es"],
    )
    stack.start()
    try:
        sample_corpora(stack.environment, ["es"], FIRST_NOTES, 1, work / "corpora")
        train(stack.environment, "es", work / "corpora")
        register(stack.environment, "es", work / "corpora")
        yield User(stack)
    finally:
        stack.stop()


def night_over(user: User, day: str, texts: list[bytes]) -> Night:
    """A night over notes that are dropped before it."""
    user.drop({f"es/{day}/ward-1/n{i}.txt": text for i, text in enumerate(texts)})
    ended = user.night(SECONDS)
    assert ended.state == "success", user.failure(ended)
    assert user.counts(ended)["annotated"] == len(texts)
    return ended


def uri(day: str) -> str:
    """The first note of `night_over`."""
    return f"s3://{BUCKET}/drops/es/{day}/ward-1/n0.txt"


def annotators(user: User, day: str) -> dict[str, dict[str, Any]]:
    """By registered name: which version annotated a day's note, and the line that made it champion."""
    models = user.enigma("explain", uri(day))["models"]
    return {row["model"]: row for row in models}


def versions(user: User, day: str) -> dict[str, str]:
    return {name: row["model_version"] for name, row in annotators(user, day).items()}


def states(user: User, dag_id: str, run_id: str) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for task in user.api.tasks(dag_id, run_id):
        found.setdefault(task["task_id"], set()).add(task["state"])
    return found


def registry(user: User, path: str, method: str = "GET", **words: str) -> dict[str, Any]:
    """A call of MLflow's REST API, past all of Enigma."""
    url = f"{user.stack.variables['MLFLOW_TRACKING_URI']}/api/2.0/mlflow/registered-models/{path}"
    given = {"params": words} if method == "GET" else {"json": words}
    login = (user.stack.variables["MLFLOW_TRACKING_USERNAME"], user.stack.variables["MLFLOW_TRACKING_PASSWORD"])
    reply = requests.request(method, url, timeout=60, auth=login, **given)
    reply.raise_for_status()
    return dict(reply.json())


def aliases(user: User, entity: str) -> dict[str, str]:
    found = registry(user, "get", name=name_of(entity))["registered_model"]["aliases"]
    return {row["alias"]: row["version"] for row in found}


def history(user: User, entity: str) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = user.enigma("registry", "history", "--language", "es", "--entity", entity)["lines"]
    return lines


def packed_gold(user: User, folder: Path) -> dict[str, bytes]:
    """A drop of synthetic notes, as keys below gold/."""
    user.enigma(
        "sample", "--packed", "--notes", str(GOLD_NOTES), "--language", "es", "--seed", "5", "--out", str(folder)
    )
    return {f"es/{p.name.partition('.')[0]}/ward.jsonl.gz": p.read_bytes() for p in folder.rglob("*.jsonl.gz")}


def worse(packed: bytes) -> bytes:
    """The same documents, most without their annotations."""
    rows = [json.loads(line) for line in gzip.decompress(packed).splitlines()]
    for number, row in enumerate(rows):
        row["entities"] = [] if number % KEPT_OF_WORSE_GOLD else row["entities"][:1]
    return gzip.compress("\n".join(json.dumps(row) for row in rows).encode(), mtime=0)


def retrained(user: User, gold: dict[str, bytes]) -> dict[str, Any]:
    """Drop gold and wait for the retraining that it wakes; returns the report of `ingest`."""
    before = user.api.runs(RETRAIN)
    user.drop_gold(gold)
    report = user.ingested(SECONDS)
    run_id = user.woken(RETRAIN, before, SECONDS)
    assert user.api.wait(RETRAIN, run_id, SECONDS) == "success"
    assert states(user, RETRAIN, run_id) == {task: {"success"} for task in RETRAINING}
    return report


def check_challengers(user: User, revision: str) -> None:
    """Every type has a challenger beside its champion, and one event says so."""
    for entity in TYPES:
        assert aliases(user, entity) == {"champion": "1", "challenger": "2"}
    (event,) = user.api.asset_events("enigma-challengers")
    assert event["extra"] == {"revision": revision, "versions": {name_of(entity): 2 for entity in TYPES}}


def check_nothing_twice(user: User) -> None:
    """Triggered without new gold nothing is done; for the language, nothing is made again."""
    again = user.api.trigger(RETRAIN)
    assert user.api.wait(RETRAIN, again, SECONDS) == "success"
    found = states(user, RETRAIN, again)
    assert {state for task in RETRAINING[2:] for state in found[task]} == {"skipped"}
    on_demand = user.api.trigger(RETRAIN, {"language": "es"})
    assert user.api.wait(RETRAIN, on_demand, SECONDS) == "success"
    for entity in TYPES:
        assert aliases(user, entity)["challenger"] == "2"


def check_answers(user: User, run_id: str) -> None:
    """A person approves two and rejects one: two champions, and the run fails."""
    asked = user.asked(run_id, SECONDS)
    assert set(asked) == {name_of(entity) for entity in TYPES}
    for entity in TYPES:
        digest = decision(user, entity)["challenger"]["digest"]
        assert digest in asked[name_of(entity)]["body"]
    user.approve(asked[name_of("disease")])
    user.approve(asked[name_of("procedure")])
    user.reject(asked[name_of("symptom")])
    assert user.api.wait(PROMOTE, run_id, SECONDS) == "failed"
    found = states(user, PROMOTE, run_id)
    assert found.pop("promote") == {"success", "failed"}
    assert found == {task: {"success"} for task in ("challengers", "compare", "approve")}
    for entity in ("disease", "procedure"):
        last = history(user, entity)[-1]
        assert (last["kind"], last["champion"], last["approver"]) == ("promoted", "2", "admin")
        assert aliases(user, entity)["champion"] == "2"
    assert [line["kind"] for line in history(user, "symptom")] == ["first", "look", "rejected"]
    last = history(user, "symptom")[-1]
    assert (last["kind"], last["champion"], last["approver"]) == ("rejected", "1", "admin")
    assert aliases(user, "symptom")["champion"] == "1"


def check_doubled_event(user: User, before: list[str]) -> None:
    """The retraining on demand has announced the same challengers again: all are decided on."""
    run_id = user.woken(PROMOTE, before, SECONDS)
    assert user.api.wait(PROMOTE, run_id, SECONDS) == "success"
    found = states(user, PROMOTE, run_id)
    assert found.pop("challengers") == {"success"}
    assert found == {task: {"skipped"} for task in ("compare", "approve", "promote")}


def decision(user: User, entity: str) -> dict[str, Any]:
    """The newest decision on a type, as JSON."""
    places = [key for key in user.objects(f"decisions/{name_of(entity)}/") if key.endswith(".json")]
    return dict(json.loads(user.read(max(places))))


def check_moved_alias(user: User, night: Night) -> None:
    """The night used the journal's champion, and set back the alias that names another one."""
    assert versions(user, "2026-06-12") == {name_of(e): v for e, v in zip(TYPES, "221", strict=True)}
    promoted = annotators(user, "2026-06-12")[name_of("disease")]
    assert (promoted["kind"], promoted["approver"]) == ("promoted", "admin")
    plan = json.loads(user.read(f"runs/{night.batch_id}/plan.json"))
    assert plan["aliases"] == [{"name": name_of("disease"), "alias": "1", "champion": "2"}]
    assert history(user, "disease")[-1]["kind"] == "alias_repaired"
    assert aliases(user, "disease")["champion"] == "2"
    page = user.read(f"reports/{night.batch_id}/index.html").decode()
    assert f"The alias champion of {name_of('disease')} named version 1 and not 2" in page


def check_refused(user: User) -> None:
    """What was trained on the worse gold passed no gate: no person was asked, and the page says why."""
    run_id = user.api.runs(PROMOTE)[0]
    assert user.api.wait(PROMOTE, run_id, SECONDS) == "success"
    found = states(user, PROMOTE, run_id)
    assert (found["compare"], found["approve"], found["promote"]) == ({"success"}, {"skipped"}, {"skipped"})
    assert user.api.required_actions(PROMOTE, run_id) == []
    for entity, champion in zip(TYPES, "221", strict=True):
        look = decision(user, entity)
        assert (look["challenger"]["version"], look["decision"]["result"]) == ("3", "refused")
        failed = [reason for reason in look["decision"]["reasons"] if not reason["passed"]]
        assert {"floor", "gain"} <= {reason["rule"] for reason in failed}
        page = html.unescape(user.read(f"decisions/{name_of(entity)}/{look['n']:08}.html").decode())
        assert all(reason["sentence"] in page for reason in failed)
        assert aliases(user, entity) == {"champion": champion, "challenger": "3"}


def check_ways_back(user: User, texts: list[bytes]) -> None:
    """Rollback is one line; the night follows it; the journal tells who was champion before."""
    promoted = next(line for line in history(user, "disease") if line["kind"] == "promoted")
    user.enigma(
        "registry", "rollback", "--language", "es", "--entity", "disease", "--reason", "A trial of the way back."
    )  # fmt: skip
    assert aliases(user, "disease")["champion"] == "1"
    night_over(user, "2026-06-13", texts)
    now = annotators(user, "2026-06-13")
    assert versions(user, "2026-06-13") == {name_of(e): v for e, v in zip(TYPES, "121", strict=True)}
    assert now[name_of("disease")]["kind"] == "rollback"
    assert versions(user, "2026-06-11") == {name_of(e): "1" for e in TYPES}
    assert versions(user, "2026-06-12")[name_of("disease")] == "2"

    def champion(when: str) -> str:
        (row,) = user.enigma("registry", "as-of", when, "--language", "es", "--entity", "disease")["champions"]
        return str(row["version"])

    assert champion(promoted["at"]) == "2"
    assert champion(history(user, "disease")[-1]["at"]) == "1"
    assert user.enigma("registry", "verify")["findings"] == []


def check_silence(user: User, texts: list[str]) -> None:
    """No sentence of a note is in a log, or in what the steps of a retraining hand over and the gate writes."""
    sentences = {sentence for text in texts for sentence in text.split(". ") if len(sentence) > 40}
    assert sentences
    logs = [path.read_text(errors="replace") for path in user.stack.folder.rglob("*.log")]
    kinds = (".json", ".html")
    places = [key for where in ("training/", "journal/", "decisions/") for key in user.objects(where)]
    written = [user.read(key).decode() for key in places if key.endswith(kinds)]
    assert logs
    assert written
    assert not [content for content in (*logs, *written) if any(s in content for s in sentences)]


def test_gold_becomes_a_champion_that_a_person_approved_and_worse_gold_does_not(user: User, tmp_path: Path) -> None:
    user.enigma("sample", "--notes", "30", "--language", "es", "--seed", "2", "--out", str(tmp_path / "notes"))
    texts = [path.read_bytes() for path in sorted((tmp_path / "notes/es/txt").iterdir())]
    night_over(user, "2026-06-11", texts[:10])

    gold = packed_gold(user, tmp_path / "gold")
    report = retrained(user, gold)
    promotion = user.woken(PROMOTE, [], SECONDS)
    check_challengers(user, report["revision"])
    check_nothing_twice(user)
    check_answers(user, promotion)
    check_doubled_event(user, [promotion])

    registry(user, "alias", "POST", name=name_of("disease"), alias="champion", version="1")
    before = user.api.runs(PROMOTE)
    check_moved_alias(user, night_over(user, "2026-06-12", texts[10:15]))

    retrained(user, {key: worse(packed) for key, packed in gold.items()})
    user.woken(PROMOTE, before, SECONDS)
    check_refused(user)

    check_ways_back(user, texts[15:20])
    check_silence(user, [d.text for d in read_corpus(tmp_path / "gold", "es")] + [text.decode() for text in texts])
