"""The gold and the members' predictions of dev documents, on which a voting rule is fitted."""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from enigma_tasks.documents import EntityType
from enigma_tasks.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from enigma_tasks.documents import Document, Entity
    from enigma_tasks.ensembles.loaded_members import MemberPredictions

log = logging.getLogger(__name__)


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


@dataclass(frozen=True)
class DevPredictions:
    """Gold, and what every member predicts there, for all types."""

    folders: tuple[Path, ...]
    """Of the models; none where members are files of predictions only."""
    digests: tuple[str, ...]
    """Of the models, or of the files."""
    names: tuple[str, ...]
    documents: tuple[Document, ...] | None = field(repr=False)
    """None where gold is a file of spans."""
    gold: Mapping[str, Sequence[Entity]] = field(repr=False)
    spans: tuple[Mapping[str, Sequence[Entity]], ...] = field(repr=False)
    """Per member, by document."""
    mean: Mapping[EntityType, Mapping[str, Sequence[Entity]]] = field(repr=False)
    """Of the members' averaged probabilities, for the types that have them."""
    predictions: MemberPredictions | None = field(repr=False)
    """Of the models that were run; None where the spans are from files."""

    @property
    def labels(self) -> list[str]:
        """The members, as messages and reports call them."""
        return [f"{i} ({name})" for i, name in enumerate(self.names, 1)]

    def types_in_gold(self) -> list[EntityType]:
        """The types with a span in dev; no rule can be fitted for another. Raises UsageError if there is none."""
        labels = {e.label for spans in self.gold.values() for e in spans}
        found = [t for t in EntityType if t.label in labels]
        if not found:
            raise UsageError("gold has no span in the dev documents")
        for entity_type in set(EntityType).difference(found):
            log.warning("%s: no ensemble, as dev has no span of it", entity_type.value)
        return found

    def of_type(self, entity_type: EntityType) -> DevSet:
        """The dev set on which the rule of one type is fitted. Raises UsageError as `dev_set` does."""
        if self.documents is None:
            documents = sorted({*self.gold, *(d for member in self.spans for d in member)})
        else:
            documents = [d.id for d in self.documents if entity_type in d.annotated]
        named = dict(zip(self.labels, self.spans, strict=True))
        for name, spans in named.items() if self.predictions is None else ():
            found = {e.label for d in documents for e in spans.get(d, ())}
            if found and entity_type.label not in found:
                raise UsageError(f"member {name} has no {entity_type.label} span, only {', '.join(sorted(found))}")
        return dev_set(entity_type.label, documents, self.gold, named, self.mean.get(entity_type))

    def gold_digest(self) -> str:
        """Of the gold's spans."""
        content = json.dumps([[d, [[e.label, *e.span] for e in spans]] for d, spans in sorted(self.gold.items())])
        return hashlib.sha256(content.encode()).hexdigest()
