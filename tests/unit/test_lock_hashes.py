"""Locks: every entry has a hash, but those whose build is chosen where they are installed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from infra.locks import CHOSEN_BUILDS, CUDA, without_chosen_hashes, without_cuda

REQUIREMENTS = Path(__file__).parents[2] / "requirements"
LOCKS = sorted(p.relative_to(REQUIREMENTS).as_posix() for p in REQUIREMENTS.rglob("*.lock"))

LEAST = {"cuda.lock": 11, "tools/audit.lock": 11, "tools/compose.lock": 1, "tools/uv.lock": 1, "tools/images.lock": 11}
"""How many entries a lock has at least, where it is not a hundred."""


@pytest.mark.parametrize("name", LOCKS)
def test_every_entry_of_a_lock_has_hashes_but_builds_that_are_chosen_on_the_spot(name: str) -> None:
    entries = re.split(r"\n(?=[A-Za-z0-9])", (REQUIREMENTS / name).read_text())
    without = [entry.split("==")[0] for entry in entries if "--hash=sha256:" not in entry]
    assert len(entries) >= LEAST.get(name, 100)
    assert set(without) <= set(CHOSEN_BUILDS)
    assert without_chosen_hashes((REQUIREMENTS / name).read_text()) == (REQUIREMENTS / name).read_text()


def test_hashes_are_taken_from_the_chosen_builds_only() -> None:
    lock = (
        "toolz==1.0 \\\n    --hash=sha256:aa\ntorch==2.13.0+cpu ; python_version > '3' \\\n"
        "    --hash=sha256:bb \\\n    --hash=sha256:cc\ntorchmetrics==1.0 \\\n    --hash=sha256:dd\n"
    )
    assert without_chosen_hashes(lock) == (
        "toolz==1.0 \\\n    --hash=sha256:aa\ntorch==2.13.0 ; python_version > '3'\n"
        "torchmetrics==1.0 \\\n    --hash=sha256:dd\n"
    )


def test_what_only_cuda_needs_is_a_constraint_and_in_no_lock() -> None:
    of_cuda = "nvidia-cublas==13 ; sys_platform == 'linux' \\\n    --hash=sha256:bb\n"
    lock = f"attrs==1\\\n    --hash=sha256:aa\n{of_cuda}zipp==1\n"
    kept, cuda = without_cuda(lock)
    assert kept == "attrs==1\\\n    --hash=sha256:aa\nzipp==1\n"
    assert cuda == of_cuda
    for name in LOCKS:
        entries = [line for line in (REQUIREMENTS / name).read_text().splitlines() if re.match(r"[A-Za-z0-9]", line)]
        assert {bool(CUDA.match(line)) for line in entries} == {name == "cuda.lock"}


@pytest.mark.parametrize("variant", ["cpu", "cuda"])
def test_the_images_torch_is_the_locked_version_with_hashes(variant: str) -> None:
    entry = (REQUIREMENTS.parent / f"docker/torch-{variant}.txt").read_text()
    (name,) = re.findall(r"^torch==(.*) \\$", entry, re.MULTILINE)
    (locked,) = re.findall(r"^torch==(.*)$", (REQUIREMENTS / "tasks.lock").read_text(), re.MULTILINE)
    assert name == locked + {"cpu": "+cpu", "cuda": ""}[variant]
    assert "--hash=sha256:" in entry
