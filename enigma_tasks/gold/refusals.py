"""Documents and deliveries that go to quarantine, and how the list shows them: names, rules and numbers, never text."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
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
    rule: str
    offset: int | None = None
    more: int = 0
    """Further defects of the document."""
    hint: str = ""
    """What was expected, or what to do."""


def refusal(delivery: Delivery, document_id: str | None, defects: Sequence[DataError]) -> Refusal:
    """The row of a document, by the first of its defects."""
    first = defects[0]
    return Refusal(delivery.record, document_id, first.rule, first.offset, len(defects) - 1, first.hint)


def quarantine_row(delivery: Delivery, refused: Refusal, gold: str, names: Names) -> dict[str, Any]:
    """A line of the quarantine list, its keys and ids as they may be shown; `gold` is the URI of gold/."""
    record = names.below(gold, refused.record)
    objects = [names.uri(f"{gold}/{o.path}") for o in delivery.objects]
    document = None if refused.document is None else _shown(refused, record, names)
    return asdict(refused) | {"record": record, "document": document, "objects": objects}


def _shown(refused: Refusal, record: str, names: Names) -> str:
    """A document's id; or, where it has none, its file and its number there."""
    document, file = refused.document or "", PurePosixPath(refused.record).name
    number = re.fullmatch(rf"{re.escape(file)}(#\d+)?", document)
    return f"{record}{number[1] or ''}" if names.hidden and number else names.shown(document)
