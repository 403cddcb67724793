"""Documents that arrive -> what becomes of each, so that one id is one document and every count adds up; pure.

A document is replaced only by a later version of the same record: of the same object, of a later export of the same
Label Studio project (its file names end in time and hash), or by the curated version of what an annotator made.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import ConfigDict

from enigma_tasks.documents import Document, EntityType
from enigma_tasks.formats.imports.inception_zip import CURATED, annotated_folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from enigma_tasks.gold.manifest import Claim, Manifest

Fate = Literal["added", "replaced", "unchanged", "refused", "older"]
"""`older` is refused too: it is from an earlier export of a project than what it would replace."""
_LABEL_STUDIO_TIME = re.compile(r"-at-(\d{4}-\d\d-\d\d-\d\d-\d\d)-[0-9a-f]{4,}(?=\.[a-z]+$)")
OLDER_HINT = "a later export of this project says something else of it"
# the strongest first: a document of several types has one fate
_FATES: tuple[Fate, ...] = ("replaced", "added", "unchanged")


@dataclass(frozen=True, slots=True)
class IngestCounts:
    """Of one ingestion; what was read adds up to what became of it. Raises AssertionError where it does not."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")  # for `summaries.read_summary`
    deliveries: int
    """Whose objects were read, or refused unread."""
    read: int
    """Documents, files that hold none that could be read, and ignored objects."""
    added: int
    replaced: int
    unchanged: int
    quarantined: int
    """Refused: a row each in the quarantine list."""
    ignored: int
    """Objects that are not gold, and what was refused before and has not changed since."""

    def __post_init__(self) -> None:
        outcomes = self.added + self.replaced + self.unchanged + self.quarantined + self.ignored
        if self.read != outcomes:
            raise AssertionError(f"{self.read} were read, and {outcomes} have an outcome")


@dataclass(frozen=True, slots=True)
class Arriving:
    """One document and the delivery that it came with."""

    record: str
    document: Document


@dataclass
class Settled:
    """What a version is to hold, and why."""

    fates: list[Fate]
    """Of each arriving document."""
    after: dict[tuple[str, EntityType], dict[str, Document]]
    """(language, type) -> id -> document, of the places that something arrived for."""
    places: dict[tuple[str, EntityType], Counter[str]] = field(default_factory=dict)
    """For each of them, how many were added and replaced."""


def origin(record: str) -> str:
    """What stays the same when a record is dropped again."""
    return _LABEL_STUDIO_TIME.sub("", record)


def _exported_at(record: str) -> str:
    """The time in the name of a Label Studio export, empty in any other; times are in the order of their letters."""
    found = _LABEL_STUDIO_TIME.search(record)
    return found[1] if found else ""


def origins_of(manifest: Manifest) -> dict[Claim, set[str]]:
    """Which records the held documents came from; of an annotator's version also its document's folder."""
    found: dict[Claim, set[str]] = {}
    for record, entry in manifest.items():
        for claim in entry.documents:
            found.setdefault(claim, set()).update({record, f"{annotated_folder(record)}/"})
    return found


def claims_of(document: Document) -> list[Claim]:
    """What a document is in a version: one of its id for each of its types."""
    return [(document.language or "", t.value, document.id) for t in EntityType if t in document.annotated]


def settle(
    arriving: Sequence[Arriving],
    held: Mapping[tuple[str, EntityType], Iterable[Document]],
    origins: Mapping[Claim, set[str]],
) -> Settled:
    """Decide about each arriving document.

    Documents of one id, language and type that come from different records and differ are all refused, and so is one
    that differs from what is held from another record, or is from an earlier export of a project than what is held or
    came before it. A document that is refused for one of its types is refused for
    all of them.

    Args:
        arriving: in the order of their writing.
        held: (language, type) -> the version's documents, for every place that something arrives for.
        origins: see `origins_of`.
    """
    after = {place: {d.id: d for d in documents} for place, documents in held.items()}
    parts = [_by_type(a.document) for a in arriving]
    refused = _disputed(arriving, parts, after, origins)
    before = {place: dict(documents) for place, documents in after.items()}
    settled = Settled([], after)
    for i, own in enumerate(parts):
        if i in refused:
            settled.fates.append(refused[i])
            continue
        fates: set[Fate] = set()
        for place, document in own.items():
            there = after.setdefault(place, {})
            old = there.get(document.id)
            said_before = document in (old, before.get(place, {}).get(document.id))
            fate: Fate = "added" if old is None else "unchanged" if said_before else "replaced"
            fates.add(fate)
            if fate != "unchanged":
                there[document.id] = document
                settled.places.setdefault(place, Counter())[fate] += 1
        settled.fates.append(next(fate for fate in _FATES if fate in fates))
    return settled


def _disputed(
    arriving: Sequence[Arriving],
    parts: Sequence[Mapping[tuple[str, EntityType], Document]],
    held: Mapping[tuple[str, EntityType], Mapping[str, Document]],
    origins: Mapping[Claim, set[str]],
) -> dict[int, Fate]:
    """The arriving documents whose id is another document's (`refused`), or whose export is an `older` one."""
    rivals: dict[tuple[tuple[str, EntityType], str], list[int]] = {}
    for i, own in enumerate(parts):
        for place, document in own.items():
            rivals.setdefault((place, document.id), []).append(i)
    refused: dict[int, Fate] = {}
    for (place, document_id), indices in rivals.items():
        old = held.get(place, {}).get(document_id)
        differing = [i for i in indices if parts[i][place] != old]
        owners = origins.get((place[0], place[1].value, document_id), set()) if old is not None else set()
        exports = _Exports(owners)
        older = {i for i in differing if exports.is_older(arriving[i].record, _content(parts[i][place]))}
        for i in sorted(older):
            refused.setdefault(i, "older")
        differing = [i for i in differing if i not in older]
        if old is not None:
            projects = set(map(origin, owners))
            foreign = {i for i in differing if not _may_replace(arriving[i].record, owners, projects)}
            refused |= dict.fromkeys(sorted(foreign), "refused")
            differing = [i for i in differing if i not in foreign]
        versions = {_content(parts[i][place]) for i in differing}
        if len(versions) > 1 and len({origin(arriving[i].record) for i in differing}) > 1:
            refused |= dict.fromkeys(differing, "refused")
    return refused


class _Exports:
    """The exports of one document that were seen: by project, the latest two times of different content."""

    def __init__(self, owners: Iterable[str]) -> None:
        self._held: dict[str, str] = {}
        """Project -> the latest export of it that is held."""
        for owner in owners:
            self._held[origin(owner)] = max(_exported_at(owner), self._held.get(origin(owner), ""))
        self._seen: dict[str, list[tuple[str, tuple[object, ...]]]] = {}

    def is_older(self, record: str, content: tuple[object, ...]) -> bool:
        """Whether a later export of its project is held, or was asked for before and has another content."""
        project, time = origin(record), _exported_at(record)
        if not time:
            return False
        seen = self._seen.get(project, [])
        older = self._held.get(project, "") > time or any(t > time and c != content for t, c in seen)
        same = [t for t, c in seen if c == content]
        others = [(t, c) for t, c in seen if c != content]
        latest = sorted([*others, (max([time, *same]), content)], key=lambda pair: pair[0], reverse=True)
        self._seen[project] = latest[:2]
        return older


def _may_replace(record: str, owners: set[str], projects: set[str]) -> bool:
    """`projects`: `origin` of each of the owners."""
    curated = PurePosixPath(record).stem == CURATED
    return origin(record) in projects or (curated and f"{annotated_folder(record)}/" in owners)


def _content(document: Document) -> tuple[object, ...]:
    return document.text, document.entities


def _by_type(document: Document) -> dict[tuple[str, EntityType], Document]:
    """(language, type) -> the document with that type's spans only."""
    return {
        (document.language or "", t): Document(
            document.id, document.text, document.of_type(t), document.language, frozenset({t})
        )
        for t in EntityType
        if t in document.annotated
    }
