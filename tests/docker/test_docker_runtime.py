"""The runtime `docker` on a real engine, in the real scheduler: nights, kills, orphans, memory, secrets, a restart."""

from __future__ import annotations

import json
import logging
import shutil
import sqlite3
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import psutil
import pytest
import requests.certs

from infra.local.stack import DAG
from tests.docker.night_in_containers import (
    SECONDS,
    Once,
    Watch,
    containers,
    drop,
    kill_worker,
    log_of,
    passed,
    running_stack,
    sample_texts,
    starve,
    task_of,
    undisturbed_night,
)
from tests.e2e.night_tables import results_of

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import docker
    from infra.images.engine import Daemon
    from infra.local.user import User

pytestmark = [pytest.mark.docker, pytest.mark.e2e, pytest.mark.timeout(3600)]

SECRETS = ("AWS_SECRET_ACCESS_KEY", "MLFLOW_TRACKING_PASSWORD")
REPOSITORY, TAG = "127.0.0.1:9/enigma-tasks", "night"
"""The image's name in nights: where it is gone, no registry answers."""


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of certificates on the worker."""
    folder = tmp_path_factory.mktemp("authority")
    folder.chmod(0o755)  # the container's user is another one
    file = folder / "bundle.pem"
    shutil.copyfile(requests.certs.where(), file)
    return file


@pytest.fixture(scope="module")
def user(
    address: str, engine: docker.APIClient, image: str, authority: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[User]:
    engine.tag(image, REPOSITORY, TAG)
    variables = {
        "ENIGMA_RUNTIME": "docker",
        "ENIGMA_TASKS_IMAGE": f"{REPOSITORY}:{TAG}",
        "ENIGMA_DOCKER_NETWORK": "host",  # the stack's servers listen on loopback
        "ENIGMA_MODEL_STORE": str(authority.parent),
        "DOCKER_HOST": address,
        **dict.fromkeys(("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"), str(authority)),
    }
    with running_stack(tmp_path_factory.mktemp("docker-night"), variables) as found:
        yield found


@pytest.fixture(scope="module")
def texts(user: User, tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    return sample_texts(user, tmp_path_factory.mktemp("texts"))


@pytest.fixture(scope="module")
def undisturbed(user: User, texts: list[bytes]) -> tuple[Counter[str], Counter[str]]:
    return undisturbed_night(user, texts)[1]


def test_a_night_in_confined_containers_shows_no_secret_and_no_text(
    user: User, engine: docker.APIClient, texts: list[bytes], image: str, authority: Path
) -> None:
    labels = {"enigma.dag": DAG, "enigma.run": "manual__deleted", "enigma.task": "publish", "enigma.map": "-1"}
    orphan = engine.create_container(image, ["300"], entrypoint=["sleep"], labels=labels)["Id"]
    engine.start(orphan)
    probe = f"test -r {authority} && ! test -w {authority} && test -r {authority.parent}"
    readable: list[int] = []

    def try_the_mounts(container: str) -> None:
        call = engine.exec_create(container, ["sh", "-c", probe])
        engine.exec_start(call)
        readable.append(engine.exec_inspect(call)["ExitCode"])

    drop(user, "shown", texts)
    with Watch(engine, Once("annotate", try_the_mounts)) as watch:
        run = user.api.trigger(DAG)
        passed(user, run)
    assert containers(engine) == []
    assert {"plan", "annotate", "publish", "monitor"} <= set(watch.tasks)
    assert readable == [0]
    described = [*watch.described.values(), json.dumps(engine.history(image))]
    secrets = [user.stack.variables[name] for name in SECRETS]
    assert not [s for s in secrets for d in described if s in d]
    home = user.stack.folder / "airflow"
    stored = "\n".join(sqlite3.connect(home / "airflow.db").iterdump())
    logs = [p.read_text(errors="replace") for p in (home / "logs").rglob("*.log")]
    sentences = [s for text in texts for s in text.decode().split(". ") if len(s) > 40]
    assert sentences
    for hidden in [*secrets, *sentences]:
        assert not [where for where in (stored, *logs, *described) if hidden in where]
    assert not [log for log in logs if '"counts"' in log]  # the report on standard output stays out of the log
    rendered = task_of(user, run, "annotate")["rendered_fields"]
    assert rendered["result_uri"].startswith("s3://")  # what is searched for secrets is there
    assert rendered["result_uri"] in stored


def test_whatever_happens_to_the_first_container_of_a_stage_costs_an_attempt_and_no_note(
    user: User, engine: docker.APIClient, texts: list[bytes], undisturbed: tuple[Counter[str], Counter[str]]
) -> None:
    drop(user, "eventful", texts)
    run = user.api.trigger(DAG)
    orphaned = Once("publish", lambda _: kill_worker(user, run, "publish"))
    happens = [Once("plan", engine.kill), Once("annotate", lambda container: starve(engine, container)), orphaned]

    def act(found: dict[str, Any]) -> None:
        for once in happens:
            once(found)

    with Watch(engine, act) as watch:
        passed(user, run)
    for stage in ("plan", "annotate", "publish"):
        assert (watch.tasks.count(stage), task_of(user, run, stage)["try_number"]) == (2, 2), stage
    assert "enigma plan was killed by signal 9" in log_of(user, run, "plan", 1)
    assert "more memory than its limit" in log_of(user, run, "annotate", 1)
    assert "the next attempt takes smaller batches" in log_of(user, run, "annotate", 1)
    assert "killed for want of memory 1 time(s) before: batches of 2048 sub-words" in log_of(user, run, "annotate", 2)
    # the worker's container outlived it: the next attempt removed it before it started one of its own
    assert f"removing container {orphaned.container[:12]}" in log_of(user, run, "publish", 2)
    assert results_of(user, "eventful") == undisturbed
    assert containers(engine) == []


def kill(daemon: Daemon) -> None:
    """SIGKILL takes the engine and its containerd, but no container."""
    assert daemon.process is not None
    children = psutil.Process(daemon.process.pid).children()
    daemon.process.kill()
    daemon.process.wait(60)
    for child in children:
        with suppress(psutil.NoSuchProcess):
            child.kill()
    psutil.wait_procs(children, timeout=60)


def test_a_night_outlives_its_engine(
    user: User, daemon: Daemon, engine: docker.APIClient, texts: list[bytes],
    undisturbed: tuple[Counter[str], Counter[str]],
) -> None:  # fmt: skip
    drop(user, "restarted", texts)

    def restart(end: Callable[[], None]) -> None:
        end()
        daemon.start()

    happens = [Once("plan", lambda _: restart(daemon.stop)), Once("annotate", lambda _: restart(partial(kill, daemon)))]

    def act(found: dict[str, Any]) -> None:
        for once in happens:
            once(found)

    with Watch(engine, act):
        passed(user, user.api.trigger(DAG))
    assert all(once.container for once in happens)
    assert results_of(user, "restarted") == undisturbed
    assert containers(engine) == []


def test_an_image_that_is_not_to_be_had_fails_at_once_and_clearing_is_enough_once_it_is(
    user: User, engine: docker.APIClient, texts: list[bytes], image: str
) -> None:
    drop(user, "no-image", texts)
    engine.remove_image(f"{REPOSITORY}:{TAG}")
    try:
        night = user.night(SECONDS)
    finally:
        engine.tag(image, REPOSITORY, TAG)
    assert night.state == "failed"
    plan = task_of(user, night.run_id, "plan")
    assert (plan["state"], plan["try_number"]) == ("failed", 1)
    assert "is not on this machine and cannot be pulled" in log_of(user, night.run_id, "plan", 1)
    assert containers(engine) == []
    user.api.clear(DAG, night.run_id, ["plan"])
    passed(user, night.run_id)


def test_the_end_of_a_container_without_enough_memory_is_known(engine: docker.APIClient, image: str) -> None:
    """The wrapper's parts alone, with a program that takes as much memory as it is told."""
    program = (
        "import json, os, sys; given = json.loads(sys.stdin.readline()); "
        "blocks = [bytearray(b'x' * (64 << 20)) for _ in range(int(given['BLOCKS']))]"
    )
    ended = [_run(engine, image, program, {"BLOCKS": blocks}, 256 << 20) for blocks in ("40", "1")]
    assert (ended[0].code, ended[0].out_of_memory) == (137, True)
    assert (ended[1].code, ended[1].out_of_memory) == (0, False)


def test_letters_survive_the_log_also_when_they_are_written_in_pieces(
    engine: docker.APIClient, image: str, caplog: pytest.LogCaptureFixture
) -> None:
    program = (
        "import sys, time; text = 'nález: žluč, ação, ångström 漢字\\n'.encode();\n"
        "for byte in text:\n    sys.stderr.buffer.write(bytes([byte])); sys.stderr.buffer.flush(); time.sleep(0.02)\n"
        "sys.stderr.buffer.write(text)"
    )
    with caplog.at_level(logging.INFO):
        assert _run(engine, image, program, {}, 256 << 20).code == 0
    assert caplog.messages[-1] == "nález: žluč, ação, ångström 漢字"
    assert "".join(caplog.messages[:-1]) == caplog.messages[-1]


def _run(engine: docker.APIClient, image: str, program: str, variables: dict[str, str], limit: int) -> Any:
    from runtimes.containers import follow, start

    limits = engine.create_host_config(mem_limit=limit, memswap_limit=limit)
    container = engine.create_container(
        image, ["-c", program], entrypoint=["python3"], stdin_open=True, host_config=limits
    )
    start(engine, container["Id"], variables)
    try:
        return follow(engine, container["Id"], logging.getLogger("program"))
    finally:
        engine.remove_container(container["Id"], force=True, v=True)
