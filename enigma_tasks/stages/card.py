"""`enigma card`: a registered version -> a page with everything that is recorded of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from enigma_tasks.adapters import mlflow_registry
from enigma_tasks.adapters.journal_store import JournalStore
from enigma_tasks.adapters.model_cards import ModelCards, champion_of
from enigma_tasks.adapters.object_store import ObjectStore
from enigma_tasks.documents import EntityType
from enigma_tasks.errors import UsageError
from enigma_tasks.pages.card import not_recorded, render_model_card

if TYPE_CHECKING:
    import argparse

    from enigma_tasks.config import Params, Settings
    from enigma_tasks.notes.plans import Pin


def run(arguments: argparse.Namespace, params: Params, settings: Settings) -> dict[str, Any]:
    """Write the card of a version, by default the champion of the journal, to its place or to `--out`.

    Raises:
        UsageError: no registry, journal or place is configured, an unknown language, or no champion and no `--version`.
        ModelError: there is no such version, or it is damaged.
        DataError: the journal was edited.
        ServiceError: registry, artifact store or journal unreachable.
    """
    if not settings.mlflow_tracking_uri:
        raise UsageError("set MLFLOW_TRACKING_URI")
    name = mlflow_registry.registered_name(params.require_language(arguments.language), EntityType(arguments.entity))
    pin = _pin(name, arguments.version, settings)
    cards = ModelCards(settings, render_model_card)
    if arguments.out:
        record, page = cards.record(pin), arguments.out
        Path(page).parent.mkdir(parents=True, exist_ok=True)
        Path(page).write_text(render_model_card(record), encoding="utf-8", newline="")
    else:
        record, page = cards.write(pin)
    return {
        "page": page,
        "name": pin.name,
        "version": pin.version,
        "digest": pin.digest,
        "members": len(record.members),
        "non_commercial": record.licences("no"),
        "licence_unknown": record.licences("unknown"),
        "not_recorded": not_recorded(record),
    }


def _pin(name: str, version: str | None, settings: Settings) -> Pin:
    if version is not None:
        return mlflow_registry.pin_of_version(name, version)
    pin = champion_of(JournalStore(ObjectStore(), settings.require("journal")), name)
    if pin is None:
        raise UsageError(f"{name} has no champion: name a --version")
    return pin
