"""The section `promotion` of params.yaml, the change plan: on which evidence a champion is replaced, and by whom."""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, field_validator

from enigma_tasks.documents import EntityType
from enigma_tasks.frozen import Frozen

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_FLOOR = "default"
Share = Annotated[float, Field(ge=0, lt=1)]
Points = Annotated[float, Field(gt=0, lt=1)]
Pattern = Annotated[str, Field(min_length=1)]


class SliceParams(Frozen):
    """When a fall in one part of the test set refuses a challenger that is better as a whole."""

    level: Points
    """Level of the false discovery rate over all slices."""
    documents: int = Field(ge=2)
    """A slice with fewer is shown and not tested."""
    length: Share
    """Tolerated fall of strict F1 in documents of one length (the ranges of `evaluate.lengths`)."""
    source: Share
    """The same, in documents of one source."""
    site: Share
    """The same, in documents of one site, e.g. a ward or a hospital."""
    source_pattern: Pattern | None = None
    """A regular expression whose only group is the source in a document's id; null: sources are not known."""
    site_pattern: Pattern | None = None
    """The same for sites."""

    @field_validator("source_pattern", "site_pattern")
    @classmethod
    def _check_pattern(cls, pattern: str | None) -> str | None:
        try:
            groups = 1 if pattern is None else re.compile(pattern).groups
        except re.error:
            raise ValueError("not a regular expression") from None
        if groups != 1:
            raise ValueError("exactly one group, which is the name")
        return pattern

    @property
    def tolerances(self) -> Mapping[str, float]:
        """Kind of slice -> tolerated fall."""
        return {"length": self.length, "source": self.source, "site": self.site}

    @property
    def patterns(self) -> Mapping[str, str | None]:
        """Kind of slice that a document's id tells -> pattern."""
        return {"source": self.source_pattern, "site": self.site_pattern}


class PromotionParams(Frozen):
    """The change plan."""

    level: float = Field(gt=0, lt=0.5)
    """Level of all tests of one frozen test set together, one-sided: `promotion/looks.py` divides it."""
    looks: int = Field(ge=1)
    """Comparisons on one frozen test set."""
    margin: Share
    """Least gain of strict F1 over the champion."""
    non_inferiority: Points
    """Margin by which no challenger may be worse than the first authorised champion."""
    documents: int = Field(ge=2)
    """Least number of test documents that are annotated for the type."""
    floors: dict[str, Share]
    """Least strict F1 on the test set, of the first champion too: by entity type, `default` for the rest."""
    slices: SliceParams
    cost: float = Field(gt=0)
    """Longest time a note, as a multiple of the champion's on the same machine."""
    incomplete: bool
    """Whether an ensemble may be fitted without some of its members, and become champion."""
    approval: bool
    """Whether a person must approve."""
    approvers: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    """Who may; empty: every person who gives a name."""

    @field_validator("floors")
    @classmethod
    def _check_floors(cls, floors: dict[str, float]) -> dict[str, float]:
        unknown = floors.keys() - {DEFAULT_FLOOR, *EntityType}
        if unknown or DEFAULT_FLOOR not in floors:
            named = f"{', '.join(sorted(unknown))}: " if unknown else ""
            raise ValueError(f"{named}{DEFAULT_FLOOR} and, where they differ, entity types: {', '.join(EntityType)}")
        return floors

    def floor(self, entity_type: EntityType) -> float:
        """The floor of one type."""
        return self.floors.get(entity_type.value, self.floors[DEFAULT_FLOOR])

    def may_approve(self, name: str) -> bool:
        """Whether this person may approve."""
        return bool(name) and (not self.approvers or name in self.approvers)

    def digest(self) -> str:
        """sha256 of the plan; every decision and journal line has it."""
        return hashlib.sha256(json.dumps(self.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()
