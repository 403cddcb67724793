"""The cases: one fault at one request of one scenario; how one is played and judged."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.faults.invariants import half_made, stored, visible
from tests.faults.numbering_proxy import HELD, KILLS, Fault
from tests.faults.scenarios import OVERRIDES, SCENARIOS, Scenario, words

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tests.faults.starts import Starts
    from tests.faults.world import Ended, Words, World

DAY = 24 * 60 * 60
ANOTHER_END = "another end"
HALF_MADE = "half-made after the fault"
FAILED = 3
DOCUMENTED = {0, FAILED}
"""Exit codes of a command whose service failed: it was retried, or is to be run again (docs/architecture.md)."""
CHANGED_MEANWHILE = ("/drops/", "/gold/")
"""Where others write objects, which are read on the condition that they are still what was listed."""
ON_A_DISK = {Fault.DISK_FULL, Fault.READ_ONLY}
"""Only where the temporary folder may be a disk of its own."""


@dataclass(frozen=True, slots=True)
class Case:
    """One fault at one request."""

    scenario: Scenario
    number: int
    fault: Fault

    def __str__(self) -> str:
        return f"{self.scenario.name}:{self.number}:{self.fault}"

    @classmethod
    def parse(cls, text: str) -> Case:
        """The case that `str` names."""
        name, number, fault = text.split(":")
        (scenario,) = (s for s in SCENARIOS if s.name == name)
        return cls(scenario, int(number), Fault(fault))


@dataclass(frozen=True, slots=True)
class Played:
    """What came of a case."""

    case: Case
    request: str
    seconds: float
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Undisturbed:
    """A scenario without a fault."""

    requests: tuple[str, ...]
    start: Mapping[str, str]
    ends: tuple[Mapping[str, str], ...]
    """Two where another night is run: it comes after, or first."""


def enumerated(requests: Mapping[str, int]) -> list[Case]:
    """Every fault at every request, by the number of requests of each scenario."""
    return [
        Case(scenario, number, fault)
        for scenario in SCENARIOS
        for number in range(requests[scenario.name] + 1)
        for fault in Fault
        if (fault is Fault.READ_ONLY) == (number == 0)
    ]


def sampled(cases: Sequence[Case], size: int | None, seed: int) -> list[Case]:
    """A sample of the cases, in their order; all of them for None."""
    if size is None or size >= len(cases):
        return list(cases)
    return [cases[i] for i in sorted(random.Random(seed).sample(range(len(cases)), size))]


@dataclass
class Player:
    """Plays cases in one installation."""

    world: World
    starts: Starts
    _known: dict[str, Undisturbed] = field(default_factory=dict)

    def undisturbed(self, scenario: Scenario) -> Undisturbed:
        """The scenario's requests, and what is to be seen before and after it."""
        if scenario.name not in self._known:
            self._known[scenario.name] = self._recorded(scenario)
        return self._known[scenario.name]

    def play(self, case: Case) -> Played:
        """One case: the fault, other nights, the command again and once more, and what can be seen then."""
        known = self.undisturbed(case.scenario)
        began = time.perf_counter()
        self.world.restore(self.starts(case.scenario.start))
        problems = self._disturbed(case, known)
        met = self.world.numbering.requests[case.number - 1 : case.number]
        self.world.free_disk()
        self.world.clock.set(0)
        self.world.numbering.reset()
        problems += self._again(case.scenario, known)
        if case.fault is Fault.STATUS_412 and any(place in request for request in met for place in CHANGED_MEANWHILE):
            # so the store says that the object has changed since it was listed: the next night or ingestion takes it
            problems = [problem for problem in problems if not problem.startswith((ANOTHER_END, HALF_MADE))]
        request = ("from the beginning", *known.requests)[case.number] if case.number <= len(known.requests) else "?"
        return Played(case, request, time.perf_counter() - began, tuple(problems))

    def _recorded(self, scenario: Scenario) -> Undisturbed:
        state = self.starts(scenario.start)
        self.world.restore(state)
        start = visible(self.world)
        self.world.numbering.reset()
        self._sound(scenario, scenario.command)
        requests = tuple(self.world.numbering.requests)
        ends = []
        for first, then in [(scenario.other, ()), ((), scenario.other)] if scenario.other else [((), ())]:
            if then or scenario.other:
                self.world.restore(state)
                for command in (*then, scenario.command, *first):
                    self._sound(scenario, command)
            self._after(scenario)
            ends.append(visible(self.world))
        return Undisturbed(requests, start, tuple(ends))

    def _disturbed(self, case: Case, known: Undisturbed) -> list[str]:
        problems: list[str] = []
        self.world.numbering.reset(case.number, case.fault, self._act(case, problems))
        if case.fault is Fault.READ_ONLY:
            self.world.make_disk("ro")
        try:
            ended, _ = self._run(case.scenario, case.scenario.command)
        finally:
            if case.fault is Fault.READ_ONLY:
                self.world.make_disk("rw")
        reached = len(self.world.numbering.requests) >= case.number
        allowed = DOCUMENTED | ({case.scenario.loser} if case.fault is Fault.SECOND_WRITER else set())
        if case.fault in KILLS:
            if reached and not ended.killed:
                problems.append(f"it was not killed, and ended with {ended.code}")
        elif case.fault is Fault.READ_ONLY and (ended.code != FAILED or str(self.world.disk) not in ended.output):
            problems.append(f"it ended with {ended.code} without a writable temporary folder: {ended.output[-1500:]}")
        elif ended.killed or ended.code not in allowed:
            problems.append(f"it ended with {ended.code}: {ended.output[-1500:]}")
        if not case.scenario.after or case.scenario.other:
            half = half_made(visible(self.world), known.start, known.ends)
            problems += [f"{HALF_MADE}: {name}" for name in half]
        return problems

    def _act(self, case: Case, problems: list[str]) -> Callable[[], object] | None:
        if case.fault not in HELD:
            return None

        def second_writer() -> None:
            for command in case.scenario.other or (case.scenario.command,):
                ended, _ = self._run(case.scenario, command, counted=False)
                if ended.code not in {0, case.scenario.loser}:
                    problems.append(f"the second writer ended with {ended.code}: {ended.output[-1500:]}")

        return {
            Fault.SECOND_WRITER: second_writer,
            Fault.DISK_FULL: self.world.fill_disk,
            Fault.CLOCK_BACK: lambda: self.world.clock.set(-DAY),
            Fault.CLOCK_AHEAD: lambda: self.world.clock.set(DAY),
        }[case.fault]

    def _again(self, scenario: Scenario, known: Undisturbed) -> list[str]:
        problems = []
        for command in (*scenario.other, scenario.command):
            ended, _ = self._run(scenario, command)
            if ended.code:
                problems.append(f"{command[0]} ended with {ended.code} when it was run again: {ended.output[-1500:]}")
        if left := self.world.left_over():
            problems.append(f"left in the temporary folder: {left}")
        before = stored(self.world)
        ended, _ = self._run(scenario, scenario.command)
        after = stored(self.world)
        changed = [name for name in {**before, **after} if before.get(name) != after.get(name)]
        if ended.code or changed:
            problems.append(f"run once more it ended with {ended.code} and changed {sorted(changed)}")
        try:
            self._after(scenario)
            seen = visible(self.world)
        except AssertionError as error:
            return [*problems, str(error)]
        if seen not in known.ends:
            nearest = min((_differences(seen, end) for end in known.ends), key=len)
            problems += [f"{ANOTHER_END}: {line}" for line in nearest]
        return problems

    def _after(self, scenario: Scenario) -> None:
        for command in scenario.after:
            self._sound(scenario, command)

    def _sound(self, scenario: Scenario, command: Words) -> Any:
        ended, report = self._run(scenario, command)
        assert ended.code == 0, f"{command[0]} ended with {ended.code}: {ended.output[-3000:]}"
        return report

    def _run(self, scenario: Scenario, command: Words, *, counted: bool = True) -> tuple[Ended, Any]:
        found = words(command, self.starts, scenario, self.world)
        return self.world.run(found, overrides=OVERRIDES, counted=counted, multipart=scenario.multipart)


def _differences(seen: Mapping[str, str], end: Mapping[str, str]) -> list[str]:
    found = []
    for name in sorted({*seen, *end}):
        if seen.get(name) != end.get(name):
            pair = (seen.get(name, "nothing"), end.get(name, "nothing"))
            at = next((i for i, (a, b) in enumerate(zip(*pair, strict=False)) if a != b), min(map(len, pair)))
            found.append(" instead of ".join(f"{text[max(0, at - 60) : at + 120]!r}" for text in pair) + f" in {name}")
    return found
