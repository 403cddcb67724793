"""## Promote a challenger

Whenever a retraining has registered challengers (asset `enigma-challengers`), and when it is triggered: each challenger
that waits is compared with its champion on the frozen test set, a person is asked about those that passed the gate, and
an approved one becomes champion: the next night uses it. Owner: **clinical-nlp**.

| task | runs | writes |
|---|---|---|
| `challengers` | `enigma challengers` | nothing; the list comes from registry and journal, not from the event |
| `compare` (one per challenger) | `enigma compare` | a line `look` of the journal; the decision as JSON and as a page |
| `approve` | Airflow's page of required actions | nothing |
| `promote` | `enigma promote` | a line `promoted` or `rejected`; the alias `champion` |

A challenger that does not pass the gate is no failure: `approve` and `promote` are *skipped*, and its page says why.
Where `promotion.approval` in `params.yaml` is false, no person is asked.

### Approve
Open *Required actions*, read the page that it names, and answer. Nothing is approved by default: without an answer
within 14 days, or by an answer without a name, the run fails and the champion stays. *Reject* writes down who rejected,
and fails the run.

### When a task fails
Clear it: a comparison is not repeated, nor does it spend a second look at the test set.

- `promote` with *exit code 1*: the log names the rule. `journal_moved`: something was written to the journal since
  the comparison; `plan_changed`: the change plan is another one; both: trigger again, and answer again.
  `approver_not_allowed`: clear `approve`, and let a person of `promotion.approvers` answer.
- `approve` that was answered in the first seconds and *failed*: Airflow had not seen its worker end. Clear it, and
  answer again.
- `compare` with *exit code 1*: a version is gone or damaged, or the test set has no document of its type.
- *a service is unreachable* (exit code 3): registry, store or training repository. Run `enigma doctor`, then clear.

### Compare again
Trigger with `language`, or with `entity`: all their challengers, decided on or not.
"""

from __future__ import annotations

from airflow.sdk import DAG, Asset, Param
from container_task import batch_id, container_task, promotion_tasks

LANGUAGE = "{% if params.language %}--language={{ params.language }}{% endif %}"
ENTITY = "{% if params.entity %}--entity={{ params.entity }}{% endif %}"

with DAG(
    "promote",
    description="Challengers in the registry -> champions, after a test and an approval",
    doc_md=__doc__,
    schedule=[Asset("enigma-challengers")],
    catchup=False,
    max_active_runs=1,
    tags=["enigma", "gold"],
    default_args={"owner": "clinical-nlp"},
    params={
        "language": Param("", type="string", pattern=r"^[A-Za-z_-]*$", description="this language, e.g. es"),
        "entity": Param("", type="string", pattern=r"^[a-z_]*$", description="this entity type, e.g. disease"),
    },
    user_defined_macros={"batch_id": batch_id},
):
    challengers = container_task("challengers", [LANGUAGE, ENTITY], returns="challengers")
    promotion_tasks(challengers.output)
