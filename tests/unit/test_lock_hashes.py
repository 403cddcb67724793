"""Locks: every entry has a hash, but those whose build is chosen where they are installed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from infra.locks import CHOSEN_BUILDS, without_chosen_hashes

REQUIREMENTS = Path(__file__).parents[2] / "requirements"
LOCKS = sorted(p.relative_to(REQUIREMENTS).as_posix() for p in REQUIREMENTS.rglob("*.lock"))


@pytest.mark.parametrize("name", LOCKS)
def test_every_entry_of_a_lock_has_hashes_but_builds_that_are_chosen_on_the_spot(name: str) -> None:
    entries = re.split(r"\n(?=[A-Za-z0-9])", (REQUIREMENTS / name).read_text())
    without = [entry.split("==")[0] for entry in entries if "--hash=sha256:" not in entry]
    assert len(entries) > 100
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
