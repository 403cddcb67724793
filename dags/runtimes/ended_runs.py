"""Which runs have ended: what their killed workers left running is removed before another writer starts."""

from __future__ import annotations

from typing import Any

from airflow.sdk.exceptions import AirflowRuntimeError

ENDED = (None, "success", "failed")
"""States of a run; None: Airflow does not know it any more."""
NOT_FOUND = 404


class EndedRuns:
    """Asks Airflow for the state of each run once."""

    def __init__(self, ti: Any) -> None:
        self._ti = ti
        self._states: dict[tuple[str, str], str | None] = {(ti.dag_id, ti.run_id): "running"}

    def has(self, dag_id: str, run_id: str) -> bool:
        """Whether this run has ended; the run that asks has not."""
        run = (dag_id, run_id)
        if run not in self._states:
            self._states[run] = _state(self._ti, dag_id, run_id)
        return self._states[run] in ENDED


def _state(ti: Any, dag_id: str, run_id: str) -> str | None:
    try:
        return str(ti.get_dagrun_state(dag_id, run_id))
    except AirflowRuntimeError as error:
        if (error.error.detail or {}).get("status_code") == NOT_FOUND:
            return None
        raise
