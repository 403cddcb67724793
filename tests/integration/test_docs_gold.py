"""What docs/gold.md tells a person to type, typed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from enigma_tasks.adapters.object_store import ObjectStore
from enigma_tasks.config import load_settings

ROOT = Path(__file__).parents[2]
BLOCKS = re.findall(r"^```bash\n(.*?)^```$", (ROOT / "docs/gold.md").read_text(), re.DOTALL | re.MULTILINE)
TEXT = "Paciente con neumonía y fiebre alta. Ingresa en planta para tratamiento y control, sin otras incidencias."


def script(folder: Path, repository: str, *blocks: str) -> None:
    """What the blocks say, run in a folder that has params.yaml; fails with what bash said."""
    shutil.copy(ROOT / "params.yaml", folder)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    python_path = f"{ROOT}:{os.environ.get('PYTHONPATH', '')}"
    done = subprocess.run(
        ["bash", "-eu", "-c", "\n".join(blocks)], cwd=folder, capture_output=True, text=True, check=False,
        env=os.environ | {"PATH": path, "PYTHONPATH": python_path, "ENIGMA_GOLD_REPOSITORY": repository},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def drop() -> None:
    gold, start = load_settings().gold, TEXT.index("neumonía")
    ObjectStore().put(f"{gold}/es/disease/a.txt", TEXT.encode())
    ObjectStore().put(f"{gold}/es/disease/a.ann", f"T1\tDISEASE {start} {start + 8}\tneumonía\n".encode())


def test_the_blocks_of_the_page_run_in_their_order(s3_root: str, tmp_path: Path) -> None:
    assert len(BLOCKS) == 2
    drop()
    script(tmp_path, str(tmp_path / "gold.git"), *BLOCKS)
    assert (tmp_path / "gold/es/disease.jsonl.gz").is_file()


@pytest.mark.parametrize("url", ["{}", "file://{}"])
def test_a_repository_whose_branch_had_another_name_can_be_cloned(s3_root: str, tmp_path: Path, url: str) -> None:
    drop()
    repository = tmp_path / "gold.git"
    subprocess.run(["git", "init", "-q", "--bare", "-b", "trunk", str(repository)], check=True)
    script(tmp_path, url.format(repository), "enigma ingest --batch first")
    subprocess.run(["git", "clone", "-q", str(repository), str(tmp_path / "clone")], check=True)
    assert (tmp_path / "clone/es/disease.jsonl.gz.dvc").is_file()
