"""The results of a complete night on the local disk, as rows of the night tables."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from enigma_tasks.adapters import night_table
from enigma_tasks.adapters.night_schema import NOTES, identities
from enigma_tasks.adapters.shard_results import BATCH_ROWS, Identity, batch_of, quarantined_row, read_batches
from enigma_tasks.annotation_places import Note, NotesApart, hashed_place, notes_apart, ordinary_place, separate_place
from enigma_tasks.notes.names import Names
from enigma_tasks.notes.references import Rule, record_name
from enigma_tasks.paths import below

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from enigma_tasks.notes.plans import Plan, Shard
    from enigma_tasks.notes.references import Refused

PLACED_BY = ["bucket", "key", "record_id", "language", "outcome"]


@dataclass
class NightResults:
    """A complete night on the local disk."""

    plan: Plan
    folder: Path
    drops: str
    """The key of drops/, with its slash."""
    refused: list[Refused]
    """By `plan`."""
    names: Names = field(default_factory=Names)
    left_out: set[Identity] = field(default_factory=set)
    """Notes that another night has published, or that were forgotten since they were annotated."""
    apart: NotesApart | None = None
    """None while places are not settled, and where no annotation files are written."""

    def file(self, shard: Shard, table: str) -> Path:
        """The shard's rows of a table. Raises DataError `path_outside`."""
        return below(self.folder, f"{shard.id}.{table}.parquet", "plan")

    def batches(self, table: str) -> Iterator[Any]:
        """The night's rows of a table, in the plan's order."""
        for shard in self.plan.shards:
            for batch in read_batches(table, self.file(shard, table)):
                yield self.placed(self.kept(batch)) if table == NOTES else self.kept(batch)
        if table == NOTES:
            for start in range(0, len(self.refused), BATCH_ROWS):
                part = self.refused[start : start + BATCH_ROWS]
                yield self.kept(batch_of(NOTES, [quarantined_row(self.plan, r) for r in part]))

    def leave_out(
        self, done: Callable[[Identity], bool], forgotten: Callable[[Identity], bool] = lambda _: False
    ) -> None:
        """Leave out the notes that are `done`, those that are `forgotten` but not refused as such, and no others."""
        self.left_out = set()
        self.apart = None
        self.left_out = {
            identity
            for batch in self.batches(NOTES)
            for identity, rule in zip(identities(batch), batch.column("rule").to_pylist(), strict=True)
            if done(identity) or (rule != Rule.FORGOTTEN and forgotten(identity))
        }

    def kept(self, batch: Any) -> Any:
        """The batch without the notes that are left out."""
        if not self.left_out:
            return batch
        return batch.filter(pa.array([i not in self.left_out for i in identities(batch)], pa.bool_()))

    def settle_places(self, tables: str) -> None:
        """Decide which notes lie apart, as another has their place: one of this night, or of one published before."""
        days: set[dt.date] = set()

        def night() -> Iterator[tuple[Note, str]]:
            for batch in self.batches(NOTES):
                for row in batch.select([*PLACED_BY, "drop_date"]).to_pylist():
                    if row["outcome"] == "annotated":
                        days.add(row["drop_date"])
                        yield _note(row), self._made(row, ordinary_place)

        def held() -> Iterator[tuple[Note, str]]:
            for note, place in night_table.read_places(tables, days, self.plan.batch_id):
                yield Note(*note), place

        self.apart = notes_apart(night, held())

    def placed(self, batch: Any) -> Any:
        """The batch of notes with their annotations' places, once these are settled."""
        if self.apart is None:
            return batch
        places = [self._place(row) for row in batch.select(PLACED_BY).to_pylist()]
        at = batch.schema.get_field_index("annotation")
        return batch.set_column(at, batch.schema.field(at), pa.array(places, pa.string()))

    def _place(self, row: dict[str, Any]) -> str | None:
        if self.apart is None or row["outcome"] != "annotated":
            return None
        make = separate_place if self.apart(_note(row)) else ordinary_place
        return self._made(row, make)

    def _made(self, row: dict[str, Any], make: Callable[[str, str, str | None], str]) -> str:
        path = row["key"].removeprefix(self.drops)
        if self.names.hidden:
            # one hash of both: a `#` between two would not do in every tool's file names
            shown = self.names.shown(record_name(row["key"], row["record_id"]))
            return hashed_place(row["language"], path, shown)
        return make(row["language"], path, row["record_id"])


def _note(row: dict[str, Any]) -> Note:
    return Note(row["bucket"], row["key"], row["record_id"] or "")
