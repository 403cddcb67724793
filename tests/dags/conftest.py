"""Airflow with a home of its own, on this project's DAG folder."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path

import pytest

DAGS = Path(__file__).parents[2] / "dags"
HOME = tempfile.mkdtemp(prefix="airflow-")
atexit.register(shutil.rmtree, HOME, ignore_errors=True)
# before anything imports airflow, which reads these once
os.environ |= {
    "AIRFLOW_HOME": HOME,
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
    "AIRFLOW__CORE__UNIT_TEST_MODE": "True",
    "AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT": "600",  # on a busy machine 30 s are too few
}
sys.path.append(str(DAGS))  # as Airflow does with a bundle's folder


@pytest.fixture(scope="session")
def bag():
    from airflow.dag_processing.dagbag import DagBag

    return DagBag(str(DAGS))


@pytest.fixture(scope="session")
def night(bag):
    return bag.dags["annotate_nightly"]


@pytest.fixture
def no_host_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without this machine's own variables that name files and are passed to containers."""
    from runtimes.host_paths import local_paths
    from runtimes.image import passed_on

    for name in local_paths(passed_on(os.environ)):
        monkeypatch.delenv(name)
