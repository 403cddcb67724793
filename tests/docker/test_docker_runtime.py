"""The runtime `docker` on a real engine, in the real scheduler: nights, killed containers, orphans, memory, secrets."""

from __future__ import annotations

import json
import logging
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from docker.errors import NotFound

import docker
from infra.local.stack import DAG, Stack
from infra.local.user import User, register, sample_corpora, train
from tests.docker.docker_engine import running_engine, tasks_image

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = [pytest.mark.docker, pytest.mark.e2e, pytest.mark.timeout(1800)]

SECONDS = 400
NOTES = 30
SECRETS = ("AWS_SECRET_ACCESS_KEY", "MLFLOW_TRACKING_PASSWORD")


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_engine(tmp_path_factory.mktemp("engine")) as found:
        yield found


@pytest.fixture(scope="module")
def engine(address: str) -> docker.APIClient:
    return docker.APIClient(base_url=address)


@pytest.fixture(scope="module")
def image(address: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    return tasks_image(address, tmp_path_factory.mktemp("image"))


@pytest.fixture(scope="module")
def user(address: str, image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[User]:
    work = tmp_path_factory.mktemp("work")
    variables = {
        "ENIGMA_RUNTIME": "docker",
        "ENIGMA_TASKS_IMAGE": image,
        "ENIGMA_DOCKER_NETWORK": "host",  # the stack's servers listen on loopback
        "ENIGMA_GPUS": "0",
        "DOCKER_HOST": address,
    }
    ports = {"s3": 0, "mlflow": 0, "airflow": 0}
    stack = Stack(tmp_path_factory.mktemp("stack"), preferred_ports=ports, trained=["es"], extra=variables)
    stack.start()
    try:
        sample_corpora(stack.environment, ["es"], 48, 1, work)
        train(stack.environment, "es", work)
        register(stack.environment, "es", work)
        yield User(stack)
    finally:
        stack.stop()


@pytest.fixture
def notes(user: User, tmp_path: Path) -> list[bytes]:
    seed = str(time.time_ns() % 10_000)
    user.enigma("sample", "--notes", str(NOTES), "--language", "es", "--seed", seed, "--out", str(tmp_path))
    texts = [p.read_bytes() for p in sorted(tmp_path.rglob("*.txt"))]
    user.drop({f"es/2026-06-10/{seed}/n{i}.txt": text for i, text in enumerate(texts)})
    return texts


class Watch:
    """Sees every container of a run, as `docker inspect` shows it."""

    def __init__(self, engine: docker.APIClient, act: Callable[[dict[str, Any]], None] = lambda _: None) -> None:
        self.engine, self.act = engine, act
        self.described: dict[str, str] = {}
        self.tasks: list[str] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ended.wait(0.1):
            for found in self.engine.containers():
                if found["Id"] in self.described or "enigma.task" not in found["Labels"]:
                    continue
                try:
                    self.described[found["Id"]] = json.dumps(self.engine.inspect_container(found["Id"]))
                    self.tasks.append(found["Labels"]["enigma.task"])
                    self.act(found)
                except NotFound:
                    continue


def own(engine: docker.APIClient) -> list[str]:
    return [c["Id"] for c in engine.containers(all=True, filters={"label": "enigma.dag"})]


def test_a_night_in_confined_containers_shows_no_secret_and_no_text(
    user: User, engine: docker.APIClient, notes: list[bytes], image: str
) -> None:
    labels = {"enigma.dag": DAG, "enigma.run": "manual__deleted", "enigma.task": "publish", "enigma.map": "-1"}
    orphan = engine.create_container(image, ["300"], entrypoint=["sleep"], labels=labels)["Id"]
    engine.start(orphan)
    with Watch(engine) as watch:
        night = user.night(SECONDS)
    assert night.state == "success", user.failure(night)
    assert user.counts(night)["annotated"] == NOTES
    assert own(engine) == []
    assert {"plan", "annotate", "publish", "monitor"} <= set(watch.tasks)
    secrets = [user.stack.variables[name] for name in SECRETS]
    for described in watch.described.values():
        assert not [s for s in secrets if s in described]
    history = json.dumps(engine.history(image))
    assert not [s for s in secrets if s in history]
    logs = [p.read_text(errors="replace") for p in (user.stack.folder / "airflow/logs").rglob("*.log")]
    sentences = [s for text in notes for s in text.decode().split(". ") if len(s) > 40]
    assert sentences
    assert not [s for s in sentences for log in logs if s in log]
    assert not [s for s in secrets for log in logs if s in log]
    assert not [log for log in logs if '"counts"' in log]  # the report on standard output stays out of the log


def test_a_container_that_is_killed_is_tried_again_and_nothing_is_doubled(
    user: User, engine: docker.APIClient, notes: list[bytes]
) -> None:
    killed: list[str] = []

    def kill_once(found: dict[str, Any]) -> None:
        if found["Labels"]["enigma.task"] == "annotate" and not killed:
            killed.append(found["Id"])
            engine.kill(found["Id"])

    with Watch(engine, kill_once):
        run = user.api.trigger(DAG)
        night = user.ended(run, SECONDS)  # the retry comes after a minute
    assert killed
    assert night.state == "success", user.failure(night)
    (task,) = [t for t in user.api.tasks(DAG, run) if t["task_id"] == "annotate"]
    assert task["try_number"] == 2
    assert user.counts(night)["annotated"] == NOTES
    assert own(engine) == []


def test_the_end_of_a_container_without_enough_memory_is_known(engine: docker.APIClient, image: str) -> None:
    """The wrapper's parts alone, with a program that takes as much memory as it is told."""
    from runtimes.containers import follow, start

    program = (
        "import json, os, sys; given = json.loads(sys.stdin.readline()); "
        "blocks = [bytearray(b'x' * (64 << 20)) for _ in range(int(given['BLOCKS']))]"
    )
    ended = []
    for blocks in ("40", "1"):
        limits = engine.create_host_config(mem_limit=256 << 20, memswap_limit=256 << 20)
        container = engine.create_container(
            image, ["-c", program], entrypoint=["python3"], stdin_open=True, host_config=limits
        )
        start(engine, container["Id"], {"BLOCKS": blocks})
        ended.append(follow(engine, container["Id"], logging.getLogger("memory")))
        engine.remove_container(container["Id"], force=True, v=True)
    assert (ended[0].code, ended[0].out_of_memory) == (137, True)
    assert (ended[1].code, ended[1].out_of_memory) == (0, False)
