"""A Docker engine to build with, and an image to build on: what is there, or, as root on Debian, what is made here."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from infra.debian import NotInstalledError, install
from infra.images.build import BuildError, Engine

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

BASE = "enigma-base:bookworm"
CLIENT = "/usr/bin/docker"
"""Debian's, which builds with BuildKit without a plug-in; Docker's own packages put theirs there too."""
START_SECONDS = 300


@dataclass
class Daemon:
    """An engine that was started here."""

    address: str
    command: list[str]
    log: Path
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def start(self) -> None:
        """Start it and wait until it answers; again if it ends, as it does where a busy machine keeps it waiting.

        Raises:
            BuildError: it does not answer within five minutes; with the end of its log.
        """
        deadline = time.monotonic() + START_SECONDS
        self._run()
        while not _answers(Engine(CLIENT, self.address)):
            if time.monotonic() > deadline:
                raise BuildError(f"dockerd did not start:\n{self.log.read_text()[-2000:]}")
            time.sleep(0.5)
            if self.process is None or self.process.poll() is not None:
                time.sleep(5)
                self._run()

    def _run(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=subprocess.STDOUT)

    def stop(self) -> None:
        """End it and wait for its end; kill it if that takes too long."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(START_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@contextmanager
def running_engine(command: str, images: Path, *options: str) -> Iterator[tuple[Engine, Daemon | None]]:
    """The engine of this command line; if none answers, one that is installed and started here with these options.

    The latter keeps its images under `images`.

    Raises:
        BuildError: none answers, and none can be installed or started.
    """
    given = Engine(command, os.environ.get("DOCKER_HOST", ""))
    if _answers(given):
        yield given, None
        return
    if given.address:
        raise BuildError(f"no Docker engine answers at DOCKER_HOST={given.address}")
    _install("dockerd", ("docker.io", "iptables", "ca-certificates"), "a running Docker engine")
    with tempfile.TemporaryDirectory(prefix="enigma-engine-", ignore_cleanup_errors=True) as name:  # short: a socket's
        folder = Path(name)
        address = f"unix://{folder}/docker.sock"
        places = {"--data-root": images, "--exec-root": folder / "exec", "--pidfile": folder / "pid"}
        words = [word for option, place in places.items() for word in (option, str(place))]
        daemon = Daemon(address, ["dockerd", *words, "-H", address, *options], folder / "dockerd.log")
        try:
            daemon.start()
            yield Engine(CLIENT, address), daemon
        finally:
            daemon.stop()
            _unmount(folder, images)


def base_image(engine: Engine) -> str:
    """Debian with Python, made without a registry of images, unless it is there; returns its name.

    Raises:
        BuildError: it is not there and cannot be made.
    """
    if engine.run("images", "--quiet", BASE):
        return BASE
    _install("debootstrap", ("debootstrap",), "an image to build on: BASE=... (docker/README.md)")
    with tempfile.TemporaryDirectory() as tree:
        include = "--include=python3,python3-venv,ca-certificates"
        words = ["debootstrap", "--variant=minbase", include, "bookworm", tree]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode:
            raise BuildError(f"debootstrap failed:\n{(done.stderr or done.stdout)[-2000:]}")
        with subprocess.Popen(["tar", "-C", tree, "-c", "."], stdout=subprocess.PIPE) as tar:
            engine.run("import", "-", BASE, stdin=tar.stdout)
    return BASE


def _unmount(*folders: Path) -> None:
    """Remove the mounts that an engine leaves behind: its data on itself, a namespace."""
    mounted = [Path(line.split()[1]) for line in Path("/proc/mounts").read_text().splitlines()]
    below = [place for place in mounted if any(place.is_relative_to(folder) for folder in folders)]
    for place in sorted(below, reverse=True):  # what lies in another mount first
        subprocess.run(["umount", place], check=False, stderr=subprocess.DEVNULL)


def _answers(engine: Engine) -> bool:
    try:
        engine.run("version")
    except BuildError:
        return False
    return True


def _install(program: str, packages: Sequence[str], what: str) -> None:
    """Install Debian packages, unless their program is there.

    Raises:
        BuildError: this user cannot; says what is needed.
    """
    if os.geteuid() != 0:
        raise BuildError(f"needs {what}; as root on Debian, it is made here")
    if shutil.which(program):
        return
    if shutil.which("apt-get") is None:
        raise BuildError(f"needs {what}; on Debian, it is made here")
    try:
        install(packages)
    except NotInstalledError as error:
        raise BuildError(str(error)) from None
