"""What is disturbed: a command in a state, what other nights do before it is run again, and what shows its outcome."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.faults.starts import COST, FIRST, SECOND, WHO
from tests.faults.world import ROOT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.faults.starts import Starts
    from tests.faults.world import Words, World


@dataclass(frozen=True, slots=True)
class Scenario:
    """One command in one state. `{shard}`, `{decision}`, `{digest}`, `{model}` and `{test}` stand for names of it."""

    name: str
    start: str
    command: Words
    other: tuple[Words, ...] = ()
    """Another night, which runs whole after the fault and before the command is run again."""
    after: tuple[Words, ...] = ()
    """Run after the last run of the command, to show what its outcome is worth."""
    multipart: bool = False
    """Uploads of every size are in parts."""
    loser: int = 0
    """The exit code of the command where another one came first: docs/promotion.md."""


ANNOTATE = ("annotate", "--shard", "{shard}")
PUBLISH = ("publish", "--batch", FIRST)
PUBLISH_SECOND = ("publish", "--batch", SECOND)
PROMOTE = ("promote", "--decision", "{decision}", "--digest", "{digest}", "--approved-by", "eva")
SCENARIOS: Sequence[Scenario] = (
    Scenario("plan", "dropped", ("plan", "--batch", FIRST), after=(ANNOTATE, PUBLISH)),
    Scenario("plan-second", "second_dropped", ("plan", "--batch", SECOND)),
    Scenario("annotate", "planned", ANNOTATE, after=(PUBLISH,)),
    Scenario("annotate-overwritten", "overwritten", ANNOTATE, after=(PUBLISH,)),
    Scenario("annotate-multipart", "planned", ANNOTATE, after=(PUBLISH,), multipart=True),
    Scenario("publish", "annotated", PUBLISH),
    Scenario("publish-second", "second_annotated", PUBLISH_SECOND),
    Scenario("publish-backfill", "backfill_annotated", PUBLISH_SECOND),
    Scenario("publish-checkpoint", "hundred", PUBLISH),
    Scenario(
        "publish-crossed",
        "crossed",
        PUBLISH,
        other=(PUBLISH_SECOND,),
        after=(("monitor", "--batch", FIRST), ("monitor", "--batch", SECOND)),
    ),
    Scenario("monitor", "published", ("monitor", "--batch", FIRST)),
    Scenario("ingest", "gold_dropped", ("ingest", "--batch", "first")),
    Scenario("ingest-again", "gold_again_dropped", ("ingest", "--batch", "second")),
    Scenario("register-first", "empty", ("register", *WHO, "--model", "{models}/able", "--first")),
    Scenario("register", "unable", ("register", *WHO, "--model", "{models}/able")),
    Scenario("compare", "challenged", ("compare", *WHO, "--test", "{test}"), loser=1),
    Scenario("promote", "decided", PROMOTE, loser=1),
    Scenario(
        "rollback", "promoted", ("registry", "rollback", *WHO, "--to", "1", "--reason", "It finds less."), loser=1
    ),
    Scenario("select", "monitored", ("select", "--batch", FIRST)),
    Scenario("forget", "monitored", ("forget", f"{ROOT}/drops/es/2026-06-11/n0.txt", "--yes")),
)


def words(command: Words, starts: Starts, scenario: Scenario, world: World) -> Words:
    """The command with the names of the state that it starts from, or of the night that was planned since."""
    state = starts(scenario.start)
    decisions = state.names.get("decisions", [{}])
    names = {
        "shard": (state.names.get("shards") or world.shards())[0],
        "decision": decisions[0].get("decision", ""),
        "digest": decisions[0].get("line_digest", ""),
        "models": str(starts.models),
        "test": str(starts.test),
    }
    return tuple(word.format(**names) for word in command)


OVERRIDES = (COST,)
