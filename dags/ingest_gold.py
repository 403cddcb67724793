"""## Take in new gold

Every hour, and whenever it is triggered: what is new under `gold/{language}/{type}/` is checked; the sound documents
become a new version of the gold repository, the others go to quarantine. A new version is announced by the asset
`enigma-gold`, whose event carries the data revision. Owner: **clinical-nlp**.

| task | runs | leaves |
|---|---|---|
| `ingest` | `enigma ingest` | a commit of the gold repository, its data on the DVC remote, `quarantine/gold-{batch}/` |

The task is *skipped* where no document changed: there is nothing to announce.

### When a task fails
Clear it: one batch makes one version, however often it is run.

- *a service is unreachable* (exit code 3): the store, or the gold repository, which the log says without quoting what
  git or DVC said (it may hold a password; `ENIGMA_DEBUG=1` shows it). Airflow has tried three more times already.
- *wrong usage or configuration* (exit code 2): `ENIGMA_GOLD_REPOSITORY` must name a bare git repository; correct it,
  then clear.
- a bad document fails nothing: `quarantine/gold-{batch}/quarantine.jsonl` names it and its rule. Put it right and drop
  it again. After a rule in `params.yaml` has changed, trigger with `again`: then what is in quarantine is read again.
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
