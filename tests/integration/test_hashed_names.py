"""With a key for names, no place that people read has a note's key or a record's id: a canary in both."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING

from enigma_tasks.cli import main
from enigma_tasks.config import load_settings
from enigma_tasks.stages import explain, select
from tests.integration.night_helpers import Nights

if TYPE_CHECKING:
    import pytest

CANARY = "Qwyjibo-19460811"
DAY = "es/2026-06-11"
TEXT = "Ingresa por neumonía."
SHOWN_IN = ("annotations", "quarantine", "to_review", "reports")
AS_THEY_ARE = ("drops", "tables", "runs", "reviewed_index")


def test_a_canary_in_keys_and_ids_is_in_no_place_that_people_read(
    s3_root: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = {}
    for key in ("", "k" * 32):
        monkeypatch.setenv("ENIGMA_NAME_KEY", key)
        monkeypatch.setenv("ENIGMA_S3_ROOT", f"{s3_root}/{len(key)}")
        nights = Nights(monkeypatch, "review.random_notes=9")
        nights.settings = load_settings()
        uri = nights.drop(f"{DAY}/{CANARY}.txt", TEXT)
        nights.drop(f"{DAY}/{CANARY}/bad.txt", b"\xff")
        nights.drop(f"{DAY}/{CANARY}/plain.txt", f"{TEXT} Alta.")
        rows = [{"id": CANARY, "text": f"{TEXT} A casa."}, {"id": f"{CANARY}-2", "text": ""}]
        nights.drop(f"{DAY}/r.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
        nights.night("night-1")
        select.run(nights.arguments("select", "--batch", "night-1"), nights.params, nights.settings)
        main(["monitor", "--batch", "night-1", "--json"])
        printed = capsys.readouterr()
        for place in (*SHOWN_IN, *AS_THEY_ARE):
            objects = nights.objects(place)
            assert objects, place
            found[key, place] = any(CANARY in uri or CANARY.encode() in _opened(data) for uri, data in objects.items())
        found[key, "printed"] = CANARY in printed.out + printed.err
    assert [place for place in SHOWN_IN if not found["", place]] == []  # the search finds it where it is
    assert [place for place in (*SHOWN_IN, "printed") if found["k" * 32, place]] == []
    assert all(found["k" * 32, place] for place in AS_THEY_ARE)

    places = {row["annotation"] for row in nights.notes() if row["annotation"]}
    assert len(places) == 3
    assert {f"{nights.settings.annotations}/{place}" for place in places} == set(nights.objects("annotations"))
    arguments = nights.arguments("explain", uri)
    report = explain.run(arguments, nights.params, nights.settings)
    assert report["outcomes"][0]["annotation"] in places
    arguments.note = report["note"]
    assert explain.run(arguments, nights.params, nights.settings) == report


def _opened(data: bytes) -> bytes:
    return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
