"""A stack whose nights run in containers, and what tests do to it: watch containers, kill workers, read logs."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import psutil
import requests
from docker.errors import APIError

from infra.local.airflow import UNSCHEDULED
from infra.local.processes import wait_until
from infra.local.stack import DAG, Stack
from infra.local.user import User, register, sample_corpora, train
from tests.e2e.night_tables import results_of

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import docker
    from infra.local.user import Night

SECONDS = 2400
NOTES = 30
DAY = "2026-06-10"
TASK = "enigma.task"
"""Label of a stage's container."""
WITHOUT = {
    "ENIGMA_GPUS": "0",
    "ENIGMA_GOLD_REPOSITORY": "",
    "ENIGMA_TRAINING_REPOSITORY": "",
    "ENIGMA_RETRY_SECONDS": "3",
}

SOON = {"ENIGMA_RETRY_SECONDS": "3", **UNSCHEDULED}


@contextmanager
def running_stack(folder: Path, variables: dict[str, str]) -> Iterator[User]:
    """A stack with a Spanish champion; repositories in folders are none that a container reaches."""
    ports = {"s3": 0, "mlflow": 0, "airflow": 0}
    stack = Stack(folder / "stack", preferred_ports=ports, trained=["es"], extra=WITHOUT | SOON | variables)
    stack.start()
    try:
        corpora = folder / "corpora"
        sample_corpora(stack.environment, ["es"], 48, 1, corpora)
        train(stack.environment, "es", corpora)
        register(stack.environment, "es", corpora)
        yield User(stack)
    finally:
        stack.stop()


def sample_texts(user: User, folder: Path) -> list[bytes]:
    """Notes that no model was trained on."""
    user.enigma("sample", "--notes", str(NOTES), "--language", "es", "--seed", "2", "--out", str(folder))
    return [path.read_bytes() for path in sorted((folder / "es/txt").iterdir())]


def drop(user: User, folder: str, texts: list[bytes]) -> None:
    """The same texts in a folder of their own, so that what nights leave of them can be compared."""
    user.drop({f"es/{DAY}/{folder}/n{i}.txt": text for i, text in enumerate(texts)})


def passed(user: User, run_id: str) -> Night:
    """Wait for a run that ends well."""
    night = user.ended(run_id, SECONDS)
    assert night.state == "success", user.failure(night)
    assert user.counts(night)["annotated"] == NOTES
    return night


def undisturbed_night(user: User, texts: list[bytes]) -> tuple[str, tuple[Counter[str], Counter[str]]]:
    """The run of a night to which nothing happens, and the rows that it leaves of notes and spans."""
    drop(user, "calm", texts)
    run = user.api.trigger(DAG)
    passed(user, run)
    notes, spans = results_of(user, "calm")
    assert notes.total() == NOTES
    assert spans
    return run, (notes, spans)


class Watch:
    """Sees every container of a stage while it is entered, as `docker inspect` shows it, and may act on each once."""

    def __init__(self, engine: docker.APIClient, act: Callable[[dict[str, Any]], None] = lambda _: None) -> None:
        self.engine, self.act = engine, act
        self.described: dict[str, str] = {}
        self.tasks: list[str] = []
        self.failure: Exception | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        if self.failure:
            raise self.failure

    def _look(self) -> None:
        while not self._ended.wait(0.1):
            try:
                found = self.engine.containers(filters={"label": [TASK]})
                for container in [c for c in found if c["Id"] not in self.described]:
                    self.described[container["Id"]] = json.dumps(self.engine.inspect_container(container["Id"]))
                    self.tasks.append(container["Labels"][TASK])
                    self.act(container)
            except (APIError, requests.RequestException):
                continue  # gone meanwhile, or the engine is restarted
            except Exception as error:  # noqa: BLE001 - raised again in the test's own thread
                self.failure = error
                return


class Once:
    """Does something to the first container of a stage, and remembers which it was."""

    def __init__(self, stage: str, act: Callable[[str], None]) -> None:
        self.stage, self.act = stage, act
        self.container = ""

    def __call__(self, found: dict[str, Any]) -> None:
        if found["Labels"][TASK] == self.stage and not self.container:
            self.container = found["Id"]
            self.act(found["Id"])


def containers(engine: docker.APIClient) -> list[str]:
    """Every container of a stage that there is, running or not."""
    return [c["Id"] for c in engine.containers(all=True, filters={"label": [TASK]})]


def starve(engine: docker.APIClient, container: str) -> None:
    """Decrease a container's limit of memory to less than torch takes; the kernel then kills it.

    A limit below what is already in use is refused (cgroup v1): then a higher one is tried.
    """
    for mebibytes in (96, 160, 224, 320):
        limit = mebibytes << 20
        with suppress(APIError):
            engine.update_container(container, mem_limit=limit, memswap_limit=limit)
            return
    raise AssertionError("too late: the container has as much memory as it needs")


def task_of(user: User, run_id: str, task_id: str) -> dict[str, Any]:
    """The only instance of a task in a run."""
    (task,) = [t for t in user.api.tasks(DAG, run_id) if t["task_id"] == task_id]
    return task


def log_of(user: User, run_id: str, task_id: str, attempt: int) -> str:
    """The log of one attempt."""
    task = task_of(user, run_id, task_id)
    path = f"dags/{DAG}/dagRuns/{run_id}/taskInstances/{task_id}/logs/{attempt}"
    log = user.api.call("GET", path, map_index=task["map_index"], full_content=True)
    return "\n".join(json.dumps(entry, ensure_ascii=False) for entry in log["content"])


def kill_worker(user: User, run_id: str, task_id: str) -> None:
    """SIGKILL to the executor's process of a running task and to that which runs the task's code, both at once."""
    title = task_of(user, run_id, task_id)["id"]
    found = [p for top in user.stack.children["airflow"] if (process := top.process())
             for p in process.children(recursive=True) if title in _title(p)]  # fmt: skip
    assert len(found) >= 2, f"the processes of {task_id} were not found"
    for process in found:
        with suppress(psutil.NoSuchProcess):
            process.kill()


def wait_for_attempt(user: User, run_id: str, task_id: str, attempt: int) -> None:
    """Until the task runs for the time that is asked for."""

    def runs() -> bool:
        found = [t for t in user.api.tasks(DAG, run_id) if t["task_id"] == task_id]
        return bool(found) and (found[0]["try_number"], found[0]["state"]) == (attempt, "running")

    wait_until(runs, user.stack.children["airflow"], f"attempt {attempt} of {task_id}", SECONDS)


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""
