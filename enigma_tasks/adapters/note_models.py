"""Which models annotated a note in a night, and the line of the journal that made each of them champion."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from enigma_tasks.adapters.journal_store import JournalStore
from enigma_tasks.adapters.night_records import NightRecords
from enigma_tasks.artifacts import RunPlaces
from enigma_tasks.promotion.journal import champion_at
from enigma_tasks.promotion.past import champion_after, look_behind

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping, Sequence

    from enigma_tasks.adapters.object_store import ObjectStore
    from enigma_tasks.config import Settings
    from enigma_tasks.notes.plans import Plan
    from enigma_tasks.promotion.journal import JournalLine


class NoteModels:
    """Reads each plan and each journal once.

    Raises:
        UsageError: no place `runs` or `journal`. DataError: a journal was edited, or a plan is not readable.
        ServiceError: as `ObjectStore` does.
    """

    def __init__(self, store: ObjectStore, settings: Settings) -> None:
        self._journal = JournalStore(store, settings.require("journal"))
        self._lines = cache(self._journal.lines)
        self._store, self._settings = store, settings

    def of_row(self, row: Mapping[str, Any]) -> list[dict[str, Any]]:
        """A dict for each model that read the note in the night of a row of `notes`; none for a note in quarantine.

        Name and version are the table's. The night's plan has the digest, and the number of the journal's last line
        when champions were pinned; where the plan was deleted, the journal is read as of the night's time.
        """
        if not row["models"]:
            return []
        places = RunPlaces.of(self._settings, row["batch_id"])
        plan = NightRecords(self._store, places).find_plan()
        named = (word.rpartition("/") for word in row["models"].split(","))
        return [self._model(row, plan, name, version) for name, _, version in named]

    def _model(self, row: Mapping[str, Any], plan: Plan | None, name: str, version: str) -> dict[str, Any]:
        digest = digest_of(plan, row["language"], name, version)
        lines = self._lines(name)
        made = line_of(lines, version, digest, last=plan.journal.get(name) if plan else None, when=row["planned_at"])
        return {
            "night": row["batch_id"],
            "model": name,
            "model_version": version,
            "digest": digest or (made.champion.digest if made and made.champion else None),
            **_facts(lines, made),
        }


def digest_of(plan: Plan | None, language: str, name: str, version: str) -> str | None:
    """The digest of the version that the plan pinned; None where the plan is gone or pinned another version."""
    pins = plan.models.get(language, {}).values() if plan else ()
    return next((pin.digest for pin in pins if (pin.name, pin.version) == (name, version)), None)


def line_of(
    lines: Sequence[JournalLine], version: str, digest: str | None, *, last: int | None, when: dt.datetime
) -> JournalLine | None:
    """The line that made a model champion; None where the journal has another champion for that night.

    Args:
        lines: the journal, whole.
        version: number in the registry; compared only where the digest is not known, as a registry may be filled again.
        digest: of the model.
        last: number of the journal's last line when the night was planned, if that is known.
        when: the time when it was planned, used where `last` is not known.
    """
    made = champion_at(lines, when) if last is None else champion_after(lines, last)
    if made is None or made.champion is None:
        return None
    same = made.champion.version == version if digest is None else made.champion.digest == digest
    return made if same else None


def _facts(lines: Sequence[JournalLine], made: JournalLine | None) -> dict[str, Any]:
    look = look_behind(lines, made) if made else None
    return {
        "line": made.n if made else None,
        "kind": made.kind if made else None,
        "since": made.at if made else None,
        "by": made.by if made else None,
        "approver": made.approver if made else None,
        "line_digest": made.sha256 if made else None,
        "decision_digest": look.sha256 if look else None,
    }
