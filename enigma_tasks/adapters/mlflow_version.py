"""Creates a version in MLflow: an ensemble folder -> a run, its pyfunc artifact and the version's number."""

from __future__ import annotations

import shutil
import warnings
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import mlflow
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.pyfunc import log_model
from mlflow.types import ColSpec, DataType, Schema

from enigma_tasks.artifacts import ENSEMBLE_ARTIFACT
from enigma_tasks.workfolder import scratch_folder

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlflow import MlflowClient

    from enigma_tasks.adapters.mlflow_registry import Dataset
    from enigma_tasks.notes.plans import Pin

EXPERIMENT = "enigma"
MODEL_CODE = Path(__file__).with_name("mlflow_pyfunc.py")
SERVED_WITH = ("enigma-tasks", "mlflow", "numpy", "safetensors", "tokenizers", "torch", "transformers")
"""Requirements of a registered version; to infer them, MLflow would run the model and use the network."""


def new_version(
    client: MlflowClient, name: str, folder: Path, tags: Mapping[str, str], metrics: Mapping[str, float]
) -> str:
    """Log the folder in a run, then create the version with all its tags in one call."""
    experiment = mlflow.set_experiment(EXPERIMENT)
    with (
        scratch_folder() as scratch,
        warnings.catch_warnings(record=True),  # it warns about a missing input example, which would be a note
        mlflow.start_run(experiment_id=experiment.experiment_id, run_name=name) as run,
    ):
        artifact = scratch / ENSEMBLE_ARTIFACT
        shutil.copytree(folder, artifact)  # MLflow names the artifact after its folder and does not follow links
        client.log_batch(run.info.run_id, params=[mlflow.entities.Param(k, v) for k, v in sorted(tags.items())])
        mlflow.log_metrics(dict(metrics))
        logged = log_model(
            name=ENSEMBLE_ARTIFACT,
            python_model=str(MODEL_CODE),
            artifacts={ENSEMBLE_ARTIFACT: str(artifact)},
            signature=_signature(),
            tags=dict(tags),
            pip_requirements=[f"{library}=={metadata.version(library).partition('+')[0]}" for library in SERVED_WITH],
        )
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    version = client.create_model_version(
        name, logged.model_uri, run_id=run.info.run_id, tags=dict(tags), model_id=logged.model_id
    )
    return str(version.version)


def log_scores(client: MlflowClient, pin: Pin, scores: Mapping[str, float], dataset: Dataset) -> None:
    """Log scores of a version as metrics of its logged model and of the test set that they were measured on.

    The test set is a name and a digest; it has no schema and no source that would hold text.
    """
    run_id = client.get_model_version(pin.name, pin.version).run_id
    (logged,) = client.get_run(run_id).outputs.model_outputs  # a server's versions do not name their logged model
    mlflow.log_metrics(
        dict(scores),
        run_id=run_id,
        model_id=logged.model_id,
        dataset=mlflow.entities.Dataset(dataset.name, dataset.digest, source_type="enigma", source="{}"),
    )


def _signature() -> ModelSignature:
    """The signature: texts -> spans."""
    spans = {
        "document": DataType.long,
        "label": DataType.string,
        "char_start": DataType.long,
        "char_end": DataType.long,
        "score": DataType.double,
    }
    return ModelSignature(
        inputs=Schema([ColSpec(DataType.string)]),
        outputs=Schema([ColSpec(kind, name) for name, kind in spans.items()]),
    )
