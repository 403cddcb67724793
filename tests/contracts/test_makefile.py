"""The commands: a list of them all, and tiers of tests that say so when they hold no test."""

from __future__ import annotations

import os
import re
import subprocess
import sys
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


@pytest.mark.parametrize(("code", "passes", "said"), [(0, True, False), (1, False, False), (5, False, True)])
@pytest.mark.parametrize("marker", ["docker", "ceph", "cluster"])
def test_a_tier_of_which_no_test_ran_says_that_nothing_was_tested_and_fails(
    tmp_path: Path, marker: str, code: int, passes: bool, said: bool
) -> None:
    stand_in = tmp_path / "pytest"
    stand_in.write_text(f'#!/bin/sh\n[ "$*" = "-m {marker}" ] && exit {code}\nexit 99\n')
    stand_in.chmod(0o755)
    done = make("-o", ".venv/ready", f"test-{marker}", f"BIN={tmp_path}")
    assert (done.returncode == 0) is passes
    assert (f"no test marked {marker} ran: NOTHING WAS TESTED" in done.stdout.splitlines()) is said


@pytest.mark.parametrize(("body", "code"), [("pass", 0), ("pytest.skip('no engine')", 5), ("raise ValueError", 1)])
@pytest.mark.parametrize("marker", ["docker", "ceph", "cluster"])
def test_a_tier_whose_tests_were_all_skipped_counts_as_one_without_tests(
    tmp_path: Path, marker: str, body: str, code: int
) -> None:
    (tmp_path / "conftest.py").write_text((ROOT / "tests/conftest.py").read_text())
    (tmp_path / "pytest.ini").write_text(f"[pytest]\nmarkers = {marker}: x\n")
    (tmp_path / "test_it.py").write_text(f"import pytest\n@pytest.mark.{marker}\ndef test_it():\n    {body}\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:hydra_pytest", "-m", marker]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode == code
