"""`make docs`: writes `docs/dags.md` from the DAGs themselves; a test compares it with the disk."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs/dags.md"


def dags_page(dags: dict[str, Any]) -> str:
    """One section a DAG: when it runs, its tasks with their policy, and its own documentation."""
    parts = ["<!-- Written by `make docs` from dags/; do not edit. -->\n# DAGs\n"]
    for name, dag in sorted(dags.items()):
        rows = ["| task | command | after | pool | tries | time limit | runs when |", "|---|---|---|---|---|---|---|"]
        for task in dag.topological_sort():
            settings = task.partial_kwargs if task.is_mapped else vars(task)
            command = f"`enigma {settings['stage']}`" if "stage" in settings else "a person's answer"
            command += ", one task per value" if task.is_mapped or task.get_closest_mapped_task_group() else ""
            limit = settings.get("execution_timeout") or settings.get("response_timeout")
            policy = [task.pool, settings["retries"] + 1, limit, task.trigger_rule.value]
            cells = [f"`{task.task_id}`", command, ", ".join(sorted(task.upstream_task_ids)), *policy]
            rows.append(f"| {' | '.join(map(str, cells))} |")
        when = getattr(dag.timetable, "expression", None) or ", ".join(
            asset.name for asset in dag.timetable.asset_condition.objects
        )
        parts.append(f"# `{name}`\n\n{dag.description}. Schedule: `{when}`, one run at a time.\n")
        parts.append("\n".join(rows) + "\n")
        parts.append(dag.doc_md.strip() + "\n")
    return "\n".join(parts)


def _bag() -> dict[str, Any]:
    folder = str(ROOT / "dags")
    os.environ |= {
        "AIRFLOW_HOME": tempfile.mkdtemp(prefix="airflow-"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": folder,
    }
    sys.path.append(folder)
    from airflow.dag_processing.dagbag import DagBag  # noqa: TID251

    bag = DagBag(folder)
    if bag.import_errors:
        raise SystemExit(str(bag.import_errors))
    return dict(bag.dags)


if __name__ == "__main__":
    PAGE.write_text(dags_page(_bag()))
