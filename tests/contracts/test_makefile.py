"""The commands: a list of them all, and tiers of tests that say so when they hold no test."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RECIPES = re.findall(r"^([a-z][a-z-]*):(?!=)(.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)


def make(*words: str) -> subprocess.CompletedProcess[str]:
    plain = {k: v for k, v in os.environ.items() if not k.startswith("MAKE")}
    return subprocess.run(["make", *words], cwd=ROOT, env=plain, capture_output=True, text=True, check=False)


def test_make_alone_lists_every_target_with_what_it_does() -> None:
    done = make()
    assert done.returncode == 0
    listed = dict(line.removeprefix("make ").split(maxsplit=1) for line in done.stdout.splitlines())
    assert listed.keys() == {name for name, _ in RECIPES}
    assert len(listed) > 10
    for name, rest in RECIPES:
        assert listed[name] == rest.partition("## ")[2]


@pytest.mark.parametrize(("code", "passes", "said"), [(0, True, False), (1, False, False), (5, True, True)])
@pytest.mark.parametrize("marker", ["docker", "ceph", "cluster"])
def test_a_tier_without_a_test_says_that_nothing_was_tested_and_a_failure_stays_one(
    tmp_path: Path, marker: str, code: int, passes: bool, said: bool
) -> None:
    stand_in = tmp_path / "pytest"
    stand_in.write_text(f'#!/bin/sh\n[ "$*" = "-m {marker}" ] && exit {code}\nexit 99\n')
    stand_in.chmod(0o755)
    done = make("-o", ".venv/ready", f"test-{marker}", f"BIN={tmp_path}")
    assert (done.returncode == 0) is passes
    assert (f"no test is marked {marker} yet: NOTHING WAS TESTED" in done.stdout.splitlines()) is said
