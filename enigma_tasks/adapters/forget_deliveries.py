"""A forgotten note's documents below gold/: texts with their annotations, exports, and tables beside the texts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from enigma_tasks.adapters.delivery_reader import listed
from enigma_tasks.adapters.forget_places import remove_finding
from enigma_tasks.adapters.forget_search import Searched, search
from enigma_tasks.adapters.object_versions import purge
from enigma_tasks.file_names import FileKind, beside, kind_of, stem, without_suffix
from enigma_tasks.gold.ingestion import arrange

if TYPE_CHECKING:
    from enigma_tasks.adapters.object_store import ObjectStore
    from enigma_tasks.config import Settings
    from enigma_tasks.notes.forgetting import Traces


def remove_deliveries(settings: Settings, store: ObjectStore, traces: Traces, max_bytes: int) -> int:
    """Remove the note from gold/; returns how many objects changed. Can be repeated.

    A text goes after its annotations and its rows in tables, which are found by it. An export loses the note's items;
    one of a kind that cannot be taken apart is left, and found by the search afterwards.

    Raises:
        ServiceError: as `ObjectStore` does.
    """
    gold = settings.require("gold")
    deliveries, _ = arrange(listed(store, gold), None, max_bytes)
    parts = {f"{gold}/{o.path}": [f"{gold}/{p.path}" for p in d.objects] for d in deliveries for o in d.objects}
    count = 0
    for finding in list(search(gold, traces, Searched())):
        if not finding.whole and finding.rest is None:
            continue
        uri = finding.version.uri
        if kind_of(uri.rpartition("/")[2])[0] is FileKind.TEXT:
            count += _tables(store, gold, uri)
            for part in parts.get(uri, ()):
                count += purge(part) if part != uri else 0
        remove_finding(store, finding)
        count += 1
    return count


def _tables(store: ObjectStore, gold: str, text_uri: str) -> int:
    """Cut the rows of a text out of the tables that repeat annotations of its folder; returns how many changed."""
    folders = tuple(text_uri.removeprefix(f"{gold}/").split("/")[:-1])
    place, name, changed = beside(folders), without_suffix(stem(text_uri)), 0
    for item in list(store.list(f"{gold}/{''.join(f'{folder}/' for folder in place)}")):
        *own, file = item.uri.removeprefix(f"{gold}/").split("/")
        if kind_of(file)[0] is not FileKind.TABLE or tuple(own) not in (place, (*place, "tsv"), folders):
            continue
        lines = store.get(item.uri).splitlines(keepends=True)
        kept = [line for line in lines if without_suffix(line.split(b"\t")[0].decode("utf-8", "replace")) != name]
        if kept != lines:
            store.put(item.uri, b"".join(kept))
            purge(item.uri, keep_latest=True)
            changed += 1
    return changed
