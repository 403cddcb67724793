"""`enigma explain`: a note's URI -> everything that ever happened to it, from what is recorded; no text."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from enigma_tasks.adapters.gold_revisions import read_gold_revisions
from enigma_tasks.adapters.note_gold import BY_EXPORT, NoteGold
from enigma_tasks.adapters.note_history import NOT_IN_TABLES, find_history, uri_of
from enigma_tasks.adapters.note_models import NoteModels
from enigma_tasks.adapters.object_store import ObjectStore
from enigma_tasks.adapters.review_index import ReviewIndex
from enigma_tasks.adapters.waiting_notes import find_waiting
from enigma_tasks.errors import UsageError
from enigma_tasks.monitoring.reviews import latest_reviews
from enigma_tasks.notes.names import Names
from enigma_tasks.review_places import ReviewIndexPlaces

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Mapping

    from enigma_tasks.config import Params, Settings
    from enigma_tasks.monitoring.review_manifest import ReviewManifest, ReviewTask
    from enigma_tasks.monitoring.reviews import ReviewedNote

NOT_CONFIGURED = "not configured"


def run(arguments: argparse.Namespace, params: Params, settings: Settings) -> dict[str, Any]:
    """Everything that is recorded of a note; nothing is written.

    Returns:
        note (as it may be shown), state, and lists of rows: `outcomes` (one a night), `models` (one a model and night,
        with the line of the journal that made it champion), `exports` for review, `reviews` (one a type), and
        `gold_documents`. `gold` is yes, no, by id only, or not configured; `trained_on` is yes, no, not recorded, or
        not configured, with rows `trained` and the versions `not_recorded`. For a note that no published night has:
        note, state and rule.

    Raises:
        UsageError: the note is neither in the tables nor in drops/.
        DataError: the journal was edited, or a record of a plan, a review or the gold is not readable.
        ServiceError: store, tables, gold repository or registry.
    """
    names, store = Names.of(settings), ObjectStore()
    note = uri_of(arguments.note, settings.require("tables"), names)
    history = find_history(settings.require("tables"), note)
    if not history:
        waiting = find_waiting(store, note, params, settings)
        if waiting is None:
            raise UsageError(NOT_IN_TABLES)
        return {"note": names.record(waiting.key, waiting.record_id), "state": waiting.state, "rule": waiting.rule}
    last = history[-1]
    exported, reviewed = _reviewed(store, last, settings)
    models = NoteModels(store, settings)
    return {
        "note": names.record(last["key"], last["record_id"]),
        "state": last["outcome"],
        "versions": len({row["version"] for row in history}),
        "nights": len(history),
        **_gold(exported, last, names, params, settings),
        "outcomes": [_outcome(row, names, settings) for row in history],
        "models": [model for row in history for model in models.of_row(row)],
        **reviewed,
    }


def _outcome(row: Mapping[str, Any], names: Names, settings: Settings) -> dict[str, Any]:
    place = row["annotation"]
    return {
        "night": row["batch_id"],
        "planned_at": row["planned_at"].isoformat(timespec="seconds"),
        "version": row["version"],
        "outcome": row["outcome"],
        "rule": row["rule"],
        "rule_offset": row["rule_offset"],
        "language": row["language"],
        "language_source": row["language_source"],
        "entities": row["entities"],
        "annotation": place and (place if names.in_hash(place) else names.below(settings.annotations, place)),
    }


def _reviewed(store: ObjectStore, row: Mapping[str, Any], settings: Settings) -> tuple[set[str], dict[str, Any]]:
    """The ids that exports for review gave the note; its exports and reviews."""
    if not settings.reviewed_index:
        return set(), {"reviewed": NOT_CONFIGURED, "exports": [], "reviews": []}
    index, note = ReviewIndex(store, ReviewIndexPlaces.of(settings)), _note(row)
    tasks = _tasks(index.manifests(), note)
    reviews = [r for found in index.imports() for r in found.reviews if r.reviewed_place[:3] == note]
    exports = [
        {"night": night, "version": t.version, "stream": t.stream, "also_chosen": t.also_chosen} for night, t in tasks
    ]
    report = {"reviewed": "yes" if reviews else "no", "exports": exports, "reviews": review_rows(reviews)}
    return {t.task for _, t in tasks}, report


def _note(row: Mapping[str, Any]) -> tuple[str, str, str]:
    return row["bucket"], row["key"], row["record_id"] or ""


def _tasks(manifests: Iterable[ReviewManifest], note: tuple[str, str, str]) -> list[tuple[str, ReviewTask]]:
    """(night, task) of each export of the note, in the order of the nights."""
    ordered = sorted(manifests, key=lambda m: (m.night.planned_at, m.night.batch_id))
    return [(m.night.batch_id, t) for m in ordered for t in m.tasks if t.note[:3] == note]


def review_rows(reviews: Iterable[ReviewedNote]) -> list[dict[str, Any]]:
    """A row for each review and entity type, in the order of the reviews; `counts`: it is the one that counts."""
    ordered = sorted(reviews, key=lambda r: r.order)
    counting = {id(review) for review in latest_reviews(ordered)}
    return [
        {
            "reviewed_at": review.reviewed_at,
            "night": review.batch_id,
            "version": review.version,
            "stream": review.stream,
            "counts": id(review) in counting,
            "type": entity_type,
            "digest": review.models[entity_type],
            **count.model_dump(),
        }
        for review in ordered
        for entity_type, count in sorted(review.counts.items())
    ]


def _gold(
    exported: set[str], row: Mapping[str, Any], names: Names, params: Params, settings: Settings
) -> dict[str, Any]:
    """Whether the note became gold, and which versions were made from that."""
    empty: dict[str, Any] = {"trained_on": NOT_CONFIGURED, "gold_documents": [], "trained": [], "not_recorded": []}
    if not settings.gold_repository:
        return {"gold": NOT_CONFIGURED, **empty}
    from enigma_tasks.adapters.gold_repository import GoldRepository

    with GoldRepository.configured(params, settings) as repository:
        gold = NoteGold(repository, exported, row["note_id"], read_gold_revisions(ObjectStore(), settings))
        documents = gold.newest()
        made, unknown = gold.made_from(documents) if documents and settings.mlflow_tracking_uri else ([], [])
    sure = any(d.known_by == BY_EXPORT for d in documents)
    found = empty | {
        "gold": "yes" if sure else "by id only" if documents else "no",
        "gold_documents": [
            {
                "delivery": names.below(settings.gold, d.delivery),
                "document": names.shown(d.claim[2]),
                "language": d.claim[0],
                "type": d.claim[1],
                "known_by": d.known_by,
            }
            for d in documents
        ],
        "trained": [asdict(version) for version in made],
        "not_recorded": unknown,
    }
    if not documents:
        found["trained_on"] = "no"
    elif settings.mlflow_tracking_uri:
        found["trained_on"] = _answer(len(made), len(unknown))
    return found


def _answer(made: int, unknown: int) -> str:
    """What is known of all registered versions of the languages; those of which nothing is known are never a no."""
    if made:
        return "yes"
    return "not recorded" if unknown else "no"
