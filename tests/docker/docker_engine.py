"""A Docker engine and the image of the stages for tests: what is there, or, as root on Debian, what is made here."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from docker.errors import DockerException, ImageNotFound

import docker
from infra.images.build import Engine, Recipe, build

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.images.build import Image

ROOT = Path(__file__).resolve().parents[2]
SOCKET = Path("/var/run/docker.sock")
PACKAGES = ("docker.io", "iptables", "debootstrap", "ca-certificates")
BASE = "enigma-base:bookworm"
START_SECONDS = 60
CLIENT = "/usr/bin/docker"
"""Debian's, which builds with BuildKit without a plug-in."""


@contextmanager
def running_engine(folder: Path) -> Iterator[str]:
    """The address of an engine: that of DOCKER_HOST, this machine's, or one that is installed and started here."""
    given = os.environ.get("DOCKER_HOST") or (f"unix://{SOCKET}" if SOCKET.exists() and _answers(SOCKET) else "")
    if given:
        yield given
        return
    _install()
    address = f"unix://{folder}/docker.sock"
    command = ["dockerd", "--data-root", str(folder / "data"), "--exec-root", str(folder / "exec"), "-H", address]
    with (folder / "dockerd.log").open("wb") as log:
        daemon = subprocess.Popen([*command, "--pidfile", str(folder / "pid")], stdout=log, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + START_SECONDS
        while not _answers(folder / "docker.sock"):
            if daemon.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"dockerd did not start:\n{(folder / 'dockerd.log').read_text()[-2000:]}")
            time.sleep(0.5)
        yield address
    finally:
        daemon.terminate()
        daemon.wait(60)


def _answers(socket: Path) -> bool:
    try:
        return bool(docker.APIClient(base_url=f"unix://{socket}").ping())
    except DockerException:
        return False


def _install() -> None:
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        pytest.skip("needs a Docker engine: set DOCKER_HOST, or run as root on Debian, where one is installed")
    if shutil.which("dockerd") and shutil.which("debootstrap"):
        return
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "update", "-qq"], check=True, env=quiet)
    command = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *PACKAGES]
    subprocess.run(command, check=True, env=quiet, stdout=subprocess.DEVNULL)


def tasks_image(address: str, folder: Path) -> str:
    """The image of the stages: ENIGMA_TEST_IMAGE, or one that is built here from what git knows of the working tree."""
    if given := os.environ.get("ENIGMA_TEST_IMAGE"):
        return given
    return built("tasks", address, folder).tag


def built(image: str, address: str, folder: Path, *, cached: bool = True) -> Image:
    """An image of the working tree's tracked files."""
    base_image(address, folder)
    changed = subprocess.run(["git", "stash", "create"], cwd=ROOT, capture_output=True, text=True, check=True)
    recipe = Recipe(image, BASE, changed.stdout.strip() or "HEAD", cached=cached)
    return build(recipe, folder, Engine(CLIENT, address))


def base_image(address: str, folder: Path) -> None:
    """Debian with Python, made without a registry of images."""
    engine = docker.APIClient(base_url=address)
    try:
        engine.inspect_image(BASE)
        return
    except ImageNotFound:
        pass
    tree = folder / "base"
    include = "--include=python3,python3-venv,ca-certificates"
    subprocess.run(
        ["debootstrap", "--variant=minbase", include, "bookworm", str(tree)], check=True, capture_output=True
    )
    with subprocess.Popen(["tar", "-C", str(tree), "-c", "."], stdout=subprocess.PIPE) as tar:
        subprocess.run(
            [CLIENT, "-H", address, "import", "-", BASE], stdin=tar.stdout, check=True, stdout=subprocess.DEVNULL
        )
    shutil.rmtree(tree)
