"""What was exported for review in a night, and what an import of reviewed files found; never text."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal

from pydantic import Field, TypeAdapter

from enigma_tasks.frozen import Frozen, json_bytes, read_record
from enigma_tasks.monitoring.reviews import ReviewedNote, Stream  # noqa: TC001 - pydantic reads them
from enigma_tasks.notes.references import NoteRef

if TYPE_CHECKING:
    from typing import Any

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_SHOWN = 80
"""Characters of a note's id in a task's id."""


class ReviewTask(Frozen):
    """One version of a note, as it was exported for review."""

    task: str
    """The id of its document in every export."""
    bucket: str
    key: str
    record_id: str | None
    version: str
    object_version: str
    note_id: str
    language: str
    site: str
    stream: Stream
    also_chosen: bool = False
    probability: float | None = Field(None, gt=0, le=1)
    stratum: str = ""

    @property
    def note(self) -> tuple[str, str, str, str]:
        """(bucket, key, record id or "", version)."""
        return self.bucket, self.key, self.record_id or "", self.version


class ReviewNight(Frozen):
    """The night whose annotations are reviewed."""

    batch_id: str
    planned_at: str
    models: dict[str, dict[str, str]]
    """Language -> entity type -> digest of the pinned ensemble."""


class Stratum(Frozen):
    """Of the random stream."""

    notes: int
    """In the night."""
    drawn: int


class ReviewManifest(Frozen):
    """What was exported in one night: written last and once, so what it names is there."""

    schema_version: Literal[1] = 1
    night: ReviewNight
    tasks: tuple[ReviewTask, ...]
    strata: dict[str, Stratum]
    skipped: dict[str, int]
    """Chosen notes that were not exported, by rule: overwritten or deleted since they were annotated."""

    def counts(self) -> dict[str, int]:
        """Notes by stream; those of both are among the random ones."""
        random = [t for t in self.tasks if t.stream == "random"]
        return {
            "exported": len(self.tasks),
            "random": len(random),
            "useful": len(self.tasks) - len(random),
            "both": sum(t.also_chosen for t in random),
            "skipped": sum(self.skipped.values()),
        }


class ReadDrop(Frozen):
    """A reviewed file, or a text with its annotation, in the state in which it was read."""

    record: str
    state: tuple[tuple[str, str], ...]
    """(path below reviewed/, ETag) of its objects."""
    modified: str
    """When the last of them was written: an earlier version that is dropped again is read again."""


@dataclass(frozen=True, slots=True)
class ReviewCounts:
    """Of one import; what was read adds up to what became of it. Raises AssertionError where it does not."""

    read: int
    """Documents, files that hold none that could be read, and ignored objects."""
    new: int
    """Reviews that now count."""
    unchanged: int
    """The same file said the same before."""
    superseded: int
    """Kept, but a later review of the same note counts."""
    refused: int
    """A row each in the quarantine list."""
    ignored: int
    """Objects that hold no annotation by their name."""

    def __post_init__(self) -> None:
        outcomes = self.new + self.unchanged + self.superseded + self.refused + self.ignored
        if self.read != outcomes:
            raise AssertionError(f"{self.read} were read, and {outcomes} have an outcome")

    def to_json(self) -> dict[str, int]:
        """As a JSON object."""
        return asdict(self)


class ReviewImport(Frozen):
    """One import: what was read, and the reviews in it that had not been there before."""

    schema_version: Literal[1] = 1
    batch_id: str
    drops: tuple[ReadDrop, ...]
    counts: dict[str, int]
    """See `ReviewCounts`."""
    rules: dict[str, int]
    """Refused documents by rule."""
    reviews: tuple[ReviewedNote, ...]

    def report(self) -> dict[str, Any]:
        """What the command prints."""
        return {"batch": self.batch_id, "counts": self.counts, "rules": self.rules}


def task_id(batch_id: str, note: NoteRef, shown: str) -> str:
    """The id of a note's document in the exports of a night: another one for each night and version.

    `shown`: the note's id, as it may be shown; its characters that a file name should not have are replaced.
    """
    identity = json.dumps([batch_id, *note.identity])
    return f"{_UNSAFE.sub('_', shown)[:_SHOWN].lstrip('.')}-{hashlib.sha256(identity.encode()).hexdigest()[:16]}"


def note_of_task(task: ReviewTask) -> NoteRef:
    """The note of a task, to read the text that was annotated."""
    return NoteRef(
        bucket=task.bucket,
        key=task.key,
        record_id=task.record_id,
        version=task.version,
        object_version=task.object_version,
        note_id=task.note_id,
        language=task.language,
        language_source="",
        drop_date="",
        size=0,
    )


_MANIFEST, _IMPORT = TypeAdapter(ReviewManifest), TypeAdapter(ReviewImport)


def manifest_bytes(manifest: ReviewManifest) -> bytes:
    """The manifest as JSON."""
    return json_bytes(manifest.model_dump(mode="json"))


def read_manifest(name: str, data: bytes) -> ReviewManifest:
    """Back from `manifest_bytes`. Raises DataError as `read_record` does."""
    return read_record(_MANIFEST, name, data)


def import_bytes(found: ReviewImport) -> bytes:
    """An import as JSON."""
    return json_bytes(found.model_dump(mode="json"))


def read_import(name: str, data: bytes) -> ReviewImport:
    """Back from `import_bytes`. Raises DataError as `read_record` does."""
    return read_record(_IMPORT, name, data)
