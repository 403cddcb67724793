"""Git repositories as a hostile writer would fill them: gold goes where Enigma says, and nothing of them runs."""

from __future__ import annotations

import base64
import os
import re
import subprocess
import threading
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from enigma_tasks.adapters.git_environment import allowed_remote, public_url, quiet_environment
from enigma_tasks.adapters.gold_pointers import check_revision
from enigma_tasks.adapters.gold_repository import GoldRepository
from enigma_tasks.adapters.object_store import ObjectStore
from enigma_tasks.adapters.training_repository import TrainingRepository
from enigma_tasks.adapters.workspace import Workspace
from enigma_tasks.cli import build_parser
from enigma_tasks.config import load_params, load_settings
from enigma_tasks.errors import DataError, ServiceError, UsageError
from enigma_tasks.stages import ingest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
SECRET = "tokenZyxwvutia"
POINTER = "outs:\n- md5: {md5}\n  size: 3\n  hash: md5\n  path: {path}\n"
MD5 = "0123456789abcdef0123456789abcdef"
WHO = ["-c", "user.name=x", "-c", "user.email=x@x"]


def git(folder: Path, *words: str) -> str:
    return subprocess.run(["git", *WHO, *words], cwd=folder, check=True, capture_output=True, text=True).stdout


class Hostile:
    """A bare repository and a clone from which anything may be pushed into it."""

    def __init__(self, folder: Path) -> None:
        self.bare, self.clone, self.outside = folder / "gold.git", folder / "hostile", folder / "outside"
        self.outside.mkdir()
        git(folder, "init", "-q", "--bare", "-b", "main", str(self.bare))
        git(folder, "clone", "-q", str(self.bare), str(self.clone))
        git(self.clone, "checkout", "-q", "-B", "main")
        self.write("README.md", "gold")
        self.write(".dvc/.gitignore", "")

    def write(self, name: str, content: str) -> None:
        path = self.clone / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)

    def push(self) -> None:
        git(self.clone, "add", "-A", "-f")
        git(self.clone, "commit", "-q", "--allow-empty", "-m", "gold")
        git(self.clone, "push", "-q", "origin", "HEAD:main")

    def open(self) -> Any:
        return GoldRepository.open(str(self.bare), "s3://bucket/dvc", command_seconds=60)

    def refused(self, rule: str) -> None:
        self.push()
        with pytest.raises(DataError) as refused, self.open():
            pass
        assert refused.value.rule == rule
        assert not list(self.outside.iterdir())


@pytest.fixture
def hostile(tmp_path: Path) -> Hostile:
    return Hostile(tmp_path)


@pytest.mark.parametrize("name", ["es", "es/disease.jsonl.gz", "ingested.jsonl.gz", "README", ".dvc/cache", ".dvc/tmp"])
def test_a_link_in_the_gold_repository_is_refused_before_anything_is_written(hostile: Hostile, name: str) -> None:
    path = hostile.clone / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(hostile.outside)
    hostile.refused("symbolic_link")


@pytest.mark.parametrize(
    "name",
    [
        *(".dvc/config.local", ".dvc/tmp/lock", "dvc.yaml", "dvc.lock", ".gitmodules", ".gitattributes"),
        *("es/disease.jsonl.gz", "es/x/disease.jsonl.gz.dvc", "x.dvc", "es/.dvc/config", "run.sh", "es/README.md"),
        *(".dvc/config.jsonl.gz.dvc", "es/disease.dvc"),
    ],
)
def test_a_file_that_no_ingestion_writes_is_refused_and_its_name_not_shown(hostile: Hostile, name: str) -> None:
    hostile.write(name, "x")
    hostile.refused("file_unexpected")


def test_a_submodule_is_refused(hostile: Hostile) -> None:
    hostile.push()
    head = git(hostile.clone, "rev-parse", "HEAD").strip()
    git(hostile.clone, "update-index", "--add", "--cacheinfo", f"160000,{head},module")
    git(hostile.clone, "commit", "-q", "-m", "module")
    git(hostile.clone, "push", "-q", "origin", "HEAD:main")
    with pytest.raises(DataError, match="gold repository: submodule"), hostile.open():
        pass


@pytest.mark.parametrize(
    "content",
    [
        POINTER.format(md5=MD5, path="../../outside/x"),
        POINTER.format(md5=MD5, path="/etc/passwd"),
        POINTER.format(md5=MD5, path="other.jsonl.gz"),
        POINTER.format(md5=f"{MD5}.dir", path="disease.jsonl.gz"),
        POINTER.format(md5="../" + MD5[3:], path="disease.jsonl.gz"),
        POINTER.format(md5=MD5, path="disease.jsonl.gz") + "  remote: other\n",
        POINTER.format(md5=MD5, path="disease.jsonl.gz") + "deps:\n- path: x\n  repo:\n    url: ext::sh\n",
        POINTER.format(md5=MD5, path="disease.jsonl.gz") + "cmd: touch x\n",
        POINTER.format(md5=MD5, path="disease.jsonl.gz").replace("hash: md5", "hash: etag"),
        POINTER.format(md5=MD5, path="disease.jsonl.gz") + "#" * 3000,
        "outs: []\n",
        "[" * 900,
        "!!python/object/apply:os.mkdir [x]",
        "{",
        "",
    ],
)
def test_a_pointer_that_would_lead_elsewhere_is_refused(hostile: Hostile, content: str) -> None:
    hostile.write("es/disease.jsonl.gz.dvc", content)
    hostile.refused("pointer_unexpected")


def test_a_sound_repository_is_opened_and_gives_its_digests(hostile: Hostile) -> None:
    hostile.write("es/disease.jsonl.gz.dvc", POINTER.format(md5=MD5, path="disease.jsonl.gz"))
    hostile.write("es/.gitignore", "/disease.jsonl.gz\n")
    hostile.push()
    with hostile.open() as repository:
        assert repository.digests() == {"es": {"disease": MD5}}


@pytest.mark.parametrize(
    ("settings", "sound"),
    [
        (
            "[core]\n    remote = storage\n    analytics = false\n['remote \"storage\"']\n    url = s3://bucket/dvc\n",
            True,
        ),
        ("['remote \"storage\"']\n    url = s3://bucket/dvc\n    endpointurl = http://own\n    verify = true\n", True),
        ("['remote \"storage\"']\n    url = s3://other/dvc\n", False),
        ("['remote \"storage\"']\n    url = s3://bucket/dvc\n['remote \"other\"']\n    url = /etc\n", False),
        ("['remote \"storage\"']\n    url = s3://bucket/dvc\n    endpointurl = http://other\n", False),
        ("[core]\n    site_cache_dir = /x\n", False),
        ("[cache]\n    dir = /x\n", False),
        ("no settings", False),
    ],
)
def test_an_import_follows_no_settings_but_enigmas(hostile: Hostile, settings: str, sound: bool) -> None:
    hostile.write(".dvc/config", settings)
    hostile.push()
    allowed = allowed_remote("s3://bucket/dvc", {"AWS_ENDPOINT_URL": "http://own"})
    with hostile.open() as repository:
        if sound:
            check_revision(repository, repository.head, allowed)
            return
        with pytest.raises(DataError, match="settings_unexpected"):
            check_revision(repository, repository.head, allowed)


def test_an_import_follows_no_pointer_or_file_that_no_ingestion_writes(hostile: Hostile, tmp_path: Path) -> None:
    settings = load_settings({"ENIGMA_TRAINING_REPOSITORY": str(hostile.bare), "ENIGMA_S3_DVC": "s3://b/dvc"})
    for name in ("dvc.yaml", "params.yaml"):
        hostile.write(name, "{}")
    hostile.push()
    other = tmp_path / "other"
    other.mkdir()
    gold = Hostile(other)
    gold.write("es/disease.jsonl.gz.dvc", POINTER.format(md5=MD5, path="../../outside/x"))
    gold.push()
    with TrainingRepository.open(settings, command_seconds=60) as project:
        with pytest.raises(DataError, match="pointer_unexpected"):
            project.import_gold(str(gold.bare), "es", git(gold.bare, "rev-parse", "main").strip())
        gold.write("es/disease.jsonl.gz.dvc", POINTER.format(md5=MD5, path="disease.jsonl.gz"))
        gold.write("es/run.sh", "")
        gold.push()
        with pytest.raises(DataError, match="file_unexpected"):
            project.import_gold(str(gold.bare), "es", git(gold.bare, "rev-parse", "main").strip())


@pytest.fixture
def planted(tmp_path: Path) -> Path:
    """A program that says that it ran."""
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/it-ran\n")
    program.chmod(0o755)
    return program


def test_gold_goes_to_enigmas_remote_whatever_the_repository_and_the_machine_say(
    hostile: Hostile, tmp_path: Path, planted: Path, s3_root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stolen = tmp_path / "stolen"
    evil = f"[core]\n    remote = evil\n    hardlink_lock = true\n['remote \"evil\"']\n    url = {stolen}\n"
    hostile.write(".dvc/config", f"{evil}['remote \"storage\"']\n    url = {stolen}\n[cache]\n    dir = {stolen}\n")
    hostile.write(".dvcignore", "*\n")
    hostile.write(".gitignore", "*\n")
    hostile.push()
    machine = tmp_path / "machine"
    machine.mkdir()
    (machine / "config").write_text(evil)
    (machine / "gitconfig").write_text(f"[core]\nfsmonitor={planted}\nhooksPath={tmp_path}/hooks\n")
    for place in (tmp_path / "hooks", hostile.bare / "hooks", hostile.bare / "other"):
        place.mkdir(exist_ok=True)
        for hook in ("pre-receive", "post-receive", "update", "pre-push", "post-checkout", "reference-transaction"):
            (place / hook).symlink_to(planted)
    git(hostile.bare, "config", "core.hooksPath", str(hostile.bare / "other"))
    monkeypatch.setenv("DVC_GLOBAL_CONFIG_DIR", str(machine))
    monkeypatch.setenv("DVC_SYSTEM_CONFIG_DIR", str(machine))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(machine / "gitconfig"))
    monkeypatch.setenv("GIT_CONFIG_PARAMETERS", f"'core.fsmonitor'='{planted}'")
    monkeypatch.setenv("ENIGMA_GOLD_REPOSITORY", str(hostile.bare))
    (tmp_path / "it-ran").unlink(missing_ok=True)
    settings, store = load_settings(), ObjectStore()
    text = "Paciente con neumonía."
    store.put(f"{settings.gold}/es/disease/a.txt", text.encode())
    store.put(f"{settings.gold}/es/disease/a.ann", "T1\tDISEASE 13 21\tneumonía\n".encode())
    arguments = build_parser().parse_args(["ingest", "--batch", "first"])
    report = ingest.run(arguments, load_params(ROOT / "params.yaml"), settings)
    assert report["counts"]["added"] == 1
    assert not stolen.exists()
    assert not (tmp_path / "it-ran").exists()
    assert [o for o in store.list(f"{settings.dvc}/") if o.size]
    # what the repository says is neither used nor changed
    written = git(hostile.bare, "ls-tree", "-r", "--name-only", "main").split()
    assert {"es/disease.jsonl.gz.dvc", "ingested.jsonl.gz.dvc"} <= set(written)
    assert str(stolen) in git(hostile.bare, "show", "main:.dvc/config")


def test_gold_that_was_written_over_on_the_remote_is_not_read(
    hostile: Hostile, s3_root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENIGMA_GOLD_REPOSITORY", str(hostile.bare))
    settings, store = load_settings(), ObjectStore()
    store.put(f"{settings.gold}/es/disease/a.txt", "Paciente con neumonía.".encode())
    store.put(f"{settings.gold}/es/disease/a.ann", "T1\tDISEASE 13 21\tneumonía\n".encode())
    arguments = build_parser().parse_args(["ingest", "--batch", "first"])
    ingest.run(arguments, load_params(ROOT / "params.yaml"), settings)
    with GoldRepository.open(str(hostile.bare), settings.dvc, command_seconds=600) as repository:
        digest = repository.digests()["es"]["disease"]
        repository.fetch(["es/disease.jsonl.gz"])
        assert repository.path("es/disease.jsonl.gz").exists()
    (stored,) = [o.uri for o in store.list(f"{settings.dvc}/") if o.uri.endswith(digest[2:])]
    store.put(stored, b"forged")
    with (
        GoldRepository.open(str(hostile.bare), settings.dvc, command_seconds=600) as repository,
        pytest.raises(ServiceError),
    ):
        repository.fetch(["es/disease.jsonl.gz"])


@pytest.mark.parametrize(
    "url",
    [
        *("--upload-pack=touch it-ran", "-x", "ext::sh -c touch% it-ran", "fd::7", "a\nb", "https://u:p\x07@h/x"),
        *("ssh://user:password@host/x", "git://u:p@host/x"),
    ],
)
def test_a_url_that_is_an_option_a_program_or_shows_a_password_is_refused(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError):
        GoldRepository.newest(url, command_seconds=60)
    with pytest.raises(UsageError), GoldRepository.open(url, "s3://b/dvc", command_seconds=60):
        pass
    assert not list(tmp_path.rglob("it-ran"))


def test_a_helper_of_git_that_is_not_known_is_never_started(tmp_path: Path) -> None:
    environment = quiet_environment(tmp_path)
    repository = Workspace.__new__(GoldRepository)
    repository.folder, repository.environment = tmp_path, environment
    repository._command_seconds, repository._debug = 60, False
    with pytest.raises(ServiceError):
        repository.git("ls-remote", f"ext::sh -c touch% {tmp_path}/it-ran")
    assert not (tmp_path / "it-ran").exists()


def test_a_training_project_with_a_link_is_refused(hostile: Hostile) -> None:
    (hostile.clone / "data").symlink_to(hostile.outside)
    hostile.push()
    settings = load_settings({"ENIGMA_TRAINING_REPOSITORY": str(hostile.bare), "ENIGMA_S3_DVC": "s3://b/dvc"})
    with (
        pytest.raises(DataError, match="training repository: symbolic_link"),
        TrainingRepository.open(settings, command_seconds=60),
    ):
        pass


def command_lines() -> str:
    """What `ps` shows of every process of this machine."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue
    return "\n".join(found)


@contextmanager
def serving(bare: Path, seen: list[str]) -> Iterator[str]:
    """A git server with a login (the dumb protocol), which looks at the process list during each request."""
    git(bare, "update-server-info")
    expected = "Basic " + base64.b64encode(f"user@ward:{SECRET}/é".encode()).decode()

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *arguments: Any, **more: Any) -> None:
            super().__init__(*arguments, directory=str(bare.parent), **more)

        def do_GET(self) -> None:
            seen.append(command_lines())
            if self.headers.get("Authorization") == expected:
                super().do_GET()
                return
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="gold"')
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://user%40ward:{SECRET}%2F%C3%A9@127.0.0.1:{server.server_port}/gold.git"
        server.shutdown()


def test_a_login_in_a_url_reaches_the_server_and_no_command_line_file_or_message(hostile: Hostile) -> None:
    hostile.push()
    seen: list[str] = []
    with serving(hostile.bare, seen) as url:
        head = git(hostile.bare, "rev-parse", "main").strip()
        assert GoldRepository.newest(url, command_seconds=60) == head
        with GoldRepository.open(url, "s3://b/dvc", command_seconds=60) as repository:
            assert repository.head == head
            files = [p for p in repository.folder.parent.rglob("*") if p.is_file()]
            assert not [p for p in files if SECRET.encode() in p.read_bytes()]
        with pytest.raises(ServiceError) as failed:
            GoldRepository.newest(url.replace(SECRET, f"{SECRET}-wrong"), command_seconds=60, debug=True)
    assert any("git" in lines for lines in seen)
    assert not [lines for lines in seen if SECRET in re.sub(r"(?m)^.*pytest.*$", "", lines)]
    assert SECRET not in str(failed.value)


def test_two_logins_for_one_server_are_refused_and_one_is_enough(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="different logins"):
        quiet_environment(tmp_path, "https://a:b@host/x", "https://c:d@host/y")
    quiet_environment(tmp_path, "https://a:b@host/x", "https://host/y", "https://c:d@other/y")
    assert public_url("https://a:b@host:8443/x?y") == "https://host:8443/x?y"
    assert public_url("ssh://git@host/x") == "ssh://git@host/x"
    assert public_url("git@host:x/y.git") == "git@host:x/y.git"


def test_what_an_installation_sets_for_git_is_kept_and_comes_before_enigmas_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CONFIG_COUNT", "2")
    for number, (key, value) in enumerate({"http.proxy": "http://proxy", "core.hooksPath": "/hooks"}.items()):
        monkeypatch.setenv(f"GIT_CONFIG_KEY_{number}", key)
        monkeypatch.setenv(f"GIT_CONFIG_VALUE_{number}", value)
    monkeypatch.setenv("GIT_DIR", "/elsewhere")
    environment = quiet_environment(tmp_path)
    assert "GIT_DIR" not in environment
    for key, value in {"http.proxy": "http://proxy", "core.hooksPath": "/dev/null"}.items():
        asked = ["git", "config", "--get", key]
        found = subprocess.run(asked, env=environment, cwd=tmp_path, capture_output=True, text=True, check=True)
        assert found.stdout.strip() == value
    monkeypatch.setenv("GIT_CONFIG_COUNT", "many")
    with pytest.raises(UsageError, match="GIT_CONFIG_COUNT"):
        quiet_environment(tmp_path)
    assert os.environ["GIT_DIR"] == "/elsewhere"
