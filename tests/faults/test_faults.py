"""A command with one fault at one request, and run again, ends as an undisturbed one does."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from tests.faults.cases import ON_A_DISK, Case, enumerated, sampled
from tests.faults.conftest import PLAYED
from tests.faults.numbering_proxy import Fault

if TYPE_CHECKING:
    from tests.faults.cases import Player

pytestmark = [pytest.mark.faults, pytest.mark.timeout(6 * 60 * 60)]

CASE, ALL = os.environ.get("CASE"), os.environ.get("ALL")
SAMPLE, SEED = int(os.environ.get("SAMPLE") or 2000), int(os.environ.get("SEED") or 1)
SLICES = 1 if CASE else 64
"""Tests among which the cases are divided, so that processes share them."""
FAULTS = list(Fault)


@pytest.mark.parametrize("part", range(SLICES))
def test_a_command_with_one_fault_and_run_again_ends_as_an_undisturbed_one_does(
    part: int, player: Player, request: pytest.FixtureRequest, record_property: pytest.RecordProperty
) -> None:
    if CASE:
        cases = [Case.parse(text) for text in CASE.split()]
    else:
        requests_of = request.getfixturevalue("requests_of")
        cases = sampled(enumerated(requests_of), None if ALL else SAMPLE, SEED)[part::SLICES]
    rows, failed = [], []
    for case in cases:
        if case.fault in ON_A_DISK and not player.world.own_disk:
            continue
        played = player.play(case)
        rows.append(
            {
                "scenario": case.scenario.name,
                "fault": case.fault,
                "order": FAULTS.index(case.fault),
                "requests": len(player.undisturbed(case.scenario).requests),
                "seconds": round(played.seconds, 3),
                "problems": len(played.problems),
            }
        )
        if played.problems:
            failed.append("\n  ".join([f"make test-faults CASE={case}  # {played.request}", *played.problems]))
    record_property(PLAYED, json.dumps(rows))
    assert not failed, "\n".join(failed)
