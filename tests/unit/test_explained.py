"""What `enigma explain` concludes from lines, manifests and reviews; pure."""

from __future__ import annotations

import datetime as dt

import pytest

from enigma_tasks.adapters.note_gold import documents_in
from enigma_tasks.adapters.note_history import NoteName, names_of
from enigma_tasks.adapters.note_models import line_of
from enigma_tasks.errors import UsageError
from enigma_tasks.gold.manifest import ManifestEntry
from enigma_tasks.monitoring.reviews import ReviewedCounts, ReviewedNote
from enigma_tasks.promotion.past import champion_after, look_behind
from enigma_tasks.stages.explain import review_rows
from tests.unit.test_journal import DECISION, MORNING, draft, lines, promoted, version, written

JOURNAL = lines(
    written(
        [
            draft("first", 1),
            draft("look", 1, challenger=version(2), decision=DECISION),
            promoted(2),
            draft("alias_repaired", 2),
            draft("rollback", 1),
        ]
    )
)
"""An hour apart, the first an hour after MORNING."""


@pytest.mark.parametrize(("n", "made"), [(0, None), (1, 1), (2, 1), (3, 3), (4, 3), (5, 5)])
def test_the_champion_after_a_line(n: int, made: int | None) -> None:
    found = champion_after(JOURNAL, n)
    assert (found.n if found else None) == made


def test_a_promotion_rests_on_its_look_and_other_lines_on_none() -> None:
    looks = [look_behind(JOURNAL, line) for line in JOURNAL]
    assert [look.n if look else None for look in looks] == [None, None, 2, None, None]


@pytest.mark.parametrize(
    ("number", "digest", "last", "hours", "made"),
    [
        ("2", 2, 4, 0, 3),  # the number of the last line counts, not the time
        ("9", 2, 4, 0, 3),  # the registry was filled again: another number, the same digest
        ("2", 1, 4, 0, None),
        ("2", 2, 5, 0, None),
        ("2", None, None, 4.5, 3),
        ("1", None, None, 4.5, None),
        ("1", 1, None, 6, 5),
        ("1", None, None, 0, None),
    ],
)
def test_the_line_of_a_nights_model(
    number: str, digest: int | None, last: int | None, hours: float, made: int | None
) -> None:
    when = MORNING + dt.timedelta(hours=hours)
    found = line_of(JOURNAL, number, None if digest is None else f"{digest:064x}", last=last, when=when)
    assert (found.n if found else None) == made


def test_gold_is_known_by_the_id_of_an_export_and_guessed_by_the_notes_own() -> None:
    manifest = {
        "es/all/b.json": ManifestEntry((), "", 0, (("es", "disease", "n1-0a"), ("es", "symptom", "n2"))),
        "es/all/a.txt": ManifestEntry((), "", 0, (("es", "disease", "n1"),)),
    }
    found = documents_in(manifest, {"n1-0a"}, "n1")
    assert [(d.delivery, d.claim[2], d.known_by) for d in found] == [
        ("es/all/a.txt", "n1", "note_id"), ("es/all/b.json", "n1-0a", "export")
    ]  # fmt: skip
    assert documents_in(manifest, set(), "n3") == []


def review(at: str, night: str = "night-1") -> ReviewedNote:
    return ReviewedNote(
        bucket="b", key="k", record_id=None, version="v", language="es", site="", batch_id=night, planned_at="",
        models={"disease": "d"}, reviewed_at=at, source="s", marks=at, stream="chosen",
        counts={"disease": ReviewedCounts(tp=1, fp=2, fn=3)},
    )  # fmt: skip


def test_every_review_is_told_and_which_one_counts() -> None:
    rows = review_rows([review("2026-06-13"), review("2026-06-12"), review("2026-06-11", "night-0")])
    assert [(r["night"], r["reviewed_at"][-2:], r["counts"]) for r in rows] == [
        ("night-0", "11", True), ("night-1", "12", False), ("night-1", "13", True)
    ]  # fmt: skip
    assert {k: rows[0][k] for k in ("type", "tp", "fp", "fn")} == {"type": "disease", "tp": 1, "fp": 2, "fn": 3}


def test_a_uri_may_mean_an_object_or_a_record_of_each_file_in_it() -> None:
    assert list(names_of("s3://b/d/n#1.txt")) == [NoteName("b", "d/n#1.txt", None)]
    assert list(names_of("s3://b/r.jsonl#a#L2")) == [
        ("b", "r.jsonl#a#L2", None), ("b", "r.jsonl", "a#L2"), ("b", "r.jsonl", "#a#L2")
    ]  # fmt: skip
    with pytest.raises(UsageError):
        list(names_of("b/n.txt"))
