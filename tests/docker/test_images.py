"""The images: the same bytes twice, exactly the locked packages, no root, nothing to build with."""

from __future__ import annotations

import csv
import json
import re
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

import docker
from infra.images.build import BuildError, Engine, base_layers
from infra.licences import TABLE
from infra.locks import LOCKS
from tests.docker.docker_engine import BASE, CLIENT, built, running_engine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.images.build import Image

pytestmark = [pytest.mark.docker, pytest.mark.timeout(3600)]
IMAGES = ("tasks", "airflow")


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_engine(tmp_path_factory.mktemp("engine")) as found:
        yield found


@pytest.fixture(scope="module", params=IMAGES)
def image(request: pytest.FixtureRequest, address: str, tmp_path_factory: pytest.TempPathFactory) -> Image:
    return built(request.param, address, tmp_path_factory.mktemp(request.param))


def inside(address: str, image: Image, *words: str) -> subprocess.CompletedProcess[str]:
    """A command in a container that may do nothing: no network, no root, no capability, nothing to write to."""
    confined = ["--network=none", "--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges"]
    command = [CLIENT, "-H", address, "run", "--rm", *confined, "--tmpfs=/tmp", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_same_commit_gives_the_same_image_without_a_cache(
    image: Image, address: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    kind = image.name.removeprefix("enigma-")
    again = built(kind, address, tmp_path_factory.mktemp("again"), cached=False)
    assert again.written == image.written
    assert docker.APIClient(base_url=address).inspect_image(image.tag)["Id"] == image.written.config
    assert image.archive.read_bytes() == again.archive.read_bytes()
    assert image.sbom.read_text() == again.sbom.read_text()


def test_an_image_says_what_it_is_and_runs_without_rights(image: Image, address: str) -> None:
    described = docker.APIClient(base_url=address).inspect_image(image.tag)
    labels = described["Config"]["Labels"]
    assert re.fullmatch(r"[0-9a-f]{40}", labels["org.opencontainers.image.revision"])
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", labels["enigma.lock"])
    assert described["Config"]["Entrypoint"][:2] == ["tini", "--"]
    assert described["Config"]["User"].split(":")[0] not in ("", "0", "root")
    said = inside(address, image, image.tag, "version" if image.name == "enigma-airflow" else "--help")
    assert said.returncode == 0, said.stderr
    tools = inside(
        address, image, "--entrypoint=sh", image.tag, "-c", "command -v gcc pip uv cyclonedx-py; python -m pip"
    )
    assert "No module named pip" in tools.stderr
    assert tools.stdout == ""


def test_the_bill_of_materials_names_the_locks_packages_with_version_and_licence(image: Image) -> None:
    kind = image.name.removeprefix("enigma-")
    entries = re.findall(
        r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^ ;]+)", (LOCKS / f"{kind}.lock").read_text(), re.MULTILINE
    )
    locked = {_normal(name): version for name, version in entries}
    listed: dict[str, Any] = {_normal(c["name"]): c for c in json.loads(image.sbom.read_text())["components"]}
    assert listed.keys() <= locked.keys()
    for name, component in listed.items():
        assert component["version"].partition("+")[0] == locked[name]
    with TABLE.open() as file:
        licences = {_normal(row["package"]): row for row in csv.DictReader(file, delimiter="\t")}
    known = {name for name, row in licences.items() if kind in row["environments"].split()}
    assert known - listed.keys() == set()  # those of other systems are not in the table
    undeclared = {name for name, component in listed.items() if not component.get("licenses")}
    assert undeclared <= {name for name, row in licences.items() if row["licence"] == "not declared"}


def test_a_base_from_a_registry_needs_a_digest(address: str) -> None:
    engine = Engine(CLIENT, address)
    assert len(base_layers(engine, BASE)) == 1
    with pytest.raises(BuildError, match=r"image@sha256"):
        base_layers(engine, "debian:of-some-day")


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
