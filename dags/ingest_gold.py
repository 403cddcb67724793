"""## Ingest new gold

Every hour, and when it is triggered: new objects under `gold/{language}/{type}/` are checked; the documents that pass
become a new version of the gold repository, the others go to quarantine. A new version is announced by an event of the
asset `enigma-gold`, with the data revision. Owner: **clinical-nlp**.

| task | runs | writes |
|---|---|---|
| `ingest` | `enigma ingest` | a commit of the gold repository, its data on the DVC remote, `quarantine/gold-{batch}/` |

The task is *skipped* if no document changed.

### When a task fails
Clear it: a batch makes one version, also when it is run again.

- *a service is unreachable* (exit code 3): the store or the gold repository; the log names it without the output of git
  or DVC, which may contain a password (`ENIGMA_DEBUG=1` shows it). Airflow has retried three times already.
- *wrong usage or configuration* (exit code 2): `ENIGMA_GOLD_REPOSITORY` must name a bare git repository; correct it,
  then clear.
- a bad document does not fail the task: `quarantine/gold-{batch}/quarantine.jsonl` names it and its rule. Correct it
  and upload it again. After a change of a rule in `params.yaml`, trigger with `again` to read the quarantined documents
  again.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, Asset, CronTriggerTimetable, Param
from container_task import batch_id, container_task

GOLD = Asset("enigma-gold")

with DAG(
    "ingest_gold",
    description="Gold in S3 -> a checked version of the gold repository",
    doc_md=__doc__,
    schedule=CronTriggerTimetable("15 * * * *", timezone="UTC", run_immediately=timedelta()),
    catchup=False,
    max_active_runs=1,
    tags=["enigma", "gold"],
    default_args={"owner": "clinical-nlp"},
    params={"again": Param(default=False, type="boolean", description="also read what went to quarantine")},
    user_defined_macros={"batch_id": batch_id},
):
    container_task(
        "ingest", ["--batch", "{{ batch_id(dag_run) }}", "{% if params.again %}--again{% endif %}"], outlets=[GOLD]
    )
