"""`enigma challengers`: registry and journal -> the challengers that wait for the gate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from enigma_tasks.adapters import mlflow_registry
from enigma_tasks.adapters.champions import CHALLENGER
from enigma_tasks.adapters.journal_store import JournalStore
from enigma_tasks.adapters.object_store import ObjectStore
from enigma_tasks.decision_places import DecisionPlaces
from enigma_tasks.documents import EntityType
from enigma_tasks.promotion.past import is_settled

if TYPE_CHECKING:
    import argparse

    from enigma_tasks.config import Params, Settings


def run(arguments: argparse.Namespace, params: Params, settings: Settings) -> dict[str, Any]:
    """List the versions with the alias `challenger` on which nothing was decided by the present change plan.

    With `--language` or `--entity` all of that language and type, decided on or not.

    Returns:
        `challengers`: a URI for each, for `enigma compare --challenger`.

    Raises:
        UsageError: no registry or place is configured, or an unknown language.
        DataError: a journal was edited; names the line.
        ModelError: an alias names a version that is not usable.
        ServiceError: store or registry.
    """
    places = DecisionPlaces(settings.require("decisions"))
    journal = JournalStore(ObjectStore(), settings.require("journal"))
    asked = bool(arguments.language) or arguments.entity != "all"
    languages = [params.require_language(arguments.language)] if arguments.language else list(params.languages)
    types = list(EntityType) if arguments.entity == "all" else [EntityType(arguments.entity)]
    registered = mlflow_registry.registered_models()
    found = []
    for name in (mlflow_registry.registered_name(lang, t) for lang in languages for t in types):
        version = registered[name].aliases.get(CHALLENGER) if name in registered else None
        if version is None:
            continue
        lines, pin = journal.lines(name), mlflow_registry.pin_of_version(name, version)
        champion = lines[-1].champion if lines else None
        if champion is not None and champion.digest == pin.digest:
            continue
        if asked or not is_settled(lines, pin.digest, params.promotion.digest()):
            found.append(places.challenger(name, version))
    return {"challengers": found}
