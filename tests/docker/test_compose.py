"""The compose file: a night, everything down and up again, and a second night that knows the first."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
import pytest

import docker
from infra.local.airflow import USER, AirflowApi
from infra.local.processes import LOOPBACK, free_ports
from infra.local.stack import BUCKET, DAG
from tests.docker.built_images import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.docker.built_images import BuiltImages

pytestmark = [pytest.mark.docker, pytest.mark.e2e, pytest.mark.timeout(3600)]

SECONDS = 900
NOTES = 6
PROJECT = "enigma-test"
PAGE = (ROOT / "docker/README.md").read_text().partition("\n## All services on one machine\n")[2]
COMPOSE = ROOT / "requirements/tools/compose.lock"


def settings_of_the_page() -> dict[str, str]:
    """The settings that the page's first lines write to docker/.env."""
    written = re.search(r"^cat > docker/\.env <<END\n.*?^END$", PAGE, re.MULTILINE | re.DOTALL)
    assert written
    printed = written[0].replace("> docker/.env ", "")
    done = subprocess.run(["bash", "-c", printed], cwd=ROOT, capture_output=True, text=True, check=True)
    return dict(line.split("=", 1) for line in done.stdout.splitlines())


def lines_of_the_page() -> list[list[str]]:
    """What the page's lines give to Compose, which here has no terminal."""
    words = [shlex.split(line, comments=True)[1:] for line in PAGE.splitlines() if line.startswith("site ")]
    return [[line[0], "-T", *line[1:]] if line[0] in ("run", "exec") else line for line in words]


def compose_command(folder: Path) -> str:
    """Compose of the version that is locked."""
    uv = [sys.executable, "-m", "uv"] if shutil.which("uv") is None else ["uv"]
    subprocess.run([*uv, "venv", "--quiet", str(folder)], check=True)
    subprocess.run(
        [*uv, "pip", "install", "--quiet", "--python", str(folder / "bin/python"), "-r", str(COMPOSE)], check=True
    )
    return str(folder / "bin/docker-compose")


@dataclass
class Site:
    """The services on one machine, as docker/README.md starts them."""

    command: str
    address: str
    settings: Path
    ports: dict[str, int]
    keys: dict[str, str]

    def compose(self, *words: str) -> str:
        given = ["--project-name", PROJECT, "--env-file", str(self.settings), "--file", "docker/compose.yaml"]
        variables = {"DOCKER_HOST": self.address, "PATH": "/usr/bin:/bin", "HOME": str(self.settings.parent)}
        command = [self.command, *given, *words]
        done = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"compose {words[0]}:\n{done.stdout[-1000:]}\n{done.stderr[-3000:]}"
        return done.stdout

    def enigma(self, *words: str) -> dict[str, Any]:
        done: dict[str, Any] = json.loads(self.compose("run", "--rm", "-T", "enigma", *words, "--json", "--quiet"))
        return done

    def up(self) -> AirflowApi:
        self.compose("up", "--detach", "--wait", "--wait-timeout", str(SECONDS))
        passwords = self.compose("exec", "-T", "airflow-api", "cat", "/opt/airflow/logs/passwords.json")
        api = AirflowApi(f"http://{LOOPBACK}:{self.ports['AIRFLOW_PORT']}", json.loads(passwords)[USER])
        wait(api.healthy)
        wait(lambda: api.has_dag(DAG))
        return api

    def s3(self) -> Any:
        return boto3.client(
            "s3",
            endpoint_url=f"http://{LOOPBACK}:{self.ports['S3_PORT']}",
            aws_access_key_id=self.keys["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.keys["AWS_SECRET_ACCESS_KEY"],
            region_name="us-east-1",
        )

    def drop(self, day: str, seed: int) -> None:
        to = ["--drop-date", day, "--out", f"s3://{BUCKET}/drops"]
        self.enigma("sample", "--notes", str(NOTES), "--language", "es", "--seed", str(seed), *to)

    def night(self, api: AirflowApi, run: str) -> dict[str, int]:
        state = api.wait(DAG, run, SECONDS)
        assert state == "success", self.compose("logs", "--tail", "100", "airflow-scheduler")
        counts: dict[str, int] = api.xcom(DAG, run, "publish")["counts"]
        return counts


def wait(until: Callable[[], bool], seconds: float = SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < deadline, "not ready in time"
        time.sleep(2)


@pytest.fixture(scope="module")
def site(address: str, images: BuiltImages, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    tags = {image.tag for image in images.get().values()}
    (commit,) = {tag.partition(":")[2] for tag in tags}
    names = ("S3_PORT", "MLFLOW_PORT", "AIRFLOW_PORT")
    ports = dict(zip(names, free_ports([0, 0, 0]), strict=True))
    keys = settings_of_the_page()
    socket = address.removeprefix("unix://")
    settings = folder / "settings"
    lines = {**keys, "COMMIT": commit, "DOCKER_SOCKET": socket, **{k: str(v) for k, v in ports.items()}}
    settings.write_text("".join(f"{name}={value}\n" for name, value in lines.items()))
    started = Site(compose_command(folder / "compose"), address, settings, ports, keys)
    try:
        yield started
    finally:
        started.compose("down", "--volumes", "--timeout", "30")


def champions(site: Site) -> dict[str, Any]:
    return site.enigma("registry", "history")


REACHED = """
import json, socket, sys
found = {}
for place in sys.argv[1:]:
    host, _, port = place.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=3).close()
        found[place] = True
    except OSError:
        found[place] = False
print(json.dumps(found))
"""
ANSWERS = """
import json, sys, urllib.error, urllib.request
found = []
for place in sys.argv[1:]:
    method, _, path = place.partition(" ")
    data = b"{}" if method == "POST" else None
    request = urllib.request.Request("http://docker-proxy:2375" + path, method=method, data=data)
    try:
        found.append(urllib.request.urlopen(request).status)
    except urllib.error.HTTPError as error:
        found.append(error.code)
print(json.dumps(found))
"""
FORBIDDEN = 403


def test_a_stages_container_reaches_the_store_and_mlflow_only(site: Site) -> None:
    site.up()
    engine = docker.APIClient(base_url=site.address)
    found = engine.containers(filters={"label": f"com.docker.compose.project={PROJECT}"})
    addresses = {
        f"{settings['IPAddress']}:{port}": (c["Labels"]["com.docker.compose.service"], network)
        for c in found
        for network, settings in c["NetworkSettings"]["Networks"].items()
        for port in (2375, 5000, 5432, 7480, 8080)
    }
    run = ["run", "--rm", "-T", "--entrypoint", "python", "enigma", "-c", REACHED, *addresses]
    reached = json.loads(site.compose(*run))
    assert {addresses[place][0] for place, answered in reached.items() if answered} == {"s3", "mlflow"}


def test_the_proxy_lets_the_requests_of_the_docker_runtime_through_and_no_others(site: Site) -> None:
    site.up()
    one = f"/v1.41/containers/{'0' * 64}"
    let_through = [
        *("GET /_ping", "GET /v1.41/info", "GET /v1.41/containers/json", "POST /v1.41/containers/create"),
        *(f"GET {one}/json", f"GET {one}/logs?stderr=1", f"POST {one}/start", f"POST {one}/attach?stdin=1"),
        f"DELETE {one}?force=1",
    ]
    refused = [
        *("GET /v1.41/volumes", "POST /v1.41/build", "POST /v1.41/images/create?fromImage=x", "GET /v1.41/images/json"),
        *("GET /v1.41/secrets", "GET /v1.41/networks", "POST /v1.41/volumes/create", "GET /v1.41/events"),
        *(f"POST {one}/exec", f"GET {one}/archive?path=/etc", f"POST {one}/update", f"DELETE {one}/json"),
        *(
            "POST /v1.41/containers/../build",
            "GET /v1.41/containers/json/../../volumes",
            "POST /v1.41/containers/prune",
        ),
    ]
    given = ["exec", "-T", "airflow-scheduler", "python", "-c", ANSWERS, *let_through, *refused]
    answers = json.loads(site.compose(*given))
    assert FORBIDDEN not in answers[: len(let_through)]
    assert set(answers[len(let_through) :]) == {FORBIDDEN}


def test_the_lines_of_the_page_lead_to_a_night_and_a_second_one_after_a_restart_of_everything_knows_it(
    site: Site,
) -> None:
    for words in lines_of_the_page():
        site.compose(*words)
    api = site.up()
    (first,) = [run for run in api.runs(DAG) if run.startswith("manual")]
    assert site.night(api, first)["annotated"] == NOTES
    before = champions(site)
    site.compose("down", "--timeout", "30")
    api = site.up()
    assert champions(site) == before
    site.drop("2026-06-11", 2)
    assert site.night(api, api.trigger(DAG))["annotated"] == NOTES  # those of the first night are not annotated again
    keys = [o["Key"] for o in site.s3().list_objects_v2(Bucket=BUCKET, Prefix="reports/")["Contents"]]
    assert len([key for key in keys if key.endswith("/index.html") and key.count("/") == 2]) == 2  # a page a night
