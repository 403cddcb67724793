"""Removes what names a forgotten note from the places that other stages wrote, and finds what is left."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from enigma_tasks.adapters.forget_search import Searched, other_lines, search
from enigma_tasks.adapters.object_versions import purge, put_chunks
from enigma_tasks.artifacts import RunPlaces
from enigma_tasks.config import S3_PLACES
from enigma_tasks.file_names import ANNOTATION_SUFFIX, TEXT_SUFFIX

if TYPE_CHECKING:
    from collections.abc import Iterator

    from enigma_tasks.adapters.forget_search import Finding
    from enigma_tasks.adapters.object_store import ObjectStore
    from enigma_tasks.config import Settings
    from enigma_tasks.notes.forgetting import Traces

WRITTEN = ("annotations", "runs", "quarantine", "to_review", "reports", "reviewed_index")
"""Places that the night writes, in the order of removal: the index of reviews, which has the names of exports, last."""
GOLD_PLACES = ("gold", "dvc")
OWN_ONLY = ("reviewed",)
"""Places that people write: an object that holds other notes too is named and left as it is. Others are searched."""


@dataclass
class Removed:
    """What was done, by place."""

    counts: Counter[str] = field(default_factory=Counter)
    pages: set[str] = field(default_factory=set)
    """Nights whose morning page was deleted: `enigma monitor` writes it again."""


def pending(settings: Settings, store: ObjectStore, traces: Traces) -> list[str]:
    """The nights that have the note in their plan and are not published."""
    root = settings.require("runs")
    found = {f.version.uri.removeprefix(f"{root}/").partition("/")[0] for f in search(root, traces, Searched())}
    return sorted(night for night in found if not store.exists(RunPlaces.of(settings, night).success))


def remove(settings: Settings, store: ObjectStore, traces: Traces) -> Removed:
    """Remove what names the note from the places of `WRITTEN` and `OWN_ONLY`; can be repeated.

    Raises:
        ServiceError: as `ObjectStore` does, also where the store refuses to delete a locked version.
    """
    removed = Removed()
    for place in (*WRITTEN[:-1], *OWN_ONLY, WRITTEN[-1]):
        root = str(getattr(settings, place))
        for finding in search(root, traces, Searched()) if root else ():
            if not finding.searched or (place in OWN_ONLY and not finding.whole):
                continue
            remove_finding(store, finding, traces)
            removed.counts[place] += 1
            if place == "reports" and not finding.has_rest:
                removed.pages.add(finding.version.uri.removeprefix(f"{root}/").partition("/")[0])
    return removed


def left(
    settings: Settings, traces: Traces, searched: Searched, of_gold: Traces | None = None
) -> Iterator[tuple[str, Finding]]:
    """(place, finding) of everything in all places that names the note, in every version of every object.

    `of_gold`: the traces in `GOLD_PLACES`, where they are others.
    """
    for place in S3_PLACES:
        root, own = str(getattr(settings, place)), of_gold if of_gold and place in GOLD_PLACES else traces
        for finding in search(root, own, searched) if root else ():
            yield place, finding


def remove_finding(store: ObjectStore, finding: Finding, traces: Traces) -> None:
    """Write what is left of an object, or delete it, a text after the annotations beside it. Raises ServiceError."""
    version = finding.version
    if finding.has_rest and version.latest:
        rest = other_lines(version, traces) if finding.rest is None else [finding.rest]
        if put_chunks(store, version.uri, rest):
            purge(version.uri, keep_latest=True)
            return
    if version.key.endswith(TEXT_SUFFIX):  # before the text, by which a run after one that was killed finds it
        purge(f"s3://{version.bucket}/{PurePosixPath(version.key).with_suffix(ANNOTATION_SUFFIX)}")
    purge(version.uri, only=version.version_id)
