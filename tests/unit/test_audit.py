"""An audit of the dependencies says what it has not looked up."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from infra import audit
from infra.audit import FOUND, NONE, NOT_AUDITED, read, report, without_hashes

SOUND = {"name": "a", "version": "1.0", "vulns": []}
KNOWN = {"name": "b", "version": "2.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["2.1"], "aliases": []}]}
LEFT_OUT = {"name": "c", "skip_reason": "Dependency not found on PyPI and could not be audited: c (3.0)"}


@pytest.mark.parametrize(
    ("dependencies", "code", "said"),
    [
        ([SOUND], NONE, "1 packages audited, 0 vulnerabilities"),
        ([SOUND, KNOWN], FOUND, "b 2.0: PYSEC-1, corrected in 2.1"),
        ([SOUND, LEFT_OUT], NOT_AUDITED, "1 packages are not in the database that was reached: c"),
        ([SOUND, KNOWN, LEFT_OUT], FOUND, "PYSEC-1"),
        ([LEFT_OUT], NOT_AUDITED, "nothing was audited"),
    ],
    ids=["none", "found", "left-out", "both", "nothing"],
)
def test_what_was_not_looked_up_is_not_called_sound(dependencies: list[dict[str, Any]], code: int, said: str) -> None:
    audit = read(json.dumps({"dependencies": dependencies, "fixes": []}))
    assert audit.code == code
    assert said in "\n".join(report("tasks.lock", audit))


@pytest.mark.parametrize("output", ["", "no json", "[]", "{}"])
def test_a_report_that_is_not_understood_is_an_audit_of_nothing(output: str) -> None:
    assert read(output).code == NOT_AUDITED


def test_entries_keep_their_versions_and_conditions() -> None:
    lock = "a==1.0 ; python_version < '3.12' \\\n    --hash=sha256:0 \\\n    --hash=sha256:1\ntorch==2.0\n"
    assert without_hashes(lock) == "a==1.0 ; python_version < '3.12'\ntorch==2.0\n"


def test_only_a_database_that_answered_for_nothing_may_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[str] = []

    def answer(*_: object, **__: object) -> SimpleNamespace:
        return SimpleNamespace(stdout=answers.pop(0))

    monkeypatch.setattr(audit.subprocess, "run", answer)
    nothing = json.dumps({"dependencies": [{"name": "a", "skip_reason": "not found"}]})
    one = json.dumps({"dependencies": [{"name": "a", "version": "1", "vulns": []}]})
    for outputs, words, code in (
        ((nothing, nothing), [], 3),
        ((nothing, nothing), ["--unreachable-passes"], 0),
        ((one, nothing), ["--unreachable-passes"], 3),
        ((one, one), [], 0),
    ):
        answers[:] = outputs
        assert audit.main(words) == code
