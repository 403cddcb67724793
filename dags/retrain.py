"""## Train again on new gold

Whenever new gold was ingested (asset `enigma-gold`), and when it is triggered: each language whose gold no registered
model was trained on is trained again; its ensembles are registered as challengers and announced by an event of the
asset `enigma-challengers`. No champion changes here. Owner: **clinical-nlp**.

| task | runs | writes |
|---|---|---|
| `changes` | `enigma changes` | `training/batches/{batch}.json`, and the work of each language |
| `prepare` | `enigma prepare` | gold checked, split, augmented; the first time the frozen test set, as a commit |
| `train` (one per model) | `enigma repro train` | the model; while it is trained, its checkpoint under `training/` |
| `ensemble`, `evaluate` (one per language) | `enigma repro` | the ensemble; its scores on the frozen test set |
| `register` (one per language) | `enigma register` | challengers; the branch `retrain/{language}/{run}` |

Every task works in a clone of the training project (`ENIGMA_TRAINING_REPOSITORY`) at one commit, and hands over data
and models through the DVC remote. The work list comes from the gold repository and the registry: a lost or doubled
event changes nothing. Without new gold, the tasks after `prepare` are *skipped*.

### When a task fails
Clear it: what was done is not done again, and a training is resumed from its last epoch.

- one `train` failed: the ensemble is fitted without that member if `params.yaml` of the training project allows it,
  and its version says so; otherwise `ensemble` fails. Clear `train`, with the tasks after it.
- a language is refused by `prepare`: its gold does not pass, its documents are too few to be split, or a frozen
  test set was changed. The log names the rule. The other languages are trained; `ensemble` of this one fails.
- *a service is unreachable* (exit code 3): a repository, the DVC remote, the registry or the store. Run
  `enigma doctor`, then clear.
- *the data or model did not pass* (exit code 1) with `commit_gone` or `revision_gone`: the history of a repository was
  rewritten meanwhile. Trigger a new run.

### Train again although gold is the same
Change the training project, then trigger with `language`, or with `member` for every language that has it. Only what
the change touches is made again.
"""

from __future__ import annotations

from airflow.sdk import DAG, Asset, Param, TriggerRule
from container_task import batch_id, container_task, container_task_partial

BATCH = ["--batch", "{{ batch_id(dag_run) }}"]
LANGUAGE = "{% if params.language %}--language={{ params.language }}{% endif %}"
MEMBER = "{% if params.member %}--member={{ params.member }}{% endif %}"
GOLD, CHALLENGERS = Asset("enigma-gold"), Asset("enigma-challengers")

with DAG(
    "retrain",
    description="New gold -> challengers in the registry",
    doc_md=__doc__,
    schedule=[GOLD],
    catchup=False,
    max_active_runs=1,
    tags=["enigma", "gold"],
    default_args={"owner": "clinical-nlp"},
    params={
        "language": Param("", type="string", pattern=r"^[A-Za-z_-]*$", description="this language, e.g. es"),
        "member": Param("", type="string", pattern=r"^[\w.-]*$", description="languages that have this member"),
    },
    user_defined_macros={"batch_id": batch_id},
):
    changes = container_task("changes", [*BATCH, LANGUAGE, MEMBER], returns="languages")
    prepare = container_task("prepare", BATCH, returns="models")
    train = container_task_partial("repro", ["train", "--work"], task_id="train", gpu=True, pool="gpu").expand(
        value=prepare.output
    )
    # `all_done`: a member, or another language, that failed costs a language nothing; what is there decides
    ensemble = container_task_partial(
        "repro", ["ensemble", "--work"], task_id="ensemble", gpu=True, pool="gpu", trigger_rule=TriggerRule.ALL_DONE
    ).expand(value=changes.output)
    evaluate = container_task_partial(
        "repro", ["evaluate", "--work"], task_id="evaluate", gpu=True, pool="gpu", trigger_rule=TriggerRule.ALL_DONE
    ).expand(value=changes.output)
    register = container_task_partial(
        "register", ["--retrained"], trigger_rule=TriggerRule.ALL_DONE, outlets=[CHALLENGERS]
    ).expand(value=changes.output)
    changes >> prepare >> train >> ensemble >> evaluate >> register
