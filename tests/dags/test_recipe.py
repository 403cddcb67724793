"""The DAG that CONTRIBUTING.md shows keeps every rule that the project's own DAGs keep."""

from __future__ import annotations

from typing import TYPE_CHECKING

from enigma_tasks.cli import build_parser
from tests.pages import ROOT, blocks

if TYPE_CHECKING:
    from pathlib import Path


def test_the_dag_of_the_recipe_loads_and_its_task_parses(tmp_path: Path) -> None:
    from airflow.dag_processing.dagbag import DagBag

    (block,) = [b for b in blocks(ROOT / "CONTRIBUTING.md") if b.mark == "dag"]
    (tmp_path / "evaluate_weekly.py").write_text(block.body)
    bag = DagBag(str(tmp_path))
    assert bag.import_errors == {}
    (dag,) = bag.dags.values()
    assert dag.max_active_runs == 1
    assert "When a task fails" in dag.doc_md
    assert "Owner" in dag.doc_md
    (task,) = dag.tasks
    assert task.retries >= 2
    assert build_parser().parse_args([task.stage, *task.arguments, "--json"]).command == task.task_id
