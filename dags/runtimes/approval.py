"""A person's approval of a decision of `enigma compare`, in Airflow's page of required actions."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import ApprovalOperator, HITLOperator
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

if TYPE_CHECKING:
    from collections.abc import Mapping

PATIENCE = timedelta(days=14)
"""Then the task fails: no answer approves nothing."""
BODY = """
| | |
|---|---|
| new model | version {challenger}, digest `{digest}` |
| champion | {champion} |
| strict F1 | {challenger_f1}, champion {champion_f1} |
| gain | {gain} points (95 %) |
| test documents | {documents}, look {look} |
| p-value, level | {p_value}, {alpha} |
| decision | `{decision}` |
| page | `{page}` |
| card | {card} |

Approve, and this version annotates the next night. Reject, and the journal says who did.
"""


class Approval(ApprovalOperator):
    """Asks a person about the decision in `report`, that of `enigma compare`; returns what `enigma promote` is told.

    Skipped where the gate was not passed. Asks no person where the change plan wants no approval. There is no default:
    an answer without the name of who gave it fails the task, and so does no answer.
    """

    template_fields = ("report",)

    def __init__(self, *, report: Any, **policy: Any) -> None:
        super().__init__(
            subject="A new model",
            defaults=None,
            response_timeout=PATIENCE,
            execution_timeout=None,
            multiple_outputs=True,  # an XCom for each key: `output["key"]` reads no other
            **policy,
        )
        self.report = report

    def execute(self, context: Any) -> Any:
        """Ask, with version, digest and numbers; no text of a note is among them."""
        row = self._row
        if not row["passed"]:
            raise AirflowSkipException(f"the gate was not passed: {row['page']}")
        if not row["approval"]:
            return self._answer("")
        name = row["decision"].split("/")[-2]
        self.subject = f"May version {row['challenger']} of {name} annotate the nights?"
        self.body = BODY.format(**_shown(row))
        return super().execute(context)

    def execute_complete(self, context: Any, event: dict[str, Any]) -> Any:
        """What to tell `enigma promote`, which writes a rejection down too and then fails."""
        answer = HITLOperator.execute_complete(self, context, event)  # ApprovalOperator's skips or fails without a line
        user = answer["responded_by_user"] or {}
        person = str(user.get("name") or "").strip()
        if not person:
            raise AirflowFailException("the answer does not say who gave it; clear this task and answer by name")
        word = "approved" if answer["chosen_options"] == [self.APPROVE] else "rejected"
        return self._answer(f"--{word}-by={person}")

    @property
    def _row(self) -> dict[str, Any]:
        (row,) = self.report["decisions"]
        return dict(row)

    def _answer(self, person: str) -> dict[str, str]:
        row = self._row
        return {"decision": row["decision"], "line_digest": row["line_digest"], "person": person}


def _shown(row: Mapping[str, Any]) -> dict[str, str]:
    def points(key: str, form: str = ".1f") -> str:
        return format(100 * row[key], form) if key in row else "–"

    return {
        **{key: str(row[key]) for key in ("challenger", "digest", "documents", "look", "decision", "page")},
        "card": f"`{row['card']}`" if row.get("card") else "–",
        "champion": f"version {row['champion']}" if "champion" in row else "none yet",
        "challenger_f1": points("challenger_f1"),
        "champion_f1": points("champion_f1"),
        "gain": f"{points('gain_low', '+.1f')} to {points('gain_high', '+.1f')}",
        **{key: f"{row[key]:.2g}" if key in row else "–" for key in ("p_value", "alpha")},
    }
