"""`enigma annotate` with a clock at each step of its start -> a JSON list of [phase, seconds, CPU seconds]; the child
of annotate_start_up.py: `python annotate_start_up_child.py STARTED MARKS SHARD`."""

from __future__ import annotations

import importlib
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

marks: list[tuple[str, float, float]] = []
since = [float(sys.argv[1]), 0.0]


def mark(phase: str) -> None:
    """What has passed since the mark before; the first counts from the parent's call."""
    now = [time.time(), time.process_time()]
    marks.append((phase, now[0] - since[0], now[1] - since[1]))
    since[:] = now


def then(call: Callable[..., Any], phase: str) -> Callable[..., Any]:
    """The call, with a mark after its first time."""
    done: list[bool] = []

    def wrapped(*arguments: Any, **more: Any) -> Any:
        result = call(*arguments, **more)
        if not done:
            mark(phase)
        done.append(True)
        return result

    return wrapped


def clocked(stage: ModuleType) -> None:
    """Put the clock into the stage."""
    stage.NightRecords.plan = then(stage.NightRecords.plan, "read the plan")
    load = stage._engine  # noqa: SLF001

    def engine(*arguments: Any) -> Any:
        mark("read the shard")
        from enigma_tasks.ensembles import folder, runner

        mark("import torch and the engine")
        read = folder.read_ensemble

        def last_read(place: Path) -> Any:
            found = read(place)
            mark("check the cached ensembles")
            return found

        vars(folder)["read_ensemble"] = last_read
        start = runner.EnsembleAnnotator.__init__

        def with_imports(self: Any, ensembles: Any, *more: Any, **options: Any) -> None:
            from enigma_tasks.ner.network.transformers_import import import_modelling

            import_modelling()
            from transformers import AutoModel, BertModel, PreTrainedTokenizerFast  # noqa: F401

            mark("import transformers")
            start(self, ensembles, *more, **options)
            mark("load tokenizer and weights")

        runner.EnsembleAnnotator.__init__ = with_imports  # type: ignore[method-assign]
        runner.EnsembleAnnotator.annotate = then(runner.EnsembleAnnotator.annotate, "first note")  # type: ignore[method-assign]
        return load(*arguments)

    stage._engine = engine  # type: ignore[attr-defined] # noqa: SLF001


def main() -> int:
    """Run the stage."""
    mark("start Python")
    from enigma_tasks import cli

    find = importlib.import_module

    def import_module(name: str, package: str | None = None) -> ModuleType:
        if name.startswith("enigma_tasks.stages."):
            mark("settings and parameters")
        module = find(name, package)
        if name.startswith("enigma_tasks.stages."):
            mark("import the stage")
            clocked(module)
        return module

    importlib.import_module = import_module
    code = cli.main(["annotate", "--shard", sys.argv[3], "--quiet", "--json"])
    mark("write and commit")
    Path(sys.argv[2]).write_text(json.dumps(marks))
    return code


if __name__ == "__main__":
    sys.exit(main())
