"""Everything that is recorded of one registered version: what its card shows. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from enigma_tasks.ensembles.calibration import Calibration
    from enigma_tasks.ensembles.card import FittedRule
    from enigma_tasks.ensembles.voting_rule import VotingRule
    from enigma_tasks.licences import Licence
    from enigma_tasks.ner.dev_scores import DevScore
    from enigma_tasks.promotion.journal import JournalLine


@dataclass(frozen=True, slots=True)
class MemberRecord:
    """A member, from its own card."""

    recipe: str
    kind: str
    base: str
    """A hub id or a folder; empty where it was trained from scratch."""
    licence: Licence | None
    """None where there is no base model."""
    digest: str
    train: str
    """Digest of its training data; empty where it has none."""
    dev: DevScore | None
    """On its own dev documents."""


@dataclass(frozen=True, slots=True)
class LoggedScore:
    """Strict F1 that was logged with `enigma register`, and the test set that it was measured on."""

    test_set: str
    """The first 32 digits of its digest."""
    f1: float
    low: float | None
    high: float | None
    documents: int | None


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """Everything that is recorded of one version."""

    name: str
    version: str
    digest: str
    tags: Mapping[str, str]
    members: tuple[MemberRecord, ...]
    rule: VotingRule
    fitted: FittedRule | None
    calibration: Calibration | None
    logged: tuple[LoggedScore, ...]
    lines: tuple[JournalLine, ...]
    """Of the journal of its name, in order."""

    def licences(self, commercial: Literal["no", "unknown"]) -> list[str]:
        """The members' base models that are of that kind, sorted."""
        return sorted({m.base for m in self.members if m.licence and m.licence.commercial == commercial})
