"""Airflow on several machines, on one: PostgreSQL, Redis, Celery workers in network namespaces without a shared disk.

Its settings are those of `infra/celery/airflow.env`; here are places and secrets only.
"""

from __future__ import annotations

import shutil
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import requests

from infra.local import airflow
from infra.local.cluster_servers import Postgres, Redis
from infra.local.machines import Machine, Network
from infra.local.processes import StackError, free_ports, stop, wait_until
from infra.local.stack import ROOT, Stack

if TYPE_CHECKING:
    from collections.abc import Mapping

SETTINGS = ROOT / "infra/celery/airflow.env"
WORKING_COPY = ("dags", "enigma_tasks", "params.yaml", "models.lock")
WORKER = "airflow worker"
START_SECONDS = 600


def settings(path: Path = SETTINGS) -> dict[str, str]:
    """The variables of an environment file."""
    lines = (line for line in path.read_text().splitlines() if line and not line.startswith("#"))
    return {name: value for name, _, value in (line.partition("=") for line in lines)}


@dataclass
class Cluster:
    """The stack's services and Airflow's scheduler on this machine, and its workers on machines of their own."""

    folder: Path
    workers: int = 2
    params: Path = ROOT / "params.yaml"
    extra: dict[str, str] = field(default_factory=dict)
    network: Network = field(default_factory=Network)
    stack: Stack = field(init=False)
    postgres: Postgres = field(init=False)
    redis: Redis = field(init=False)
    started_again: list[str] = field(default_factory=list)
    """Processes of Airflow that ended and were started again, as a service manager does."""
    homes: dict[str, Path] = field(default_factory=dict)
    """The folder of each worker, by its address."""

    def __enter__(self) -> Cluster:
        """Start everything with empty state; on failure stop it and raise StackError."""
        self.network.__enter__()
        host = self.network.address
        postgres, redis = free_ports([0, 0])
        logs = self.folder / "head/logs"
        self.postgres = Postgres(host, postgres, logs / "postgres.log")
        self.redis = Redis(host, redis, self.folder / "redis")
        self.stack = Stack(
            self.folder / "head",
            preferred_ports={"s3": 0, "mlflow": 0, "airflow": 0},
            extra={"OMP_NUM_THREADS": "1", **self.extra},
            host=host,
            with_airflow=False,
            trained=[],
        )
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Stop all processes; the logs stay."""
        with ExitStack() as each:  # the others too when one cannot be stopped
            for end in (self.postgres.stop, self.redis.stop, self.stack.stop, self.network.__exit__):
                each.callback(end)

    @property
    def machines(self) -> list[Machine]:
        """The workers' machines."""
        return self.network.machines

    def worker_log(self, machine: Machine) -> Path:
        """What a worker's processes say."""
        return self.homes[machine.address] / "worker.log"

    def start_worker(self, machine: Machine) -> None:
        """Start the Celery worker of a machine that is on; it is told neither the database nor another's folder."""
        home = self.homes[machine.address]
        own = {
            "AIRFLOW_HOME": str(home / "airflow"),
            "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
            "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
            "ENIGMA_CACHE": str(home / "cache"),
            "ENIGMA_WORKDIR": str(home),
            "HOME": str(home),
            "PYTHONPATH": str(home),
            "TMPDIR": str(home / "tmp"),
        }
        shared = {k: v for k, v in self._variables().items() if k != "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"}
        command = [sys.executable, "-m", "airflow", "celery", "worker"]
        machine.start(WORKER, command, shared | own, home, self.worker_log(machine))

    def wait_for_worker(self, machine: Machine, since: int = 0) -> None:
        """Wait until its log says, from byte `since` on, that it takes tasks."""
        log = self.worker_log(machine)
        wait_until(
            lambda: b" ready." in log.read_bytes()[since:], machine.children, f"worker {machine.address}", START_SECONDS
        )

    def restart_scheduler(self) -> None:
        """Kill the scheduler and start it again."""
        (scheduler,) = [c for c in self.stack.children["airflow"] if c.name == "airflow scheduler"]
        stop([scheduler], hard=True)
        self.keep()

    def keep(self) -> None:
        """Start Airflow's processes again that have ended, as a service manager does."""
        components = airflow.FIRST | airflow.THEN
        for child in [c for c in self.stack.children["airflow"] if c.process() is None]:
            name = child.name.removeprefix("airflow ")
            self.started_again.append(name)
            self.stack.children["airflow"].remove(child)
            again = airflow.start_components({name: components[name]}, self._variables(), ROOT, Path(child.log).parent)
            self.stack.children["airflow"] += again

    def wait(self, dag_id: str, run_id: str, seconds: float) -> str:
        """Wait for a run's end, whatever of Airflow is away meanwhile; returns its state. Raises StackError."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.keep()
            try:
                state = self.stack.api.state(dag_id, run_id)
            except (requests.RequestException, airflow.AirflowError):
                state = "unknown"
            if state in airflow.DONE:
                return state
            time.sleep(1)
        raise StackError(f"{run_id} has not ended within {seconds:.0f} s")

    def _start(self) -> None:
        self.postgres.start()
        self.redis.start()
        self.stack.start()
        home = self.stack.folder / "airflow"
        self.stack.airflow_variables = (
            airflow.environment(home, ROOT / "dags", self.stack.ports["airflow"], self.stack.host)
            | settings()
            | {
                "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": self.postgres.url,
                "AIRFLOW__CELERY__BROKER_URL": self.redis.url(0),
                "AIRFLOW__CELERY__RESULT_BACKEND": self.redis.url(1),
            }
        )
        self.stack.password = airflow.set_up(home, self._variables(), ROOT)
        self._make_machines()
        self.stack.start_airflow()
        for machine in self.machines:
            self.start_worker(machine)
        for machine in self.machines:
            self.wait_for_worker(machine)

    def _make_machines(self) -> None:
        homes = [self.folder / f"worker-{number}" for number in range(1, self.workers + 1)]
        for home in homes:
            for name in ("airflow", "logs", "cache", "tmp"):
                (home / name).mkdir(parents=True, mode=0o700)
            for name in WORKING_COPY:
                source = ROOT / name
                copy = shutil.copytree if source.is_dir() else shutil.copy
                copy(source, home / name)
            shutil.copy(self.params, home / "params.yaml")
        for home in homes:
            elsewhere = [self.stack.folder, self.redis.folder, *(other for other in homes if other != home)]
            self.homes[self.network.machine(elsewhere).address] = home

    def _variables(self) -> Mapping[str, str]:
        return self.stack.environment | self.stack.airflow_variables
