"""An installation on loopback whose state is saved and brought back: S3, MLflow's database, the gold repository."""

from __future__ import annotations

import logging
import os
import pickle
import re
import shutil
import sqlite3
import subprocess
import sys
import threading
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from moto.backends import get_backend
from moto.core import DEFAULT_ACCOUNT_ID
from moto.core.model_instances import reset_model_data
from moto.server import ThreadedMotoServer

from enigma_tasks.params.third_parties import QUIET
from tests.faults.forked import Clock, Ended, command, import_late, in_child, late_in_dvc, upload_in_parts
from tests.faults.git_server import GitServer
from tests.faults.numbering_proxy import Numbering, NumberingProxy
from tests.integration.mlflow_server import mlflow_server
from tests.integration.server_process import LIBC

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

BUCKET = "ward"
ROOT = f"s3://{BUCKET}/hospital"
DISK_MIB = 64
CLONE_NEWNS = 0x00020000
"""Of unshare(2): mounts of this process's own."""
Words = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class State:
    """What an installation holds, and names of things in it for the commands that follow."""

    buckets: bytes
    registry: Path
    gold: Path
    names: Mapping[str, Any] = field(default_factory=dict)


class World:
    """The installation. Commands run in forked children of this process, which itself asks no service."""

    def __init__(self, folder: Path, numbering: Numbering, servers: Mapping[str, str], *, own_disk: bool) -> None:
        self.folder, self.numbering, self.own_disk = folder, numbering, own_disk
        self.database = folder / "mlflow/mlflow.db"
        self.git = folder / "git" / "gold.git"
        self.clock = Clock()
        self.disk = folder / "tmp"
        self._saved = 0
        self.environment = {
            **QUIET,
            "OMP_NUM_THREADS": "1",
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ALLOW_HTTP": "true",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ENDPOINT_URL": servers["s3"],
            "MLFLOW_TRACKING_URI": servers["mlflow"],
            "MLFLOW_BOTO_CLIENT_ADDRESSING_STYLE": "path",
            "ENIGMA_S3_ROOT": ROOT,
            "ENIGMA_GOLD_REPOSITORY": f"{servers['git']}/gold.git",
            "ENIGMA_CACHE": str(folder / "cache/own"),
            "ENIGMA_ACTOR": "ana",
            "ENIGMA_FORGET_KEY": "a key of the tests",
            "TMPDIR": str(self.disk),
        }

    def child(self, work: Callable[[], Any], *, counted: bool = True) -> Ended:
        """Do the work in a child of this installation; `counted` if a fault may end it.

        What is not counted is as on another machine: it has its own cache, as one is locked while it is filled.
        """

        def started(pid: int) -> None:
            if counted:
                self.numbering.child = pid

        def prepared() -> Any:
            os.chdir(self.folder)
            self.clock.install()
            return work()

        if not counted:
            elsewhere = {**self.environment, "ENIGMA_CACHE": str(self.folder / "cache/other")}
            with self.numbering.uncounted():
                return in_child(prepared, elsewhere, started)
        ended = in_child(prepared, self.environment, started)
        self.numbering.settle()
        return ended

    def run(
        self, *commands: Words, overrides: Sequence[str] = (), counted: bool = True, multipart: bool = False
    ) -> tuple[Ended, Any]:
        """Run commands one after another in one child, until one fails; how it ended, and the last report."""

        def work() -> Any:
            if multipart:
                upload_in_parts()
            code, report, known = 0, None, set(sys.modules)
            for words in commands:
                code, report = command(words, overrides)
                if code:
                    break
            return [code, report, sorted(set(sys.modules) - known | late_in_dvc)]

        ended = self.child(work, counted=counted)
        if ended.answer is None:
            return ended, None
        code, report, late = ended.answer
        import_late(late)
        return Ended(code << 8, report, ended.output), report

    def save(self, **names: Any) -> State:
        """The state now."""
        self._saved += 1
        registry, gold = (self.folder / f"saved/{self._saved}/{name}" for name in ("mlflow.db", "gold.git"))
        registry.parent.mkdir(parents=True)
        _copy(self.database, registry)
        shutil.copytree(self.git, gold)
        return State(pickle.dumps(_s3().buckets), registry, gold, names)

    def restore(self, state: State) -> None:
        """Bring a saved state back, with an empty cache and an empty temporary folder."""
        _s3().buckets = pickle.loads(state.buckets)
        reset_model_data()  # moto lists every object that ever was: 10 MB a case
        _copy(state.registry, self.database)
        shutil.rmtree(self.git, ignore_errors=True)
        shutil.copytree(state.gold, self.git)
        shutil.rmtree(self.folder / "cache", ignore_errors=True)
        self.free_disk()
        for left in self.disk.iterdir():
            shutil.rmtree(left) if left.is_dir() else left.unlink()
        self.clock.set(0)

    def objects(self) -> dict[str, bytes]:
        """Every object, by its key below the root; those of MLflow are outside."""
        keys = _s3().buckets[BUCKET].keys
        return {k.removeprefix("hospital/"): v.value for k, v in sorted(keys.items()) if k.startswith("hospital/")}

    def shards(self) -> list[str]:
        """The shards of all plans; one empty name where there is none."""
        names = [name for name in self.objects() if re.fullmatch(r"runs/[^/]+/shards/[^/]+", name)]
        return [f"{ROOT}/{name}" for name in names] or [""]

    def fill_disk(self) -> None:
        """Leave no space in the temporary folder."""
        with (self.disk / "filler").open("wb", buffering=0) as file:
            try:
                while file.write(bytes(1 << 20)):
                    pass
            except OSError:
                pass

    def free_disk(self) -> None:
        """Undo `fill_disk`."""
        (self.disk / "filler").unlink(missing_ok=True)

    def make_disk(self, mode: str) -> None:
        """Make the temporary folder read-only (`ro`) or writable (`rw`)."""
        subprocess.run(["mount", "-o", f"remount,{mode}", str(self.disk)], check=True, capture_output=True)

    def left_over(self) -> list[str]:
        """Names in the temporary folder."""
        return sorted(path.name for path in self.disk.iterdir())


@contextmanager
def running_world(folder: Path) -> Iterator[World]:
    """The installation with its servers, which end with the block."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    (folder / "git").mkdir(parents=True)
    (folder / "tmp").mkdir()
    own_disk = _mounted(folder / "tmp")
    numbering = Numbering()
    with ExitStack() as stack:
        moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        moto.start()
        stack.callback(moto.stop)
        _s3().create_bucket(BUCKET, "us-east-1")
        git = GitServer(folder / "git")
        targets = {"s3": "http://{}:{}".format(*moto.get_host_and_port()), "git": git.url}
        own = {
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_ENDPOINT_URL": targets["s3"],
        }
        targets["mlflow"] = stack.enter_context(
            mlflow_server(folder / "mlflow", f"s3://{BUCKET}/mlflow", environment=own)
        )
        proxies = {name: NumberingProxy(name, target, numbering) for name, target in targets.items()}
        for server in (git, *proxies.values()):
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
            stack.callback(server.server_close)
            stack.callback(server.shutdown)
        urls = {name: proxy.url for name, proxy in proxies.items()}
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(folder / "git/gold.git")], check=True)
        yield World(folder, numbering, urls, own_disk=own_disk)


def _s3() -> Any:
    return get_backend("s3")[DEFAULT_ACCOUNT_ID]["aws"]


def _copy(source: Path, target: Path) -> None:
    """A database into another, which may be open elsewhere."""
    with closing(sqlite3.connect(source)) as whole, closing(sqlite3.connect(target, timeout=60)) as other:
        whole.backup(other)


def _mounted(folder: Path) -> bool:
    """Make the folder a small disk of its own, which ends with this process; False where that is not allowed.

    It is seen by this thread, its children and the threads that it starts later.
    """
    if os.geteuid() or LIBC is None or LIBC.unshare(CLONE_NEWNS):
        return False
    commands = (
        ["mount", "--make-rprivate", "/"],
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "tmpfs", str(folder)],
    )
    return all(subprocess.run(words, capture_output=True).returncode == 0 for words in commands)
