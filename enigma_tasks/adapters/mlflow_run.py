"""MLflow runs of trainings: parameters, curves, digests, hardware and speed; numbers and names, never text."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from enigma_tasks.adapters.mlflow_errors import typed
from enigma_tasks.adapters.mlflow_registry import mlflow_client
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
    """One run, a `TrainingCallback` that is opened when the training starts."""

    client: MlflowClient
    experiment_id: str
    name: str
    parameters: Mapping[str, Any]
    tags: Mapping[str, str]
    id_file: Path
    """The file with the run's id, for resuming after a kill."""
    run_id: str = ""

    def on_start(self, epochs: Sequence[Mapping[str, float]]) -> None:
        """Open a run, or that of the resumed training, and send the epochs that it lacks. Raises ServiceError."""
        with typed(f"open the run of {self.name}"):
            self.run_id = (self._resumed() if epochs else "") or self._new()
            self.id_file.parent.mkdir(parents=True, exist_ok=True)
            self.id_file.write_text(self.run_id)
            sent = {point.step for point in self.client.get_metric_history(self.run_id, "epoch")}
        for epoch in epochs:
            if epoch["steps"] not in sent:
                self.on_epoch(epoch)

    def _resumed(self) -> str:
        """Resume the run in `id_file`; empty if the server does not have it."""
        from mlflow.exceptions import MlflowException

        try:
            run_id = self.id_file.read_text().strip()
            self.client.update_run(run_id, "RUNNING")
        except FileNotFoundError:
            return ""
        except MlflowException as error:
            if error.error_code not in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
                raise
            return ""
        for name, value in self.tags.items():  # the hardware may be another
            self.client.set_tag(run_id, name, value)
        return run_id

    def _new(self) -> str:
        from mlflow.entities import Param

        run_id: str = self.client.create_run(self.experiment_id, run_name=self.name, tags=dict(self.tags)).info.run_id
        parameters = [Param(name, str(value)[:_LONGEST_PARAMETER]) for name, value in flat(self.parameters)]
        self.client.log_batch(run_id, params=parameters)
        return run_id

    def on_step(self, step: int, total: int, loss: object) -> None:
        """Nothing: sending each step would take longer than the step."""

    def on_epoch(self, epoch: Mapping[str, float]) -> None:
        """Log a point on each curve. Raises ServiceError."""
        self.log({name: value for name, value in epoch.items() if name != "steps"}, step=int(epoch["steps"]))

    def log(self, metrics: Mapping[str, float], step: int = 0) -> None:
        """Log figures at a step. Raises ServiceError."""
        from mlflow.entities import Metric
        from mlflow.utils.time import get_current_time_millis

        now = get_current_time_millis()
        with typed("log metrics"):
            self.client.log_batch(self.run_id, [Metric(k, float(v), now, step) for k, v in metrics.items()])

    def tag(self, tags: Mapping[str, str]) -> None:
        """Set tags. Raises ServiceError."""
        with typed("tag a run"):
            for name, value in tags.items():
                self.client.set_tag(self.run_id, name, value)

    def end(self, status: str) -> None:
        """End the run with a status. Raises ServiceError."""
        if self.run_id:
            with typed("end a run"):
                self.client.set_terminated(self.run_id, status)


@contextmanager
def training_run(
    name: str, parameters: Mapping[str, Any], tags: Mapping[str, str], id_file: Path
) -> Iterator[TrainingRun]:
    """A run of the experiment `enigma-training`; FINISHED when the block ends, FAILED when it raises.

    `parameters`: a tree; nested keys are dotted. `id_file`: the file for the run's id.

    Raises:
        ServiceError: the tracking server is unreachable or failing, after MLflow's own retries.
    """
    with typed("open the experiment"):  # before the training, so that an unreachable server fails early
        client = mlflow_client()
        experiment = client.get_experiment_by_name(EXPERIMENT)
        experiment_id = experiment.experiment_id if experiment else client.create_experiment(EXPERIMENT)
    run = TrainingRun(client, experiment_id, name, parameters, tags, id_file)
    try:
        yield run
    except BaseException:
        try:
            run.end("FAILED")
        except ServiceError as error:  # the first error is raised
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
