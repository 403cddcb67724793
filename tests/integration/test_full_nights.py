"""More notes than a night may have: sites share the night, the others are deferred, and nothing is lost or doubled."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from enigma_tasks.errors import UsageError
from enigma_tasks.pages.figures import read_night_record
from enigma_tasks.stages import monitor
from tests.integration.night_helpers import Nights
from tests.unit.memory import traced

if TYPE_CHECKING:
    from enigma_tasks.pages.figures import NightFigures

TEXT = "Ingresa por neumonía."


def records(name: str, count: int) -> bytes:
    lines = [json.dumps({"id": f"{name}-{n}", "text": TEXT if n % 5 else " "}) + "\n" for n in range(count)]
    return gzip.compress("".join(lines).encode(), mtime=0)


@pytest.fixture
def nights(s3_root: str, monkeypatch: pytest.MonkeyPatch) -> Nights:
    found = Nights(monkeypatch, "plan.max_notes=40")
    for n in range(2):
        found.drop(f"es/2026-06-11/er/many{n}.jsonl.gz", records(f"er{n}", 50))
    for n in range(3):
        found.drop(f"es/2026-06-11/icu/n{n}.txt", f"{TEXT} {n}")
    found.drop("es/2026-06-11/eye/few.jsonl.gz", records("eye", 10))
    found.drop("sv/2026-06-11/icu/n.txt", "Lunginflammation.")
    return found


def looked_at(nights: Nights, batch: str) -> tuple[dict[str, Any], NightFigures]:
    report = monitor.run(nights.arguments("monitor", "--batch", batch), nights.params, nights.settings)
    return report, read_night_record(batch, nights.store.get(f"{nights.settings.reports}/{batch}/summary.json")).figures


def test_a_site_that_drops_very_many_records_delays_its_own_records_only(nights: Nights) -> None:
    counts = nights.plan("night-1")["counts"]
    assert counts == {"listed": 7, "done": 0, "planned": 32, "quarantined": 8, "waiting": 1, "deferred": 73}
    nights.night("night-1")
    sites = Counter(name.split("/")[2] for name in nights.outcomes())
    assert sites == {"er": 27, "icu": 3, "eye": 10}


def test_the_next_nights_take_what_was_deferred_and_nothing_is_lost_or_doubled(nights: Nights) -> None:
    dropped = 2 * 50 + 3 + 10
    numbers = range(1, 5)
    for number in numbers:
        published = nights.night(f"night-{number}")
        report, figures = looked_at(nights, f"night-{number}")
        found = published["counts"]
        assert found["annotated"] + found["quarantined"] == figures.annotated + figures.quarantined <= 40
        done = len(nights.outcomes())  # which fails for a second outcome of a note
        assert done + found["deferred"] == done + report["counts"]["deferred"] == dropped
        assert report["counts"]["waiting"] == 1
        assert ("deferred" in {a["rule"] for a in report["alerts"]}) == (found["deferred"] > 0)
    outcomes = Counter(nights.outcomes().values())
    assert outcomes == {"annotated": dropped - 22, "blank": 22}
    assert nights.plan("night-5")["counts"] == {
        "listed": 7, "done": 6, "planned": 0, "quarantined": 0, "waiting": 1, "deferred": 0
    }  # fmt: skip


def test_two_nights_that_were_planned_of_the_same_notes_leave_the_others_to_a_third(nights: Nights) -> None:
    shards = [shard for batch in ("night-1", "night-2") for shard in nights.plan(batch)["shards"]]
    for shard in shards:
        nights.annotate(shard)
    assert nights.publish("night-1")["counts"]["annotated"] == 32
    assert nights.publish("night-2")["counts"]["left_out"] == 40
    assert nights.plan("night-3")["counts"]["deferred"] == 33


def test_the_page_says_how_many_notes_were_deferred(nights: Nights) -> None:
    nights.night("night-1")
    report, _ = looked_at(nights, "night-1")
    page = nights.store.get(report["page"]).decode()
    assert "73 notes wait for the next night." in page
    assert "Deferred to the next night" in page
    assert '<td class="num">73</td>' in nights.store.get(report["nights"]).decode()


def test_a_backfill_of_more_notes_than_a_night_may_have_is_refused(nights: Nights) -> None:
    with pytest.raises(UsageError, match=r"113 notes are more than plan\.max_notes"):
        nights.plan("night-1", "--backfill", "2026-06-11..2026-06-11")
    assert not nights.objects("runs")


def test_four_times_the_files_take_no_more_memory_to_plan(s3_root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    nights = Nights(monkeypatch, "plan.max_notes=500")

    def planned(batch: str, files: int) -> int:
        for n in range(files):
            nights.drop(f"es/2026-06-11/er/{n}.jsonl.gz", records(f"er{n}", 500))
        report, most = traced(lambda: nights.plan(batch))
        assert report["counts"]["deferred"] == 500 * files - 500
        return most

    planned("night-0", 2)  # which imports what is needed
    few, many = planned("night-1", 4), planned("night-2", 16)
    assert many < 1.3 * few
