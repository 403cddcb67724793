"""Documents and what broke a rule -> the documents worth training on, and what was dropped for what (paper, 3.2)."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from enigma_tasks.gold.rules import HARD_RULES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from enigma_tasks.documents import Document
    from enigma_tasks.gold.rules import Table
    from enigma_tasks.params.gold import ValidationParams


def without_dropped(
    documents: Sequence[Document], checked: Sequence[Table], params: ValidationParams
) -> tuple[list[Document], dict[str, Counter[str]]]:
    """The documents without what breaks a rule that drops, and how many documents and spans went, by rule.

    Args:
        documents: of the one fold that `checked` is about.
        checked: its tables.
        params: which rules drop, by language.
    """
    gone: dict[tuple[int, int], str] = {}
    for table in checked:
        rules = params.of(table.language)
        for rule in table.rules:
            if rule not in HARD_RULES and rules.drops(rule):
                for row in table.breaches(rule):
                    if row.place:
                        gone.setdefault(row.place, rule)
    kept = []
    dropped: dict[str, Counter[str]] = {"documents": Counter(), "spans": Counter()}
    for i, document in enumerate(documents):
        if (i, -1) in gone:
            dropped["documents"][gone[i, -1]] += 1
            dropped["spans"].update(gone[i, -1] for _ in document.entities)
            continue
        dropped["spans"].update(gone[i, k] for k in range(len(document.entities)) if (i, k) in gone)
        kept.append(replace(document, entities=tuple(e for k, e in enumerate(document.entities) if (i, k) not in gone)))
    return kept, dropped
