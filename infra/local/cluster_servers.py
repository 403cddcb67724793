"""PostgreSQL and Redis for a cluster on one machine: Debian's packages, with empty state and new passwords."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from infra import debian
from infra.local.processes import Child, StackError, start, stop, wait_until

PACKAGES = {"redis-server": "redis-server", "nft": "nftables", "ip": "iproute2", "unshare": "util-linux"}
"""Program -> Debian package; besides these `postgresql`, whose programs are not on the path."""
POSTGRES_USER = "postgres"
START_SECONDS = 120


def missing() -> list[str]:
    """The Debian packages that are not installed."""
    found = [package for program, package in PACKAGES.items() if not shutil.which(program)]
    return found + ([] if _postgres_programs() else ["postgresql"])


def install() -> str:
    """Install what is missing, as root on Debian; returns why a cluster cannot run here, or an empty text."""
    if os.geteuid() != 0:
        return "a cluster on one machine needs root: network namespaces"
    if (packages := missing()) and not shutil.which("apt-get"):
        return f"a cluster on one machine needs {', '.join(packages)}"
    if packages:
        try:
            debian.install(packages)
        except debian.NotInstalledError as error:
            return str(error)
    probe = subprocess.run(["unshare", "--net", "--mount", "--pid", "--fork", "true"], capture_output=True, check=False)
    return "namespaces cannot be made here" if probe.returncode else ""


def _postgres_programs() -> Path | None:
    """The folder of the newest installed PostgreSQL's programs."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: float(p.parents[1].name))
    return found[-1].parent if found else None


@dataclass
class Postgres:
    """A PostgreSQL server at `host`, whose files are the user `postgres`'s."""

    host: str
    port: int
    log: Path
    password: str = field(default_factory=lambda: secrets.token_urlsafe(16), repr=False)
    folder: Path = field(init=False)

    def __post_init__(self) -> None:
        """A folder that the server's user reaches; those of a test are their owner's only."""
        self.folder = Path(tempfile.mkdtemp(prefix="enigma-postgres-"))

    @property
    def url(self) -> str:
        """SQLAlchemy's address of the database `airflow`."""
        return f"postgresql+psycopg2://airflow:{self.password}@{self.host}:{self.port}/airflow"

    def start(self) -> None:
        """Create the database and start the server. Raises StackError."""
        data, secret = self.folder / "data", self.folder / "password"
        secret.write_text(self.password)
        for path in (self.folder, secret):
            shutil.chown(path, POSTGRES_USER, POSTGRES_USER)
        self._run("initdb", "-D", data, "-U", "airflow", "-A", "scram-sha-256", "--pwfile", secret, "--no-sync")
        secret.unlink()
        with (data / "pg_hba.conf").open("a") as rules:
            rules.write("host airflow airflow samenet scram-sha-256\n")
        options = f"-c listen_addresses={self.host} -c port={self.port} -c unix_socket_directories={self.folder}"
        self._control("start", "-o", f"{options} -c max_connections=200")
        self._run("createdb", "-h", self.folder, "-p", self.port, "-U", "airflow", "airflow")

    def restart(self) -> None:
        """End the server without a word to its clients, as a crash does, and start it again."""
        self._control("restart", "-m", "immediate")

    def stop(self) -> None:
        """End the server and remove its data."""
        if (self.folder / "data/postmaster.pid").exists():
            self._control("stop", "-m", "immediate")
        shutil.rmtree(self.folder, ignore_errors=True)

    def _control(self, *words: str) -> None:
        log = self.folder / "log"
        self._run("pg_ctl", "-D", self.folder / "data", "-l", log, "-w", "-t", START_SECONDS, *words)

    def _run(self, program: str, *words: object) -> None:
        programs = _postgres_programs()
        assert programs
        as_user = ["setpriv", f"--reuid={POSTGRES_USER}", f"--regid={POSTGRES_USER}", "--clear-groups"]
        command = [*as_user, str(programs / program), *map(str, words)]
        variables = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "PGPASSWORD": self.password}
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as sink:  # not a pipe, which the server would keep open
            done = subprocess.run(command, env=variables, cwd="/", stdout=sink, stderr=sink, check=False)
        if done.returncode:
            raise StackError(f"{program} ended with {done.returncode}:\n{self.log.read_text()[-2000:]}")


@dataclass
class Redis:
    """A Redis server at `host`: the queue between scheduler and workers, and their results."""

    host: str
    port: int
    folder: Path
    password: str = field(default_factory=lambda: secrets.token_urlsafe(16), repr=False)
    child: Child | None = None

    def url(self, database: int) -> str:
        """The address of one of its databases."""
        return f"redis://:{self.password}@{self.host}:{self.port}/{database}"

    def start(self) -> None:
        """Start the server. Raises StackError."""
        self.folder.mkdir(mode=0o700, parents=True)
        settings = self.folder / "redis.conf"
        settings.touch(mode=0o600)
        settings.write_text(
            f"bind {self.host}\nport {self.port}\nrequirepass {self.password}\n"
            "save ''\nappendonly yes\ntcp-keepalive 30\nmaxmemory-policy noeviction\n"
        )
        log = self.folder / "redis.log"
        self.child = start("redis", ["redis-server", str(settings)], {"PATH": os.environ["PATH"]}, self.folder, log)
        wait_until(lambda: "Ready to accept connections" in log.read_text(), [self.child], "Redis", START_SECONDS)

    def stop(self) -> None:
        """End the server."""
        if self.child:
            stop([self.child])
