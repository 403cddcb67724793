"""From a gold drop to a challenger in the real scheduler, woken by the event of the new version; once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import requests

from enigma_tasks.formats.corpora import read_corpus
from infra.local.processes import wait_until
from infra.local.stack import Stack
from infra.local.user import RETRAIN, User

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(1800)]

SECONDS = 600
TASKS = ("changes", "prepare", "train", "ensemble", "evaluate", "register")
TYPES = ("disease", "procedure", "symptom")


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[User]:
    ports = {"s3": 0, "mlflow": 0, "airflow": 0}
    stack = Stack(tmp_path_factory.mktemp("stack"), preferred_ports=ports, trained=["es"])
    stack.start()
    try:
        wait_until(lambda: stack.api.has_dag(RETRAIN), stack.children["airflow"], f"the DAG {RETRAIN}", 120)
        yield User(stack)
    finally:
        stack.stop()


def gold(user: User, folder: Path, seed: int) -> tuple[dict[str, bytes], list[str]]:
    """A packed drop of synthetic notes, and their texts."""
    user.enigma("sample", "--packed", "--notes", "40", "--language", "es", "--seed", str(seed), "--out", str(folder))
    files = {f"es/{p.name.partition('.')[0]}/{seed}.jsonl.gz": p.read_bytes() for p in folder.rglob("*.jsonl.gz")}
    return files, [d.text for d in read_corpus(folder, "es")]


def states(user: User, run_id: str) -> dict[str, str]:
    return {task["task_id"]: task["state"] for task in user.api.tasks(RETRAIN, run_id)}


def model(user: User, entity: str) -> dict[str, Any]:
    url = f"{user.stack.variables['MLFLOW_TRACKING_URI']}/api/2.0/mlflow/registered-models/get"
    reply = requests.get(url, params={"name": f"enigma-es-{entity}"}, timeout=30)
    reply.raise_for_status()
    found: dict[str, Any] = reply.json()["registered_model"]
    return found


def test_a_gold_drop_becomes_challengers_and_the_same_gold_nothing(user: User, tmp_path: Path) -> None:
    files, texts = gold(user, tmp_path / "june", 1)
    user.drop_gold(files)
    report = user.ingested(SECONDS)
    run_id, state = user.retraining([], SECONDS)
    assert state == "success"
    assert states(user, run_id) == dict.fromkeys(TASKS, "success")
    for entity in TYPES:
        (alias,) = model(user, entity)["aliases"]
        assert alias == {"alias": "challenger", "version": "1"}
    (event,) = user.api.asset_events("enigma-challengers")
    assert event["extra"] == {
        "revision": report["revision"],
        "versions": {f"enigma-es-{entity}": 1 for entity in TYPES},
    }

    # triggered without new gold: nothing is done; for the language: nothing is made again
    again = user.api.trigger(RETRAIN)
    assert user.api.wait(RETRAIN, again, SECONDS) == "success"
    assert {states(user, again)[name] for name in TASKS[2:]} == {"skipped"}
    on_demand = user.api.trigger(RETRAIN, {"language": "es"})
    assert user.api.wait(RETRAIN, on_demand, SECONDS) == "success"
    assert {v["version"] for v in model(user, "disease")["latest_versions"]} == {"1"}

    logs = [path.read_text(errors="replace") for path in user.stack.folder.rglob("*.log")]
    assert logs
    sentences = [sentence for text in texts for sentence in text.split(". ") if len(sentence) > 40]
    assert not [s for s in sentences for log in logs if s in log]
    handed = [user.read(key).decode() for key in user.objects("training/") if key.endswith(".json")]
    assert not [s for s in sentences for content in handed if s in content]
