"""Members' predictions of dev documents and their gold -> what a voting rule of one entity type is fitted on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from enigma_tasks.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from enigma_tasks.documents import Entity


@dataclass(frozen=True)
class DevSet:
    """One entity type's gold and predictions of the same documents."""

    label: str
    documents: tuple[str, ...]
    """Sorted; all that were annotated for the type, those without a mention too."""
    gold: Mapping[str, Sequence[Entity]] = field(repr=False)
    members: tuple[Mapping[str, Sequence[Entity]], ...] = field(repr=False)
    """Per member: document -> its spans of the type; a document that is not there has none."""
    mean: Mapping[str, Sequence[Entity]] | None = field(default=None, repr=False)
    """What the averaged probabilities give, where the members share words."""

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
    """Check and keep what is of the label.

    `members`: by the name that an error calls them.

    Raises:
        UsageError: no members, no gold of the label, or a member that speaks of none of the documents.
    """
    if not members:
        raise UsageError("an ensemble needs at least one member")

    def own(spans: Mapping[str, Sequence[Entity]]) -> dict[str, list[Entity]]:
        return {d: found for d in documents if (found := [e for e in spans.get(d, ()) if e.label == label])}

    kept = {name: own(spans) for name, spans in members.items()}
    for name, spans in members.items():
        if not set(spans) & set(documents):
            raise UsageError(f"member {name} has no prediction for any of the {len(documents)} dev documents")
    golden = own(gold)
    if not golden:
        raise UsageError(f"gold has no {label} span in the {len(documents)} dev documents")
    average = None if mean is None else own(mean)
    return DevSet(label, tuple(sorted(documents)), golden, tuple(kept.values()), average)
