"""Training callbacks: a progress bar, log lines."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Protocol, TextIO

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

log = logging.getLogger(__name__)

_LOG_STEPS = 50


class TrainingCallback(Protocol):
    """Called during training, with numbers only."""

    def on_start(self, epochs: Sequence[Mapping[str, float]]) -> None:
        """Called before the first step; `epochs`: those before the checkpoint, empty unless a training is resumed."""

    def on_step(self, step: int, total: int, loss: Tensor) -> None:
        """Called after each step, counted from 1."""

    def on_epoch(self, epoch: Mapping[str, float]) -> None:
        """Called after each epoch, with `epoch`, `steps`, `loss`, `dev_strict_f1`, and strict F1 on dev by type."""


class LoggingCallback:
    """A log line every `_LOG_STEPS` steps and for each epoch."""

    def on_start(self, epochs: Sequence[Mapping[str, float]]) -> None:
        """See `TrainingCallback`."""
        if epochs:
            log.info("resumed from the checkpoint after step %d", epochs[-1]["steps"])

    def on_step(self, step: int, total: int, loss: Tensor) -> None:
        """See `TrainingCallback`."""
        if step % _LOG_STEPS == 0:
            log.info("step %d of %d: loss %.4f", step, total, float(loss))

    def on_epoch(self, epoch: Mapping[str, float]) -> None:
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

    def on_start(self, epochs: Sequence[Mapping[str, float]]) -> None:
        """See `TrainingCallback`."""
        for epoch in epochs[-1:]:
            self.on_epoch(epoch)

    def on_step(self, step: int, total: int, loss: Tensor) -> None:
        """See `TrainingCallback`."""
        self._bar.update(self._task, total=total, completed=step, loss=f"{float(loss):.4f}")

    def on_epoch(self, epoch: Mapping[str, float]) -> None:
        """See `TrainingCallback`."""
        self._bar.update(self._task, f1=f"{epoch['dev_strict_f1']:.4f}")


class CallbackList:
    """Calls every callback of a list."""

    def __init__(self, callbacks: Sequence[TrainingCallback]) -> None:
        self._callbacks = callbacks

    def on_start(self, epochs: Sequence[Mapping[str, float]]) -> None:
        """See `TrainingCallback`."""
        for callback in self._callbacks:
            callback.on_start(epochs)

    def on_step(self, step: int, total: int, loss: Tensor) -> None:
        """See `TrainingCallback`."""
        for callback in self._callbacks:
            callback.on_step(step, total, loss)

    def on_epoch(self, epoch: Mapping[str, float]) -> None:
        """See `TrainingCallback`."""
        for callback in self._callbacks:
            callback.on_epoch(epoch)
