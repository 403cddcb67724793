"""What people and later commands can see of an installation, without what differs from run to run."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
from contextlib import closing
from typing import TYPE_CHECKING, Any

from enigma_tasks.adapters import night_table
from tests.faults.world import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tests.faults.world import World

SHOWN = (
    *("annotations/", "quarantine/", "reports/", "journal/", "decisions/", "cards/", "to-review/", "reviewed-index/"),
    *("forgotten/", "drops/", "gold/"),
)
TIMES = (
    (re.compile(rb"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(\+00:00|Z| UTC)?"), b"TIME"),
    (re.compile(rb"\b[0-9a-f]{32,64}\b"), b"DIGEST"),
    (re.compile(rb'"clock_behind": (true|false)'), b"CLOCK"),  # true, and said, where the clock was set back
)
UNFINISHED = {"registry/running"}
"""May differ while a command is to be run again."""
CLOCKED = {"planned_at", "nlp_date"}
"""Columns of the tables."""
REGISTRY = {
    "versions": "SELECT name, version, status FROM model_versions WHERE current_stage <> 'Deleted_Internal'",
    "version tags": "SELECT t.name, t.version, t.key, t.value FROM model_version_tags t JOIN model_versions v"
    " ON v.name = t.name AND v.version = t.version WHERE v.current_stage <> 'Deleted_Internal' AND t.key <> 'card'",
    "cards": "SELECT name, version, value FROM model_version_tags WHERE key = 'card'",
    "aliases": "SELECT name, alias, version FROM registered_model_aliases",
    "running": "SELECT count(*) FROM runs WHERE status = 'RUNNING'",
}
"""Queries of MLflow's database."""


def visible(world: World) -> dict[str, str]:
    """Name -> content of all that is shown: objects, rows of the tables, registered versions, versions of gold."""
    objects = world.objects()
    found = {name: scrubbed(data) for name, data in objects.items() if name.startswith(SHOWN)}
    found |= {
        name: scrubbed(data) for name, data in objects.items() if name.endswith(("/plan.json", "/published.json"))
    }
    found |= _registry(world) | _gold(world, objects)
    if any(name.startswith("tables/") for name in objects):
        found |= _tables(world)
    return found


def scrubbed(data: bytes) -> str:
    """Text without times and random ids."""
    for pattern, word in TIMES:
        data = pattern.sub(word, data)
    return data.decode(errors="backslashreplace")


def stored(world: World) -> dict[str, bytes]:
    """Every byte that is kept: what a run that has nothing to do may not change."""
    with closing(sqlite3.connect(world.database)) as database:
        registry = {name: json.dumps(database.execute(query).fetchall()).encode() for name, query in REGISTRY.items()}
    return world.objects() | registry | {"gold": _git(world, "for-each-ref").encode()}


def _tables(world: World) -> dict[str, str]:
    """The raw rows, read as Enigma reads them."""

    def rows() -> dict[str, list[str]]:
        return {
            name: sorted(
                json.dumps({k: v for k, v in row.items() if k not in CLOCKED}, default=str, sort_keys=True)
                for row in read(f"{ROOT}/tables").to_pylist()
            )
            for name, read in (("notes", night_table.read_notes), ("spans", night_table.read_spans))
        }

    ended = world.child(rows, counted=False)
    assert ended.code == 0, ended.output
    return {f"tables/{name}": "\n".join(found) for name, found in ended.answer.items() if found}


def _registry(world: World) -> dict[str, str]:
    with closing(sqlite3.connect(world.database)) as database:
        found: dict[str, list[Any]] = {name: sorted(database.execute(query)) for name, query in REGISTRY.items()}
    shown = {f"registry/{name}": scrubbed(json.dumps(rows).encode()) for name, rows in found.items()}
    return {name: rows for name, rows in shown.items() if rows != "[]"}


def _gold(world: World, objects: Iterable[str]) -> dict[str, str]:
    """The versions of gold by subject and tree, and the data that they name and that is not there."""
    log = _git(world, "log", "--format=%T %s %(trailers)", "main")
    if not log:
        return {}
    held = set(objects)
    missing = []
    for name in _git(world, "ls-tree", "-r", "--name-only", "main").split():
        if name.endswith(".dvc"):
            digest = re.search(r"md5: (\w+)", _git(world, "show", f"main:{name}"))
            assert digest, name
            if f"dvc/files/md5/{digest[1][:2]}/{digest[1][2:]}" not in held:
                missing.append(name)
    assert not missing, f"a version of gold names data that is not there: {missing}"
    return {"gold versions": log}


def _git(world: World, *words: str) -> str:
    return subprocess.run(["git", "-C", str(world.git), *words], capture_output=True, text=True).stdout


def half_made(seen: Mapping[str, str], start: Mapping[str, str], ends: Iterable[Mapping[str, str]]) -> list[str]:
    """What is neither as it was at the start nor as it is in one of the ends."""
    return [
        name
        for name in sorted({*seen, *start} - UNFINISHED)
        if seen.get(name) not in {start.get(name), *(end.get(name) for end in ends)}
    ]
