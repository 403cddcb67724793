"""A night killed before and after every single write, and run again, ends with the tables of an undisturbed one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from enigma_tasks.adapters import night_publication, night_table
from enigma_tasks.adapters.object_store import ObjectStore
from enigma_tasks.config import load_settings
from tests.integration.night_helpers import Nights

if TYPE_CHECKING:
    from collections.abc import Callable


class KilledError(BaseException):
    """Not an Exception: nothing in the stages may catch it, as nothing catches SIGKILL."""


class Killer:
    """Wraps every write that a stage can make; raises at the chosen one, before or after its effect."""

    WRITES = (
        (ObjectStore, "put"),
        (ObjectStore, "put_if_absent"),
        (ObjectStore, "upload"),
        (ObjectStore, "delete_many"),
        (night_publication, "write_deltalake"),
        (night_publication, "created"),
    )

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.writes: list[str] = []
        self.at: int | None = None
        self.after = False
        for owner, name in self.WRITES:
            monkeypatch.setattr(owner, name, self._wrapped(getattr(owner, name), name))

    def _wrapped(self, write: Callable[..., Any], name: str) -> Callable[..., Any]:
        def wrapped(*arguments: Any, **more: Any) -> Any:
            self.writes.append(name)
            here = len(self.writes) == self.at
            if here and not self.after:
                raise KilledError
            result = write(*arguments, **more)
            if here:
                raise KilledError
            return result

        return wrapped


def drop(nights: Nights) -> None:
    nights.drop("es/2026-06-11/a.txt", "Ingresa por neumonía basal.")
    nights.drop("es/2026-06-11/bad.txt", b"\xff")
    nights.drop("es/2026-06-11/empty.txt", b"")
    nights.drop("it/2026-06-11/r.jsonl", json.dumps({"id": "r", "text": "Polmonite."}))


def state(nights: Nights) -> dict[str, Any]:
    """Tables, annotations, quarantine and counts of the one night; without the clock, the bucket's prefix, attempts."""
    root = nights.settings.runs.removesuffix("runs")
    prefix = root.split("/", 3)[3]
    drop_columns = {"planned_at", "nlp_date"}
    rows = {
        table: [
            {k: v.removeprefix(prefix) if k == "key" else v for k, v in row.items() if k not in drop_columns}
            for row in read()
        ]
        for table, read in (("notes", nights.notes), ("spans", nights.spans))
    }
    files = {
        uri.removeprefix(root): data.replace(prefix.encode(), b"")
        for uri, data in nights.objects("annotations", "quarantine").items()
    }
    published = json.loads(nights.store.get(f"{nights.settings.runs}/night-1/published.json"))
    return {**rows, "files": files, "counts": published["counts"], "rules": published["rules"]}


@pytest.mark.slow
def test_a_night_killed_at_any_write_and_run_again_ends_like_an_undisturbed_one(
    s3_root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    nights = Nights(monkeypatch)
    killer = Killer(monkeypatch)

    def fresh(name: str) -> None:
        monkeypatch.setenv("ENIGMA_S3_ROOT", f"{s3_root}/{name}")
        nights.settings = load_settings()
        killer.at = None
        drop(nights)
        killer.writes.clear()

    fresh("undisturbed")
    nights.night("night-1")
    undisturbed, writes = state(nights), list(killer.writes)
    assert len(undisturbed["notes"]) == 4
    assert {"put_if_absent", "upload", "write_deltalake", "created"} <= set(writes)
    for at in range(1, len(writes) + 1):
        for after in (False, True):
            fresh(f"killed-{at}-{after}")
            killer.at, killer.after = at, after
            with pytest.raises(KilledError):
                nights.night("night-1")
            killer.at = None
            nights.night("night-1")
            assert state(nights) == undisturbed, f"killed {'after' if after else 'before'} write {at}: {writes[at - 1]}"


def test_a_night_killed_between_its_data_files_and_its_commit_ends_like_an_undisturbed_one(
    s3_root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Data files that no commit names are invisible."""
    nights = Nights(monkeypatch)
    drop(nights)
    for shard in nights.plan("night-1")["shards"]:
        nights.annotate(shard)
    real = night_publication.write_deltalake

    def cut_off(table: Any, reader: Any, **more: Any) -> None:
        real(f"{s3_root}/scratch", reader, mode="append", storage_options=more.get("storage_options") or
             night_table.storage_options())  # fmt: skip
        for item in list(nights.store.list(f"{s3_root}/scratch/")):
            if item.key.endswith(".parquet"):
                name = item.key.rsplit("/", 1)[1]
                nights.store.put(f"{nights.settings.tables}/spans/{name}", nights.store.get(item.uri))
        raise KilledError

    monkeypatch.setattr(night_publication, "write_deltalake", cut_off)
    with pytest.raises(KilledError):
        nights.publish("night-1")
    monkeypatch.setattr(night_publication, "write_deltalake", real)
    assert nights.spans() == []
    nights.publish("night-1")
    assert len(nights.spans()) == 2
    assert len(nights.notes()) == 4
