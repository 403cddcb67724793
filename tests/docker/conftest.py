"""Airflow's wrapper of the engine can be imported, as in a DAG file."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "dags"))
