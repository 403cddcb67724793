"""Environment variables that turn off libraries' telemetry, pickles and progress output, and set their retries."""

from __future__ import annotations

from enigma_tasks.patience import MLFLOW_BACKOFF, MLFLOW_RETRIES, TRIES

QUIET = {
    "AWS_MAX_ATTEMPTS": str(TRIES),  # of MLflow's and DVC's S3 clients
    "AWS_RETRY_MODE": "standard",
    "DO_NOT_TRACK": "1",
    "GIT_PYTHON_REFRESH": "quiet",
    "GX_ANALYTICS_ENABLED": "false",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "MLFLOW_DISABLE_SCHEMA_DETAILS": "true",  # otherwise messages quote refused input
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": f"{MLFLOW_BACKOFF:g}",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": str(MLFLOW_RETRIES),
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",  # seconds
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_MODEL_CATALOG_URI": "",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_UV_AUTO_DETECT": "false",
    "OMP_WAIT_POLICY": "PASSIVE",  # sleep at barriers: on a busy machine spinning made training 18 times slower
    "TOKENIZERS_PARALLELISM": "false",
}
