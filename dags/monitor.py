"""## Report on the week's reviewed notes

Every Monday at 05:00 UTC: strict F1 of the notes that people reviewed, by language, type, site and week, with
intervals and control charts. Each night is monitored by the last task of `annotate_nightly`. Owner: **clinical-nlp**.

| task | runs | writes |
|---|---|---|
| `monitor` | `enigma monitor --week` | `reports/weeks/{week}.html` and `.json` |

Where the strict F1 of a language and type is surely below the floor (`monitor.reviewed` in `params.yaml`), an event of
the asset `enigma-quality-fell` asks for retraining, and an alert is sent, unless one was sent a short time ago.

### When a task fails
Clear it: a report may be written again at any time.

- *a service is unreachable* (exit code 3): the store. Airflow has retried three times already.
- *the data or model did not pass* (exit code 1): a file of reviewed notes is damaged; the log names it.
- *wrong usage or configuration* (exit code 2): correct the settings, then clear.

To write the report of another week, trigger with `week` = `2026-W24`.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, AssetAlias, CronTriggerTimetable, Param
from container_task import MonitorNotifier, container_task, last_week

QUALITY = AssetAlias("enigma-quality-fell")
WEEK = ["--week", "{{ params.week or last_week(dag_run) }}"]

with DAG(
    "monitor",
    description="Reviewed notes in S3 -> the weekly report",
    doc_md=__doc__,
    schedule=CronTriggerTimetable("0 5 * * 1", timezone="UTC", run_immediately=timedelta()),
    catchup=False,
    max_active_runs=1,
    tags=["enigma", "review"],
    default_args={"owner": "clinical-nlp"},
    params={"week": Param("", type="string", pattern=r"^(\d{4}-W\d{2})?$", description="an ISO week, else the last")},
    user_defined_macros={"last_week": last_week},
):
    container_task("monitor", WEEK, outlets=[QUALITY], on_success_callback=[MonitorNotifier()])
