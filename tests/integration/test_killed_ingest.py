"""An ingestion that is killed while DVC works: its children end, and the next one removes what it left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from enigma_tasks.adapters.object_store import ObjectStore
from enigma_tasks.config import load_settings
from infra.local.processes import wait_until

ROOT = Path(__file__).parents[2]


def children_in(folder: Path) -> list[str]:
    """The command lines of the processes that work in a folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").readlink().is_relative_to(folder):
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return found


@pytest.mark.parametrize("command", ["dvc add", "dvc push"])
def test_a_killed_ingestion_leaves_no_process_and_the_next_one_no_folder(
    command: str, s3_root: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = tmp_path / "work"
    work.mkdir()
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(tmp_path / "gold.git")], check=True)
    monkeypatch.setenv("ENIGMA_GOLD_REPOSITORY", str(tmp_path / "gold.git"))
    settings, store = load_settings(), ObjectStore()
    store.put(f"{settings.gold}/es/disease/a.txt", "Paciente con neumonía.".encode())
    store.put(f"{settings.gold}/es/disease/a.ann", "T1\tDISEASE 13 21\tneumonía\n".encode())
    run = [sys.executable, "-m", "enigma_tasks", "ingest", "--batch", "first", "--quiet", "--json"]
    environment = {**os.environ, "TMPDIR": str(work)}

    ingestion = subprocess.Popen(run, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: any(command in line for line in children_in(work)), [], "it", 300)
        packed = list(work.glob("*/workspace/**/*.jsonl.gz"))
        assert packed
        # DVC gives its cache modes of its own, below a folder that no other user enters
        assert not [p for p in [*packed, *work.iterdir()] if p.stat().st_mode & 0o077]
    finally:
        ingestion.send_signal(signal.SIGKILL)
        ingestion.wait()
    wait_until(lambda: not children_in(work), [], "it", 300)
    assert list(work.iterdir())

    done = subprocess.run(run, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert '"added": 1' in done.stdout
    assert not list(work.iterdir())
