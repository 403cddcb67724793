"""A training -> a run in MLflow: parameters, curves, digests, hardware and speed; numbers and names, never text."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from enigma_tasks.adapters.mlflow_registry import mlflow_client, typed
from enigma_tasks.errors import ServiceError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from mlflow import MlflowClient

log = logging.getLogger(__name__)

EXPERIMENT = "enigma-training"
_LONGEST_PARAMETER = 500


@dataclass
class TrainingRun:
    """One run; a `TrainingCallback` of the training that it stands for. It is opened when the training begins."""

    client: MlflowClient
    experiment_id: str
    name: str
    parameters: Mapping[str, Any]
    tags: Mapping[str, str]
    kept: Path
    """The file that holds the run's id for a training that goes on after a kill."""
    run_id: str = ""

    def began(self, epochs: Sequence[Mapping[str, float]]) -> None:
        """Open a run, or the one that a killed training has left, and send what it lacks. Raises ServiceError."""
        with typed(f"open the run of {self.name}"):
            self.run_id = (self._left() if epochs else "") or self._new()
            self.kept.parent.mkdir(parents=True, exist_ok=True)
            self.kept.write_text(self.run_id)
            sent = {point.step for point in self.client.get_metric_history(self.run_id, "epoch")}
        for epoch in epochs:
            if epoch["steps"] not in sent:
                self.scored(epoch)

    def _left(self) -> str:
        """The run whose id is kept, running again; empty where the server has no such run."""
        from mlflow.exceptions import MlflowException

        try:
            run_id = self.kept.read_text().strip()
            self.client.update_run(run_id, "RUNNING")
        except FileNotFoundError:
            return ""
        except MlflowException as error:
            if error.error_code not in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
                raise
            return ""
        for name, value in self.tags.items():  # it may go on with other hardware
            self.client.set_tag(run_id, name, value)
        return run_id

    def _new(self) -> str:
        from mlflow.entities import Param

        run_id: str = self.client.create_run(self.experiment_id, run_name=self.name, tags=dict(self.tags)).info.run_id
        parameters = [Param(name, str(value)[:_LONGEST_PARAMETER]) for name, value in flat(self.parameters)]
        self.client.log_batch(run_id, params=parameters)
        return run_id

    def stepped(self, step: int, total: int, loss: object) -> None:
        """Steps are not sent: a call to the server each would cost more than they do."""

    def scored(self, epoch: Mapping[str, float]) -> None:
        """A point on each curve. Raises ServiceError."""
        self.log({name: value for name, value in epoch.items() if name != "steps"}, step=int(epoch["steps"]))

    def log(self, metrics: Mapping[str, float], step: int = 0) -> None:
        """Figures at a step. Raises ServiceError."""
        from mlflow.entities import Metric
        from mlflow.utils.time import get_current_time_millis

        now = get_current_time_millis()
        with typed("log metrics"):
            self.client.log_batch(self.run_id, [Metric(k, float(v), now, step) for k, v in metrics.items()])

    def tag(self, tags: Mapping[str, str]) -> None:
        """Raises ServiceError."""
        with typed("tag a run"):
            for name, value in tags.items():
                self.client.set_tag(self.run_id, name, value)

    def end(self, status: str) -> None:
        """Raises ServiceError."""
        if self.run_id:
            with typed("end a run"):
                self.client.set_terminated(self.run_id, status)


@contextmanager
def training_run(
    name: str, parameters: Mapping[str, Any], tags: Mapping[str, str], kept: Path
) -> Iterator[TrainingRun]:
    """A run of the experiment `enigma-training`; FINISHED when the block ends, FAILED when it raises.

    `parameters`: a tree; nested keys are dotted. `kept`: where the run's id is, or will be.

    Raises:
        ServiceError: the tracking server is unreachable or failing, after MLflow's own retries.
    """
    with typed("open the experiment"):  # before the training, which may be long
        client = mlflow_client()
        experiment = client.get_experiment_by_name(EXPERIMENT)
        experiment_id = experiment.experiment_id if experiment else client.create_experiment(EXPERIMENT)
    run = TrainingRun(client, experiment_id, name, parameters, tags, kept)
    try:
        yield run
    except BaseException:
        try:
            run.end("FAILED")
        except ServiceError as error:  # what ended the training is the news
            log.warning("%s", error)
        raise
    run.end("FINISHED")


def flat(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Leaves of nested mappings under dotted names."""
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
