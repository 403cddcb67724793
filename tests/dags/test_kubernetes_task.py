"""Stages in pods, against a double of the Kubernetes API that plays what happens to pods; no cluster is here."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from tests.dags.kubernetes_api import KubernetesApi, Status, ended, evicted, pending, running, waiting

if TYPE_CHECKING:
    from collections.abc import Iterator

CANARY = "paciente-secreto-7431"
IMAGE = "registry.example/enigma-tasks@sha256:" + "0" * 64
RESULT = "s3://night/p/runs/n/xcom/plan--1.json"


class Ti:
    dag_id, run_id, task_id, map_index, try_number = "d", "manual__2026-06-11T01:00:00+00:00", "plan", -1, 1

    def __init__(self) -> None:
        self.pushed: dict[str, Any] = {}

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value


class Played:
    """A container that shows one status after the other, and leaves a report if it succeeds."""

    def __init__(self, *states: Status, report: dict[str, Any] | None = None) -> None:
        self.states = list(states)
        self.report = report
        self.stopped = False

    def status(self) -> Status:
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        if state["phase"] == "Succeeded" and self.report is not None:
            import boto3

            boto3.client("s3").put_object(
                Bucket="night", Key="p/runs/n/xcom/plan--1.json", Body=json.dumps(self.report).encode()
            )
        return state

    def log(self) -> bytes:
        return "2026-01-31T01:02:03.123456789Z nález: a warning\n".encode()

    def stop(self) -> None:
        self.stopped = True


class Store(dict[str, Any]):
    """What Airflow keeps of a task between its attempts."""

    set = dict.__setitem__


class Cluster(KubernetesApi):
    """Plays the next of `plays` for each pod that is created."""

    def __init__(self) -> None:
        super().__init__(lambda _: self.plays.pop(0))
        self.plays: list[Played] = []


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    import boto3
    from moto import mock_aws

    with mock_aws():
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        client = boto3.client("s3")
        client.create_bucket(Bucket="night")
        yield client


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, bucket: Any, no_host_paths: None) -> Iterator[Cluster]:
    with Cluster() as api:
        for key, value in {
            "ENIGMA_RUNTIME": "kubernetes",
            "ENIGMA_TASKS_IMAGE": IMAGE,
            "ENIGMA_KUBERNETES_NAMESPACE": "enigma",
            "ENIGMA_KUBERNETES_SECRET": "enigma-secrets",
            "ENIGMA_S3_ROOT": "s3://night/p",
            "MLFLOW_TRACKING_PASSWORD": CANARY,
            "ENIGMA_GOLD_REPOSITORY": f"https://user:{CANARY}@git.example/gold.git",
            "ENIGMA_LLM_API_KEY": CANARY,
            "HTTPS_PROXY": "http://proxy.example:3128",
            "NO_PROXY": "127.0.0.1",
        }.items():
            monkeypatch.setenv(key, value)
        config = api.write_kubeconfig(tmp_path / "kubeconfig")
        # KUBECONFIG, which the library reads when it is imported
        monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(config))
        yield api


def task_of(**settings: Any) -> Any:
    from container_task import container_task

    task = container_task("plan", ["--batch", "n"], returns="shards", **settings)
    task.result_uri = RESULT
    task.startup_check_interval_seconds = 0.01
    return task


def run(task: Any, ti: Ti | None = None, store: Store | None = None) -> Any:
    from airflow.sdk import DAG

    context = {"ti": ti or Ti(), "run_id": Ti.run_id, "dag": DAG("d", schedule=None), "task_state_store": store}
    return type(task).execute.__wrapped__(task, context)


def passing(*before: Status) -> Played:
    return Played(*before, running(), running(), ended(0), report={"shards": ["s3://b/1"], "said": CANARY})


def test_a_pods_report_comes_through_s3_and_its_log_is_of_standard_error(cluster: Cluster, capfd: Any) -> None:
    cluster.plays.append(passing(pending(), waiting("ContainerCreating")))
    ti, task = Ti(), task_of()
    assert run(task, ti) == ["s3://b/1"]
    assert task.do_xcom_push  # Airflow stores what is returned
    assert ti.pushed.keys() <= {"pod_name", "pod_namespace"}
    logged = "".join(capfd.readouterr())
    assert "nález: a warning" in logged
    assert CANARY not in logged
    (pod,) = cluster.created
    (container,) = pod["spec"]["containers"]
    assert container["args"] == ["plan", "--batch", "n", "--json", "--result", RESULT]
    assert container["command"][-2:] == ['exec enigma "$@" >/dev/null', "enigma"]
    assert cluster.pods == {}


def test_a_pod_has_no_secret_and_no_token_and_refers_to_a_secret_by_name(cluster: Cluster) -> None:
    cluster.plays.append(passing())
    run(task_of())
    (pod,) = cluster.created
    container = pod["spec"]["containers"][0]
    given = {variable["name"]: variable["value"] for variable in container["env"]}
    assert CANARY not in json.dumps(pod)
    assert given["ENIGMA_S3_ROOT"] == "s3://night/p"
    assert given["HTTPS_PROXY"] == "http://proxy.example:3128"
    assert not given.keys() & {"ENIGMA_GOLD_REPOSITORY", "ENIGMA_LLM_API_KEY", "ENIGMA_RUNTIME", "ENIGMA_TASKS_IMAGE"}
    assert container["envFrom"] == [{"secretRef": {"name": "enigma-secrets"}}]
    assert pod["spec"]["automountServiceAccountToken"] is False
    assert pod["spec"]["enableServiceLinks"] is False


def test_each_stage_can_have_a_secret_of_its_own(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENIGMA_KUBERNETES_SECRET", "enigma-{stage}")
    cluster.plays.append(passing())
    run(task_of())
    assert cluster.created[0]["spec"]["containers"][0]["envFrom"] == [{"secretRef": {"name": "enigma-plan"}}]


def test_secrets_without_the_name_of_a_secret_are_refused(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ENIGMA_KUBERNETES_SECRET")
    with pytest.raises(AirflowFailException, match=r"ENIGMA_LLM_API_KEY.*ENIGMA_KUBERNETES_SECRET") as failure:
        run(task_of())
    assert CANARY not in str(failure.value)
    assert cluster.created == []


def test_a_path_of_the_worker_is_refused_before_a_pod_is_created(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/etc/hospital/ca.pem")
    with pytest.raises(AirflowFailException, match=r"REQUESTS_CA_BUNDLE.*ENIGMA_KUBERNETES_POD"):
        run(task_of())
    assert cluster.created == []


def test_a_pod_is_confined_and_limited(cluster: Cluster) -> None:
    cluster.plays.append(passing())
    run(task_of(execution_timeout=timedelta(minutes=7)))
    spec = cluster.created[0]["spec"]
    container = spec["containers"][0]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["resources"]["limits"] == {"memory": str(8 << 30)}
    assert spec["activeDeadlineSeconds"] == 420
    assert {m["mountPath"] for m in container["volumeMounts"]} == {"/tmp", "/home/enigma/cache", "/dev/shm"}
    assert all("emptyDir" in volume for volume in spec["volumes"])


def test_a_gpu_task_asks_for_cards_and_goes_where_the_sites_pod_says(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    template = tmp_path / "gpu.yaml"
    template.write_text(
        json.dumps(
            {"apiVersion": "v1", "kind": "Pod", "spec": {
                "nodeSelector": {"card": "l40s"}, "imagePullSecrets": [{"name": "registry"}],
                "tolerations": [{"key": "only", "operator": "Equal", "value": "enigma", "effect": "NoSchedule"}],
                "containers": [{"name": "base", "env": [{"name": "AWS_CA_BUNDLE", "value": "/etc/ca/ca.pem"}],
                                "securityContext": {"privileged": True, "readOnlyRootFilesystem": False}}]}}
        )
    )  # fmt: skip
    monkeypatch.setenv("ENIGMA_KUBERNETES_GPU_POD", str(template))
    monkeypatch.setenv("ENIGMA_GPUS", "2")
    cluster.plays.extend([passing(), passing()])
    run(task_of(gpu=True))
    run(task_of())
    with_gpu, without = (pod["spec"] for pod in cluster.created)
    assert with_gpu["containers"][0]["resources"]["limits"] == {"memory": str(32 << 30), "nvidia.com/gpu": "2"}
    assert with_gpu["nodeSelector"] == {"card": "l40s"}
    assert with_gpu["imagePullSecrets"] == [{"name": "registry"}]
    assert [t["key"] for t in with_gpu["tolerations"]] == ["only"]
    assert {"name": "AWS_CA_BUNDLE", "value": "/etc/ca/ca.pem"} in with_gpu["containers"][0]["env"]
    assert not with_gpu["containers"][0]["securityContext"].get("privileged")
    assert not without.get("nodeSelector")
    assert not without.get("tolerations")
    monkeypatch.delenv("ENIGMA_KUBERNETES_GPU_POD")
    cluster.plays.append(passing())
    run(task_of(gpu=True))
    assert [t["key"] for t in cluster.created[2]["spec"]["tolerations"]] == ["nvidia.com/gpu"]


@pytest.mark.parametrize(("code", "final"), [(1, True), (2, True), (3, False), (137, False)])
def test_an_exit_code_means_what_a_processs_does(cluster: Cluster, code: int, final: bool) -> None:
    cluster.plays.append(Played(running(), ended(code)))
    with pytest.raises(AirflowException) as failure:
        run(task_of())
    assert isinstance(failure.value, AirflowFailException) is final
    assert cluster.pods == {}


@pytest.mark.parametrize(
    "last", [ended(137, "OOMKilled"), evicted("The node was low on resource: memory.")], ids=["limit", "node"]
)
def test_want_of_memory_is_said_and_the_next_attempt_knows(cluster: Cluster, last: Status) -> None:
    cluster.plays.extend([Played(running(), last), passing()])
    with pytest.raises(AirflowException, match="more memory than its limit of 8192 MiB") as failure:
        run(task_of())
    assert not isinstance(failure.value, AirflowFailException)
    run(task_of())
    env = cluster.created[1]["spec"]["containers"][0]["env"]
    assert {"name": "ENIGMA_OUT_OF_MEMORY", "value": "1"} in env


def test_an_eviction_for_another_reason_is_tried_again_as_it_was(cluster: Cluster) -> None:
    cluster.plays.extend([Played(running(), evicted("The node was low on resource: ephemeral-storage.")), passing()])
    with pytest.raises(AirflowException, match="stopped: Evicted"):
        run(task_of())
    run(task_of())
    assert "ENIGMA_OUT_OF_MEMORY" not in json.dumps(cluster.created)


@pytest.mark.parametrize("reason", ["ErrImagePull", "InvalidImageName"])
def test_an_image_that_cannot_be_had_fails_at_once_without_quoting_the_registry(
    cluster: Cluster, reason: str, capfd: Any
) -> None:
    cluster.plays.append(Played(waiting(reason, f"unauthorized: https://user:{CANARY}@registry.example not found")))
    with pytest.raises(AirflowFailException, match="can start") as failure:
        run(task_of())
    assert CANARY not in f"{failure.value}{capfd.readouterr()}"
    assert cluster.pods == {}


def test_a_pod_that_no_node_takes_is_given_up_and_deleted(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENIGMA_KUBERNETES_START_SECONDS", "1")
    cluster.plays.append(Played(pending()))
    with pytest.raises(AirflowException, match="scheduled") as failure:
        run(task_of())
    assert not isinstance(failure.value, AirflowFailException)
    assert cluster.pods == {}


def test_a_pod_that_is_gone_is_tried_again(cluster: Cluster) -> None:
    class Lost(Played):
        def status(self) -> Status:
            if len(self.states) == 1:
                cluster.lose(next(iter(cluster.pods)))
            return super().status()

    cluster.plays.append(Lost(*[running()] * 6))
    with pytest.raises(AirflowException, match="deleted before it ended") as failure:
        run(task_of())
    assert not isinstance(failure.value, AirflowFailException)


def test_the_next_attempt_follows_the_pod_that_outlived_its_worker(cluster: Cluster) -> None:
    store = Store()
    cluster.plays.append(passing(*[running()] * 6))
    killed = task_of()

    class KilledError(BaseException):
        """As SIGKILL: nothing is cleaned up."""

    def die(*_: Any, **__: Any) -> None:
        raise KilledError

    killed.await_pod_start = die
    killed.post_complete_action = lambda **_: None
    with pytest.raises(KilledError):
        run(killed, store=store)
    assert len(cluster.pods) == 1
    ti = Ti()
    ti.try_number = 2  # type: ignore[misc]
    assert run(task_of(), ti, store) == ["s3://b/1"]
    assert len(cluster.created) == 1
    assert cluster.pods == {}


def test_pods_of_ended_runs_are_deleted_first_and_those_of_running_ones_stay(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    states = {"manual__0": "failed", "scheduled__9": "success", "manual__2": "running", "manual__gone": None}
    monkeypatch.setattr("runtimes.ended_runs._state", lambda ti, dag, run_id: states[run_id])
    for run_id in states:
        cluster.add(run_id.replace("_", "-"), Played(running()), **{"enigma/dag": "d", "enigma/run": run_id})
    cluster.plays.append(passing())
    run(task_of())
    assert cluster.deleted[:3] == ["manual--0", "scheduled--9", "manual--gone"]
    assert list(cluster.pods) == ["manual--2"]


def test_killing_a_task_deletes_its_pod(cluster: Cluster) -> None:
    task = task_of()

    class Interrupted(Played):
        def status(self) -> Status:
            if len(self.states) == 1 and not task._killed:
                task.on_kill()
            return super().status()

    cluster.plays.append(Interrupted(*[running()] * 5, ended(0)))
    with pytest.raises(AirflowException):
        run(task)
    assert cluster.pods == {}


def test_no_secret_is_in_what_airflow_stores_of_a_task_mapped_or_not(cluster: Cluster) -> None:
    from airflow.sdk import DAG
    from airflow.serialization.serialized_objects import DagSerialization
    from container_task import container_task, container_task_partial

    with DAG("d", schedule=None) as dag:
        plan = container_task("plan", [], returns="shards")
        container_task_partial("annotate", ["--shard"], gpu=True).expand(value=plan.output)
    assert CANARY not in json.dumps(DagSerialization.to_dict(dag), default=str)
    assert all(CANARY not in str(getattr(plan, field, "")) for field in plan.template_fields)


def test_the_role_of_airflows_workers_allows_what_tasks_ask_for_and_nothing_more(cluster: Cluster) -> None:
    started_late, failed, absent = (
        passing(*[pending()] * 6),
        Played(running(), ended(3)),
        Played(waiting("ErrImagePull")),
    )
    cluster.plays.extend([started_late, failed, absent])
    run(task_of())
    for _ in range(2):
        with pytest.raises(AirflowException):
            run(task_of())
    role, _ = yaml.safe_load_all((Path(__file__).parents[2] / "infra/kubernetes/airflow-access.yaml").read_bytes())
    allowed = {(verb, r) for rule in role["rules"] for r in rule["resources"] for verb in rule["verbs"]}
    # `patch` marks a pod that an attempt has dealt with but that could not be deleted
    assert cluster.asked | {("patch", "pods")} == allowed
