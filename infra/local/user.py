"""Actions of a user of a running stack: run `enigma`, upload notes, trigger a night, read the results."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from infra.local.processes import StackError
from infra.local.stack import BUCKET, DAG, ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from pathlib import Path

    from infra.local.airflow import AirflowApi
    from infra.local.stack import Stack

DEV_SHARE = 8
"""One in so many sample notes is dev."""
MEMBER = "tiny"
INGEST, RETRAIN, PROMOTE = "ingest_gold", "retrain", "promote"
PARKED_SECONDS = 40.0
"""Airflow 3.3.2 fails a task that is answered before its scheduler saw the asking worker end: 5 s were too soon."""
_MODEL = re.compile(r"\benigma-\w+-\w+")
_UNDER_WAY = (None, "scheduled", "queued", "running", "up_for_retry", "restarting")


def enigma(environment: Mapping[str, str], *arguments: str, threads: int | None = None) -> dict[str, Any]:
    """Run one command and return its report. Raises StackError with its output if it fails."""
    variables = dict(environment) | ({"OMP_NUM_THREADS": str(threads)} if threads else {})
    done = subprocess.run(
        [sys.executable, "-m", "enigma_tasks", *arguments, "--json", "--quiet"],
        cwd=variables.get("ENIGMA_WORKDIR", ROOT), env=variables, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise StackError(f"enigma {arguments[0]} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def sample_corpora(environment: Mapping[str, str], languages: list[str], notes: int, seed: int, folder: Path) -> None:
    """Generate `notes` sample notes per language under `folder/train/{language}` and `folder/dev/{language}`."""
    shutil.rmtree(folder, ignore_errors=True)
    train = folder / "train"
    total = str(notes * len(languages))
    enigma(environment, "sample", "--notes", total, "--language", *languages, "--seed", str(seed), "--out", str(train))
    for language in languages:
        for path in sorted((train / language / "txt").iterdir())[::DEV_SHARE]:
            for place, name in (("txt", path.name), ("ann", f"{path.stem}.ann")):
                held_out = folder / "dev" / language / place / name
                held_out.parent.mkdir(parents=True, exist_ok=True)
                (train / language / place / name).rename(held_out)


def train(environment: Mapping[str, str], language: str, folder: Path, threads: int | None = None) -> dict[str, Any]:
    """Train a tiny model for all entity types on `folder`'s corpora, in `folder/models/{language}`."""
    return enigma(
        environment, "train", "--language", language, "--entity", "all", "--member", MEMBER,
        "--train", str(folder / "train" / language), "--dev", str(folder / "dev" / language),
        "--out", str(folder / "models" / language),
        threads=threads,
    )  # fmt: skip


def register(environment: Mapping[str, str], language: str, folder: Path) -> dict[str, Any]:
    """Register that model as the first champion of its language for each entity type."""
    model = str(folder / "models" / language)
    return enigma(environment, "register", "--language", language, "--entity", "all", "--model", model, "--first")


@dataclass
class Night:
    """A finished run of the nightly DAG."""

    run_id: str
    state: str
    batch_id: str


@dataclass
class User:
    """Works with a running stack through its S3 endpoint, Airflow's REST API and the command line."""

    stack: Stack

    @cached_property
    def s3(self) -> Any:
        """An S3 client."""
        return self.stack.s3()

    @property
    def api(self) -> AirflowApi:
        """Airflow's REST API."""
        return self.stack.api

    def enigma(self, *arguments: str) -> dict[str, Any]:
        """Run one command in the stack's environment."""
        return enigma(self.stack.environment, *arguments)

    def drop(self, notes: Mapping[str, bytes]) -> None:
        """Put objects below `drops/`."""
        for key, data in notes.items():
            self.s3.put_object(Bucket=BUCKET, Key=f"drops/{key}", Body=data)

    def drop_gold(self, files: Mapping[str, bytes]) -> None:
        """Put objects below `gold/`."""
        for key, data in files.items():
            self.s3.put_object(Bucket=BUCKET, Key=f"gold/{key}", Body=data)

    def ingested(self, seconds: float) -> dict[str, Any]:
        """Trigger `ingest_gold`, wait for its end, and return its report. Raises StackError if it fails."""
        run_id = self.api.trigger(INGEST)
        if (state := self.api.wait(INGEST, run_id, seconds)) != "success":
            raise StackError(f"{INGEST} ended with {state}")
        report: dict[str, Any] = self.api.xcom(INGEST, run_id, "ingest")
        return report

    def woken(self, dag_id: str, before: Collection[str], seconds: float) -> str:
        """Wait for a run of a DAG that is not in `before`, which an event has woken; returns its id."""
        deadline = time.monotonic() + seconds
        while not (new := [run for run in self.api.runs(dag_id) if run not in before]):
            if time.monotonic() > deadline:
                raise StackError(f"no event has woken {dag_id} within {seconds:.0f} s")
            time.sleep(0.5)
        return new[-1]

    def asked(self, run_id: str, seconds: float) -> dict[str, dict[str, Any]]:
        """Wait until a run of `promote` has compared every challenger; what it then asks, by registered model."""
        deadline = time.monotonic() + seconds
        while not _compared(self.api.tasks(PROMOTE, run_id)):
            if time.monotonic() > deadline:
                raise StackError(f"{run_id} has not compared its challengers within {seconds:.0f} s")
            time.sleep(0.5)
        time.sleep(PARKED_SECONDS)
        actions = self.api.required_actions(PROMOTE, run_id)
        return {_MODEL.findall(action["subject"])[0]: action for action in actions}

    def approve(self, action: Mapping[str, Any]) -> None:
        """Approve a new model in Airflow."""
        self.api.answer(action, "Approve")

    def reject(self, action: Mapping[str, Any]) -> None:
        """Reject a new model in Airflow."""
        self.api.answer(action, "Reject")

    def gold_versions(self) -> list[str]:
        """The commits of the gold repository, the newest first."""
        repository = self.stack.variables["ENIGMA_GOLD_REPOSITORY"]
        command = ["git", "-C", repository, "log", "--format=%H", "main"]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()

    def objects(self, prefix: str = "") -> dict[str, str]:
        """Key -> ETag of the objects under a prefix."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
        return {o["Key"]: o["ETag"] for page in pages for o in page.get("Contents", [])}

    def read(self, key: str) -> bytes:
        """One object's bytes."""
        data: bytes = self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        return data

    def night(self, seconds: float, progress: Callable[[list[dict[str, Any]]], None] | None = None) -> Night:
        """Trigger the nightly DAG and wait for its end."""
        return self.ended(self.api.trigger(DAG), seconds, progress)

    def ended(
        self, run_id: str, seconds: float, progress: Callable[[list[dict[str, Any]]], None] | None = None
    ) -> Night:
        """Wait for a run's end."""
        state = self.api.wait(DAG, run_id, seconds, progress)
        return Night(run_id, state, self.batch_id(run_id))

    def batch_id(self, run_id: str) -> str:
        """The batch id of a run, as rendered by Airflow for `enigma plan`."""
        task = self.api.call("GET", f"dags/{DAG}/dagRuns/{run_id}/taskInstances/plan")
        return str(task["rendered_fields"]["arguments"][1])

    def counts(self, night: Night) -> dict[str, int]:
        """Counts of `publish`: notes annotated and quarantined, entities."""
        counts: dict[str, int] = self.api.xcom(DAG, night.run_id, "publish")["counts"]
        return counts

    def failure(self, night: Night, lines: int = 30) -> str:
        """The end of the log of the run's first failed task."""
        for task in self.api.tasks(DAG, night.run_id):
            if task["state"] != "failed":
                continue
            path = f"dags/{DAG}/dagRuns/{night.run_id}/taskInstances/{task['task_id']}/logs/{task['try_number']}"
            log = self.api.call("GET", path, map_index=task["map_index"], full_content=True)
            events = [str(entry.get("event", "")) for entry in log["content"]]
            return "\n".join([f"{task['task_id']}[{task['map_index']}] failed:", *events[-lines:]])
        return "no task failed"


def _compared(tasks: list[dict[str, Any]]) -> bool:
    """Whether every challenger's approval waits for a person, or was not asked for."""
    return all(task["state"] not in _UNDER_WAY for task in tasks if task["task_id"] != "promote")
