"""`enigma forget`: removes a note, or all notes below a folder, and everything that was derived from it."""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING, Any

from enigma_tasks.adapters.forget_drops import dropped, remove_dropped
from enigma_tasks.adapters.forget_places import left, pending, remove
from enigma_tasks.adapters.forget_search import Searched
from enigma_tasks.adapters.forget_target import find_target, note_rows, trained_on
from enigma_tasks.adapters.night_publication import NightTables
from enigma_tasks.adapters.night_schema import NOTES, SPANS
from enigma_tasks.adapters.note_history import uri_of
from enigma_tasks.adapters.object_store import ObjectStore
from enigma_tasks.adapters.review_index import ReviewIndex
from enigma_tasks.adapters.table_purge import count_rows, purge_table
from enigma_tasks.adapters.tombstones import read_tombstones, write_tombstones
from enigma_tasks.errors import IncompleteError
from enigma_tasks.notes.forgetting import Traces
from enigma_tasks.notes.forgotten import TEXT_CHARACTERS, Kind, text_digest
from enigma_tasks.notes.names import Names
from enigma_tasks.review_places import ReviewIndexPlaces

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Mapping, Sequence

    from enigma_tasks.config import Params, Settings
    from enigma_tasks.notes.forgotten import Target

log = logging.getLogger(__name__)


def run(arguments: argparse.Namespace, params: Params, settings: Settings) -> dict[str, Any]:
    """Without `--yes`, search and write nothing; with it, remove, then search again.

    Order: tombstones, drops, the other places, tables. Each step can be repeated, and needs nothing that an earlier one
    removed: killed anywhere and run again, it ends the same.

    Returns:
        note (as it may be shown), `removed` by place, `searched` (objects in all versions), `found` with a row each in
        `left`, `trained`, and exit code 1 where anything is found after the removal.

    Raises:
        UsageError: no `ENIGMA_FORGET_KEY`, or the note is neither in the tables, nor in drops/, nor forgotten already.
        IncompleteError: a night has planned the note and is not published; only the tombstones are written.
        ServiceError: store, tables, gold repository or registry.
    """
    secret, tables, store = settings.require_forget_key(), settings.require("tables"), ObjectStore()
    names = Names.of(settings)
    target = find_target(uri_of(arguments.note, tables, names), read_tombstones(store, settings), params, settings)
    rows = note_rows(tables, target)
    versions = {row["version"] for row in rows}
    found = list(dropped(target, versions, params.notes))
    texts = {text_digest(secret, t) for item in found for t in item.texts if len(t) >= TEXT_CHARACTERS}
    traces = _traces(target, rows, store, settings)
    report: dict[str, Any] = {"note": names.record(target.key, target.record_id), "written": arguments.yes}
    trained = trained_on(rows, traces.names, params, settings)
    if not arguments.yes:
        return report | {"unpublished": pending(settings, store, traces)} | _searched(traces, names, settings) | trained
    write_tombstones(store, settings, [target.tombstone(secret), *((Kind.TEXT, digest) for digest in sorted(texts))])
    traces.texts = read_tombstones(store, settings)
    if nights := pending(settings, store, traces):
        raise IncompleteError(
            f"{', '.join(nights)}: has planned the note and is not published; it will leave the note out: publish it, "
            "or delete its folder under runs/, then forget again"
        )
    if half := NightTables.opened(tables).half_published():
        raise IncompleteError(f"{half} is in one table only: publish it, then forget again")
    removed: Counter[str] = Counter()
    for item in found:
        remove_dropped(store, item)
        removed["drops"] += 1
    done = remove(settings, store, traces)
    removed += done.counts
    for table in (SPANS, NOTES):  # `notes` last: it has the names of the others
        removed[f"tables/{table}"] += purge_table(store, tables, table, target)
    proof = _searched(traces, names, settings)
    log.info("%d objects searched, %d found", proof["searched"], proof["found"])
    return {
        **report,
        "removed": dict(sorted((+removed).items())),
        "texts": len(texts),
        "monitor_again": sorted(done.pages),
        **proof,
        **trained,
        "exit_code": int(proof["found"] > 0),
    }


def _traces(target: Target, rows: Sequence[Mapping[str, Any]], store: ObjectStore, settings: Settings) -> Traces:
    """The names that the tables and the index of reviews have for the note."""
    names, known = Names.of(settings), set()
    for row in rows:
        if row["annotation"]:
            known |= {row["annotation"], f"{settings.annotations}/{row['annotation']}"}
        if names.hidden:
            known.add(names.record(row["key"], row["record_id"]))
    if settings.reviewed_index:
        for manifest in ReviewIndex(store, ReviewIndexPlaces.of(settings)).manifests():
            known |= {t.task for t in manifest.tasks if target.covers(t.bucket, t.key, t.record_id)}
    return Traces(target, read_tombstones(store, settings), known)


def _searched(traces: Traces, names: Names, settings: Settings) -> dict[str, Any]:
    """What a search over all places finds: rows of the tables, and objects."""
    searched, tables = Searched(), settings.require("tables")
    counts = {table: count_rows(tables, table, traces.target) for table in (NOTES, SPANS)}
    rows = [
        {"place": f"tables/{table}", "object": f"{count} rows", "current": True}
        for table, count in counts.items()
        if count
    ]
    rows += [
        {"place": place, "object": names.uri(finding.version.uri), "current": finding.version.latest}
        for place, finding in left(settings, traces, searched)
    ]
    return {"searched": searched.objects, "found": len(rows), "left": rows, "by_place": _by_place(rows)}


def _by_place(rows: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    return dict(sorted(Counter(row["place"] for row in rows).items()))
