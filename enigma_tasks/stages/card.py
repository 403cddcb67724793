"""`enigma card`: a registered version -> a page with everything that is recorded of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from enigma_tasks.adapters import champions, mlflow_registry
from enigma_tasks.adapters.journal_store import JournalStore
from enigma_tasks.adapters.logged_scores import logged_scores
from enigma_tasks.adapters.object_store import ObjectStore
from enigma_tasks.documents import EntityType
from enigma_tasks.ensembles.folder import read_ensemble
from enigma_tasks.errors import UsageError
from enigma_tasks.licences import Licence, licence_of
from enigma_tasks.ner.model_folder import read_any_card
from enigma_tasks.pages.card import LoggedScore, MemberRecord, ModelRecord, not_recorded, render_model_card

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from enigma_tasks.config import Params, Settings
    from enigma_tasks.ensembles.folder import MemberRef
    from enigma_tasks.notes.plans import Pin
    from enigma_tasks.promotion.journal import JournalLine

SCRATCH = "scratch"
SERVICE = Licence(licence="a service: its owner's terms", commercial="unknown")


def run(arguments: argparse.Namespace, params: Params, settings: Settings) -> dict[str, Any]:
    """Write the card of a version, by default the champion of the journal.

    Raises:
        UsageError: no registry or journal configured, an unknown language, or no champion and no `--version`.
        ModelError: there is no such version, or it is damaged.
        DataError: the journal was edited.
        ServiceError: registry, artifact store or journal unreachable.
    """
    if not settings.mlflow_tracking_uri:
        raise UsageError("set MLFLOW_TRACKING_URI")
    entity_type = EntityType(arguments.entity)
    name = mlflow_registry.registered_name(params.require_language(arguments.language), entity_type)
    lines = JournalStore(ObjectStore(), settings.require("journal")).lines(name)
    pin = _pin(name, arguments.version, lines)
    record = _record(pin, entity_type, lines, settings)
    out = Path(arguments.out)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(render_model_card(record), encoding="utf-8", newline="")
    return {
        "page": arguments.out,
        "name": pin.name,
        "version": pin.version,
        "digest": pin.digest,
        "members": len(record.members),
        "non_commercial": record.licences("no"),
        "licence_unknown": record.licences("unknown"),
        "not_recorded": not_recorded(record),
    }


def _pin(name: str, version: str | None, lines: Sequence[JournalLine]) -> Pin:
    if version is not None:
        return mlflow_registry.pin_of_version(name, version)
    pin = champions.champion_pin(lines[-1]) if lines else None
    if pin is None:
        raise UsageError(f"{name} has no champion: name a --version")
    return pin


def _record(pin: Pin, entity_type: EntityType, lines: tuple[JournalLine, ...], settings: Settings) -> ModelRecord:
    ensemble = read_ensemble(mlflow_registry.download(pin, settings.cache))
    return ModelRecord(
        name=pin.name,
        version=pin.version,
        digest=pin.digest,
        tags=next((v.tags for v in mlflow_registry.versions_of(pin.name) if v.version == pin.version), {}),
        members=tuple(_member(member, entity_type) for member in ensemble.members),
        rule=ensemble.rule,
        fitted=ensemble.fitted,
        calibration=ensemble.calibration,
        logged=tuple(
            LoggedScore(
                test_set=dataset.digest,
                f1=scores["strict_f1"],
                low=scores.get("strict_f1_low"),
                high=scores.get("strict_f1_high"),
                documents=int(scores["documents"]) if "documents" in scores else None,
            )
            for dataset, scores in logged_scores(pin).items()
            if "strict_f1" in scores
        ),
        lines=lines,
    )


def _member(member: MemberRef, entity_type: EntityType) -> MemberRecord:
    """A member by its card, whose recipe is that of any kind of model."""
    card = read_any_card(member.folder)
    base = str(card.recipe.get("base") or "")
    service = str(card.recipe.get("model") or "")
    scratch = base == SCRATCH
    return MemberRecord(
        recipe=card.member,
        kind=str(card.recipe.get("kind", "encoder")),
        base="" if scratch else base or service,
        licence=None if scratch else licence_of(base) if base else SERVICE,
        digest=member.digest,
        train=card.digests.get("train", ""),
        dev=card.dev.get(entity_type),
    )
