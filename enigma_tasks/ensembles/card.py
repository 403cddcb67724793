"""The card of an ensemble: its members by digest and how they vote, as a file and back."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Literal

from pydantic import TypeAdapter

from enigma_tasks.documents import EntityType, Language  # noqa: TC001 - pydantic reads them
from enigma_tasks.ensembles.calibration import Calibration  # noqa: TC001
from enigma_tasks.ensembles.voting_rule import VotingRule
from enigma_tasks.errors import DataError, ModelError, UsageError
from enigma_tasks.frozen import Frozen, read_record
from enigma_tasks.params.ensembles import FittingParams

if TYPE_CHECKING:
    from pathlib import Path


class RuleScore(Frozen):
    """Strict scores of one rule or member on dev, rounded; `low` and `high` bound the 95 % interval of F1."""

    rule: str
    precision: float
    recall: float
    f1: float
    low: float
    high: float


class FittedRule(FittingParams):
    """Where a fitted rule comes from: the settings of the fit, scores on dev, digests."""

    chosen: str
    documents: int
    """Of dev."""
    expected: RuleScore
    """Of choice and fit together, cross-validated."""
    rules: tuple[RuleScore, ...]
    members: tuple[RuleScore, ...]
    seed: int
    code: str
    """Digest."""
    gold: str
    """Digest."""
    names: tuple[str, ...]
    """The members' names, in the order of the rule's weights."""
    missing: tuple[str, ...] | None = None
    """Members of the ensemble in params.yaml that it was fitted without."""


class EnsembleCard(Frozen):
    """`ensemble.json`; and `rule.json`, of a rule that was fitted on files of predictions: no members lie beside it."""

    schema_version: Literal[1] = 1
    language: Language
    entity_type: EntityType
    members: tuple[str, ...]
    """Digests, in the order of the rule's weights."""
    rule: dict[str, object]
    fitted: FittedRule | None = None
    """None for a rule that was named on the command line."""
    calibration: Calibration | None = None
    """Of the spans; None where there was no dev set with the members' probabilities."""


_CARD = TypeAdapter(EnsembleCard)


def card_bytes(card: EnsembleCard) -> bytes:
    """A card's file; equal cards give equal bytes."""
    tree = card.model_dump(mode="json", exclude_none=True)
    return (json.dumps(tree, sort_keys=True, indent=1) + "\n").encode()


def read_card(path: Path) -> tuple[EnsembleCard, VotingRule, str]:
    """A card's file -> the card, its rule, and the file's sha256.

    Raises:
        ModelError: it is missing, or damaged, or written by a newer version: names the field.
    """
    try:
        content = path.read_bytes()
        card = read_record(_CARD, path.name, content)
        rule = VotingRule.from_json(card.rule)
        rule.quorum(len(card.members))
    except FileNotFoundError:
        raise ModelError(f"ensemble {path.parent.name}: {path.name} is missing") from None
    except (DataError, UsageError) as error:
        raise ModelError(f"ensemble {path.parent.name}: {path.name} is damaged: {error}") from error
    return card, rule, hashlib.sha256(content).hexdigest()
