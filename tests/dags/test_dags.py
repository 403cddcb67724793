"""What holds for every DAG file, and what the night's DAG promises."""

from __future__ import annotations

import ast
import datetime as dt
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from enigma_tasks.cli import build_parser

ROOT = Path(__file__).parents[2]
DAGS = ROOT / "dags"
FILES = sorted(p for p in DAGS.glob("*.py") if p.name != "container_task.py")
ALLOWED = {"airflow", "pendulum", "container_task"} | set(sys.stdlib_module_names)
HEAVY = {"torch", "transformers", "mlflow", "deltalake", "boto3", "enigma_tasks"}
SERIALISE = """
import sys, json
sys.path.append({dags!r})
from airflow.dag_processing.dagbag import DagBag
from airflow.models.serialized_dag import SerializedDagModel
from airflow.serialization.serialized_objects import DagSerialization
bag = DagBag({dags!r})
sys.stdout.write(json.dumps({{k: SerializedDagModel.hash(DagSerialization.to_dict(d)) for k, d in bag.dags.items()}}))
"""


def test_every_dag_file_imports_without_an_error(bag) -> None:
    assert bag.import_errors == {}
    assert {Path(d.fileloc) for d in bag.dags.values()} == set(FILES)


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.name)
def test_a_dag_file_is_a_docstring_a_schedule_and_a_chain(path: Path) -> None:
    source = path.read_text()
    assert len(source.splitlines()) <= 100
    tree = ast.parse(source)
    assert ast.get_docstring(tree)
    assert not [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)]
    imported = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported |= {a.name.split(".")[0] for a in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").split(".")[0])
    assert imported <= ALLOWED
    assert not imported & {"os", "pathlib", "subprocess"}


def test_parsing_the_dags_loads_nothing_heavy() -> None:
    code = SERIALISE.format(dags=str(DAGS)).rsplit("\n", 2)[0]
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nsys.stdout.write(json.dumps(sorted(sys.modules)))"],
        capture_output=True, text=True, check=True, env=dict(os.environ),
    )  # fmt: skip
    assert not HEAVY & set(re.findall(r'"([^"]+)"', done.stdout.splitlines()[-1]))


def test_a_dag_is_the_same_version_in_every_process() -> None:
    seen = {
        subprocess.run(
            [sys.executable, "-c", SERIALISE.format(dags=str(DAGS))],
            capture_output=True, text=True, check=True, env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout.splitlines()[-1]
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(seen) == 1
    assert "annotate_nightly" in seen.pop()


def test_every_dag_explains_itself_and_never_runs_beside_itself(bag) -> None:
    for dag in bag.dags.values():
        assert "When a task fails" in dag.doc_md
        assert "Owner" in dag.doc_md
        assert dag.max_active_runs == 1
        assert dag.catchup is False


def test_every_task_is_built_by_container_task_and_is_retried_and_limited_in_time(bag) -> None:
    for dag in bag.dags.values():
        for task in commands(dag):
            settings = task.partial_kwargs if task.is_mapped else vars(task)
            assert settings["stage"]
            assert settings["retries"] >= 2
            assert settings["retry_exponential_backoff"] == 2.0
            assert settings["retry_delay"] == dt.timedelta(seconds=30)
            assert dt.timedelta(0) < settings["execution_timeout"] <= dt.timedelta(hours=4)
            assert task.owner == "clinical-nlp"


def test_the_night_is_plan_annotate_publish_and_the_review_loop_before_monitor(night) -> None:
    assert {t.task_id: t.downstream_task_ids for t in night.tasks} == {
        "plan": {"annotate"},
        "annotate": {"publish"},
        "publish": {"select", "reviewed"},
        "select": {"monitor"},
        "reviewed": {"monitor"},
        "monitor": set(),
    }
    assert {t.task_id: t.trigger_rule.value for t in night.tasks} == {
        "plan": "all_success",
        "annotate": "all_success",
        "publish": "none_failed",
        "select": "all_success",
        "reviewed": "all_success",
        "monitor": "all_success",
    }


def test_annotate_is_mapped_over_the_shards_in_the_gpu_pool(night) -> None:
    annotate = night.get_task("annotate")
    assert annotate.is_mapped
    assert annotate.pool == "gpu"
    assert annotate.partial_kwargs["gpu"] is True
    assert list(annotate.expand_input.value) == ["value"]
    assert annotate.expand_input.value["value"].operator.task_id == "plan"
    assert {t.pool for t in night.tasks if not t.is_mapped} == {"default_pool"}


def test_the_night_has_a_deadline_in_the_morning_that_can_be_called(night) -> None:
    import container_task

    (alert,) = night.deadline
    assert alert.interval <= dt.timedelta(hours=6)
    assert alert.callback.path == f"container_task.{container_task.deadline_missed.__name__}"


def test_the_first_night_is_the_next_one_however_late_the_dag_is_deployed(night) -> None:
    from airflow.serialization.serialized_objects import DagSerialization
    from airflow.timetables.base import TimeRestriction

    stored = DagSerialization.from_dict(DagSerialization.to_dict(night))
    run = stored.timetable.next_dagrun_info(
        last_automated_data_interval=None, restriction=TimeRestriction(stored.start_date, None, catchup=False)
    )
    assert run.run_after >= dt.datetime.now(dt.UTC)
    assert (run.run_after.hour, run.run_after.minute) == (1, 0)


def commands(dag) -> list:
    """The tasks that run a command: all but a person's approval."""
    return [task for task in dag.tasks if task.task_type != "Approval"]


def has_value(task) -> bool:
    """Whether a task is one of many, each with a value."""
    return task.is_mapped or task.value is not None


def rendered(task, **context) -> list[str]:
    """The command line that a task would run."""
    from runtimes import command_line

    settings = task.partial_kwargs if task.is_mapped else vars(task)
    environment = task.dag.get_template_env()
    arguments = [
        environment.from_string(a).render(**context) if isinstance(a, str) else context["answer"][a.key]
        for a in settings["arguments"]
    ]
    return command_line(settings["stage"], arguments, context["value"] if has_value(task) else None)


@pytest.mark.parametrize("backfill", ["", "2026-06-01..2026-06-10"])
@pytest.mark.parametrize("run_type", ["scheduled", "manual"])
def test_every_argument_list_parses_in_the_real_command_line(bag, run_type: str, backfill: str) -> None:
    run = SimpleNamespace(
        run_type=run_type,
        run_id=f"{run_type}__2026-06-11T01:00:00+00:00",
        run_after=dt.datetime(2026, 6, 11, 1, tzinfo=dt.UTC),
    )
    context = {
        "dag_run": run,
        "params": {
            "backfill": backfill,
            "again": bool(backfill),
            "language": "es" if backfill else "",
            "entity": "disease" if backfill else "",
            "member": "e5-small" if backfill else "",
        },
        "value": "s3://notes/runs/b/shards/es-0001.jsonl.gz",
        "answer": {
            "decision": "s3://notes/decisions/enigma-es-disease/00000002.json",
            "line_digest": "d" * 64,
            "person": "--approved-by=Dr Ruiz" if backfill else "",
        },
    }
    context["params"]["week"] = ""
    for dag in bag.dags.values():
        for task in commands(dag):
            given = build_parser().parse_args(rendered(task, **context))
            # a task is called after the command, or after the stage of dvc.yaml that `enigma repro` runs
            assert task.task_id == (given.stage if given.command == "repro" else given.command)
            assert given.json is True
            if task.task_id == "plan":
                assert given.backfill == (backfill or None)
            if task.task_id == "changes":
                assert (given.language, given.member) == (("es", "e5-small") if backfill else (None, None))
            if task.task_id == "challengers":
                assert (given.language, given.entity) == (("es", "disease") if backfill else (None, "all"))
            elif task.task_id == "promote":
                assert (given.decision, given.digest) == (context["answer"]["decision"], "d" * 64)
                assert (given.approved_by, given.rejected_by) == ("Dr Ruiz" if backfill else None, None)
            elif has_value(task):
                assert context["value"] in vars(given).values()
            elif dag.dag_id == "monitor":
                assert (given.batch, given.week) == (None, "2026-W23")
            else:
                assert re.fullmatch(r"2026-06-11T0100(00-[0-9a-f]{8})?", given.batch)


def test_the_generated_page_of_the_dags_is_up_to_date(bag) -> None:
    from docs.generate import PAGE, dags_page

    assert PAGE.read_text() == dags_page(bag.dags), "run `make docs`"


def test_new_gold_is_looked_for_every_hour_and_announced_by_an_asset(bag) -> None:
    dag = bag.dags["ingest_gold"]
    (ingest,) = dag.tasks
    assert [asset.name for asset in ingest.outlets] == ["enigma-gold"]
    assert dag.timetable.expression.split()[1:] == ["*"] * 4
    assert "--again" not in rendered(
        ingest,
        dag_run=SimpleNamespace(run_type="manual", run_id="r", run_after=dt.datetime(2026, 6, 11, tzinfo=dt.UTC)),
        params={"again": False},
    )


def test_challengers_wake_the_gate_and_each_is_on_its_own(bag) -> None:
    dag = bag.dags["promote"]
    assert [asset.name for asset in dag.timetable.asset_condition.objects] == ["enigma-challengers"]
    assert {t.task_id: t.downstream_task_ids for t in dag.tasks} == {
        "challengers": {"compare"},
        "compare": {"approve"},
        "approve": {"promote"},
        "promote": set(),
    }
    groups = [t.get_closest_mapped_task_group() for t in dag.tasks if t.task_id != "challengers"]
    assert {group.group_id for group in groups} == {"challenger"}
    assert dag.get_task("compare").pool == "gpu"
    assert {t.trigger_rule.value for t in dag.tasks} == {"all_success"}


def test_nothing_is_approved_by_default_or_by_waiting(bag) -> None:
    approve = bag.dags["promote"].get_task("approve")
    assert approve.defaults is None
    assert approve.execution_timeout is None
    assert approve.response_timeout > dt.timedelta(days=1)
    assert approve.retries == 0
    assert approve.multiple_outputs  # each part of the answer is an XCom, which `promote` reads by its key


def test_new_gold_wakes_the_retraining_whose_challengers_are_announced(bag) -> None:
    dag = bag.dags["retrain"]
    assert [asset.name for asset in dag.timetable.asset_condition.objects] == ["enigma-gold"]
    assert [asset.name for asset in bag.dags["ingest_gold"].tasks[0].outlets] == ["enigma-gold"]
    assert dag.get_task("register").partial_kwargs["outlets"][0].name == "enigma-challengers"
    assert {t.task_id: t.downstream_task_ids for t in dag.tasks} == {
        "changes": {"prepare", "ensemble", "evaluate", "register"},
        "prepare": {"train"},
        "train": {"ensemble"},
        "ensemble": {"evaluate"},
        "evaluate": {"register"},
        "register": set(),
    }


def test_a_model_is_a_task_in_the_gpu_pool_and_a_failed_one_stops_no_language(bag) -> None:
    dag = bag.dags["retrain"]
    mapped = {t.task_id: t for t in dag.tasks if t.is_mapped}
    assert {name: t.expand_input.value["value"].operator.task_id for name, t in mapped.items()} == {
        "train": "prepare",
        "ensemble": "changes",
        "evaluate": "changes",
        "register": "changes",
    }
    assert {name for name, t in mapped.items() if t.pool == "gpu" and t.partial_kwargs["gpu"]} == mapped.keys() - {
        "register"
    }
    assert {name: t.trigger_rule.value for name, t in mapped.items()} == {
        "train": "all_success",
        "ensemble": "all_done",
        "evaluate": "all_done",
        "register": "all_done",
    }


def test_the_week_of_the_report_is_the_one_before_the_run_also_at_new_year() -> None:
    from container_task import last_week

    runs = [dt.datetime(2026, 6, 15, 5, tzinfo=dt.UTC), dt.datetime(2027, 1, 4, 5, tzinfo=dt.UTC)]
    assert [last_week(SimpleNamespace(run_after=run)) for run in runs] == ["2026-W24", "2026-W53"]


def test_both_tasks_that_monitor_send_alerts_and_only_the_weekly_one_asks_for_retraining(bag) -> None:
    from airflow.sdk import AssetAlias
    from container_task import MonitorNotifier

    for dag in ("annotate_nightly", "monitor"):
        (notifier,) = bag.dags[dag].get_task("monitor").on_success_callback
        assert isinstance(notifier, MonitorNotifier)
    assert bag.dags["annotate_nightly"].get_task("monitor").outlets == []
    assert bag.dags["monitor"].get_task("monitor").outlets == [AssetAlias("enigma-quality-fell")]
