"""What a night's stages leave for each other under `runs/{batch}/`, in the object store: records in; records out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from enigma_tasks.adapters.night_schema import SPANS
from enigma_tasks.artifacts import RunPlaces
from enigma_tasks.errors import DataError, ObjectMissing, UsageError
from enigma_tasks.notes.commits import commit_bytes, published_bytes, read_commit, read_published
from enigma_tasks.notes.plans import (
    Shard,
    digest,
    notes_bytes,
    plan_bytes,
    read_notes,
    read_plan,
    read_refusals,
    refusals_bytes,
)
from enigma_tasks.notes.signing import NightKey

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from enigma_tasks.adapters.object_store import ObjectStore
    from enigma_tasks.config import Settings
    from enigma_tasks.notes.commits import Published, ShardCommit
    from enigma_tasks.notes.plans import Plan
    from enigma_tasks.notes.references import NoteRef, Refused


class NightRecords:
    """The records of one night.

    Raises, from every method:
        DataError: what is there is damaged, or written by a newer version; see `frozen.read_record`.
        ServiceError: as `ObjectStore` does.
    """

    def __init__(self, store: ObjectStore, places: RunPlaces, key: NightKey | None = None, *, drops: str = "") -> None:
        """`key`: of what is signed; None to read without checking signatures. `drops`: where every note is."""
        self._store = store
        self._drops = drops
        self._places = places
        self._key = key or NightKey("")
        self._plan_sha256 = ""

    @classmethod
    def of(cls, store: ObjectStore, places: RunPlaces, settings: Settings) -> NightRecords:
        """With the configured key."""
        return cls(store, places, NightKey(settings.night_key.get_secret_value()), drops=settings.drops)

    def find_plan(self) -> Plan | None:
        """The night's plan, or None.

        Raises DataError `plan_place` when it is another night's or a shard is elsewhere, `hmac` when it is not signed
        with the key.
        """
        uri = self._places.plan
        try:
            data = self._store.get(uri)
        except ObjectMissing:
            return None
        plan = read_plan(uri, data)
        apart = any(shard.uri != self._places.shard(shard.id) for shard in plan.shards)
        if plan.batch_id != self._places.batch_id or apart:
            raise DataError(uri, "plan_place")
        self._key.check(uri, plan.hmac, plan_bytes(plan.model_copy(update={"hmac": None})))
        self._plan_sha256 = digest(data)
        return plan

    def plan(self) -> Plan:
        """The night's plan. Raises UsageError when there is none."""
        found = self.find_plan()
        if found is None:
            raise UsageError(f"there is no plan at {self._places.plan}")
        return found

    @property
    def plan_sha256(self) -> str:
        """Of the plan as it is stored. Raises UsageError when there is none."""
        if not self._plan_sha256:
            self.plan()
        return self._plan_sha256

    def create_plan(self, plan: Plan) -> bool:
        """Write the plan; False when another process planned the night first: its plan counts."""
        signed = plan.model_copy(update={"hmac": self._key.sign(plan_bytes(plan))})
        return self._store.put_if_absent(self._places.plan, plan_bytes(signed))

    def check_creation(self) -> None:
        """Try to create the plan, which exists, again.

        Raises UsageError where the store lets that happen: results of two attempts at a shard would replace each other.
        """
        uri = self._places.plan
        if not self._store.refuses_creation(uri, self._store.get(uri)):
            raise UsageError("the S3 store ignores conditional writes (If-None-Match): no night can run on it")

    def write_shards(self, parts: Iterable[tuple[str, int, list[NoteRef]]]) -> tuple[Shard, ...]:
        """Write notes of one (language, number) each as shards.

        Named by content: what a killed or a second planner of the same night left behind is never overwritten.
        """
        shards: list[Shard] = []

        def objects() -> Iterator[tuple[str, bytes]]:
            for language, number, notes in parts:
                data = notes_bytes(notes)
                name = f"{language}-{number:04d}-{digest(data)[:12]}"
                shard = Shard(
                    id=name,
                    uri=self._places.shard(name),
                    language=language,
                    notes=len(notes),
                    bytes=sum(n.size for n in notes),
                    sha256=digest(data),
                )
                shards.append(shard)
                yield shard.uri, data

        self._store.put_many(objects())
        return tuple(shards)

    def notes(self, shard: Shard) -> Iterator[NoteRef]:
        """The notes of a shard.

        Raises DataError `digest` when they are not those planned, `note_place` when one is not in the drops,
        `note_count` when there are not as many as the plan says.
        """
        found = 0
        for note in read_notes(shard.uri, self._store.get(shard.uri), shard.sha256):
            if self._drops and not note.uri.startswith(f"{self._drops}/"):
                raise DataError(shard.id, "note_place")
            found += 1
            yield note
        if found != shard.notes:
            raise DataError(shard.id, "note_count")

    def write_refusals(self, refused: Iterable[Refused]) -> str:
        """Write what planning refused; returns the SHA-256, which names it."""
        data = refusals_bytes(refused)
        self._store.put(self._places.quarantined(digest(data)), data)
        return digest(data)

    def refusals(self, plan: Plan) -> list[Refused]:
        """What planning refused. Raises DataError `digest` when that is not what it wrote."""
        uri = self._places.quarantined(plan.quarantined_sha256)
        return list(read_refusals(uri, self._store.get(uri), plan.quarantined_sha256))

    def find_commit(self, shard: Shard) -> ShardCommit | None:
        """What the attempt that counts says of itself, or None.

        Raises DataError `digest` when it is of another shard or another plan, `hmac` when it is not signed with the
        key.
        """
        uri = self._places.done(shard.id)
        try:
            commit = read_commit(uri, self._store.get(uri))
        except ObjectMissing:
            return None
        if (commit.shard, commit.shard_sha256, commit.plan_sha256) != (shard.id, shard.sha256, self.plan_sha256):
            raise DataError(shard.id, "digest")
        self._key.check(shard.id, commit.hmac, commit_bytes(commit.model_copy(update={"hmac": None})))
        return commit

    def create_commit(self, commit: ShardCommit) -> bool:
        """Make this attempt the one that counts; False when another was first."""
        signed = commit.model_copy(update={"hmac": self._key.sign(commit_bytes(commit))})
        return self._store.put_if_absent(self._places.done(commit.shard), commit_bytes(signed))

    def find_published(self) -> Published | None:
        """The publication, or None while the night is not published.

        Raises DataError `hmac` when it is not signed with the key, `plan_place` when it is another night's.
        """
        if not self._store.exists(self._places.success):
            return None
        uri = self._places.published
        published = read_published(uri, self._store.get(uri))
        if published.batch_id != self._places.batch_id:
            raise DataError(uri, "plan_place")
        self._key.check(uri, published.hmac, published_bytes(published.model_copy(update={"hmac": None})))
        return published

    def delete_texts(self) -> None:
        """Delete the spans of every attempt, which hold texts and are in the tables once the night is published."""
        uris = [item.uri for item in self._store.list(self._places.results)]
        self._store.delete_many(uri for uri in uris if uri.endswith(f"/{RunPlaces.result_file(SPANS)}"))

    def write_published(self, published: Published) -> None:
        """The publication, then the mark that the night is published."""
        signed = published.model_copy(update={"hmac": self._key.sign(published_bytes(published))})
        self._store.put(self._places.published, published_bytes(signed), "application/json")
        self._store.put(self._places.success, b"")
