"""The installation of one process, its sample of the cases, and the table of what was played."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.faults.report import report_lines

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.cases import Player

PLAYED = "played"
"""The user property of a test that holds its cases as JSON."""


@pytest.fixture(scope="session")
def player(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Player]:
    from tests.faults.cases import Player
    from tests.faults.forked import import_all
    from tests.faults.starts import Starts
    from tests.faults.world import running_world

    import_all()
    with running_world(tmp_path_factory.mktemp("world")) as world, pytest.MonkeyPatch.context() as patch:
        for name in [n for n in os.environ if n.startswith(("AWS_", "ENIGMA_", "MLFLOW_", "GIT_"))]:
            patch.delenv(name)
        for name, value in world.environment.items():
            patch.setenv(name, value)
        yield Player(world, Starts(world))


@pytest.fixture(scope="session")
def requests_of(player: Player, tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    """Scenario -> its requests, the same in all processes of this session: as the first one counted them."""
    from tests.faults.scenarios import SCENARIOS

    own = {s.name: len(player.undisturbed(s).requests) for s in SCENARIOS}
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID")
    if not run:
        return own
    shared = tmp_path_factory.getbasetemp().parent / f"requests-{run}.json"
    draft = tmp_path_factory.mktemp("requests") / "own.json"
    draft.write_text(json.dumps(own))
    try:
        os.link(draft, shared)
    except FileExistsError:
        return dict(json.loads(shared.read_text()))
    return own


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the table of what was played, and write it where REPORT says."""
    reports = [r for kind in ("passed", "failed") for r in terminalreporter.stats.get(kind, [])]
    rows = [row for r in reports for name, value in r.user_properties if name == PLAYED for row in json.loads(value)]
    if not rows:
        return
    lines = report_lines(rows)
    terminalreporter.write_line("\n".join(lines))
    if os.environ.get("REPORT"):
        Path(os.environ["REPORT"]).write_text("\n".join(lines) + "\n")
