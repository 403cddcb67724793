"""Readers of what Enigma stores, which another writer may have changed: plans, results, journals, replies."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from enigma_tasks.adapters.gold_pointers import read_pointer
from enigma_tasks.adapters.night_schema import NOTES, SCHEMAS, SPANS
from enigma_tasks.adapters.shard_check import check_shard
from enigma_tasks.adapters.training_files import read_lock, trains_on_imported_gold
from enigma_tasks.adapters.training_steps import Step, read_step
from enigma_tasks.documents import Document
from enigma_tasks.gold.manifest import ManifestEntry, pack_manifest, unpack_manifest
from enigma_tasks.members.llm import LlmAnnotator
from enigma_tasks.monitoring.review_manifest import (
    ReviewManifest,
    ReviewNight,
    ReviewTask,
    Stratum,
    manifest_bytes,
    note_of_task,
)
from enigma_tasks.monitoring.review_manifest import read_manifest as read_review_manifest
from enigma_tasks.notes.plans import digest, notes_bytes, read_notes, read_refusals, refusals_bytes
from enigma_tasks.notes.references import Refused, Rule
from enigma_tasks.promotion.journal import champion_at, champion_before, parse_line
from enigma_tasks.promotion.journal_check import verify
from tests.fuzz.mutations import mutated
from tests.fuzz.reader import Files, Reader, placed_in
from tests.unit import test_handovers, test_journal, test_llm, test_shard_check

if TYPE_CHECKING:
    import random

    from enigma_tasks.errors import DataError


ROOT = Path(__file__).parents[2]


def read_handover(files: Files, _: Path) -> list[DataError]:
    """What one stage leaves for another as one JSON object."""
    ((name, data),) = files.items()
    test_handovers.RECORDS[name.removesuffix(".json")][2](name, data)
    return []


def read_lines(files: Files, _: Path) -> list[DataError]:
    """The notes of a shard, and what planning refused; whoever writes them knows the digest."""
    ((name, data),) = files.items()
    list((read_notes if name.startswith("notes") else read_refusals)(name, data, digest(data)))
    return []


def _lines() -> list[Files]:
    notes = test_shard_check.NOTES_PLANNED
    refused = [Refused(note, Rule.BLANK, 7) for note in notes]
    return [{"notes.jsonl.gz": notes_bytes(notes)}, {"refused.jsonl.gz": refusals_bytes(refused)}]


def read_results(files: Files, folder: Path) -> list[DataError]:
    """As `publish` does."""
    placed_in(files, folder)
    planned = test_shard_check.NOTES_PLANNED
    paths = (folder / "notes.parquet", folder / "spans.parquet")
    check_shard(test_shard_check.PLAN, test_shard_check.SHARD, planned, *paths)
    return []


def _results() -> list[Files]:
    def table(name: str, rows: list[dict[str, Any]]) -> bytes:
        packed = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMAS[name]), packed)
        return packed.getvalue()

    rows = test_shard_check.sound()
    return [{f"{name}.parquet": table(name, rows[name]) for name in (NOTES, SPANS)}]


def read_journal(files: Files, _: Path) -> list[DataError]:
    """As `plan` and `champion` do; a writer of the place may seal a line anew."""
    stored = {int(name.removesuffix(".json")): data for name, data in files.items()}
    findings = verify(test_journal.NAME, stored)
    if not findings:
        lines = [parse_line(test_journal.NAME, data, n) for n, data in sorted(stored.items())]
        champion_at(lines, test_journal.MORNING)
        champion_before(lines)
    return [finding.error for finding in findings]


def forged_journal(rng: random.Random, files: Files) -> Files:
    """A line changed, and mostly sealed again as its writer would."""
    name = rng.choice(sorted(files))
    data = mutated(rng, name, files[name])
    try:
        tree = json.loads(data)
        empty = json.dumps(tree | {"sha256": ""}, ensure_ascii=False, indent=1, sort_keys=True).encode() + b"\n"
        if rng.random() < 0.9:
            data = empty.replace(b'"sha256": ""', b'"sha256": "%s"' % hashlib.sha256(empty).hexdigest().encode(), 1)
    except (ValueError, TypeError, RecursionError):
        pass
    return files | {name: data}


def _journal() -> list[Files]:
    lines = test_journal.written(test_journal.HISTORY)
    return [{f"{n}.json": data for n, data in lines.items()}, {"1.json": lines[1]}]


def read_manifest(files: Files, _: Path) -> list[DataError]:
    """As `ingest` does."""
    unpack_manifest(files["ingested.jsonl.gz"])
    return []


def _manifest() -> list[Files]:
    entry = ManifestEntry((("es/disease/x.json", "e"),), "f" * 64, 1, (("es", "disease", "n1"),))
    return [{"ingested.jsonl.gz": pack_manifest({"es/disease/x.json": entry, "es/all/y.json": entry})}]


def read_reply(files: Files, _: Path) -> list[DataError]:
    """As `annotate` does with a language model."""
    reply = files["reply.json"].decode("utf-8", "replace")
    found = LlmAnnotator(test_llm.recipe(), lambda *_, **__: reply, threads=1).read([Document("n1", test_llm.NOTE)])
    for result in found:
        assert all(test_llm.NOTE[e.char_start : e.char_end] == e.text for e in result.entities)
    return [result.error for result in found if result.error]


def read_dvc(files: Files, _: Path) -> list[DataError]:
    """A pointer in the gold repository."""
    read_pointer("es/disease.jsonl.gz", files["pointer.yaml"])
    return []


def read_training(files: Files, _: Path) -> list[DataError]:
    """What a retraining reads of the training project, and of its earlier steps."""
    ((name, data),) = files.items()
    if name == "step.json":
        read_step(name, data)
    elif name == "dvc.lock.yaml":
        assert all(isinstance(entry, dict) for entry in read_lock(data).values())
    else:
        assert trains_on_imported_gold(data) in (True, False)
    return []


def _training() -> list[Files]:
    step = Step(stages=yaml.safe_load(LOCK)["stages"], files={"metrics.json": "{}"}, report={"documents": 7})
    return [
        {"dvc.yaml": (ROOT / "dvc.yaml").read_bytes()},
        {"dvc.lock.yaml": LOCK},
        {"step.json": step.model_dump_json().encode()},
    ]


def read_review(files: Files, _: Path) -> list[DataError]:
    """What an earlier night exported for review."""
    manifest = read_review_manifest("manifest.json", files["manifest.json"])
    manifest.counts()
    for task in manifest.tasks:
        assert task.note == note_of_task(task).identity
    return []


def _review() -> list[Files]:
    task = ReviewTask(
        task="n1-0123456789abcdef", bucket="b", key="drops/es/2026-06-11/w1/n1.txt", record_id=None, version="e1",
        object_version="e1", note_id="n1", language="es", site="w1", stream="random", probability=0.5, stratum="es/w1",
    )  # fmt: skip
    night = ReviewNight(batch_id="n1", planned_at="2026-06-11T01:00:00+00:00", models={"es": {"disease": "ab12"}})
    chosen = task.model_copy(update={"stream": "chosen", "probability": None})
    manifest = ReviewManifest(
        night=night,
        tasks=(task, chosen),
        strata={"es/w1": Stratum(notes=4, drawn=2)},
        skipped={"missing_since_plan": 1},
    )
    return [{"manifest.json": manifest_bytes(manifest)}]


LOCK = b"""schema: '2.0'
stages:
  train@tiny:
    cmd: python -m enigma_tasks train
    deps:
    - path: data/train
      hash: md5
      md5: 0123456789abcdef0123456789abcdef.dir
      size: 77
      nfiles: 2
    outs:
    - path: models/tiny
      md5: 0123456789abcdef0123456789abcdef
"""
REPLY = test_llm.said(("horečku", "symptom"), ("Diabetes mellitus", "disease"), ("bolest břicha", "symptom"))
POINTER = b"outs:\n- md5: 0123456789abcdef0123456789abcdef\n  size: 77\n  hash: md5\n  path: disease.jsonl.gz\n"
STORED_READERS: dict[str, Reader] = {
    "handover": Reader(
        lambda: [{f"{name}.json": to_bytes(one)} for name, (one, to_bytes, _) in test_handovers.RECORDS.items()],
        read_handover,
    ),
    "shard": Reader(_lines, read_lines, 2),
    "results": Reader(_results, read_results, 2),
    "journal": Reader(_journal, read_journal, 3, forged_journal),
    "manifest": Reader(_manifest, read_manifest, 1),
    "reply": Reader(lambda: [{"reply.json": REPLY.encode()}], read_reply, 2),
    "training": Reader(_training, read_training, 2),
    "review": Reader(_review, read_review, 1),
    "pointer": Reader(lambda: [{"pointer.yaml": POINTER}], read_dvc, 1),
}
