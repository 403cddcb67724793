"""Removes documents and spans that break rules with `drop: true` (paper, section 3.2)."""

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
    """The documents without what breaks such a rule, and the numbers of dropped documents and spans by rule.

    Args:
        documents: of a single fold.
        checked: the fold's tables.
        params: which rules drop, by language.
    """
    dropped_by: dict[tuple[int, int], str] = {}
    for table in checked:
        rules = params.of(table.language)
        for rule in table.rules:
            if rule not in HARD_RULES and rules.drops(rule):
                for row in table.breaches(rule):
                    if row.place:
                        dropped_by.setdefault(row.place, rule)
    kept = []
    dropped: dict[str, Counter[str]] = {"documents": Counter(), "spans": Counter()}
    for i, document in enumerate(documents):
        if (i, -1) in dropped_by:
            rule = dropped_by[i, -1]
            dropped["documents"][rule] += 1
            dropped["spans"] += Counter({rule: len(document.entities)})  # which leaves out a rule with no span
            continue
        dropped["spans"].update(dropped_by[i, k] for k in range(len(document.entities)) if (i, k) in dropped_by)
        entities = tuple(e for k, e in enumerate(document.entities) if (i, k) not in dropped_by)
        kept.append(replace(document, entities=entities))
    return kept, dropped
