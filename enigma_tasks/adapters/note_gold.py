"""Whether a note became gold, and which registered versions were made from gold that has it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from enigma_tasks.adapters.mlflow_registry import (
    DIGEST_TAG,
    GOLD_REVISION_TAG,
    PARALLEL_CALLS,
    registered_name,
    versions_of,
)
from enigma_tasks.artifacts import INGESTED
from enigma_tasks.documents import EntityType
from enigma_tasks.gold.manifest import unpack_manifest
from enigma_tasks.threads import in_order

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from enigma_tasks.adapters.gold_repository import GoldRepository
    from enigma_tasks.adapters.gold_revisions import GoldRevisions
    from enigma_tasks.gold.manifest import Claim, Manifest

BY_EXPORT, BY_ID = "export", "note_id"


@dataclass(frozen=True, slots=True)
class GoldDocument:
    """A document of a gold version that is, or by its id may be, the note."""

    delivery: str
    """Its path below gold/."""
    claim: Claim
    known_by: str
    """`export`: its id was made for the note by an export for review; `note_id`: it has the note's id, as other
    documents may have."""


@dataclass(frozen=True, slots=True)
class MadeFrom:
    """A registered version whose retraining used gold that has the note."""

    model: str
    version: str
    digest: str
    revision: str
    """The gold's commit."""
    known_by: str
    """As of the document."""


def documents_in(manifest: Manifest, exported: Collection[str], note_id: str) -> list[GoldDocument]:
    """The documents of a gold version that are the note's; `exported`: the ids that exports for review gave it."""
    return [
        GoldDocument(record, claim, BY_EXPORT if claim[2] in exported else BY_ID)
        for record, entry in sorted(manifest.items())
        for claim in entry.documents
        if claim[2] in exported or claim[2] == note_id
    ]


class NoteGold:
    """What the versions of a gold repository have of a note. Raises as `GoldRepository` and `unpack_manifest` do."""

    def __init__(
        self, repository: GoldRepository, exported: Collection[str], note_id: str, revisions: GoldRevisions
    ) -> None:
        self._repository, self._exported, self._note_id = repository, exported, note_id
        self._revisions = revisions
        self._known: dict[str, list[GoldDocument] | None] = {}

    def newest(self) -> list[GoldDocument]:
        """In the newest version, which has every document that any version had."""
        return (self._repository.head and self.at(self._repository.head)) or []

    def at(self, revision: str) -> list[GoldDocument] | None:
        """In that version, or the one that stands for it; None where the repository has neither."""
        if revision not in self._known:
            versions = (self._repository.read_at(r, INGESTED) for r in self._revisions.standing_for(revision))
            data = next((version for version in versions if version is not None), None)
            found = None if data is None else documents_in(unpack_manifest(data), self._exported, self._note_id)
            self._known[revision] = found
        return self._known[revision]

    def made_from(self, documents: Iterable[GoldDocument]) -> tuple[list[MadeFrom], list[str]]:
        """The registered versions made from gold that has the documents; those for which that is not recorded.

        A retraining uses all types of a language's gold, so a version of any type of the documents' languages counts.
        Which of the gold's documents a model was trained on, and which it was only measured on, is not in the registry.

        Raises:
            ServiceError: registry unreachable or failing.
        """
        languages = sorted({d.claim[0] for d in documents})
        wanted = {registered_name(language, t): language for language in languages for t in EntityType}
        made, unknown = [], []
        for version in (v for own in in_order(versions_of, wanted, PARALLEL_CALLS) for v in own):
            revision = version.tags.get(GOLD_REVISION_TAG, "")
            found = self.at(revision) if revision else None
            if found is None:
                unknown.append(f"{version.name}/{version.version}")
                continue
            ways = {d.known_by for d in found if d.claim[0] == wanted[version.name]}
            if ways:
                way = BY_EXPORT if BY_EXPORT in ways else BY_ID
                made.append(MadeFrom(version.name, version.version, version.tags.get(DIGEST_TAG, ""), revision, way))
        return made, unknown
