"""`enigma changes`: gold repository + registry -> which languages to train again, and at which commits."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

from enigma_tasks.adapters.gold_repository import GoldRepository
from enigma_tasks.adapters.object_store import ObjectStore
from enigma_tasks.adapters.trained_versions import trained_versions
from enigma_tasks.adapters.training_repository import TrainingRepository
from enigma_tasks.errors import ServiceError, UsageError
from enigma_tasks.gold.changes import TrainingWork, outdated
from enigma_tasks.training_places import TrainingPlaces, training_batch

if TYPE_CHECKING:
    import argparse

    from enigma_tasks.config import Params, Settings

log = logging.getLogger(__name__)


def run(arguments: argparse.Namespace, params: Params, settings: Settings) -> dict[str, Any]:
    """List the work of a batch, once: a batch that is run again has the same list.

    Returns:
        commit, revision, `languages` (a URI for each language to be trained), `outdated` (language -> types whose gold
        is new), and `not_trained`: languages with gold that the project trains no model for.

    Raises:
        UsageError: no repository or registry is configured, or an unknown language or member.
        ServiceError: git, registry or object store.
    """
    store, batch = ObjectStore(), training_batch(settings, arguments.batch)
    if store.exists(batch):
        return _json(store, batch)
    with TrainingRepository.open(settings, command_seconds=params.ingest.command_seconds) as project:
        project.check_gold()
        commit, own = project.head, project.params()
    with GoldRepository.configured(params, settings) as repository:
        revision, gold = repository.head, repository.digests()
    members = _members(own)
    trained = {language: digests for language, digests in gold.items() if members.get(language)}
    found = outdated(trained, trained_versions(sorted(trained)))
    wanted = sorted(found)
    if arguments.language:
        wanted = [own.require_language(arguments.language)]
    if arguments.member:
        own.member(arguments.member)
        wanted = [code for code in (wanted if arguments.language else members) if arguments.member in members[code]]
    works = [
        TrainingWork(
            language=code, commit=commit or "", revision=revision or "", gold=trained[code], members=members[code]
        )
        for code in wanted
        if code in trained
    ]
    report = {
        "batch": arguments.batch,
        "commit": commit,
        "revision": revision,
        "languages": [_listed(store, settings, work) for work in works],
        "outdated": {code: list(types) for code, types in found.items()},
        "not_trained": sorted(gold.keys() - trained.keys()),
    }
    log.info("%d of %d languages with gold are to be trained", len(works), len(gold))
    store.put_if_absent(batch, json.dumps(report, sort_keys=True).encode())
    return _json(store, batch)


def _members(own: Params) -> dict[str, tuple[str, ...]]:
    """Language -> the members that the project trains. Raises UsageError for a row that is not called after them."""
    for name, row in own.training.items():
        if name != f"{row.language}-{row.member}":
            raise UsageError(f"the training project's params.yaml: training.{name} is to be called LANGUAGE-MEMBER")
    return {c: tuple(row.member for row in own.training.values() if row.language == c) for c in own.languages}


def _listed(store: ObjectStore, settings: Settings, work: TrainingWork) -> str:
    """Write down the work of a language, which is the same in every batch; returns its URI."""
    places = TrainingPlaces.of(settings, work.language, work.run)
    if not store.put_if_absent(places.work, work.model_dump_json().encode()):
        raise ServiceError(f"retraining of {work.language}: other work is listed as {work.run}")
    return places.root


def _json(store: ObjectStore, uri: str) -> dict[str, Any]:
    """The batch as it was listed first."""
    report: dict[str, Any] = json.loads(store.get(uri))
    return report
