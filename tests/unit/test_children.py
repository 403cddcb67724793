"""Child processes: private, bounded in time, and gone when this process is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from enigma_tasks.children import run_child
from infra.local.processes import wait_until

STARTED = """
import sys, threading
from pathlib import Path
from enigma_tasks.children import run_child
script = "sleep 600 & echo $! > pids; echo $$ >> pids; mv pids started; wait"
def run():
    run_child(["sh", "-c", script], folder=Path(sys.argv[1]), environment={"PATH": "/usr/bin:/bin"})
thread = threading.Thread(target=run)
thread.start()
thread.join()
"""


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_child_and_what_it_started_end_when_this_process_is_killed(tmp_path: Path) -> None:
    parent = subprocess.Popen([sys.executable, "-c", STARTED, str(tmp_path)])
    try:
        wait_until((tmp_path / "started").exists, [], "it", 300)
        pids = [int(line) for line in (tmp_path / "started").read_text().split()]
        assert len(pids) == 2
        assert all(map(is_running, pids))
    finally:
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait()
    wait_until(lambda: not any(map(is_running, pids)), [], "it", 300)


def test_what_a_child_left_in_the_background_ends_with_it(tmp_path: Path) -> None:
    script = "sleep 600 >/dev/null 2>&1 & echo $!"
    done = run_child(["sh", "-c", script], folder=tmp_path, environment={"PATH": "/usr/bin:/bin"})
    wait_until(lambda: not is_running(int(done.stdout)), [], "it", 300)


def test_a_child_that_takes_too_long_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    script = "echo $$ > pid; sleep 600 & wait"
    with pytest.raises(subprocess.TimeoutExpired):
        run_child(["sh", "-c", script], folder=tmp_path, environment={"PATH": "/usr/bin:/bin"}, seconds=5)
    wait_until(lambda: not is_running(int((tmp_path / "pid").read_text())), [], "it", 300)


def test_a_childs_files_are_its_users_only_and_its_output_exit_code_and_environment_its_own(tmp_path: Path) -> None:
    script = "mkdir a; echo x > a/b; echo out; echo err >&2; env; exit 3"
    done = run_child(["sh", "-c", script], folder=tmp_path, environment={"PATH": "/usr/bin:/bin", "ONE": "1"})
    assert (done.returncode, done.stderr) == (3, "err\n")
    assert "ONE=1" in done.stdout
    assert "HOME=" not in done.stdout
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in ("a", "a/b")] == [0o700, 0o600]


def test_a_command_that_is_not_installed_is_an_error_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        run_child(["no-such-command"], folder=tmp_path, environment={})
