"""The local stack: `python -m infra.local.stack up | down | status | env`.

An S3 server (moto), MLflow and Airflow on loopback, on free ports, with their state under one folder that only its
owner may read. Each asks for a login or a signature; every start makes new ones. The S3 server keeps its objects in
memory, so every start begins with empty databases of the other two as well.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import secrets
import shlex
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import requests

from infra.local import airflow, mlflow_server, training_project
from infra.local.airflow import USER, AirflowApi
from infra.local.processes import LOOPBACK, Child, StackError, free_ports, start, stop, tail, wait_until
from infra.local.s3_server import HEALTH

ROOT = Path(__file__).resolve().parents[2]
STATE = ROOT / ".enigma"
BUCKET = "enigma"
DAG = "annotate_nightly"
PORTS = {"s3": 9090, "mlflow": 5000, "airflow": 8080}
GPU_SLOTS = 2
START_SECONDS = 600
"""For each part, on a busy machine; one that ended is noticed at once."""
INHERITED_NOT = ("AWS_", "MLFLOW_", "ENIGMA_", "AIRFLOW", "_AIRFLOW")
"""Variables of the caller that are not passed to the stack, which has its own places."""


@dataclass
class Stack:
    """The stack with its state in `folder`.

    `preferred_ports`: by service, 0 for any; `extra`: variables besides the stack's own, or in their place.
    """

    folder: Path = STATE
    preferred_ports: dict[str, int] = field(default_factory=lambda: dict(PORTS))
    extra: dict[str, str] = field(default_factory=dict)
    host: str = LOOPBACK
    """The address that servers listen on; another one only where no stranger reaches it."""
    say: Any = print
    with_airflow: bool = True
    """False: the S3 server and MLflow only."""
    trained: list[str] | None = None
    """Languages of the training project; None: all."""
    children: dict[str, list[Child]] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    airflow_variables: dict[str, str] = field(default_factory=dict, repr=False)
    password: str = field(default="", repr=False)

    @classmethod
    def load(cls, folder: Path = STATE) -> Stack | None:
        """The stack of an earlier command, or None if there is no readable state."""
        try:
            saved = json.loads((folder / "stack.json").read_text())
            children = {k: [Child(**c) for c in v] for k, v in saved.pop("children").items()}
            return cls(folder=folder, children=children, **saved)
        except (FileNotFoundError, ValueError, TypeError, KeyError):
            return None

    def save(self) -> None:
        """Save the state for the next command, readable by its owner only."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self.folder / "stack.json"
        path.touch(mode=0o600)
        children = {k: [dataclasses.asdict(c) for c in v] for k, v in self.children.items()}
        names = ("host", "ports", "variables", "airflow_variables", "password")
        path.write_text(json.dumps({"children": children, **{n: getattr(self, n) for n in names}}, indent=1))

    @property
    def running(self) -> bool:
        """Whether every process is running."""
        every = [c for group in self.children.values() for c in group]
        return len(self.children) == len(PORTS) and all(c.process() for c in every)

    @property
    def environment(self) -> dict[str, str]:
        """Variables for a command that uses the stack: the caller's, with the stack's places."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(INHERITED_NOT)}
        return inherited | self.variables

    @property
    def api(self) -> AirflowApi:
        """Airflow's REST API, logged in as admin."""
        return AirflowApi(f"http://{self.host}:{self.ports['airflow']}", self.password)

    def s3(self) -> Any:
        """An S3 client."""
        return boto3.client(
            "s3",
            endpoint_url=self.variables["AWS_ENDPOINT_URL"],
            aws_access_key_id=self.variables["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.variables["AWS_SECRET_ACCESS_KEY"],
            region_name=self.variables["AWS_DEFAULT_REGION"],
        )

    def start(self) -> None:
        """Start all processes with empty state and wait for them; on failure stop them and raise StackError."""
        previous = Stack.load(self.folder)
        if previous and previous.running:
            raise StackError(f"the stack is running already (state in {self.folder}); stop it first")
        if previous:
            previous.stop()
        began = time.monotonic()
        for name in ("airflow", "mlflow", "gold.git", "training.git", "logs", "cache"):
            shutil.rmtree(self.folder / name, ignore_errors=True)
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        self.ports = dict(zip(PORTS, free_ports([self.preferred_ports[name] for name in PORTS]), strict=True))
        self.variables = self._places() | self.extra
        try:
            self._make_gold_repository()
            training_project.make(self.folder / "training.git", self.trained)
            self._start_s3()
            self._start_mlflow()
            if self.with_airflow:
                home = self.folder / "airflow"
                self.airflow_variables = airflow.environment(home, ROOT / "dags", self.ports["airflow"], self.host)
                self.say("airflow: creating its database")
                self.password = airflow.set_up(home, self.environment | self.airflow_variables, ROOT)
                self.start_airflow()
            self._wait_for_mlflow()
        except BaseException:
            self.stop()
            raise
        self.say(f"ready after {time.monotonic() - began:.0f} s")

    def _places(self) -> dict[str, str]:
        return {
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": secrets.token_urlsafe(24),
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": f"http://{self.host}:{self.ports['s3']}",
            "AWS_ALLOW_HTTP": "true",
            "AWS_EC2_METADATA_DISABLED": "true",
            "MLFLOW_TRACKING_URI": f"http://{self.host}:{self.ports['mlflow']}",
            "MLFLOW_TRACKING_USERNAME": USER,
            "MLFLOW_TRACKING_PASSWORD": secrets.token_urlsafe(16),
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "MLFLOW_MODEL_CATALOG_URI": "",
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # saves six unused processes
            "ENIGMA_S3_ROOT": f"s3://{BUCKET}",
            "ENIGMA_GOLD_REPOSITORY": str(self.folder / "gold.git"),
            "ENIGMA_TRAINING_REPOSITORY": str(self.folder / "training.git"),
            "ENIGMA_RUNTIME": "process",
            "ENIGMA_WORKDIR": str(ROOT),
            "ENIGMA_CACHE": str(self.folder / "cache"),
            # shards are annotated in parallel: each gets its share of the cores
            "OMP_NUM_THREADS": str(max(1, (os.cpu_count() or GPU_SLOTS) // GPU_SLOTS)),
            "HF_HUB_OFFLINE": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "DO_NOT_TRACK": "1",
            "NO_PROXY": f"{self.host},localhost",
            "no_proxy": f"{self.host},localhost",
        }

    def _make_gold_repository(self) -> None:
        command = ["git", "init", "-q", "--bare", "-b", "main", str(self.folder / "gold.git")]
        subprocess.run(command, check=True)

    def _start_s3(self) -> None:
        command = [sys.executable, "-m", "infra.local.s3_server", str(self.ports["s3"]), self.host]
        child = start("s3", command, self.environment, ROOT, self.folder / "logs/s3.log")
        self._started("s3", [child])
        url = self.variables["AWS_ENDPOINT_URL"]
        wait_until(lambda: _is_ready(f"{url}{HEALTH}"), [child], "the S3 server", START_SECONDS)
        self.s3().create_bucket(Bucket=BUCKET)
        self.say(f"s3: {url}, bucket {BUCKET}")

    def _start_mlflow(self) -> None:
        folder = self.folder / "mlflow"
        folder.mkdir(mode=0o700)
        command = mlflow_server.command(folder, self.ports["mlflow"], f"s3://{BUCKET}/mlflow", self.host)
        login = mlflow_server.login(folder, USER, self.variables["MLFLOW_TRACKING_PASSWORD"])
        child = start("mlflow", command, self.environment | login, folder, self.folder / "logs/mlflow.log")
        self._started("mlflow", [child])

    def _wait_for_mlflow(self) -> None:
        url = self.variables["MLFLOW_TRACKING_URI"]
        wait_until(lambda: _is_ready(f"{url}/health"), self.children["mlflow"], "MLflow", START_SECONDS)
        self.say(f"mlflow: {url}")

    def start_airflow(self) -> None:
        """Start Airflow's processes on the existing database, and wait until all of them are healthy."""
        variables, logs = self.environment | self.airflow_variables, self.folder / "logs"
        self._started("airflow", airflow.start_components(airflow.FIRST, variables, ROOT, logs))
        version = f"{self.api.url}/api/v2/version"
        wait_until(lambda: _is_ready(version), self.children["airflow"], "Airflow's API server", START_SECONDS)
        scheduler = airflow.start_components(airflow.THEN, variables, ROOT, logs)
        self._started("airflow", self.children["airflow"] + scheduler)
        wait_until(self.api.healthy, self.children["airflow"], "Airflow", START_SECONDS)
        wait_until(lambda: self.api.has_dag(DAG), self.children["airflow"], f"the DAG {DAG}", START_SECONDS)
        self.api.set_pool("gpu", GPU_SLOTS)
        self.say(f"airflow: {self.api.url}")

    def kill_airflow(self) -> None:
        """Send SIGKILL to Airflow's processes and their descendants."""
        stop(self.children["airflow"], hard=True)

    def _started(self, name: str, children: list[Child]) -> None:
        self.children[name] = children
        self.save()

    def stop(self) -> None:
        """Stop all running processes; safe to call again. The logs stay."""
        stop([c for name in ("airflow", "mlflow", "s3") for c in self.children.get(name, [])])
        self.children = {}
        (self.folder / "stack.json").unlink(missing_ok=True)

    def describe(self) -> str:
        """The pages' addresses and the logins."""
        mlflow_password = self.variables["MLFLOW_TRACKING_PASSWORD"]
        return "\n".join([
            f"Airflow  {self.api.url}/dags/{DAG}   user {USER}   password {self.password}",
            f"MLflow   {self.variables['MLFLOW_TRACKING_URI']}   user {USER}   password {mlflow_password}",
            f"S3       {self.variables['AWS_ENDPOINT_URL']}   bucket {BUCKET} (kept in memory: gone after `make down`)",
            f"logs     {self.folder / 'logs'}",
            "",
            'for `enigma` in this shell:   eval "$(.venv/bin/python -m infra.local.stack env)"',
        ])  # fmt: skip


def _is_ready(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).status_code == 200
    except requests.RequestException:
        return False


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m infra.local.stack", description=__doc__)
    parser.add_argument("command", choices=["up", "down", "status", "env"])
    parser.add_argument("--state", type=Path, default=STATE, help="the folder of the stack's state")
    given = parser.parse_args(argv)
    stack = Stack.load(given.state)
    try:
        if given.command == "up":
            if stack is None or not stack.running:
                stack = Stack(given.state)
                stack.start()
            print(f"\n{stack.describe()}\n\nTo stop it: make down")
        elif given.command == "down":
            if stack:
                stack.stop()
            print("stopped" if stack else "the stack was not running")
        elif stack is None or not stack.running:
            dead = [c for group in (stack.children if stack else {}).values() for c in group if not c.process()]
            for child in dead:
                print(f"{child.name} has ended; its log:\n{tail(Path(child.log))}", file=sys.stderr)
            print("the stack is not running: make up", file=sys.stderr)
            return 3
        elif given.command == "status":
            print(stack.describe())
        else:
            print("\n".join(f"export {k}={shlex.quote(v)}" for k, v in sorted(stack.variables.items())))
    except StackError as error:
        print(f"stack: {error}", file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
