"""A drop folder with forty hostile objects among two hundred real notes: each costs itself only, in time and memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from enigma_tasks.adapters import night_table
from enigma_tasks.formats.corpora import read_corpus
from enigma_tasks.ner.model_folder import save_model
from enigma_tasks.ner.training.train import train
from enigma_tasks.notes.references import record_name
from tests.integration.canary_world import World, holds
from tests.integration.hostile_drop import DAY, beside_sound_records, refused, sound_forms
from tests.integration.test_canary import world
from tests.integration.test_champions import environment
from tests.unit.ner_builders import notes, task

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["environment", "world"]

SHARED = Path(__file__).parents[3] / "shared"
ENCODER = SHARED / "models/multilingual-e5-small-latin"
CORPORA = {"es": "spaccc-es-train", "it": "e3c-it-layer1", "en": "e3c-en-layer1"}
NOTES = {"es": 100, "it": 50, "en": 50}
NIGHT = "night-1"
MOST_KIB = 1_500_000
"""Resident memory of a step at its greatest."""
MEASURED = (
    "import json, resource, subprocess, sys\n"
    "done = subprocess.run([sys.executable, '-m', 'enigma_tasks', *sys.argv[1:]], capture_output=True, text=True)\n"
    "most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss\n"
    "print(json.dumps([done.returncode, done.stdout, done.stderr, most]))\n"
)
"""Runs a command as a child of a small process: a child of the test's own would be counted with the test's memory."""


@pytest.fixture(scope="module")
def member(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A member for three languages on two layers of a real encoder with its real tokenizer; hardly trained."""
    folder = tmp_path_factory.mktemp("member")
    base = folder / "base"
    base.mkdir()
    for path in ENCODER.iterdir():
        (base / path.name).write_bytes(path.read_bytes())
    config = json.loads((ENCODER / "config.json").read_text())
    (base / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 2}))
    training = [replace(d, language=language) for d, language in zip(notes(6), (*NOTES, *NOTES), strict=True)]
    made = task(base=str(base), scratch=None, window_tokens=256, overlap_tokens=32)
    save_model(train(made, training, notes(3, first=100))[0], folder / "model")
    return folder / "model"


def step(world: World, *words: str) -> tuple[dict[str, Any], int]:
    """One command as a process of its own: its report, and its memory in KiB; text is in no channel."""
    ran = subprocess.run(
        [sys.executable, "-c", MEASURED, *words, "--json"], capture_output=True, text=True, check=True, env=os.environ
    )
    code, out, err, kib = json.loads(ran.stdout)
    assert code == 0, (out + err)[-2000:]
    leaks = [row[:200] for row in (out + err).splitlines() if holds(row.encode())]
    leaks += [uri for uri, data in world.objects() if holds(data)]
    leaks += [str(path) for path in world.left_over() if holds(path.read_bytes())]
    assert leaks == [], words[0]
    return json.loads(out.splitlines()[-1]), kib


def put(world: World, path: str, data: bytes) -> None:
    world.store.put(f"{world.settings.drops}/{path}", data)


def drop(world: World) -> dict[str, str]:
    """All objects; returns every record below drops/ with its rule, or `annotated`."""
    expected: dict[str, str] = {}
    texts = {language: real_texts(language) for language in NOTES}
    for path, data in sound_forms(texts["es"]).items():
        put(world, path, data)
        expected[path] = "annotated"
    for path, (data, outcomes) in beside_sound_records(texts["es"]).items():
        put(world, path, data)
        expected |= {record_name(path, record or None): outcome for record, outcome in outcomes.items()}
    for name, (data, rule) in refused().items():
        put(world, name.removesuffix("#L1"), data)
        expected[name] = rule
    for language, rest in texts.items():
        for number, text in enumerate(rest):
            path = f"{language}/{DAY}/ward-{number % 3}/n{number}.txt"
            put(world, path, text.encode())
            expected[path] = "annotated"
    return expected


def real_texts(language: str) -> Iterator[str]:
    """Texts of real notes, all different."""
    found = dict.fromkeys(d.text for d in read_corpus(SHARED / "corpora" / CORPORA[language]))
    assert len(found) >= NOTES[language]
    return islice(found, NOTES[language])


def outcomes(world: World) -> dict[str, str]:
    """Every record of the tables, below drops/, with its rule and offset, or `annotated`."""
    found = {}
    prefix = f"{world.settings.drops}/".split("/", 3)[3]
    for row in night_table.read_notes(world.settings.tables, NIGHT).to_pylist():
        name = record_name(row["key"].removeprefix(prefix), row["record_id"])
        assert name not in found, "one outcome a note"
        at = "" if row["rule_offset"] is None else f"@{row['rule_offset']}"
        found[name] = (row["rule"] or row["outcome"]) + at
    return found


@pytest.mark.slow
@pytest.mark.training
@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared corpora and encoder do not lie beside the repository")
def test_forty_hostile_objects_among_two_hundred_real_notes_cost_themselves_only(world: World, member: Path) -> None:
    expected = drop(world)
    assert sum(outcome == "annotated" for outcome in expected.values()) == sum(NOTES.values())
    assert sum(outcome != "annotated" for outcome in expected.values()) >= 40
    for language in NOTES:
        step(world, "register", "--language", language, "--entity", "all", "--model", str(member), "--first")
    most: dict[str, int] = {}
    planned, most["plan"] = step(world, "plan", "--batch", NIGHT)
    for number, shard in enumerate(planned["shards"], 1):
        _, most[f"annotate {number}"] = step(world, "annotate", "--shard", shard)
    for name in ("publish", "monitor"):
        _, most[name] = step(world, name, "--batch", NIGHT)
    found = outcomes(world)
    assert {k: (v, found.get(k)) for k, v in expected.items() if found.get(k) != v} == {}
    assert found.keys() == expected.keys()
    assert {name: kib for name, kib in most.items() if kib > MOST_KIB} == {}
    annotations = list(world.store.list(f"{world.settings.annotations}/"))
    assert len(annotations) == sum(NOTES.values())
    again, _ = step(world, "plan", "--batch", "night-2")
    assert again["counts"]["planned"] == 0
