"""What is to be forgotten, by its URI; its rows in the tables; the models that were trained on it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from enigma_tasks.adapters.forget_drops import dropped
from enigma_tasks.adapters.gold_revisions import read_gold_revisions
from enigma_tasks.adapters.night_schema import NOTES
from enigma_tasks.adapters.night_table import rows_among
from enigma_tasks.adapters.note_gold import NoteGold
from enigma_tasks.adapters.note_history import names_of
from enigma_tasks.adapters.object_store import ObjectStore, split_uri
from enigma_tasks.errors import UsageError
from enigma_tasks.notes.forgotten import Target
from enigma_tasks.notes.names import Names

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from enigma_tasks.config import Params, Settings
    from enigma_tasks.notes.forgotten import Tombstones

COLUMNS = ["bucket", "key", "record_id", "note_id", "version", "annotation"]
UNKNOWN = (
    "the note is neither in the tables nor in drops/; name it as s3://bucket/drops/.../note.txt, ...jsonl#id or .../"
)


def find_target(uri: str, tombstones: Tombstones, params: Params, settings: Settings) -> Target:
    """The note, file of records or folder that a URI means.

    Raises:
        UsageError: it is neither in the tables, nor in drops/, and has no tombstone; or a folder that is not in drops/.
    """
    for target in _meant(uri, settings):
        known = next(iter(note_rows(settings.require("tables"), target)), None) is not None
        if known or target.tombstone(tombstones.secret) in tombstones.digests:
            return target
        if next(dropped(target, (), params.notes), None) is not None:
            return target
    raise UsageError(UNKNOWN)


def note_rows(tables: str, target: Target) -> list[dict[str, Any]]:
    """Its rows of `notes`, of all nights."""
    among = {"bucket": [target.bucket]} | ({} if target.is_prefix else {"key": [target.key]})
    rows = rows_among(tables, NOTES, COLUMNS, **among)
    return [row for row in rows if target.covers(row["bucket"], row["key"], row["record_id"])]


def trained_on(
    rows: Sequence[Mapping[str, Any]], exported: Collection[str], params: Params, settings: Settings
) -> dict[str, Any]:
    """The registered versions made from gold that has the note, and those for which that is not recorded.

    Raises:
        ServiceError: gold repository or registry.
    """
    if not settings.gold_repository:
        return {"trained": [], "not_recorded": [], "gold": "not configured"}
    from enigma_tasks.adapters.gold_repository import GoldRepository

    made, unknown, documents = [], set(), []
    revisions = read_gold_revisions(ObjectStore(), settings)
    with GoldRepository.configured(params, settings) as repository:
        for note_id in sorted({row["note_id"] for row in rows}):
            gold = NoteGold(repository, exported, note_id, revisions)
            found = gold.newest()
            documents += found
            if found and settings.mlflow_tracking_uri:
                own, not_recorded = gold.made_from(found)
                made += [asdict(version) for version in own]
                unknown |= set(not_recorded)
    names = Names.of(settings)
    return {
        "trained": [dict(version) for version in {tuple(sorted(v.items())): v for v in made}.values()],
        "not_recorded": sorted(unknown),
        "gold": [{"document": names.shown(d.claim[2]), "known_by": d.known_by} for d in documents],
    }


def _meant(uri: str, settings: Settings) -> Iterator[Target]:
    if uri.endswith("/"):
        bucket, key = split_uri(uri)
        if not uri.startswith(f"{settings.require('drops')}/") or uri.rstrip("/") == settings.drops:
            raise UsageError("a folder is named below drops/, with its slash: s3://bucket/drops/es/2026-06-11/")
        yield Target(bucket, key)
        return
    for name in names_of(uri):
        yield Target(name.bucket, name.key, name.record_id)
