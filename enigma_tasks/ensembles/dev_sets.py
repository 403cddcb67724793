"""The gold and the members' predictions of dev documents, on which a voting rule is fitted."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from enigma_tasks.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from enigma_tasks.documents import Entity


@dataclass(frozen=True)
class DevSet:
    """Gold and predictions of one entity type in the same documents."""

    label: str
    documents: tuple[str, ...]
    """Sorted; all that were annotated for the type, also those without a mention."""
    gold: Mapping[str, Sequence[Entity]] = field(repr=False)
    members: tuple[Mapping[str, Sequence[Entity]], ...] = field(repr=False)
    """Per member: document -> its spans of the type; a missing document has none."""
    mean: Mapping[str, Sequence[Entity]] | None = field(default=None, repr=False)
    """Entities of the averaged probabilities, if the members share words."""

    def spans(self, document: str) -> list[Sequence[Entity]]:
        """Each member's spans of one document."""
        return [member.get(document, ()) for member in self.members]


def dev_set(
    label: str,
    documents: Sequence[str],
    gold: Mapping[str, Sequence[Entity]],
    members: Mapping[str, Mapping[str, Sequence[Entity]]],
    mean: Mapping[str, Sequence[Entity]] | None = None,
) -> DevSet:
    """The dev set of one label.

    `members`: by the name used in errors.

    Raises:
        UsageError: no members, no gold of the label, or a member without predictions for any of the documents.
    """
    if not members:
        raise UsageError("an ensemble needs at least one member")

    def of_label(spans: Mapping[str, Sequence[Entity]]) -> dict[str, list[Entity]]:
        return {d: found for d in documents if (found := [e for e in spans.get(d, ()) if e.label == label])}

    for name, spans in members.items():
        if not set(spans) & set(documents):
            raise UsageError(f"member {name} has no prediction for any of the {len(documents)} dev documents")
    gold_spans = of_label(gold)
    if not gold_spans:
        raise UsageError(f"gold has no {label} span in the {len(documents)} dev documents")
    average = None if mean is None else of_label(mean)
    return DevSet(
        label, tuple(sorted(documents)), gold_spans, tuple(of_label(spans) for spans in members.values()), average
    )
