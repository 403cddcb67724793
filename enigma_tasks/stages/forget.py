"""`enigma forget`: removes a note, or all notes below a folder, and everything that was derived from it."""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING, Any

from enigma_tasks.adapters.forget_drops import dropped, remove_dropped
from enigma_tasks.adapters.forget_gold import GIT, ForgottenGold
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
from enigma_tasks.errors import IncompleteError, UsageError
from enigma_tasks.file_names import stem
from enigma_tasks.notes.forgetting import Traces
from enigma_tasks.notes.forgotten import TEXT_CHARACTERS, Kind, text_digest
from enigma_tasks.notes.names import Names
from enigma_tasks.review_places import ReviewIndexPlaces

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Mapping, Sequence

    from enigma_tasks.adapters.forget_drops import Dropped
    from enigma_tasks.config import Params, Settings
    from enigma_tasks.notes.forgotten import Target

log = logging.getLogger(__name__)


def run(arguments: argparse.Namespace, params: Params, settings: Settings) -> dict[str, Any]:
    """Without `--yes`, search and write nothing; with it, remove, then search again.

    Order: tombstones, gold if asked, drops, the other places, tables. Each step can be repeated, and needs nothing that
    an earlier one removed: killed anywhere and run again, it ends the same.

    Returns:
        note (as it may be shown), `removed` by place, `searched` (objects in all versions), `found` with a row each in
        `left`, `trained`, and exit code 1 where anything is found after the removal. With `--gold`, `gold_history`:
        what `ForgottenGold` returns, and `same_id`, documents of the note's id that were not removed.

    Raises:
        UsageError: no `ENIGMA_FORGET_KEY`, or the note is neither in the tables, nor in drops/, nor forgotten already;
            `--document` without `--gold`; or as `ForgottenGold.remove` does.
        DataError: as `ForgottenGold.remove` does.
        IncompleteError: a night has planned the note and is not published; only the tombstones are written.
        ServiceError: store, tables, gold repository or registry.
    """
    if arguments.document and not arguments.gold:
        raise UsageError("--document is for --gold")
    secret, tables, store = settings.require_forget_key(), settings.require("tables"), ObjectStore()
    names, tombstones = Names.of(settings), read_tombstones(store, settings)
    target = find_target(uri_of(arguments.note, tables, names), tombstones, params, settings)
    rows = note_rows(tables, target)
    versions = {row["version"] for row in rows}
    known: set[tuple[Kind, str]] = set()

    def found_text(text: str) -> None:
        if len(text) >= TEXT_CHARACTERS:
            known.add((Kind.TEXT, text_digest(secret, text)))

    found = list(dropped(target, versions, params.notes, found_text))
    traces = Traces(target, tombstones.with_texts(secret, known), _names(target, rows, store, settings))
    gold = None
    if arguments.gold:
        known |= ForgottenGold.of(store, params, settings, traces, arguments.document).texts()
        traces.texts = tombstones.with_texts(secret, known)
        gold = ForgottenGold.of(store, params, settings, traces, arguments.document)
    report: dict[str, Any] = {"note": names.record(target.key, target.record_id), "written": arguments.yes}
    trained = trained_on(rows, traces.names, params, settings)
    if not arguments.yes:
        report["unpublished"] = pending(settings, store, traces)
        report |= {"gold_history": gold.planned()} if gold else {}
        return report | _searched(traces, names, settings, gold) | trained
    write_tombstones(store, settings, [target.tombstone(secret), *sorted(known)])
    _refuse_unpublished(settings, store, traces)
    if gold:  # before the index of reviews, by which its documents are known
        report["gold_history"] = gold.remove() | {"same_id": gold.of_ids(_ids(target, rows))}
    report |= _removed(settings, store, traces, found, params) | {"texts": len(known)}
    proof = _searched(traces, names, settings, gold)
    log.info("%d objects searched, %d found", proof["searched"], proof["found"])
    return report | proof | trained | {"exit_code": int(proof["found"] > 0)}


def _refuse_unpublished(settings: Settings, store: ObjectStore, traces: Traces) -> None:
    """Raise IncompleteError where a night has the note in its plan, or in one of its tables only."""
    if nights := pending(settings, store, traces):
        raise IncompleteError(
            f"{', '.join(nights)}: has planned the note and is not published; it will leave the note out: publish it, "
            "or delete its folder under runs/, then forget again"
        )
    if half := NightTables.opened(settings.require("tables")).half_published():
        raise IncompleteError(f"{half} is in one table only: publish it, then forget again")


def _removed(
    settings: Settings, store: ObjectStore, traces: Traces, found: Iterable[Dropped], params: Params
) -> dict[str, Any]:
    """Remove it from the drops, the other places and the tables; how often, by place."""
    removed: Counter[str] = Counter()
    for item in found:
        remove_dropped(store, item, params.notes)
        removed["drops"] += 1
    done = remove(settings, store, traces)
    removed += done.counts
    for table in (SPANS, NOTES):  # `notes` last: it has the names of the others
        removed[f"tables/{table}"] += purge_table(store, settings.require("tables"), table, traces.target)
    return {"removed": dict(sorted((+removed).items())), "monitor_again": sorted(done.pages)}


def _names(target: Target, rows: Sequence[Mapping[str, Any]], store: ObjectStore, settings: Settings) -> set[str]:
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
    return known


def _ids(target: Target, rows: Sequence[Mapping[str, Any]]) -> set[str]:
    """The note's ids, also where its rows are deleted already."""
    own = [] if target.is_prefix else [target.record_id or stem(target.key)]
    return {*own, *(row["note_id"] for row in rows)}


def _searched(traces: Traces, names: Names, settings: Settings, gold: ForgottenGold | None) -> dict[str, Any]:
    """What a search over all places finds: rows of the tables, objects, and with `gold` objects of git."""
    searched, tables = Searched(), settings.require("tables")
    counts = {table: count_rows(tables, table, traces.target) for table in (NOTES, SPANS)}
    rows = [
        {"place": f"tables/{table}", "object": f"{count} rows", "current": True}
        for table, count in counts.items()
        if count
    ]
    rows += [
        {"place": place, "object": names.uri(finding.version.uri), "current": finding.version.latest}
        for place, finding in left(settings, traces, searched, gold.traces if gold else None)
    ]
    rows += [{"place": GIT, "object": name, "current": True} for name in (gold.left() if gold else ())]
    return {"searched": searched.objects, "found": len(rows), "left": rows, "by_place": _by_place(rows)}


def _by_place(rows: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    return dict(sorted(Counter(row["place"] for row in rows).items()))
