"""What a training tells while it runs -> a bar on a terminal, else lines in the log."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Protocol, TextIO

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

log = logging.getLogger(__name__)

_LOG_STEPS = 50


class TrainingCallback(Protocol):
    """Is told numbers only."""

    def began(self, epochs: Sequence[Mapping[str, float]]) -> None:
        """Before the first step: the epochs that a killed training has behind it, none for one that begins."""

    def stepped(self, step: int, total: int, loss: Tensor) -> None:
        """A step is done, counted from 1."""

    def scored(self, epoch: Mapping[str, float]) -> None:
        """An epoch was scored on dev: `epoch`, `steps`, `loss`, `dev_strict_f1`, and that of each type."""


class LoggingCallback:
    """A line every so many steps and each epoch."""

    def began(self, epochs: Sequence[Mapping[str, float]]) -> None:
        """See `TrainingCallback`."""
        if epochs:
            log.info("going on from the checkpoint after step %d", epochs[-1]["steps"])

    def stepped(self, step: int, total: int, loss: Tensor) -> None:
        """See `TrainingCallback`."""
        if step % _LOG_STEPS == 0:
            log.info("step %d of %d: loss %.4f", step, total, float(loss))

    def scored(self, epoch: Mapping[str, float]) -> None:
        """See `TrainingCallback`."""
        log.info(
            "epoch %d, step %d: loss %.4f, dev strict F1 %.4f",
            epoch["epoch"],
            epoch["steps"],
            epoch["loss"],
            epoch["dev_strict_f1"],
        )


class ProgressBar:
    """A progress bar on `stream` with the loss and the last strict F1 on dev."""

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        figures = TextColumn("loss {task.fields[loss]}  dev strict F1 {task.fields[f1]}")
        columns = (BarColumn(), MofNCompleteColumn(), figures, TimeRemainingColumn())
        self._bar = Progress(*columns, console=Console(file=stream))
        self._task = self._bar.add_task("training", total=None, loss="-", f1="-")

    def __enter__(self) -> ProgressBar:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def began(self, epochs: Sequence[Mapping[str, float]]) -> None:
        """See `TrainingCallback`."""
        for epoch in epochs[-1:]:
            self.scored(epoch)

    def stepped(self, step: int, total: int, loss: Tensor) -> None:
        """See `TrainingCallback`."""
        self._bar.update(self._task, total=total, completed=step, loss=f"{float(loss):.4f}")

    def scored(self, epoch: Mapping[str, float]) -> None:
        """See `TrainingCallback`."""
        self._bar.update(self._task, f1=f"{epoch['dev_strict_f1']:.4f}")


class CallbackList:
    """Tells all of them."""

    def __init__(self, all_of: Sequence[TrainingCallback]) -> None:
        self._all = all_of

    def began(self, epochs: Sequence[Mapping[str, float]]) -> None:
        """See `TrainingCallback`."""
        for watch in self._all:
            watch.began(epochs)

    def stepped(self, step: int, total: int, loss: Tensor) -> None:
        """See `TrainingCallback`."""
        for watch in self._all:
            watch.stepped(step, total, loss)

    def scored(self, epoch: Mapping[str, float]) -> None:
        """See `TrainingCallback`."""
        for watch in self._all:
            watch.scored(epoch)
