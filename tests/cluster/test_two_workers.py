"""A night on two machines without a shared disk, of which one dies and one is cut off, while Airflow is restarted."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import psutil
import pytest

from infra.local.processes import StackError
from infra.local.stack import DAG
from infra.local.user import User
from tests.cluster.conftest import LANGUAGE, SHARDS
from tests.e2e.night_tables import results_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from infra.local.cluster import Cluster
    from infra.local.machines import Machine

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(7200)]

DAY = "2026-06-11"
NIGHT_SECONDS = 3000
CUT_SECONDS = 60


def drop(user: User, folder: str, texts: list[bytes]) -> None:
    user.drop({f"{LANGUAGE}/{DAY}/{folder}/n{i}.txt": text for i, text in enumerate(texts)})


def night(cluster: Cluster, user: User, folder: str, texts: list[bytes]) -> str:
    """An undisturbed night over notes that are dropped before it; returns the run's id."""
    drop(user, folder, texts)
    run_id = user.api.trigger(DAG)
    assert cluster.wait(DAG, run_id, NIGHT_SECONDS) == "success"
    return run_id


def until(cluster: Cluster, what: str, true: Callable[[], bool]) -> None:
    """Wait until something is true, while Airflow's processes are kept running."""
    deadline = time.monotonic() + NIGHT_SECONDS
    while not true():
        cluster.keep()
        if time.monotonic() > deadline:
            raise StackError(f"{what}: not within {NIGHT_SECONDS} s")
        time.sleep(0.2)


def shards_done(user: User, batch: str) -> int:
    return sum(key.endswith("done.json") for key in user.objects(f"runs/{batch}/results/"))


def annotates(machine: Machine) -> bool:
    for process in machine.processes():
        try:
            line = process.cmdline()
        except psutil.Error:
            continue
        if "enigma_tasks" in line and "annotate" in line:
            return True
    return False


def test_a_worker_that_dies_one_that_is_cut_off_and_restarts_change_nothing_in_the_tables(cluster, texts) -> None:
    user = User(cluster.stack)
    calm = night(cluster, user, "calm", texts)
    undisturbed = results_of(user, "calm")
    assert undisturbed[0].total() == len(texts)
    assert undisturbed[1]
    assert cluster.started_again == []
    workers = {task["hostname"] for task in user.api.tasks(DAG, calm) if task["task_id"] == "annotate"}
    assert workers == {machine.address for machine in cluster.machines}

    drop(user, "storm", texts)
    run_id = user.api.trigger(DAG)
    until(cluster, "the plan", lambda: any(t["state"] == "success" for t in user.api.tasks(DAG, run_id)))
    batch = user.batch_id(run_id)
    stays, dies = cluster.machines

    def in_the_middle_of_a_shard(machine: Machine, share: float) -> None:
        until(cluster, f"{share:.0%} of the shards", lambda: shards_done(user, batch) >= share * SHARDS)
        until(cluster, f"a shard on {machine.address}", lambda: annotates(machine))
        assert shards_done(user, batch) < SHARDS

    in_the_middle_of_a_shard(dies, 0.15)
    dies.power_off()
    assert not annotates(dies)
    in_the_middle_of_a_shard(stays, 0.3)
    cluster.restart_scheduler()
    dies.power_on()
    cluster.start_worker(dies)
    in_the_middle_of_a_shard(stays, 0.45)
    cluster.postgres.restart()
    in_the_middle_of_a_shard(stays, 0.6)
    stays.unplug()
    time.sleep(CUT_SECONDS)
    stays.plug()
    assert cluster.wait(DAG, run_id, NIGHT_SECONDS) == "success"
    assert "scheduler" in cluster.started_again

    assert results_of(user, "storm") == undisturbed
    assert shards_done(user, batch) == SHARDS
    counts = user.api.xcom(DAG, run_id, "publish")["counts"]
    assert (counts["annotated"], counts["quarantined"]) == (len(texts), 0)

    # the one that was cut off takes work again, alone
    dies.power_off()
    again = night(cluster, user, "after", texts[:4])
    assert {task["hostname"] for task in user.api.tasks(DAG, again) if task["hostname"]} == {stays.address}


def test_a_task_s_log_is_read_from_the_worker_that_has_it(cluster: Cluster, texts) -> None:
    user = User(cluster.stack)
    run_id = night(cluster, user, "log", texts[:2])
    (task,) = [t for t in user.api.tasks(DAG, run_id) if t["task_id"] == "annotate"]
    path = f"dags/{DAG}/dagRuns/{run_id}/taskInstances/annotate/logs/{task['try_number']}"
    log = user.api.call("GET", path, map_index=task["map_index"], full_content=True)
    assert any("enigma_tasks annotate" in str(entry.get("event", "")) for entry in log["content"])
    assert not list((cluster.stack.folder / "airflow/logs").rglob("*annotate/*"))
