"""Documents and deliveries that go to quarantine, and how the list shows them: files, places and rules, never text."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from enigma_tasks.errors import DataError
    from enigma_tasks.gold.ingestion import Delivery
    from enigma_tasks.notes.names import Names


@dataclass(frozen=True, slots=True)
class Refusal:
    """A document, or all of a delivery, that goes to quarantine: names and numbers only."""

    record: str
    document: str | None
    """Its place among the documents of the record's file, empty where there is no other; None for all of the delivery.
    Never its id, which may be a patient's name or number."""
    rule: str
    offset: int | None = None
    more: int = 0
    """Further defects of the document."""
    hint: str = ""
    """What was expected, or what to do."""


def refusal(delivery: Delivery, place: str | None, defects: Sequence[DataError]) -> Refusal:
    """The row of a document, by the first of its defects."""
    first = defects[0]
    return Refusal(delivery.record, place, first.rule, first.offset, len(defects) - 1, first.hint)


def quarantine_row(delivery: Delivery, refused: Refusal, gold: str, names: Names) -> dict[str, Any]:
    """A line of the quarantine list, its keys as they may be shown; `gold` is the URI of gold/."""
    record = names.below(gold, refused.record)
    objects = [names.uri(f"{gold}/{o.path}") for o in delivery.objects]
    document = None
    if refused.document is not None:
        document = f"{record}#{refused.document}" if refused.document else record
    return asdict(refused) | {"record": record, "document": document, "objects": objects}
