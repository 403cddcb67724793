"""How the cost of a call grows with its input: the registry of the budget test, and its two measures.

Executed lines of the package are the same on every machine, but do not show work inside a C function (a slice, a
regular expression, `in` on a list). Processor time shows that too, but is disturbed by other processes, so it is a
minimum of several runs, and compared only as a ratio.
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from enigma_tasks import errors

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

FACTOR = 4
"""How much larger the second input is."""
LIMIT = 6.0
"""The growth of the cost must be below: linear is 4, n log n below 5 at these sizes, quadratic 16."""
_TIMED = 0.02
"""Seconds of processor time at the larger size, below which a measure is mostly noise."""
_LARGEST = 64
"""Times its own size that a quick case is enlarged to, to reach that time."""
_RUNS = 3
_TRIES = 6
_PACKAGE = str(Path(errors.__file__).parent)

Call = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Case:
    """Inputs of one shape for one function."""

    function: Callable[..., Any]
    """Under test."""
    build: Callable[[int], Call]
    """A size -> a call of the function on an input of that size; may be called several times."""
    size: int

    @property
    def module(self) -> str:
        """Of the function, without the package."""
        return self.function.__module__.removeprefix("enigma_tasks.")

    @property
    def name(self) -> str:
        """Its module, the function and the shape of the inputs."""
        own = self.module.rpartition(".")[2]
        return f"{own}.{self.function.__name__}-{self.build.__name__}"


@dataclass(frozen=True, slots=True)
class Growth:
    """Of one case: cost at the larger size by cost at the smaller."""

    lines: float
    seconds: float

    @property
    def within_budget(self) -> bool:
        return max(self.lines, self.seconds) < LIMIT


CASES: list[Case] = []


def case(function: Callable[..., Any], size: int) -> Callable[[Callable[[int], Call]], Callable[[int], Call]]:
    """Register the decorated builder of calls."""

    def register(build: Callable[[int], Call]) -> Callable[[int], Call]:
        CASES.append(Case(function, build, size))
        return build

    return register


def pieces(function: Callable[..., object], size: int, *shapes: str, before: str = "", **more: Any) -> None:
    """A case for each text that is one piece n times, after another.

    Args:
        function: under test.
        size: how often the piece is repeated.
        shapes: the pieces.
        before: what is not repeated.
        more: further arguments of the function.
    """
    for shape in shapes:

        def text_of(n: int, shape: str = shape) -> Call:
            text = before + shape * n
            return lambda: function(text, **more)

        text_of.__name__ = f"text_of_{ascii(before + shape)[1:-1]}"
        case(function, size)(text_of)


def growth(one: Case) -> Growth:
    """Measure a case; its time only where the lines are within the budget."""
    with _undisturbed():
        small, large = one.build(one.size), one.build(one.size * FACTOR)
        few = max(_lines(small), 1)
        lines = _lines(large, few * LIMIT) / few
        return Growth(lines, _seconds(one) if lines < LIMIT else lines)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Without the collection of garbage, and without the trace of a measure of coverage."""
    tracer = sys.gettrace()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        sys.settrace(tracer)


def _seconds(one: Case) -> float:
    """The least growth of several tries: a disturbance only ever adds time.

    Later tries are of larger inputs: what no longer fits into a cache of the processor costs more at one size only.
    """
    size, times = one.size, 1
    while _least(one.build(size * times * FACTOR), 1) < _TIMED and times < _LARGEST:
        times *= 2
    least = float("inf")
    for attempt in range(_TRIES):
        enlarged = size * times << attempt // 2
        small, large = one.build(enlarged), one.build(enlarged * FACTOR)
        least = min(least, _least(large, _RUNS) / max(_least(small, _RUNS), 1e-9))
        if least < LIMIT:
            break
    return least


def _least(call: Call, runs: int) -> float:
    def once() -> float:
        began = time.process_time()
        call()
        return time.process_time() - began

    return min(once() for _ in range(runs))


class _OverBudget(BaseException):
    """Ends a call that has executed too many lines: a quadratic one would take minutes."""


def _lines(call: Call, most: float = float("inf")) -> int:
    """Lines of the package that a call executes, an iteration of a comprehension counted as one; at most `most`."""
    counted = 0

    def of_frame(_frame: FrameType, event: str, _argument: object) -> Any:
        nonlocal counted
        if event == "line":
            counted += 1
            if counted >= most:
                raise _OverBudget
        return of_frame

    def of_call(frame: FrameType, _event: str, _argument: object) -> Any:
        return of_frame if frame.f_code.co_filename.startswith(_PACKAGE) else None

    sys.settrace(of_call)
    try:
        call()
    except _OverBudget:
        pass
    finally:
        sys.settrace(None)
    return counted
