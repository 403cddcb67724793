"""Folders of killed processes are removed at the next start; those of living ones, and other programs', never."""

from __future__ import annotations

import fcntl
import os
import signal
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from enigma_tasks import leftovers
from enigma_tasks.adapters.ensemble_cache import cached
from enigma_tasks.errors import ModelError, ServiceError
from enigma_tasks.leftovers import SUFFIX, claim, sweep, swept_folder
from enigma_tasks.workfolder import private_folder

WORKS = """
import sys
from pathlib import Path
from enigma_tasks.leftovers import swept_folder
with swept_folder(sys.argv[2], Path(sys.argv[1])) as folder:
    (folder / "note.txt").write_text("Paciente")
    print(folder, flush=True)
    sys.stdin.read()
"""


class Worker:
    """Another process, with a folder of its own until it ends."""

    def __init__(self, parent: Path, prefix: str = "enigma-ingest-") -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", WORKS, str(parent), prefix], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout
        self.folder = Path(self.process.stdout.readline().strip())

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def end(self) -> None:
        self.process.communicate()


@pytest.mark.parametrize("prefix", ["enigma-ingest-", ".fetching."])
def test_the_folder_of_a_killed_process_is_removed_at_the_next_start_and_a_living_ones_is_not(
    tmp_path: Path, prefix: str
) -> None:
    killed, living = Worker(tmp_path, prefix), Worker(tmp_path, prefix)
    killed.kill()
    assert (killed.folder / "note.txt").exists()
    with swept_folder("enigma-", tmp_path) as folder:
        assert not killed.folder.exists()
        assert (living.folder / "note.txt").exists()
        assert sweep(tmp_path) == 0  # nor this process's own
        assert folder.exists()
    living.end()
    assert not list(tmp_path.iterdir())


def test_other_programs_folders_files_and_links_stay(tmp_path: Path) -> None:
    other, target = tmp_path / "enigma-demo-x", tmp_path / "target"
    for folder in (other, target):
        folder.mkdir()
        (folder / "kept").touch()
    (tmp_path / f"link{SUFFIX}").symlink_to(target)
    (tmp_path / f"file{SUFFIX}").touch()
    assert sweep(tmp_path) == 0
    assert (other / "kept").exists()
    assert (target / "kept").exists()
    assert (tmp_path / f"file{SUFFIX}").exists()


def test_a_folder_of_another_user_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / f"x{SUFFIX}").mkdir()
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert sweep(tmp_path) == 0


def test_a_folder_that_a_sweep_took_between_its_creation_and_its_claim_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[Path] = []

    def claimed(folder: Path) -> int | None:
        if not taken:
            taken.append(folder)
            assert sweep(tmp_path) == 1
        return claim(folder)

    monkeypatch.setattr(leftovers, "claim", claimed)
    with swept_folder("enigma-", tmp_path) as folder:
        assert folder.exists()
        assert not taken[0].exists()


def test_a_folder_that_another_process_holds_cannot_be_claimed(tmp_path: Path) -> None:
    worker = Worker(tmp_path)
    assert claim(worker.folder) is None
    worker.end()
    assert claim(worker.folder) is None


def test_where_the_file_system_has_no_locks_folders_are_used_and_not_swept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    (tmp_path / f"x{SUFFIX}").mkdir()
    with swept_folder("enigma-", tmp_path) as folder:
        assert folder.exists()
    assert [p.name for p in tmp_path.iterdir()] == [f"x{SUFFIX}"]


def test_what_is_written_in_a_private_folder_is_its_users_only_and_libraries_write_there_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = os.umask(0o022)
    try:
        with private_folder() as folder:
            assert folder.parent == tmp_path
            (folder / "spans.parquet").write_text("x")
            (folder / "deep").mkdir()
            with tempfile.NamedTemporaryFile() as file:
                assert Path(file.name).parent == folder
            modes = [stat.S_IMODE(p.stat().st_mode) for p in (folder, folder / "deep", folder / "spans.parquet")]
        assert modes == [0o700, 0o700, 0o600]
        assert tempfile.gettempdir() == str(tmp_path)
        assert not list(tmp_path.iterdir())
        assert os.umask(0o022) == 0o022
    finally:
        os.umask(before)


def test_a_temporary_folder_that_is_not_there_is_a_service_that_fails(tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match="temporary folder"), swept_folder("enigma-", tmp_path / "absent"):
        pass


def test_a_half_fetched_ensemble_of_a_killed_process_leaves_the_cache_with_the_next_fetch(tmp_path: Path) -> None:
    killed = Worker(tmp_path, ".fetching.")
    killed.kill()
    with pytest.raises(ModelError):
        cached("d", tmp_path, lambda *_: None)
    assert [p.name for p in tmp_path.iterdir()] == ["d.lock"]
