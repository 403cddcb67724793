"""`make demo`: the whole loop on this machine, in Airflow's scheduler.

A night over sample notes; then new gold of one language, its retraining, the gate, an approval through Airflow's API,
and a night on the new champions. Uses the stack of `make up` if it is running, else starts one and stops it at the end.
Exit code 0 if every note has its outcome, every annotation matches its text, the pages exist, and the model that was
trained on more notes became champion.
"""

from __future__ import annotations

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rich.console import Console

from infra.local import demo_loop
from infra.local.demo_loop import RETRAINED
from infra.local.demo_night import LANGUAGES, night
from infra.local.processes import StackError
from infra.local.stack import STATE, Stack
from infra.local.user import User

if TYPE_CHECKING:
    from pathlib import Path

NIGHT_SEEDS = (2, 3)


@dataclass
class Demo:
    """The demo's console, clock and failed checks."""

    console: Console = field(default_factory=lambda: Console(highlight=False, soft_wrap=True))
    began: float = field(default_factory=time.monotonic)
    wrong: list[str] = field(default_factory=list)

    def say(self, text: str) -> None:
        """Print one line with the time since the start."""
        self.console.print(f"[dim]{time.monotonic() - self.began:4.0f} s[/]  {text}")

    def expect(self, holds: bool, otherwise: str) -> None:
        """Record a failed check."""
        if not holds:
            self.wrong.append(otherwise)


def run(demo: Demo, stack: Stack, *, started: bool) -> None:
    """Run the demo on a running stack, or start one."""
    made = start(demo, stack, started=started)
    user = User(stack)
    demo_loop.check_nothing_waits(user)
    _, first = night(demo, user, NIGHT_SEEDS[0], checked=made)
    demo_loop.close_loop(demo, user, must_promote=RETRAINED in made)
    ended, second = night(demo, user, NIGHT_SEEDS[1], checked=made)
    demo_loop.check_annotators(demo, user, ended.batch_id)
    before, now = first[RETRAINED], second[RETRAINED]
    demo.say(f"strict F1 of {RETRAINED}: {before:.3f} in the first night, {now:.3f} in the second, of other notes")
    if RETRAINED in made:
        demo.expect(now > before, f"strict F1 of {RETRAINED} fell from {before:.3f} to {now:.3f}")
    demo.say(f"both nights: [b]{stack.folder / 'reports/index.html'}[/]")


def start(demo: Demo, stack: Stack, *, started: bool) -> list[str]:
    """Have a stack with a champion for every language; returns the languages whose first champion was made here."""
    work = stack.folder / "demo"
    present = demo_loop.present_champions(stack.environment) if started else {}
    for language in LANGUAGES:
        if language in present:
            names = ", ".join(f"{name} version {version}" for name, version in sorted(present[language].items()))
            demo.say(f"using the champions that are there: {names}")
    made = [language for language in LANGUAGES if language not in present]
    with ThreadPoolExecutor(1) as pool:
        if not started:
            stack.say = demo.say
        training = pool.submit(demo_loop.train_champions, demo, stack.environment, made, work)
        if not started:
            stack.start()
        training.result()
    demo_loop.register_champions(demo, stack.environment, made, work)
    return made


def main(state: Path = STATE) -> int:
    """Run the demo; returns the exit code."""
    demo = Demo()
    stack = Stack.load(state)
    started = stack is not None and stack.running
    if stack is None or not started:
        stack = Stack(state)
    demo.say("using the running stack" if started else "starting S3, MLflow and Airflow, and training models")
    try:
        run(demo, stack, started=started)
    except StackError as error:
        demo.console.print(str(error), markup=False)
        demo.wrong.append("a step failed")
    except KeyboardInterrupt:
        demo.wrong.append("interrupted")
    finally:
        if started:
            demo.console.print(stack.describe(), markup=False)
        else:
            stack.stop()
            demo.say("stopped the stack; `make up` starts one and leaves it running")
    for line in demo.wrong:
        demo.console.print(f"[red]failed:[/] {line}")
    if not demo.wrong:
        demo.say("[green]all checks passed[/]")
    return 1 if demo.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
