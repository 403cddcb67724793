"""Gold, a training and a night on a machine that reaches S3, MLflow and PostgreSQL, and asks for nothing else."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from infra.local import airflow
from infra.local.airflow import UNSCHEDULED
from infra.local.cluster_servers import Postgres
from infra.local.machines import Machine, Network
from infra.local.processes import free_ports, wait_until
from infra.local.stack import BUCKET, DAG, ROOT, START_SECONDS, Stack
from infra.local.user import User, register, sample_corpora, train
from tests.cluster.conftest import LANGUAGE
from tests.cluster.packet_filter import NAME_SERVER, refused, unwatch, watch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]

SECONDS = 900
QUIET = ("HF_HUB_OFFLINE", "HF_HUB_DISABLE_TELEMETRY", "DO_NOT_TRACK", "MLFLOW_DISABLE_TELEMETRY")
"""What the local stack sets besides: a stage must keep quiet by itself."""
PROBE = """
import socket
by_address, by_name = ("198.51.100.7", 443), ("hub.example.org", 443)
for place in (by_address, by_name):
    try:
        socket.create_connection(place, 5)
    except OSError:
        continue
    raise SystemExit("something was reached")
"""


@pytest.fixture(scope="module")
def network(packages: None) -> Iterator[Network]:
    with Network() as made:
        yield made


@pytest.fixture(scope="module")
def stack(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """S3 and MLflow."""
    ports = {"s3": 0, "mlflow": 0, "airflow": 0}
    running = Stack(
        tmp_path_factory.mktemp("stack"), ports, {"OMP_NUM_THREADS": "1"}, network.address,
        with_airflow=False, trained=[],
    )  # fmt: skip
    running.start()
    try:
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="module")
def postgres(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    (port,) = free_ports([0])
    server = Postgres(network.address, port, tmp_path_factory.mktemp("postgres") / "log")
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="module")
def machine(network: Network, stack: Stack, postgres: Postgres) -> Iterator[Machine]:
    """A machine that is watched."""
    made = network.machine()
    try:
        watch(made, [stack.ports["s3"], stack.ports["mlflow"], postgres.port])
        yield made
    finally:
        unwatch(made)


def quiet(stack: Stack) -> dict[str, str]:
    return {name: value for name, value in stack.environment.items() if name not in QUIET}


def run(machine: Machine, stack: Stack, *words: str) -> dict[str, Any]:
    """One command of `enigma` on the machine; returns its report."""
    command = machine.inside([sys.executable, "-m", "enigma_tasks", *words, "--json", "--quiet"])
    done = subprocess.run(command, cwd=ROOT, env=quiet(stack), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def test_an_attempt_is_refused_counted_and_named(network: Network, packages: None) -> None:
    watched = network.machine()
    try:
        watch(watched, [9])
        assert refused(watched) == set()
        subprocess.run(watched.inside([sys.executable, "-c", PROBE]), check=True)
        assert refused(watched) == {"198.51.100.7 tcp 443", f"{NAME_SERVER} udp 53"}
    finally:
        unwatch(watched)


def test_gold_and_a_training_run_reach_nothing_but_their_services(machine: Machine, stack: Stack, tmp_path) -> None:
    sample_corpora(stack.environment, [LANGUAGE], 32, 1, tmp_path)
    for path in sorted((tmp_path / "train" / LANGUAGE).rglob("*.*")):
        key = f"gold/{LANGUAGE}/disease/first/{path.parent.name}/{path.name}"
        stack.s3().put_object(Bucket=BUCKET, Key=key, Body=path.read_bytes())
    run(machine, stack, "ingest", "--batch", "gold")  # git and DVC
    train_and_dev = ["--train", str(tmp_path / "train" / LANGUAGE), "--dev", str(tmp_path / "dev" / LANGUAGE)]
    who, model = ["--language", LANGUAGE, "--entity", "all"], str(tmp_path / "model")
    run(machine, stack, "train", *who, "--member", "tiny", *train_and_dev, "--out", model)
    run(machine, stack, "register", *who, "--model", model, "--first")
    assert refused(machine) == set()


def test_a_night_of_the_real_scheduler_reaches_nothing_but_its_services(
    machine: Machine, stack: Stack, postgres: Postgres, tmp_path: Path
) -> None:
    if not stack.s3().list_objects_v2(Bucket=BUCKET, Prefix="mlflow/").get("Contents"):
        sample_corpora(stack.environment, [LANGUAGE], 32, 1, tmp_path / "corpora")
        train(stack.environment, LANGUAGE, tmp_path / "corpora")
        register(stack.environment, LANGUAGE, tmp_path / "corpora")
    home = stack.folder / "airflow"
    shutil.rmtree(home, ignore_errors=True)
    own = {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": postgres.url, **UNSCHEDULED}
    settings = airflow.environment(home, ROOT / "dags", stack.ports["airflow"], machine.address) | own
    variables = quiet(stack) | settings
    stack.password = airflow.set_up(home, variables, ROOT)
    for name, words in (airflow.FIRST | airflow.THEN).items():
        command = [sys.executable, "-m", "airflow", *words]
        machine.start(f"airflow {name}", command, variables, ROOT, stack.folder / f"logs/{name}.log")
    user = User(stack)
    api = airflow.AirflowApi(f"http://{machine.address}:{stack.ports['airflow']}", stack.password)
    wait_until(api.healthy, machine.children, "Airflow", START_SECONDS)
    wait_until(lambda: api.has_dag(DAG), machine.children, f"the DAG {DAG}", START_SECONDS)
    api.set_pool("gpu", 2)
    user.enigma("sample", "--notes", "8", "--language", LANGUAGE, "--seed", "2", "--out", str(tmp_path / "texts"))
    notes = sorted((tmp_path / "texts" / LANGUAGE / "txt").iterdir())
    user.drop({f"{LANGUAGE}/2026-06-11/quiet/{path.name}": path.read_bytes() for path in notes})
    run_id = api.trigger(DAG)
    assert api.wait(DAG, run_id, SECONDS) == "success"
    assert api.xcom(DAG, run_id, "publish")["counts"]["annotated"] == len(notes)
    assert refused(machine) == set()
