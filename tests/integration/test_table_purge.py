"""Rows of a note are deleted from a Delta table so that no file and no log of it holds them any more."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from deltalake import DeltaTable

from enigma_tasks.adapters import night_table, table_purge
from enigma_tasks.adapters.table_purge import APPEND_ONLY, count_rows, purge_table
from enigma_tasks.notes.forgotten import Target
from tests.integration.night_helpers import Nights

if TYPE_CHECKING:
    from collections.abc import Iterator

SURNAME, PATH = "Zzyzxová", "es/2026-06-11/ward-1/Zzyzxová.txt"
KEPT = "es/2026-06-11/ward-1/n1.txt"


@pytest.fixture
def nights(s3_root: str, monkeypatch: pytest.MonkeyPatch) -> Nights:
    nights = Nights(monkeypatch)
    nights.drop(KEPT, "Ingresa por neumonía.")
    nights.night("night-1")
    nights.drop(PATH, "Ingresa por neumoniaqqq, otra vez neumonía.")
    nights.drop(KEPT.replace("n1", "n2"), "Acude por neumonía.")
    nights.night("night-2")
    return nights


def target(nights: Nights, path: str = PATH) -> Target:
    bucket, _, key = f"{nights.settings.drops}/{path}".removeprefix("s3://").partition("/")
    return Target(bucket, key)


def holding(nights: Nights) -> Iterator[str]:
    """The objects under tables/ that hold the name or a mention of the note."""
    for uri, data in nights.objects("tables").items():
        if any(word.encode() in data or json.dumps(word)[1:-1].encode() in data for word in (SURNAME, "neumoniaqqq")):
            yield uri


def purged(nights: Nights, what: Target) -> int:
    return sum(purge_table(nights.store, nights.settings.tables, table, what) for table in ("notes", "spans"))


@pytest.mark.parametrize("append_only", ["true", "false", None])
def test_no_file_and_no_log_holds_the_note_and_the_rest_is_as_it_was(nights: Nights, append_only: str | None) -> None:
    for table in ("notes", "spans") if append_only else ():
        delta = DeltaTable(f"{nights.settings.tables}/{table}", storage_options=night_table.storage_options())
        delta.alter.set_table_properties({APPEND_ONLY: append_only})
    assert list(holding(nights))  # a search that cannot find proves nothing
    rest = [[r for r in rows if SURNAME not in r["key"]] for rows in (nights.notes(), nights.spans())]
    assert purged(nights, target(nights)) == 1 + 2
    assert [nights.notes(), nights.spans()] == rest
    assert list(holding(nights)) == []
    for table in ("notes", "spans"):
        delta = DeltaTable(f"{nights.settings.tables}/{table}", storage_options=night_table.storage_options())
        assert delta.metadata().configuration[APPEND_ONLY] == (append_only or "true")
        assert all(night_table.is_committed(nights.settings.tables, table, night) for night in ("night-1", "night-2"))
    before = nights.objects("tables")
    assert purged(nights, target(nights)) == 0
    assert nights.objects("tables") == before
    nights.drop(KEPT.replace("n1", "n3"), "Acude por neumonía.")
    nights.night("night-3")
    assert len(nights.notes()) == 2 + 2  # with the one whose drop is still there


def test_a_folder_and_a_quote_in_a_key(nights: Nights) -> None:
    nights.drop("es/2026-06-12/o'hara.txt", "Acude por neumonía.")
    nights.night("night-3")
    assert purged(nights, target(nights, "es/2026-06-12/o'hara.txt")) == 2
    assert purged(nights, target(nights, "es/2026-06-11/")) == 3 + 4
    assert (nights.notes(), nights.spans()) == ([], [])


@pytest.mark.parametrize("append_only", ["true", "false"])
def test_killed_between_its_commits_it_ends_the_same(
    nights: Nights, append_only: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = f"{nights.settings.tables}/notes"
    DeltaTable(uri, storage_options=night_table.storage_options()).alter.set_table_properties(
        {APPEND_ONLY: append_only}
    )
    for function in ("_quoted", "_purge_files", "_restore", "_purge_log"):
        with monkeypatch.context() as patched:
            patched.setattr(table_purge, function, _killed)
            with pytest.raises(KeyboardInterrupt):
                purged(nights, target(nights))
    purged(nights, target(nights))
    assert list(holding(nights)) == []
    assert count_rows(nights.settings.tables, "notes", target(nights)) == 0
    delta = DeltaTable(uri, storage_options=night_table.storage_options())
    assert delta.metadata().configuration[APPEND_ONLY] == append_only


def _killed(*_: object) -> None:
    raise KeyboardInterrupt
