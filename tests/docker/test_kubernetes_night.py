"""The runtime `kubernetes` in the real scheduler: pods are containers of a real engine behind a double of the API."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from infra.local.stack import DAG
from tests.docker.night_in_containers import (
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
    wait_for_attempt,
)
from tests.docker.pods_on_engine import Cluster
from tests.e2e.night_tables import results_of

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator

    import docker
    from infra.local.user import User

pytestmark = [pytest.mark.docker, pytest.mark.e2e, pytest.mark.timeout(3600)]

START_SECONDS = 60
SECRET = "enigma-secrets"
SECRETS: dict[str, dict[str, str]] = {SECRET: {}}
NO_MEMORY = "The node was low on resource: memory."
NO_DISK = "The node was low on resource: ephemeral-storage."
SAID = {
    "plan": "deleted",
    "annotate": "more memory than its limit",
    "publish": "stopped: Evicted",
    "select": "more memory than its limit",
    "monitor": "scheduled",
}
"""What the log of each stage's first attempt says of what happens to its pod."""


@pytest.fixture(scope="module")
def cluster(engine: docker.APIClient) -> Iterator[Cluster]:
    with Cluster(engine, SECRETS) as found:
        yield found


@pytest.fixture(scope="module")
def user(cluster: Cluster, image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[User]:
    from runtimes.host_paths import local_paths
    from runtimes.image import is_secret, passed_on

    folder = tmp_path_factory.mktemp("kubernetes-night")
    variables = {
        "ENIGMA_RUNTIME": "kubernetes",
        "ENIGMA_TASKS_IMAGE": image,
        "ENIGMA_KUBERNETES_NAMESPACE": "enigma",
        "ENIGMA_KUBERNETES_SECRET": SECRET,
        "ENIGMA_KUBERNETES_START_SECONDS": str(START_SECONDS),
        "KUBECONFIG": str(cluster.write_kubeconfig(folder / "kubeconfig")),
    }
    with pytest.MonkeyPatch.context() as patch:
        for name in local_paths(passed_on(dict(os.environ))):
            patch.delenv(name)  # this machine's certificates, which no pod has
        with running_stack(folder, variables) as found:
            given = passed_on(found.stack.variables)
            SECRETS[SECRET].update({name: value for name, value in given.items() if is_secret(name, value)})
            yield found


@pytest.fixture(scope="module")
def texts(user: User, tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    return sample_texts(user, tmp_path_factory.mktemp("texts"))


@dataclass(frozen=True)
class Calm:
    """A night to which nothing happens."""

    run: str
    stages: set[str]
    rows: tuple[Counter[str], Counter[str]]


@pytest.fixture(scope="module")
def calm(user: User, cluster: Cluster, texts: list[bytes]) -> Calm:
    with Watch(cluster.engine) as watch:
        run, rows = undisturbed_night(user, texts)
    return Calm(run, set(watch.tasks), rows)


def test_a_night_in_pods_is_streamed_to_the_logs_and_leaves_no_pod(user: User, cluster: Cluster, calm: Calm) -> None:
    assert {"plan", "annotate", "publish", "monitor"} <= calm.stages
    assert cluster.pods == {}
    assert containers(cluster.engine) == []
    log = log_of(user, calm.run, "plan", 1)
    assert "objects listed" in log
    assert "s3://enigma/runs/" not in log.replace(task_of(user, calm.run, "plan")["rendered_fields"]["result_uri"], "")
    secrets = [value for value in SECRETS[SECRET].values() if len(value) > len("local")]  # the user of the store
    assert len(secrets) >= 2
    assert not [s for s in secrets for pod in cluster.created if s in str(pod)]


def test_whatever_happens_to_the_first_pod_of_each_stage_costs_an_attempt_and_no_note(
    user: User, cluster: Cluster, texts: list[bytes], calm: Calm
) -> None:
    drop(user, "eventful", texts)
    happens = [
        Once("plan", lambda container: cluster.lose(cluster.pod_of(container))),
        Once("annotate", lambda container: starve(cluster.engine, container)),
        Once("publish", lambda container: cluster.evict(container, NO_DISK)),
        Once("select", lambda container: cluster.evict(container, NO_MEMORY)),
    ]
    cluster.not_scheduled.append("monitor")

    def act(found: dict[str, Any]) -> None:
        for once in happens:
            once(found)

    with Watch(cluster.engine, act):
        run = user.api.trigger(DAG)
        passed(user, run)
    first, second = ({stage: log_of(user, run, stage, attempt) for stage in SAID} for attempt in (1, 2))
    for stage, said in SAID.items():
        assert said in first[stage], stage
        assert task_of(user, run, stage)["try_number"] >= 2, stage
    again = {stage for stage, log in second.items() if "killed for want of memory 1 time(s) before" in log}
    assert again == {"annotate", "select"}
    assert results_of(user, "eventful") == calm.rows
    assert cluster.pods == {}
    assert containers(cluster.engine) == []


def test_a_pod_that_outlives_its_worker_is_followed_by_the_next_attempt_and_no_second_one_is_started(
    user: User, cluster: Cluster, texts: list[bytes], calm: Calm
) -> None:
    drop(user, "orphaned", texts)
    run = user.api.trigger(DAG)

    def kill(container: str) -> None:
        cluster.engine.pause(container)  # it would end before the next attempt begins
        kill_worker(user, run, "annotate")

    killed = Once("annotate", kill)
    with Watch(cluster.engine, killed):
        wait_for_attempt(user, run, "annotate", 2)
        cluster.engine.unpause(killed.container)
        passed(user, run)
    assert len(cluster.pods_of("annotate", run)) == 1
    assert results_of(user, "orphaned") == calm.rows
    assert cluster.pods == {}
    assert containers(cluster.engine) == []
