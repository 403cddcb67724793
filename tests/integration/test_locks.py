"""Each lock installs into an environment of its own, and what that environment is for works in it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
UV = [sys.executable, "-m", "uv", "pip"]

pytestmark = pytest.mark.slow


def environment_from(lock: str, folder: Path) -> Path:
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = folder / "bin/python"
    install = [*UV, "install", "--quiet", "--python", str(python)]
    subprocess.run([*install, "-r", str(ROOT / f"requirements/{lock}.lock")], check=True)
    return python


def test_a_package_that_is_not_the_locked_file_is_not_installed(tmp_path: Path) -> None:
    lines = (ROOT / "requirements/tasks.lock").read_text().splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("idna=="))
    lock = tmp_path / "idna.lock"
    lock.write_text(lines[start].replace(" \\", "") + " --hash=sha256:" + "0" * 64 + "\n")
    python = tmp_path / "venv/bin/python"
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    install = [*UV, "install", "--quiet", "--verify-hashes", "--python", str(python), "-r", str(lock)]
    assert subprocess.run(install, capture_output=True).returncode != 0


def test_the_task_environment_runs_a_stage_without_airflow(tmp_path: Path) -> None:
    python = environment_from("tasks", tmp_path / "tasks")
    subprocess.run([*UV, "install", "--quiet", "--python", str(python), "--no-deps", "-e", str(ROOT)], check=True)
    out = tmp_path / "sample"
    command = [tmp_path / "tasks/bin/enigma", "sample", "--notes", "1", "--language", "es", "--out", out]
    subprocess.run(command, check=True, cwd=ROOT)
    assert len(list((out / "es/txt").iterdir())) == 1
    subprocess.run([python, "-c", "import torch, transformers, mlflow, deltalake"], check=True)
    assert subprocess.run([python, "-c", "import airflow"], capture_output=True).returncode == 1


def test_the_orchestrator_environment_parses_the_dags_without_torch(tmp_path: Path) -> None:
    python = environment_from("airflow", tmp_path / "airflow")
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT / 'dags')!r})\n"
        "import annotate_nightly as night\n"
        "print(sorted(night.plan.dag.task_ids))"
    )
    variables = {"PATH": "/usr/bin:/bin", "AIRFLOW_HOME": str(tmp_path / "home"), "HOME": str(tmp_path)}
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, env=variables)
    assert done.stdout.strip().endswith("['annotate', 'monitor', 'plan', 'publish', 'reviewed', 'select']"), (
        done.stderr[-2000:]
    )
    assert subprocess.run([python, "-c", "import torch"], capture_output=True).returncode == 1
