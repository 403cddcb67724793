"""How long Enigma waits for a service that does not answer: the same for S3, the tables and MLflow, 10 to 30 seconds.

A store that restarts is back within that time; a longer outage is left to Airflow's retries.
"""

from __future__ import annotations

NO_ANSWER = "the store did not answer"
"""What every message says when this time has passed."""
TRIES = 6
"""Requests, the first one included."""
FIRST_WAIT, LONGEST_WAIT = 2.0, 4.0
"""Seconds between two requests of delta-rs, which draws them between these two."""
MLFLOW_RETRIES = 4
MLFLOW_BACKOFF = 1.0
"""Seconds; MLflow waits this times 0, 2, 4 and 8 (urllib3)."""


def delta_options() -> dict[str, str]:
    """Storage options of delta-rs."""
    return {
        "max_retries": str(TRIES - 1),
        "retry_timeout": "180s",
        "backoff_config.init_backoff": f"{FIRST_WAIT:g}s",
        "backoff_config.max_backoff": f"{LONGEST_WAIT:g}s",
        "backoff_config.base": "2",
        "timeout": "60s",
        "connect_timeout": "10s",
    }
