"""Airflow on one machine: its environment, its four processes, and a small client of its REST API."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import requests
from requests.adapters import HTTPAdapter

from infra.local.processes import LOOPBACK, Child, StackError, start, tail

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

USER = "admin"
# no log servers: they listen on every interface, and the API server reads the local log files
FIRST = {
    "api-server": ["api-server"],
    "dag-processor": ["dag-processor"],
    "triggerer": ["triggerer", "--skip-serve-logs"],
}
THEN = {"scheduler": ["scheduler", "--skip-serve-logs"]}
"""Started once the API server is ready: a task that cannot reach it fails an attempt."""
PARALLELISM = 3
DONE = ("success", "failed")
SERVER_ERROR = 500
STATES_IN_ORDER = (
    *("plan", "annotate", "publish", "select", "reviewed", "monitor"),
    *("changes", "prepare", "train", "ensemble", "evaluate", "register"),
    *("challengers", "compare", "approve", "promote"),
)
ASK_AGAIN_SECONDS = 0.5
UNSCHEDULED = {"AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "False"}
"""No runs by a schedule, nor by an asset, beside those that are triggered."""
PAGE = 100
"""Task instances that one answer of Airflow's API holds at most, by its own default."""


def environment(home: Path, dags: Path, port: int, host: str = LOOPBACK) -> dict[str, str]:
    """Airflow's settings as variables: LocalExecutor on SQLite, its server at `host`, new secrets."""
    url = f"http://{host}:{port}"
    settings = {
        "CORE__DAGS_FOLDER": str(dags),
        "CORE__LOAD_EXAMPLES": "False",
        "CORE__EXECUTOR": "LocalExecutor",
        "CORE__PARALLELISM": str(PARALLELISM),
        "CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "CORE__HOSTNAME_CALLABLE": "socket.gethostname",
        "CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
        "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home / "passwords.json"),
        "CORE__FERNET_KEY": "",
        # SQLite has one writer at a time; Python's default of waiting 5 s is too short on a busy machine
        "DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}?timeout=60",
        "WORKERS__EXECUTION_API_TIMEOUT": "60",
        "API__HOST": host,
        "API__PORT": str(port),
        "API__BASE_URL": url,
        "API__SECRET_KEY": secrets.token_hex(16),
        "API_AUTH__JWT_SECRET": secrets.token_hex(32),
        "LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
        "LOGGING__DAG_PROCESSOR_CHILD_PROCESS_LOG_DIRECTORY": str(home / "logs/dag_processor"),
        # a task imports the DAGs again, which took more than Airflow's 30 s on a busy machine
        "CORE__DAGBAG_IMPORT_TIMEOUT": "120",
        "DAG_PROCESSOR__DAG_FILE_PROCESSOR_TIMEOUT": "150",
        # notice a killed scheduler within seconds instead of minutes
        "SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "10",
        "SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "20",
        "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "60",
        "DAG_PROCESSOR__REFRESH_INTERVAL": "30",
        "DAG_PROCESSOR__PARSING_PROCESSES": "1",
        "TRACES__OTEL_ON": "False",
    }
    return {"AIRFLOW_HOME": str(home), **{f"AIRFLOW__{key}": value for key, value in settings.items()}}


def set_up(home: Path, variables: Mapping[str, str], cwd: Path) -> str:
    """Create the database and the login; returns the password of `admin`.

    Raises:
        StackError: the database could not be created.
    """
    home.mkdir(parents=True)
    password = secrets.token_urlsafe(9)
    passwords = home / "passwords.json"
    passwords.touch(mode=0o600)
    passwords.write_text(json.dumps({USER: password}))
    log = home / "db.log"
    with log.open("wb") as sink:
        done = subprocess.run(
            [sys.executable, "-m", "airflow", "db", "migrate"],
            cwd=cwd, env=dict(variables), stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.STDOUT,
            check=False,
        )  # fmt: skip
    if done.returncode:
        raise StackError(f"Airflow's database could not be created:\n{tail(log)}")
    return password


def start_components(
    components: Mapping[str, list[str]], variables: Mapping[str, str], cwd: Path, logs: Path
) -> list[Child]:
    """Start these of Airflow's processes."""
    return [
        start(f"airflow {name}", [sys.executable, "-m", "airflow", *words], variables, cwd, logs / f"{name}.log")
        for name, words in components.items()
    ]


class AirflowError(StackError):
    """A reply of Airflow's REST API that is an error."""

    def __init__(self, status: int, what: str) -> None:
        super().__init__(f"Airflow returned {status} for {what}")
        self.status = status


@dataclass
class AirflowApi:
    """Airflow's REST API (v2) with the token of the simple auth manager."""

    url: str
    password: str = field(repr=False)
    session: requests.Session = field(default_factory=requests.Session, repr=False)

    def __post_init__(self) -> None:
        """A question that a busy server left without an answer is asked again."""
        self.session.mount(self.url, HTTPAdapter(max_retries=3))  # what may be repeated: no POST

    def healthy(self) -> bool:
        """Whether every component has sent a recent heartbeat."""
        try:
            response = requests.get(f"{self.url}/api/v2/monitor/health", timeout=5)
        except requests.RequestException:
            return False
        if response.status_code != 200:
            return False
        parts = response.json()
        return all(
            (parts.get(name) or {}).get("status") == "healthy"
            for name in ("metadatabase", "scheduler", "triggerer", "dag_processor")
        )

    def has_dag(self, dag_id: str) -> bool:
        """Whether the DAG processor has stored the DAG. Raises StackError if a DAG file cannot be imported."""
        if broken := self.call("GET", "importErrors")["import_errors"]:
            raise StackError("\n".join(f"{e['filename']}: {e['stack_trace']}" for e in broken))
        return any(d["dag_id"] == dag_id for d in self.call("GET", "dags")["dags"])

    def call(self, method: str, path: str, body: dict[str, Any] | None = None, **params: Any) -> Any:
        """One request; logs in if there is no token or it has expired.

        Raises:
            AirflowError: Airflow returned an error.
        """
        for _ in range(2):
            if "Authorization" not in self.session.headers:
                self._log_in()
            response = self.session.request(method, f"{self.url}/api/v2/{path}", json=body, params=params, timeout=90)
            if response.status_code != 401:
                break
            del self.session.headers["Authorization"]
        if response.status_code >= 400:
            raise AirflowError(response.status_code, f"{method} {path}: {response.text[:500]}")
        return response.json() if response.content else None

    def _log_in(self) -> None:
        login = {"username": USER, "password": self.password}
        response = self.session.post(f"{self.url}/auth/token", json=login, timeout=90)
        response.raise_for_status()
        self.session.headers["Authorization"] = f"Bearer {response.json()['access_token']}"

    def set_pool(self, name: str, slots: int) -> None:
        """Create a pool, unless it exists."""
        if all(p["name"] != name for p in self.call("GET", "pools")["pools"]):
            self.call("POST", "pools", {"name": name, "slots": slots, "description": "one slot per GPU or worker"})

    def trigger(self, dag_id: str, conf: dict[str, Any] | None = None) -> str:
        """Start a run now; returns its run id."""
        run = self.call("POST", f"dags/{dag_id}/dagRuns", {"logical_date": None, "conf": conf or {}})
        return str(run["dag_run_id"])

    def state(self, dag_id: str, run_id: str) -> str:
        """`queued`, `running`, `success` or `failed`."""
        return str(self.call("GET", f"dags/{dag_id}/dagRuns/{run_id}")["state"])

    def runs(self, dag_id: str) -> list[str]:
        """The ids of a DAG's runs, the newest first."""
        found = self.call("GET", f"dags/{dag_id}/dagRuns", limit=100, order_by="-run_after")["dag_runs"]
        return [str(run["dag_run_id"]) for run in found]

    def tasks(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """Every task instance of a run, in the order of the pipeline."""
        path = f"dags/{dag_id}/dagRuns/{run_id}/taskInstances"
        found: list[dict[str, Any]] = []
        while page := self.call("GET", path, limit=PAGE, offset=len(found), order_by="id")["task_instances"]:
            found += page
            if len(page) < PAGE:
                break
        order = {word: i for i, word in enumerate(STATES_IN_ORDER)}
        return sorted(found, key=lambda t: (order.get(t["task_id"], 99), t["map_index"]))

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str = "return_value", map_index: int = -1) -> Any:
        """One XCom value."""
        path = f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/{key}"
        return self.call("GET", path, map_index=map_index, deserialize=False)["value"]

    def asset_events(self, name: str, seconds: float = 120) -> list[dict[str, Any]]:
        """The events of an asset, the oldest first, once no run is queued.

        Airflow 3.3.2 answers 500 while a run that an event has woken is queued: the reply names the runs, and its model
        does not admit one that has not started.

        Raises:
            StackError: another error, or runs were still queued after `seconds`.
        """
        deadline = time.monotonic() + seconds
        while True:
            queued = self._queued()
            try:
                events = self.call("GET", "assets/events", limit=100, order_by="timestamp")["asset_events"]
                return [event for event in events if event["name"] == name]
            except AirflowError as error:
                explained = error.status == SERVER_ERROR and (queued or self._queued())
                if not explained or time.monotonic() > deadline:
                    raise
            time.sleep(ASK_AGAIN_SECONDS)

    def _queued(self) -> bool:
        return bool(self.call("GET", "dags/~/dagRuns", state="queued", limit=1)["dag_runs"])

    def required_actions(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """What a run asks people and was not answered yet: subject, body, options, and the task instance."""
        path = f"dags/{dag_id}/dagRuns/{run_id}/hitlDetails"
        found: list[dict[str, Any]] = self.call("GET", path, response_received="false", limit=100)["hitl_details"]
        return found

    def answer(self, action: Mapping[str, Any], option: str) -> None:
        """Answer a required action with one of its options, as the user that is logged in."""
        task = action["task_instance"]
        place = f"{task['dag_run_id']}/taskInstances/{task['task_id']}/{task['map_index']}"
        self.call("PATCH", f"dags/{task['dag_id']}/dagRuns/{place}/hitlDetails", {"chosen_options": [option]})

    def clear(self, dag_id: str, run_id: str, task_ids: list[str], **options: Any) -> None:
        """Run these tasks of a run again, and the tasks after them."""
        body = {
            "dag_run_id": run_id,
            "task_ids": task_ids,
            "only_failed": False,
            "include_downstream": True,
            "reset_dag_runs": True,
            "dry_run": False,
            **options,
        }
        self.call("POST", f"dags/{dag_id}/clearTaskInstances", body)

    def wait(
        self, dag_id: str, run_id: str, seconds: float, progress: Callable[[list[dict[str, Any]]], None] | None = None
    ) -> str:
        """Wait for a run's end; returns `success` or `failed`. Raises StackError on timeout."""
        deadline = time.monotonic() + seconds
        while (state := self.state(dag_id, run_id)) not in DONE:
            if progress:
                progress(self.tasks(dag_id, run_id))
            if time.monotonic() > deadline:
                states = {f"{t['task_id']}[{t['map_index']}]": t["state"] for t in self.tasks(dag_id, run_id)}
                raise StackError(f"{run_id} has not ended within {seconds:.0f} s: {states}")
            time.sleep(0.5)
        if progress:
            progress(self.tasks(dag_id, run_id))
        return state
