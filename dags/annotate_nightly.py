"""## Annotate the night's notes

Every night at 01:00 UTC: lists the notes in `drops/`, annotates those that are not done with the champion models, and
publishes them in one commit. Owner: **clinical-nlp**.

| task | runs | writes |
|---|---|---|
| `plan` | `enigma plan` | `runs/{batch}/plan.json` with the night's pinned models, and shards of one language each |
| `annotate` (one per shard) | `enigma annotate` | `runs/{batch}/results/` |
| `publish` | `enigma publish` | the tables, the `.ann` files, `quarantine/{batch}/`, `_SUCCESS` |
| `select` | `enigma select` | `to-review/{batch}/`, notes for reviewers, with what was found in them |
| `reviewed` | `enigma reviewed` | `reviewed-index/imported/{batch}.json`: what reviewers corrected, as counts |
| `monitor` | `enigma monitor` | `reports/{batch}/index.html`, the morning page; then alerts and metrics |

### When a task fails
Clear it: every task may be run again at any time; no note is lost or annotated twice.

- *a service is unreachable* (exit code 3): Airflow has retried three times already. Run `enigma doctor`, then clear.
- *the data or model did not pass* (exit code 1): the log names the note or model and the rule, never text. A bad note
  goes to quarantine and does not fail the task; so this is about a model, or about a shard without a result.
- *wrong usage or configuration* (exit code 2): correct the settings, then clear.
- *killed by signal 9*, or *it needs more memory than its limit*: decrease `annotate.batch_tokens` in `params.yaml`,
  then clear. With the runtimes `docker` and `kubernetes` each attempt after a want of memory halves it by itself.

Nothing is published while a shard has no result. Without new notes `annotate` is skipped; the other tasks run.

### Annotate again, with the current champions
Trigger with `backfill` = `FROM..TO` (drop dates). Otherwise notes that are done are not annotated again.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, CronTriggerTimetable, DeadlineAlert, DeadlineReference, Param, SyncCallback
from container_task import MonitorNotifier, batch_id, container_task, container_task_partial, deadline_missed

BATCH = ["--batch", "{{ batch_id(dag_run) }}"]
BACKFILL = "{% if params.backfill %}--backfill={{ params.backfill }}{% endif %}"
MORNING = timedelta(hours=5)

with DAG(
    "annotate_nightly",
    description="Notes in S3 -> annotations in S3",
    doc_md=__doc__,
    # no start date and no immediate run: the first night is the next one after deployment
    schedule=CronTriggerTimetable("0 1 * * *", timezone="UTC", run_immediately=timedelta()),
    catchup=False,
    max_active_runs=1,
    tags=["enigma", "night"],
    default_args={"owner": "clinical-nlp"},
    params={
        "backfill": Param(
            "",
            type="string",
            pattern=r"^(\d{4}-\d{2}-\d{2}\.\.\d{4}-\d{2}-\d{2})?$",
            description="FROM..TO: annotate these drop dates again",
        )
    },
    user_defined_macros={"batch_id": batch_id},
    # not DAGRUN_QUEUED_AT: with it, Airflow 3.3.2 answers 500 to clearing a task (apache/airflow#70368)
    deadline=DeadlineAlert(DeadlineReference.DAGRUN_LOGICAL_DATE, MORNING, SyncCallback(deadline_missed)),
):
    plan = container_task("plan", [*BATCH, BACKFILL], returns="shards")
    annotate = container_task_partial("annotate", ["--shard"], gpu=True, pool="gpu").expand(value=plan.output)
    # `none_failed`: runs when annotate was skipped (no new notes), not when a shard failed
    publish = container_task("publish", BATCH, trigger_rule="none_failed")
    select = container_task("select", BATCH)
    reviewed = container_task("reviewed", BATCH)
    monitor = container_task("monitor", BATCH, on_success_callback=[MonitorNotifier()])
    annotate >> publish >> [select, reviewed] >> monitor
