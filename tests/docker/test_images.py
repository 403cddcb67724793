"""The images: the same bytes twice, exactly the locked packages, no root, nothing that can build."""

from __future__ import annotations

import filecmp
import json
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

import docker
from infra.bundle import load
from infra.bundle.archive import bundled, write_archive
from infra.bundle.images import images_of
from infra.bundle.load import CONTENTS
from infra.images.__main__ import main
from infra.images.build import IMAGES, LOCKS, BuildError, base_layers
from infra.images.engine import BASE, CLIENT
from infra.images.sbom import normalised
from infra.licences import TABLE, UNKNOWN
from infra.locks import LOCKS as REQUIREMENTS
from tests.docker.built_images import revision
from tests.unit.bundle_builders import contents, key_pair

if TYPE_CHECKING:
    from pathlib import Path

    from infra.images.build import Engine, Image
    from tests.docker.built_images import BuiltImages

pytestmark = [pytest.mark.docker, pytest.mark.timeout(3600)]


@pytest.fixture(scope="module", params=IMAGES)
def image(request: pytest.FixtureRequest, images: BuiltImages) -> Image:
    return images.get()[request.param]


@pytest.fixture(scope="module")
def rebuilt(images: BuiltImages) -> dict[str, Image]:
    images.get()
    return images.again()


def inside(address: str, image: Image, *words: str) -> subprocess.CompletedProcess[str]:
    """A command in a container that may do nothing: no network, no root, no capability, nothing to write to."""
    confined = ["--network=none", "--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges"]
    command = [CLIENT, "-H", address, "run", "--rm", *confined, "--tmpfs=/tmp", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_same_commit_gives_the_same_image_without_a_cache(
    image: Image, rebuilt: dict[str, Image], address: str
) -> None:
    again = rebuilt[image.name.removeprefix("enigma-")]
    assert again.written == image.written
    assert docker.APIClient(base_url=address).inspect_image(image.tag)["Id"] == image.written.config
    assert filecmp.cmp(image.archive, again.archive, shallow=False)
    again.archive.unlink()  # gigabytes
    assert image.sbom.read_text() == again.sbom.read_text()


def test_an_image_says_what_it_is_and_runs_without_rights(image: Image, address: str) -> None:
    kind = image.name.removeprefix("enigma-")
    described = docker.APIClient(base_url=address).inspect_image(image.tag)
    labels = described["Config"]["Labels"]
    assert re.fullmatch(r"[0-9a-f]{40}", labels["org.opencontainers.image.revision"])
    if kind in LOCKS:
        assert re.fullmatch(r"sha256:[0-9a-f]{64}", labels["enigma.lock"])
    assert described["Config"]["Entrypoint"][:2] == ["tini", "--"]
    assert described["Config"]["User"].split(":")[0] not in ("", "0", "root")
    words = {"tasks": "--help", "airflow": "version", "services": "haproxy -v"}
    said = inside(address, image, image.tag, *words[kind].split())
    assert said.returncode == 0, said.stderr
    look = "command -v gcc uv cyclonedx-py; for p in /opt/*/bin/python; do $p -m pip; done; ls -d /opt/build"
    tools = inside(address, image, "--entrypoint=sh", image.tag, "-c", look)
    assert tools.stdout == ""


def test_the_bill_of_materials_names_every_package_with_version_and_licence(image: Image) -> None:
    kind = image.name.removeprefix("enigma-")
    components = json.loads(image.sbom.read_text())["components"]
    debian = {c["name"] for c in components if c["purl"].startswith("pkg:deb/")}
    assert {"libc6", "tini"} <= debian
    assert {"haproxy", "radosgw"} <= debian or kind != "services"
    listed: dict[str, Any] = {normalised(c["name"]): c for c in components if c["purl"].startswith("pkg:pypi/")}
    assert len(debian) + len(listed) == len(components)
    if kind not in LOCKS:
        assert listed == {}
        return
    lock = (REQUIREMENTS / f"{kind}.lock").read_text()
    locked: dict[str, set[str]] = {}
    always: set[str] = set()
    for name, version, rest in re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;]+)(.*)$", lock, re.MULTILINE):
        locked.setdefault(normalised(name), set()).add(version)  # several where it depends on Python's version
        if ";" not in rest:
            always.add(normalised(name))
    assert always <= listed.keys() <= locked.keys()
    assert [name for name, c in listed.items() if c["version"].partition("+")[0] not in locked[name]] == []
    undeclared = {row.split("\t")[0] for row in TABLE.read_text().splitlines() if UNKNOWN in row.split("\t")}
    assert {name for name, c in listed.items() if not c.get("licenses")} <= undeclared


def test_a_base_from_a_registry_needs_a_digest(command_line: Engine) -> None:
    assert len(base_layers(command_line, BASE)) == 1
    with pytest.raises(BuildError, match=r"image@sha256"):
        base_layers(command_line, "debian:of-some-day")


def test_the_command_builds_the_image_that_the_other_tests_look_at(
    images: BuiltImages, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    expected = images["services"]
    monkeypatch.setenv("DOCKER_HOST", address)
    assert main(["services", "--docker", CLIENT, "--revision", revision(), "--out", str(tmp_path)]) == 0
    assert filecmp.cmp(expected.archive, tmp_path / expected.archive.name, shallow=False)
    assert expected.written.manifest in capsys.readouterr().out


def test_a_bundle_of_an_archive_is_loaded_into_the_engine_by_its_loader_alone(
    images: BuiltImages, address: str, tmp_path: Path
) -> None:
    engine = docker.APIClient(base_url=address)
    tag = images["services"].tag
    images.get()  # a folder of all of them, as `make images` leaves it
    commit = engine.inspect_image(tag)["Config"]["Labels"]["org.opencontainers.image.revision"]
    (found,) = (i for i in images_of(images["services"].archive.parent, commit, "cpu") if i.tag == tag)
    listed = {"archive": "images/one.tar", "tag": tag, "config": found.config, "manifest": found.manifest}
    (tmp_path / CONTENTS).write_text(json.dumps(contents(commit=commit, images=[listed])))
    private, public = key_pair(tmp_path)
    files = [bundled(CONTENTS, tmp_path / CONTENTS), bundled("images/one.tar", found.archive)]
    write_archive(files, private, 0, tmp_path / "bundle.tar")
    engine.remove_image(tag, force=True)

    command = [sys.executable, "-I", load.__file__, tmp_path / "bundle.tar", tmp_path / "loaded", "--key", public]
    environment = {"PATH": os.environ["PATH"], "DOCKER_HOST": address}
    said = subprocess.run([*command, "--docker", CLIENT], env=environment, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr
    assert engine.inspect_image(tag)["Id"] in (found.config, found.manifest)
