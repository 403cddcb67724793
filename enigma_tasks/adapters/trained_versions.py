"""Which gold the registered versions were trained on, by their tags."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import TypeAdapter, ValidationError

from enigma_tasks.adapters.mlflow_registry import (
    GOLD_TAG,
    PARALLEL_CALLS,
    REGISTERED_WITH_TAG,
    registered_name,
    versions_of,
)
from enigma_tasks.documents import EntityType
from enigma_tasks.errors import ModelError
from enigma_tasks.gold.changes import TrainedVersion
from enigma_tasks.threads import in_order

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_DIGESTS, _NAMES = TypeAdapter(dict[str, str]), TypeAdapter(tuple[str, ...])


def trained_versions(languages: Iterable[str]) -> list[TrainedVersion]:
    """The usable versions of these languages that say which gold they were trained on.

    Raises:
        ModelError: what a version says is not readable; ServiceError: registry unreachable or failing.
    """
    names = [registered_name(language, t) for language in languages for t in EntityType]
    found = [version for own in in_order(versions_of, names, PARALLEL_CALLS) for version in own]
    return [trained(v.name, v.version, v.tags) for v in found if GOLD_TAG in v.tags]


def trained(name: str, version: str, tags: Mapping[str, str]) -> TrainedVersion:
    """What a version's tags say of its gold. Raises ModelError where they are not readable."""
    try:
        gold = _DIGESTS.validate_json(tags[GOLD_TAG])
        registered_with = _NAMES.validate_json(tags[REGISTERED_WITH_TAG])
        return TrainedVersion(tags["language"], tags["entity"], gold, registered_with)
    except (KeyError, ValidationError):
        raise ModelError(f"{name} version {version}: its tags do not say which gold it was trained on") from None
