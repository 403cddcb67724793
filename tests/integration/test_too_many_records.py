"""A small file that unpacks to very many records costs itself only."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING

from tests.integration.night_helpers import Nights
from tests.unit.memory import traced

if TYPE_CHECKING:
    import pytest

TEXT = "Ingresa por neumonía."


def records(count: int) -> bytes:
    return b"".join(json.dumps({"id": f"r{n}", "text": TEXT}).encode() + b"\n" for n in range(count))


def test_a_file_with_more_records_than_allowed_is_one_refusal_and_the_others_are_annotated(
    s3_root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    nights = Nights(monkeypatch, "notes.max_records=3")
    nights.drop("es/2026-06-11/sound.txt", TEXT)
    nights.drop("es/2026-06-11/three.jsonl", records(3))
    nights.drop("es/2026-06-11/four.jsonl.gz", gzip.compress(records(4), mtime=0))
    nights.night("night-1")
    assert nights.outcomes() == {
        "es/2026-06-11/sound.txt": "annotated",
        **{f"es/2026-06-11/three.jsonl#r{n}": "annotated" for n in range(3)},
        "es/2026-06-11/four.jsonl.gz": "too_many_records@4",
    }
    assert nights.plan("night-2")["counts"]["planned"] == 0  # it is not opened again


def test_planning_keeps_no_more_than_the_allowed_records_of_a_file_that_unpacks_to_many(
    s3_root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    nights = Nights(monkeypatch, "notes.max_records=1000")
    line = json.dumps({"id": "r", "text": TEXT}).encode() + b"\n"
    packed = gzip.compress(line * 400_000, mtime=0)
    assert len(packed) < 100_000
    nights.drop("es/2026-06-11/many.jsonl.gz", packed)
    nights.drop("es/2026-06-11/sound.txt", TEXT)
    report, most = traced(lambda: nights.plan("night-1"))
    assert (report["counts"]["planned"], report["counts"]["quarantined"]) == (1, 1)
    assert most < 50_000_000


def test_a_few_kilobytes_that_unpack_to_millions_of_lines_and_a_note_of_phrases_are_refused_alone(
    s3_root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    nights = Nights(monkeypatch, "notes.max_bytes=1000000", "notes.max_records=100000000")
    line = json.dumps({"id": "r", "text": TEXT}).encode() + b"\n"
    nights.drop("es/2026-06-11/many.jsonl.gz", gzip.compress(line * 400_000, mtime=0))
    nights.drop("es/2026-06-11/blank.jsonl.gz", gzip.compress(line + b"\n" * 5_000_000, mtime=0))
    phrases = "\ufdfa" * 300_000  # one character each, 18 for a tokenizer
    nights.drop("es/2026-06-11/phrases.txt", phrases)
    nights.drop("es/2026-06-11/record.jsonl", records(2) + json.dumps({"id": "long", "text": phrases}).encode())
    nights.drop("es/2026-06-11/sound.txt", TEXT)
    nights.night("night-1")
    outcomes = nights.outcomes()
    assert [outcomes.pop(f"es/2026-06-11/{name}.jsonl.gz").split("@")[0] for name in ("many", "blank")] == [
        "unpacked_ratio",
        "unpacked_ratio",
    ]
    assert outcomes == {
        "es/2026-06-11/sound.txt": "annotated",
        "es/2026-06-11/phrases.txt": "too_many_subwords",
        "es/2026-06-11/record.jsonl#r0": "annotated",
        "es/2026-06-11/record.jsonl#r1": "annotated",
        "es/2026-06-11/record.jsonl#L3": "too_many_subwords@3",
    }
    assert nights.plan("night-2")["counts"]["planned"] == 0
