"""The test scores of a version that MLflow keeps: what `mlflow_registry.log_scores` logged, read back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from enigma_tasks.adapters.mlflow_errors import typed
from enigma_tasks.adapters.mlflow_registry import Dataset, mlflow_client

if TYPE_CHECKING:
    from enigma_tasks.notes.plans import Pin


def logged_scores(pin: Pin) -> dict[Dataset, dict[str, float]]:
    """Metrics by test set; empty where none were logged. Raises ServiceError."""
    found: dict[Dataset, dict[str, float]] = {}
    with typed(f"read scores of {pin.name}"):
        client = mlflow_client()
        outputs = client.get_run(client.get_model_version(pin.name, pin.version).run_id).outputs
        for logged in outputs.model_outputs if outputs else ():
            for metric in client.get_logged_model(logged.model_id).metrics or ():
                if metric.dataset_name and metric.dataset_digest:
                    dataset = Dataset(metric.dataset_name, metric.dataset_digest)
                    found.setdefault(dataset, {})[metric.key] = float(metric.value)
    return found
