"""The blocks of README and docs that are marked `run` do run, page by page, in a folder of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

from enigma_tasks.config import load_params, load_settings
from tests.pages import PAGES, ROOT, blocks

if TYPE_CHECKING:
    from pathlib import Path

SHELL = [p for p in PAGES if any(b.language == "sh" and b.mark == "run" for b in blocks(p))]
PYTHON = [b for p in PAGES for b in blocks(p) if b.language == "python" and b.mark == "run"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty folder with params.yaml, and `enigma` on the path."""
    folder = tmp_path_factory.mktemp("reader")
    shutil.copy(ROOT / "params.yaml", folder)
    program = folder / "bin/enigma"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m enigma_tasks "$@"\n')
    program.chmod(0o755)
    return folder


@pytest.fixture(scope="module")
def environment(place: Path) -> dict[str, str]:
    """What a reader without any service has."""
    services = ("AWS_", "MLFLOW_", "ENIGMA_", "AIRFLOW")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(services)}
    return {**kept, "PATH": f"{place / 'bin'}{os.pathsep}{kept['PATH']}", "PYTHONPATH": str(ROOT)}


def test_there_are_blocks_to_run() -> None:
    assert ROOT / "README.md" in SHELL
    assert PYTHON


@pytest.mark.slow
@pytest.mark.parametrize("page", SHELL, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_page_s_commands_run_in_order(page: Path, place: Path, environment: dict[str, str]) -> None:
    for block in blocks(page):
        if (block.language, block.mark) == ("sh", "run"):
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", block.body],
                cwd=place,
                env=environment,
                capture_output=True,
                text=True,
            )
            assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("block", PYTHON, ids=lambda b: str(b.page.relative_to(ROOT)))
def test_the_stage_of_the_recipe_counts_a_corpus(block, tmp_path: Path) -> None:
    from argparse import Namespace

    from enigma_tasks.documents import Document, Entity
    from enigma_tasks.formats.corpora import write_corpus

    note = Document("n1", "asma y tos", (Entity("DISEASE", 0, 4, "asma"), Entity("SYMPTOM", 7, 10, "tos")), "es")
    write_corpus([note], tmp_path / "corpus")
    module = ModuleType("count")
    exec(compile(block.body, str(block.page), "exec"), module.__dict__)
    report = module.run(
        Namespace(corpus=str(tmp_path / "corpus")), load_params(ROOT / "params.yaml"), load_settings({})
    )
    assert report == {"documents": 1, "entities": {"DISEASE": 1, "SYMPTOM": 1}}
