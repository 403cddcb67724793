"""A Ceph cluster of one node on loopback with an S3 gateway (RGW), over HTTP and over TLS with a private authority.

A monitor, one OSD on a sparse file and the gateway, as root on Debian, where the packages are installed. No manager: it
serves statistics and dashboards, which nothing here asks for.
"""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
import time
import urllib.error
import urllib.request
import uuid
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from enigma_tasks.config import quiet_third_parties
from infra.debian import install
from tests.ceph.authority import server_certificate
from tests.integration.server_process import free_port, started

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PACKAGES = ("ceph-mon", "ceph-osd", "radosgw", "ceph-common", "openssl")
PROGRAMS = ("ceph-mon", "ceph-osd", "radosgw", "ceph", "openssl")
LOOPBACK = "127.0.0.1"
START_SECONDS = 180
ACCESS_KEY = SECRET_KEY = "testing"
GATEWAY = "client.rgw.a"
CONFIGURATION = """\
[global]
fsid = {fsid}
mon host = [v2:127.0.0.1:{monitor}]
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind msgr1 = false
keyring = {folder}/keyring
run dir = {folder}
admin socket =
log file = {folder}/$name.log
mon data = {folder}/mon
mon allow pool size one = true
mon max pg per osd = 1000
mon data avail crit = 1
osd data = {folder}/osd
osd pool default size = 1
osd pool default pg num = 8
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
osd memory target = 1G
bluestore block size = 20G
bluestore cache autotune = false
bluestore cache size = 128M
rgw frontends = beast endpoint=127.0.0.1:{http} ssl_endpoint=127.0.0.1:{https} ssl_certificate={certificate}
"""


@dataclass(frozen=True)
class CephStore:
    """A running gateway. The access key and the secret key are `testing`."""

    version: str
    http: str
    https: str
    authority: Path
    """The certificate of the private authority, which nothing on the machine trusts."""

    @property
    def trust(self) -> dict[str, str]:
        """What is set to trust the authority, and what the command line derives from it."""
        variables = {"AWS_CA_BUNDLE": str(self.authority), "AWS_ENDPOINT_URL": self.https}
        quiet_third_parties(variables)
        return variables


@contextmanager
def ceph_store(folder: Path) -> Iterator[CephStore]:
    """A store whose state is in the empty `folder`; ends its processes with the block."""
    _install()
    monitor, http, https = free_port(), free_port(), free_port()
    authority, certificate = server_certificate(folder, LOOPBACK)
    fsid = str(uuid.uuid4())
    text = CONFIGURATION.format(
        folder=folder, fsid=fsid, monitor=monitor, http=http, https=https, certificate=certificate
    )
    (folder / "ceph.conf").write_text(text)
    cluster = _Cluster(folder)
    with ExitStack() as processes:
        _monitor(cluster, processes, fsid, monitor)
        _osd(cluster, processes)
        keys = ("--access-key", ACCESS_KEY, "--secret-key", SECRET_KEY)
        cluster.run("radosgw-admin", "user", "create", "--uid", "hospital", "--display-name", "hospital", *keys)
        gateway = cluster.start(processes, "radosgw", "-f", "-n", GATEWAY)
        trusting = ssl.create_default_context(cafile=str(authority))
        for url, context in ((f"http://{LOOPBACK}:{http}", None), (f"https://{LOOPBACK}:{https}", trusting)):
            _await(url, context, gateway, folder / f"{GATEWAY}.log")
        version = cluster.run("radosgw", "--version").split()[2]
        yield CephStore(version, f"http://{LOOPBACK}:{http}", f"https://{LOOPBACK}:{https}", authority)


def _install() -> None:
    if all(map(shutil.which, PROGRAMS)):
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        pytest.skip(f"needs Ceph: {', '.join(PACKAGES)}; run as root on Debian, where they are installed")
    install(PACKAGES)


class _Cluster:
    """The programs of Ceph with this cluster's configuration."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, program: str, *words: str) -> str:
        """What it prints."""
        done = subprocess.run(
            [program, *self._words(program), *words], capture_output=True, text=True, timeout=START_SECONDS
        )
        assert done.returncode == 0, f"{program} {' '.join(words)}:\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def start(self, processes: ExitStack, program: str, *words: str) -> subprocess.Popen[bytes]:
        """A daemon, until `processes` are closed."""
        command = [program, *self._words(program), *words]
        return processes.enter_context(started(command, self.folder / f"{program}.out", os.environ))

    def _words(self, program: str) -> list[str]:
        alone = {"ceph-authtool", "monmaptool"}
        return [] if program in alone else ["-c", str(self.folder / "ceph.conf")]


def _monitor(cluster: _Cluster, processes: ExitStack, fsid: str, port: int) -> None:
    """A monitor that knows the keys of all daemons."""
    everything = ("--cap", "mon", "allow *", "--cap", "osd", "allow *", "--cap", "mgr", "allow *")
    keyring = str(cluster.folder / "keyring")
    cluster.run("ceph-authtool", "--create-keyring", keyring, "--gen-key", "-n", "mon.", *everything[:3])
    for name in ("client.admin", "osd.0", GATEWAY):
        cluster.run("ceph-authtool", keyring, "--gen-key", "-n", name, *everything)
    places = str(cluster.folder / "monmap")
    address = f"[v2:{LOOPBACK}:{port}]"
    cluster.run("monmaptool", "--create", "--fsid", fsid, "--addv", "a", address, "--enable-all-features", places)
    cluster.run("ceph-mon", "--mkfs", "-i", "a", "--monmap", places, "--keyring", keyring)
    cluster.start(processes, "ceph-mon", "-f", "-i", "a")
    cluster.run("ceph", "--connect-timeout", str(START_SECONDS), "mon", "stat")


def _osd(cluster: _Cluster, processes: ExitStack) -> None:
    """One OSD, up when this returns."""
    number = cluster.run("ceph", "osd", "new", osd_id := str(uuid.uuid4())).strip()
    assert number == "0"
    cluster.folder.joinpath("osd").mkdir()
    cluster.run("ceph-osd", "-i", number, "--mkfs", "--osd-uuid", osd_id)
    osd = cluster.start(processes, "ceph-osd", "-f", "-i", number)
    deadline = time.monotonic() + START_SECONDS
    while "1 up" not in cluster.run("ceph", "osd", "stat"):
        assert osd.poll() is None, "the OSD ended"
        assert time.monotonic() < deadline, "the OSD did not come up"
        time.sleep(0.2)


def _await(url: str, context: ssl.SSLContext | None, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=5, context=context).close()
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
        else:
            return
    pytest.fail(f"no gateway at {url}:\n{log.read_text(errors='replace')[-3000:]}")
