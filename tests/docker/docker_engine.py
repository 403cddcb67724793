"""A Docker engine for tests, and an image to build on: what is there, or, as root on Debian, what is made here."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
from docker.errors import DockerException, ImageNotFound

import docker

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SOCKET = Path("/var/run/docker.sock")
ENGINE_PACKAGES = ("docker.io", "iptables", "ca-certificates")
BASE = "enigma-base:bookworm"
START_SECONDS = 60
CLIENT = "/usr/bin/docker"
"""Debian's, which builds with BuildKit without a plug-in; Docker's own packages put theirs there too."""


@dataclass
class Daemon:
    """An engine at `address`; without a `command` it is not this test's to restart."""

    address: str
    command: list[str] = field(default_factory=list)
    log: Path = Path(os.devnull)
    daemon: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        with self.log.open("ab") as log:
            self.daemon = subprocess.Popen(self.command, stdout=log, stderr=subprocess.STDOUT)
        deadline = time.monotonic() + START_SECONDS
        while not _answers(Path(self.address.removeprefix("unix://"))):
            if self.daemon.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"dockerd did not start:\n{self.log.read_text()[-2000:]}")
            time.sleep(0.5)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End it and wait for its end; one that is killed takes its containerd, but no container, with it."""
        if not self.daemon:
            return
        children = psutil.Process(self.daemon.pid).children() if self.daemon.poll() is None else []
        self.daemon.send_signal(number)
        self.daemon.wait(60)
        for child in children if number == signal.SIGKILL else []:
            with suppress(psutil.NoSuchProcess):
                child.kill()
        psutil.wait_procs(children, timeout=60)


@contextmanager
def running_engine(folder: Path, *options: str) -> Iterator[Daemon]:
    """That of DOCKER_HOST, this machine's, or one that is installed and started here with these options.

    The latter keeps its images in the folder ENIGMA_TEST_ENGINE, if that is set.
    """
    given = os.environ.get("DOCKER_HOST") or (f"unix://{SOCKET}" if SOCKET.exists() and _answers(SOCKET) else "")
    if given:
        yield Daemon(given)
        return
    if os.geteuid() != 0:
        pytest.skip("needs a Docker engine: set DOCKER_HOST, or run as root on Debian, where one is started")
    _install(["dockerd"], ENGINE_PACKAGES, "an engine at DOCKER_HOST")
    images = Path(os.environ.get("ENIGMA_TEST_ENGINE", folder))
    address = f"unix://{folder}/docker.sock"
    places = [
        "--data-root",
        str(images / "data"),
        "--exec-root",
        str(folder / "exec"),
        "--pidfile",
        str(folder / "pid"),
    ]
    engine = Daemon(address, ["dockerd", *places, "-H", address, *options], folder / "dockerd.log")
    try:
        engine.start()
        yield engine
    finally:
        engine.stop()


def _answers(socket: Path) -> bool:
    try:
        return bool(docker.APIClient(base_url=f"unix://{socket}").ping())
    except DockerException:
        return False


def _install(programs: Sequence[str], packages: Sequence[str], otherwise: str) -> None:
    """Install Debian packages, unless their programs are there; skip where that is not possible."""
    if all(map(shutil.which, programs)):
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        pytest.skip(f"needs {otherwise}, or root on Debian, where it is installed")
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "update", "-qq"], check=True, env=quiet)
    command = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages]
    subprocess.run(command, check=True, env=quiet, stdout=subprocess.DEVNULL)


def base_image(address: str, folder: Path) -> None:
    """Debian with Python, made without a registry of images."""
    engine = docker.APIClient(base_url=address)
    try:
        engine.inspect_image(BASE)
        return
    except ImageNotFound:
        pass
    _install(["debootstrap"], ["debootstrap"], f"the image {BASE}, or debootstrap")
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
