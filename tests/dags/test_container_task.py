"""The wrapper's promises: batch ids, exit codes, what reaches XCom and the database, killing, runtimes."""

from __future__ import annotations

import ast
import datetime as dt
import json
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
import yaml

from enigma_tasks.config import S3_PLACES, load_settings
from enigma_tasks.s3_settings import load_s3_settings

CANARY = "paciente-secreto-7431"


def run_of(run_type: str, run_id: str, minute: int = 0, second: int = 0) -> SimpleNamespace:
    at = dt.datetime(2026, 6, 11, 1, minute, second, tzinfo=dt.UTC)
    return SimpleNamespace(run_type=run_type, run_id=run_id, run_after=at)


def test_a_nightly_batch_reads_like_its_date() -> None:
    from container_task import batch_id

    assert batch_id(run_of("scheduled", "scheduled__2026-06-11T01:00:00+00:00")) == "2026-06-11T0100"


def test_a_batch_id_is_a_function_of_the_run_and_no_two_runs_share_one() -> None:
    from container_task import batch_id

    runs = [
        run_of("scheduled", "scheduled__2026-06-11T01:00:00+00:00"),
        run_of("manual", "manual__2026-06-11T01:00:00+00:00"),
        run_of("manual", "manual__2026-06-11T01:00:00.000001+00:00"),
        run_of("manual", "again"),
        run_of("backfill", "backfill__2026-06-11T01:00:00+00:00"),
        run_of("asset_triggered", "../../etc"),
    ]
    ids = [batch_id(r) for r in runs]
    assert len(set(ids)) == len(runs)
    assert ids == [batch_id(r) for r in runs]
    assert all(set(i) <= set("0123456789abcdefT-") for i in ids)


def test_an_unknown_runtime_is_refused_with_those_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    from container_task import container_task

    monkeypatch.setenv("ENIGMA_RUNTIME", "podman")
    with pytest.raises(ValueError, match="process, docker, kubernetes"):
        container_task("plan", [])


def test_the_first_wait_before_another_attempt_is_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    from container_task import container_task

    monkeypatch.setenv("ENIGMA_RETRY_SECONDS", "3")
    assert container_task("plan", []).retry_delay == dt.timedelta(seconds=3)


def test_xcom_takes_uris_counts_and_digests_and_nothing_else() -> None:
    from runtimes import harmless

    digest = "ab" * 32
    report = {
        "shards": ["s3://b/runs/1/shards/es-0.jsonl.gz"],
        "counts": {"notes": 3, "seconds": 1.5, "language": CANARY},
        "digest": digest,
        "said": f"{CANARY} s3://b/k",
        "rows": [{"id": CANARY, "n": 2}],
        "nothing": None,
    }
    assert harmless(report) == {
        "shards": ["s3://b/runs/1/shards/es-0.jsonl.gz"],
        "counts": {"notes": 3, "seconds": 1.5},
        "digest": digest,
        "rows": [{"n": 2}],
    }


class Ti:
    dag_id, run_id, task_id, map_index = "d", "manual__1", "plan", -1

    def __init__(self) -> None:
        self.pushed: dict[str, Any] = {}

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value


@pytest.fixture
def fake_enigma(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Puts a program in enigma's place; returns a function that writes its body."""

    def write(body: str) -> None:
        path = tmp_path / "fake.py"
        path.write_text(f"import json, os, sys, time\n{body}\n")
        monkeypatch.setenv("ENIGMA_COMMAND", f"{shlex.quote(sys.executable)} {shlex.quote(str(path))}")

    return write


def process_task(arguments: list[str] | None = None, **settings: Any):
    from container_task import container_task

    return container_task("plan", arguments or [], **settings)


def run_task(task: Any) -> tuple[Any, Ti]:
    ti = Ti()
    return type(task).execute.__wrapped__(task, {"ti": ti}), ti


class Events(dict[Any, Any]):
    def __missing__(self, asset: Any) -> SimpleNamespace:
        self[asset] = SimpleNamespace(extra=None)
        return self[asset]


def test_an_assets_event_carries_what_the_stage_announces_and_nothing_that_could_be_text(fake_enigma) -> None:
    from airflow.sdk import Asset

    fake_enigma(f"print(json.dumps({{'announce': {{'revision': '{'ab' * 20}', 'added': 50, 'who': '{CANARY}'}}}}))")
    gold, events = Asset("gold"), Events()
    task = process_task(outlets=[gold])
    type(task).execute.__wrapped__(task, {"ti": Ti(), "outlet_events": events})
    assert {asset: event.extra for asset, event in events.items()} == {gold: {"revision": "ab" * 20, "added": 50}}


def test_a_stage_that_announces_nothing_is_skipped_without_an_event_and_its_counts_stay(fake_enigma) -> None:
    from airflow.sdk import Asset
    from airflow.sdk.exceptions import AirflowSkipException

    fake_enigma("print(json.dumps({'counts': {'added': 0}}))")
    task, ti, events = process_task(outlets=[Asset("gold")]), Ti(), Events()
    with pytest.raises(AirflowSkipException):
        type(task).execute.__wrapped__(task, {"ti": ti, "outlet_events": events})
    assert events == {}
    assert ti.pushed == {"return_value": {"counts": {"added": 0}}}


def test_the_return_value_is_the_named_key_and_the_rest_are_xcoms_of_their_own(fake_enigma) -> None:
    fake_enigma('print(json.dumps({"shards": ["s3://b/1"], "counts": {"n": 2}, "argv": len(sys.argv)}))')
    value, ti = run_task(process_task(["--batch", "b", ""], returns="shards"))
    assert value == ["s3://b/1"]
    assert ti.pushed == {"counts": {"n": 2}, "argv": 5}  # program, stage, --batch, b, --json: the empty one is gone


def test_standard_error_is_logged_line_by_line_and_standard_output_never(fake_enigma, capfd) -> None:
    fake_enigma(f'print("first\\nsecond", file=sys.stderr); print(json.dumps({{"said": "{CANARY}"}}))')
    value, ti = run_task(process_task())
    logged = "".join(capfd.readouterr())
    assert logged.index("] first ") < logged.index("] second ")
    assert CANARY not in logged
    assert (value, ti.pushed) == ({}, {})


def test_more_output_than_a_pipe_holds_does_not_block(fake_enigma) -> None:
    fake_enigma('print(json.dumps({"n": 1, "pad": " " * 300_000})); print("x\\n" * 100_000, file=sys.stderr)')
    assert run_task(process_task())[0] == {"n": 1}


@pytest.mark.parametrize(
    ("body", "final"),
    [
        ("sys.exit(1)", True),
        ("sys.exit(2)", True),
        ("sys.exit(3)", False),
        ("sys.exit(137)", False),
        ("os.kill(os.getpid(), 9)", False),
    ],
)
def test_only_a_failing_service_or_a_kill_is_tried_again(fake_enigma, body: str, final: bool) -> None:
    from airflow.sdk.exceptions import AirflowException, AirflowFailException

    fake_enigma(body)
    with pytest.raises(AirflowException) as failure:
        run_task(process_task())
    assert isinstance(failure.value, AirflowFailException) is final


def test_output_that_is_no_report_fails_without_being_quoted(fake_enigma) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    fake_enigma(f'print("{CANARY}")')
    with pytest.raises(AirflowFailException) as failure:
        run_task(process_task())
    assert CANARY not in str(failure.value)
    assert failure.value.__cause__ is None
    assert failure.value.__suppress_context__


def test_a_report_without_the_promised_key_fails(fake_enigma) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    fake_enigma("print('{}')")
    with pytest.raises(AirflowFailException, match="shards"):
        run_task(process_task(returns="shards"))


def test_the_command_sees_neither_airflows_secrets_nor_a_gpu_that_was_not_asked_for(fake_enigma, monkeypatch) -> None:
    monkeypatch.setenv("AIRFLOW__API_AUTH__JWT_SECRET", CANARY)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.setenv("ENIGMA_S3_ROOT", "s3://b")
    fake_enigma(
        'e = os.environ; print(json.dumps({"airflow": sum(k.startswith("AIRFLOW") for k in e),'
        ' "gpu": e["CUDA_VISIBLE_DEVICES"] == "0", "root": e["ENIGMA_S3_ROOT"] == "s3://b"}))'
    )
    assert run_task(process_task())[0] == {"airflow": 0, "gpu": False, "root": True}
    assert run_task(process_task(gpu=True))[0]["gpu"] is True


def wait_for(path: Path) -> int:
    deadline = time.monotonic() + 300
    while not path.exists() or not path.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return int(path.read_text())


def gone(pid: int) -> bool:
    deadline = time.monotonic() + 300
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_killing_a_task_ends_its_command_and_what_that_started_even_if_it_ignores_the_request(
    fake_enigma, tmp_path: Path
) -> None:
    from airflow.sdk.exceptions import AirflowException

    fake_enigma(
        "import signal, subprocess\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"open({str(tmp_path / 'pids')!r}, 'w').write(str(child.pid))\ntime.sleep(600)"
    )
    task = process_task()
    threading.Thread(target=lambda: (wait_for(tmp_path / "pids"), task.on_kill()), daemon=True).start()
    with pytest.raises(AirflowException, match="killed by signal 9"):
        run_task(task)
    assert gone(int((tmp_path / "pids").read_text()))


@pytest.mark.skipif(sys.platform != "linux", reason="a command that dies with its parent is a service of Linux")
def test_the_command_dies_with_a_task_that_was_killed_outright(fake_enigma, tmp_path: Path) -> None:
    fake_enigma(f"open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))\ntime.sleep(600)")
    dags = Path(__file__).parents[2] / "dags"
    code = (
        f"import sys; sys.path.append({str(dags)!r})\nfrom container_task import container_task\n"
        "task = container_task('plan', [])\ntype(task).execute.__wrapped__(task, {})"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], env=dict(os.environ))
    pid = wait_for(tmp_path / "pid")
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    assert gone(pid)


IMAGE = "registry.example/enigma-tasks@sha256:" + "0" * 64


@pytest.fixture
def docker(monkeypatch: pytest.MonkeyPatch, no_host_paths: None) -> None:
    pytest.importorskip("airflow.providers.docker")
    for key, value in {
        "ENIGMA_RUNTIME": "docker",
        "ENIGMA_TASKS_IMAGE": IMAGE,
        "ENIGMA_S3_ROOT": "s3://night/p",
        "MLFLOW_TRACKING_PASSWORD": CANARY,
        "ENIGMA_LLM_API_KEY": CANARY,
        "ENIGMA_ALERT_WEBHOOK": f"https://alerts.example/{CANARY}",
    }.items():
        monkeypatch.setenv(key, value)


@pytest.mark.parametrize("image", ["", "enigma-tasks", "enigma-tasks:latest", "r.example:5000/enigma-tasks"])
def test_an_image_without_digest_or_tag_and_latest_are_refused(docker, monkeypatch, image: str) -> None:
    from container_task import container_task

    monkeypatch.setenv("ENIGMA_TASKS_IMAGE", image)
    with pytest.raises(ValueError, match="digest"):
        container_task("plan", [])


@pytest.mark.parametrize("image", [IMAGE, "enigma-tasks:3f2a91c", "r.example:5000/enigma-tasks:1.2.0"])
def test_an_image_by_digest_or_tag_is_taken(docker, monkeypatch, image: str) -> None:
    from container_task import container_task

    monkeypatch.setenv("ENIGMA_TASKS_IMAGE", image)
    assert container_task("plan", []).image == image


def test_a_container_is_removed_limited_and_mounts_nothing_of_the_host(docker) -> None:
    from container_task import container_task

    task = container_task("annotate", [], gpu=True)
    assert task.mount_tmp_dir is False
    assert task.mounts == []
    assert task.privileged is False
    assert task.mem_limit
    assert task.device_requests[0]["Capabilities"] == [["gpu"]]
    assert container_task("plan", []).device_requests is None


def test_a_machine_without_a_gpu_can_say_so(docker, monkeypatch) -> None:
    from container_task import container_task

    monkeypatch.setenv("ENIGMA_GPUS", "0")
    assert container_task("annotate", [], gpu=True).device_requests is None


def test_no_secret_is_in_what_airflow_stores_of_a_task_mapped_or_not(docker) -> None:
    from airflow.sdk import DAG
    from airflow.serialization.serialized_objects import DagSerialization
    from container_task import container_task, container_task_partial

    with DAG("d", schedule=None) as dag:
        plan = container_task("plan", [], returns="shards")
        container_task_partial("annotate", ["--shard"], gpu=True).expand(value=plan.output)
    assert CANARY not in json.dumps(DagSerialization.to_dict(dag), default=str)
    assert all(CANARY not in str(getattr(plan, f, "")) for f in plan.template_fields)


class Recorded(dict[str, str]):
    """An environment that remembers which variables it was asked for."""

    def __init__(self, given: dict[str, str] | None = None) -> None:
        super().__init__(given or {})
        self.asked: set[str] = set()

    def get(self, name: str, default: Any = None) -> Any:
        self.asked.add(name)
        return super().get(name, default)

    def __getitem__(self, name: str) -> str:
        self.asked.add(name)
        return super().__getitem__(name)

    def __contains__(self, name: object) -> bool:
        self.asked.add(str(name))
        return super().__contains__(name)


def read_by_settings() -> set[str]:
    """Every variable that the command's settings are made of."""
    environment = Recorded()
    load_settings(environment)
    load_s3_settings(environment)
    return environment.asked


def read_by_dags() -> set[str]:
    """Every variable that a file under dags/ reads, by its name in `os.environ.get`."""
    found = set()
    for path in (Path(__file__).parents[2] / "dags").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Attribute) and node.attr == "getenv":
                raise AssertionError(f"{path.name}: os.environ.get is what this test reads")
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "os.environ.get":
                found.add(ast.literal_eval(node.args[0]))
            elif isinstance(node, ast.Subscript) and ast.unparse(node.value) == "os.environ":
                found.add(ast.literal_eval(node.slice))
    return found


def test_a_container_gets_every_variable_that_settings_read_and_none_that_only_the_dags_read(docker) -> None:
    from runtimes.image import NOT_PASSED_ON, OF_THE_IMAGE, passed_on

    settings = read_by_settings()
    assert {"ENIGMA_CACHE", "ENIGMA_DEBUG", "ENIGMA_ALLOW_EXTERNAL_LLM", "ENIGMA_LLM_API_KEY"} <= settings
    assert passed_on(dict.fromkeys(settings, "x")).keys() == settings - OF_THE_IMAGE
    assert read_by_dags() - settings == NOT_PASSED_ON


def test_the_compose_file_hands_airflow_and_the_command_every_variable_that_settings_read() -> None:
    from runtimes.image import NOT_PASSED_ON

    services = yaml.safe_load((Path(__file__).parents[2] / "docker/compose.yaml").read_bytes())["services"]
    given = services["airflow-scheduler"]["environment"]
    settings = {name for name in read_by_settings() if name.startswith("ENIGMA_")} - {"ENIGMA_OUT_OF_MEMORY"}
    assert {f"ENIGMA_S3_{place.upper()}" for place in S3_PLACES} < settings <= given.keys()
    of_other_runtimes = {n for n in NOT_PASSED_ON if "KUBERNETES" in n} | {"ENIGMA_COMMAND", "ENIGMA_WORKDIR"}
    assert NOT_PASSED_ON - of_other_runtimes <= given.keys()
    of_models = {name for name in settings if "LLM" in name}
    assert settings - of_models <= services["enigma"]["environment"].keys()
    certificates = {"AWS_CA_BUNDLE", "AWS_SESSION_TOKEN", "GIT_SSL_CAINFO", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"}
    for name in ("airflow-scheduler", "bucket", "mlflow", "enigma"):
        assert certificates <= services[name]["environment"].keys(), name
        assert any("AUTHORITIES" in volume for volume in services[name]["volumes"]), name
    # no service but Airflow's, which start the stages, is told how to reach a language model
    others = [s for name, s in services.items() if not name.startswith("airflow-")]
    assert not [name for s in others for name in s.get("environment", {}) if name.startswith("ENIGMA_LLM_")]


class Engine:
    """Docker's client as far as the wrapper uses it."""

    def __init__(self, exit_code: int, out_of_memory: bool = False) -> None:
        self.exit_code = exit_code
        self.out_of_memory = out_of_memory
        self.created: dict[str, Any] = {}
        self.given: dict[str, str] = {}
        self.removed: list[str] = []
        self.found: list[dict[str, Any]] = []

    def containers(self, **_: Any) -> list[dict[str, Any]]:
        return self.found

    def info(self) -> dict[str, int]:
        return {"MemTotal": 6 << 30}

    def create_host_config(self, **settings: Any) -> dict[str, Any]:
        return settings

    def create_container(self, **settings: Any) -> dict[str, str]:
        self.created = settings
        return {"Id": "mine"}

    def attach_socket(self, _: str, params: dict[str, int]) -> Engine:
        assert params == {"stdin": 1, "stream": 1}
        return self

    def sendall(self, line: bytes) -> None:
        assert line.endswith(b"\n")
        self.given = json.loads(line)

    def close(self) -> None:
        pass

    def start(self, _: str) -> None:
        pass

    def inspect_container(self, _: str) -> dict[str, Any]:
        return {"State": {"Status": "exited", "ExitCode": self.exit_code, "OOMKilled": self.out_of_memory}}

    def logs(self, _: str, **options: Any) -> bytes:
        assert (options["stdout"], options["stderr"]) == (False, True)
        return b"2026-01-31T01:02:03.1Z a warning\n"

    def remove_container(self, container: str, **_: Any) -> None:
        self.removed.append(container)


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch):
    import boto3
    from moto import mock_aws

    with mock_aws():
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        client = boto3.client("s3")
        client.create_bucket(Bucket="night")
        yield client


def run_container(
    exit_code: int, monkeypatch: pytest.MonkeyPatch, wrote: Any = None, **engine_options: Any
) -> tuple[Any, Engine]:
    import boto3
    from container_task import container_task
    from runtimes.docker import DockerTask

    engine = Engine(exit_code, engine_options.get("out_of_memory", False))
    engine.found = engine_options.get("found", [])

    def start(_: str) -> None:
        if wrote is not None:
            boto3.client("s3").put_object(
                Bucket="night", Key="p/runs/n/xcom/plan--1.json", Body=json.dumps(wrote).encode()
            )

    engine.start = start
    monkeypatch.setattr(DockerTask, "cli", engine)
    task = container_task("plan", ["--batch", "n"], returns="shards")
    task.result_uri = "s3://night/p/runs/n/xcom/plan--1.json"
    return type(task).execute.__wrapped__(task, {"ti": Ti()}), engine


OWN = {"enigma.dag": "d", "enigma.run": "manual__1", "enigma.task": "plan", "enigma.map": "-1"}


def test_a_containers_report_comes_through_s3_and_not_from_its_log(docker, bucket, monkeypatch) -> None:
    value, engine = run_container(0, monkeypatch, {"shards": ["s3://b/1"]})
    assert value == ["s3://b/1"]
    assert engine.created["command"] == [
        "plan", "--batch", "n", "--json", "--result", "s3://night/p/runs/n/xcom/plan--1.json",
    ]  # fmt: skip
    assert engine.created["labels"] == OWN
    assert engine.removed == ["mine"]


def test_the_environment_is_given_on_start_and_is_in_no_part_of_the_containers_description(
    docker, bucket, monkeypatch
) -> None:
    _, engine = run_container(0, monkeypatch, {"shards": []})
    assert engine.created["environment"] == {"ENIGMA_ENVIRONMENT": "stdin"}
    assert engine.created["stdin_open"]
    assert CANARY not in repr(engine.created)
    assert engine.given["MLFLOW_TRACKING_PASSWORD"] == engine.given["ENIGMA_LLM_API_KEY"] == CANARY
    assert not any(k.startswith("AIRFLOW") for k in engine.given)
    assert not engine.given.keys() & {"ENIGMA_ALERT_WEBHOOK", "ENIGMA_TASKS_IMAGE", "ENIGMA_RUNTIME"}


def test_a_container_is_confined(docker, bucket, monkeypatch) -> None:
    _, engine = run_container(0, monkeypatch, {"shards": []})
    limits = engine.created["host_config"]
    assert limits["read_only"]
    assert limits["cap_drop"] == ["ALL"]
    assert limits["security_opt"] == ["no-new-privileges"]
    assert limits["mem_limit"] == limits["memswap_limit"] == 6 << 30  # the machine has less than the limit of 8 GiB
    assert {(m["Target"], m["Type"], m["Source"]) for m in limits["mounts"]} == {
        ("/tmp", "volume", None), ("/home/enigma/cache", "volume", None),
    }  # fmt: skip


def test_what_a_variable_names_on_the_worker_is_mounted_read_only(docker, bucket, monkeypatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/etc/hospital/ca.pem")
    _, engine = run_container(0, monkeypatch, {"shards": []})
    (mount,) = [m for m in engine.created["host_config"]["mounts"] if m["Type"] == "bind"]
    assert (mount["Source"], mount["Target"], mount["ReadOnly"]) == ("/etc/hospital/ca.pem",) * 2 + (True,)
    assert engine.given["SSL_CERT_FILE"] == "/etc/hospital/ca.pem"


def test_what_the_engines_machine_does_not_have_is_refused_by_name(docker, bucket, monkeypatch) -> None:
    from airflow.sdk.exceptions import AirflowFailException
    from docker.errors import APIError

    def refused(*_: Any, **__: Any) -> None:
        raise APIError("bind source path does not exist", response=SimpleNamespace(status_code=400, reason="", url=""))

    monkeypatch.setenv("SSL_CERT_FILE", "/etc/hospital/ca.pem")
    monkeypatch.setattr(Engine, "create_container", refused)
    with pytest.raises(AirflowFailException, match=r"SSL_CERT_FILE.*cannot mount"):
        run_container(0, monkeypatch)


def test_an_engine_that_is_away_at_the_end_does_not_hide_how_the_container_ended(docker, bucket, monkeypatch) -> None:
    import requests
    from airflow.sdk.exceptions import AirflowException

    def away(*_: Any, **__: Any) -> None:
        raise requests.ConnectionError("refused")

    monkeypatch.setattr(Engine, "remove_container", away)
    with pytest.raises(AirflowException, match="killed by signal 15"):
        run_container(143, monkeypatch)


def labelled(container: str, **changes: str) -> dict[str, Any]:
    return {"Id": container, "Labels": {**OWN, **{f"enigma.{k}": v for k, v in changes.items()}}}


def test_containers_of_an_earlier_attempt_and_of_ended_runs_are_removed_first(docker, bucket, monkeypatch) -> None:
    states = {"manual__0": "failed", "scheduled__9": "success", "manual__2": "running", "manual__gone": None}
    monkeypatch.setattr("runtimes.ended_runs._state", lambda ti, dag, run: states[run])
    found = [
        labelled("earlier-attempt"), labelled("another-task", task="annotate"), labelled("ended", run="manual__0"),
        labelled("orphaned-publish", run="scheduled__9", task="publish"), labelled("of-a-run", run="manual__2"),
        labelled("deleted-run", run="manual__gone", dag="retrain"),
    ]  # fmt: skip
    _, engine = run_container(0, monkeypatch, {"shards": []}, found=found)
    assert engine.removed == ["earlier-attempt", "ended", "orphaned-publish", "deleted-run", "mine"]


def test_a_task_that_ran_out_of_memory_says_so_and_its_next_attempt_knows(docker, bucket, monkeypatch) -> None:
    from airflow.sdk.exceptions import AirflowException, AirflowFailException

    for _ in range(2):
        with pytest.raises(AirflowException, match="more memory than its limit of 6144 MiB") as failure:
            run_container(137, monkeypatch, out_of_memory=True)
        assert not isinstance(failure.value, AirflowFailException)
    _, engine = run_container(0, monkeypatch, {"shards": []})
    assert engine.given["ENIGMA_OUT_OF_MEMORY"] == "2"


def test_after_a_want_of_memory_smaller_batches_are_promised_for_the_stages_that_have_some() -> None:
    from runtimes.handover import IN_BATCHES, out_of_memory

    stages = Path(__file__).parents[2] / "enigma_tasks/stages"
    assert {path.stem for path in stages.glob("*.py") if "params.annotate" in path.read_text()} == IN_BATCHES
    assert "takes smaller batches" in str(out_of_memory("annotate", "1 MiB"))
    assert "ENIGMA_TASK_MEMORY" in str(out_of_memory("publish", "1 MiB"))


def test_a_report_that_an_earlier_try_left_is_not_taken_for_this_ones(docker, bucket, monkeypatch) -> None:
    from airflow.sdk.exceptions import AirflowException

    bucket.put_object(Bucket="night", Key="p/runs/n/xcom/plan--1.json", Body=b'{"shards": []}')
    with pytest.raises(AirflowException, match="wrote no"):
        run_container(0, monkeypatch)


@pytest.mark.parametrize(("code", "final"), [(1, True), (2, True), (3, False), (137, False)])
def test_a_containers_exit_code_means_what_a_processs_does(docker, bucket, monkeypatch, code: int, final: bool) -> None:
    from airflow.sdk.exceptions import AirflowException, AirflowFailException

    with pytest.raises(AirflowException) as failure:
        run_container(code, monkeypatch)
    assert isinstance(failure.value, AirflowFailException) is final
