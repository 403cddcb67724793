"""A forgotten note's documents below gold/: texts with their annotations, exports, and tables beside the texts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from enigma_tasks.adapters.forget_places import remove_finding
from enigma_tasks.adapters.forget_search import Searched, search
from enigma_tasks.adapters.object_versions import open_version, purge, put_chunks, versions_below
from enigma_tasks.file_names import FileKind, beside, kind_of, stem, without_suffix
from enigma_tasks.gold.ingestion import GoldObject, arrange

if TYPE_CHECKING:
    from collections.abc import Iterator

    from enigma_tasks.adapters.object_store import ObjectStore
    from enigma_tasks.adapters.object_versions import ObjectVersion
    from enigma_tasks.config import Settings
    from enigma_tasks.notes.forgetting import Traces

_PIECE = 1 << 20


def remove_deliveries(settings: Settings, store: ObjectStore, traces: Traces) -> int:
    """Remove the note from gold/, in all versions; returns how many objects were changed or deleted. Can be repeated.

    A text goes after its annotations and its rows in tables, which are found by it. An export loses the note's items;
    one of a kind that cannot be taken apart is left, and found by the search afterwards.

    Raises:
        ServiceError: as `ObjectStore` does.
    """
    gold = settings.require("gold")
    paths = {v.uri.removeprefix(f"{gold}/") for v in versions_below(f"{gold}/")}  # deleted ones too
    deliveries, _ = arrange((GoldObject(path, "", 0, "") for path in paths), None, 0)
    parts = {o.path: [p.path for p in d.objects if p != o] for d in deliveries for o in d.objects}
    count = 0
    for finding in list(search(gold, traces, Searched())):
        if not finding.whole and not finding.has_rest:
            continue
        path = finding.version.uri.removeprefix(f"{gold}/")
        if kind_of(path.rpartition("/")[2])[0] is FileKind.TEXT:
            count += _cut_tables(store, gold, path)
            count += sum(purge(f"{gold}/{part}") for part in parts.get(path, ()))
        remove_finding(store, finding, traces)
        if all(v.is_mark for v in versions_below(finding.version.uri) if v.key == finding.version.key):
            purge(finding.version.uri)  # its name is left in the marks of its deletion
        count += 1
    return count


def _cut_tables(store: ObjectStore, gold: str, text: str) -> int:
    """Cut the rows of a text out of the tables that repeat annotations of its folder; returns how many had some."""
    folders = tuple(text.split("/")[:-1])
    place, name, count = beside(folders), without_suffix(stem(text)), 0
    versions = versions_below(f"{gold}/{''.join(f'{folder}/' for folder in place)}")
    for version in sorted(versions, key=lambda v: v.latest):  # the newest one last: what is written replaces the others
        *own, file = version.uri.removeprefix(f"{gold}/").split("/")
        if version.is_mark or kind_of(file)[0] is not FileKind.TABLE:
            continue
        if tuple(own) not in (place, (*place, "tsv"), folders):
            continue
        if sum(map(len, _other_rows(version, name))) == version.size:
            continue
        count += 1
        if version.latest and put_chunks(store, version.uri, _other_rows(version, name)):
            purge(version.uri, keep_latest=True)
        else:
            purge(version.uri, only=version.version_id)
    return count


def _other_rows(version: ObjectVersion, name: str) -> Iterator[bytes]:
    """The rows of a table that are not of the document of that name, in pieces of at most `_PIECE` bytes."""
    begins, kept = True, True
    with open_version(version) as stream:
        while piece := stream.readline(_PIECE):
            if begins:
                kept = without_suffix(piece.split(b"\t")[0].decode("utf-8", "replace")) != name
            begins = piece.endswith(b"\n")
            if kept:
                yield piece
