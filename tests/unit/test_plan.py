"""Planning without a store: what is done, ready, unread, refused, waiting; how shards are cut."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enigma_tasks.adapters.object_store import ObjectInfo
from enigma_tasks.errors import UsageError
from enigma_tasks.notes.done import Done, FingerprintSet, fingerprint
from enigma_tasks.notes.planning import Backfill, Night, cut_shards, mark_torn, plan_night, shard_size, waiting
from enigma_tasks.notes.references import NoteRef, Refused, Rule

DAY = dt.datetime(2026, 6, 11, tzinfo=dt.UTC)


def listed(path: str, etag: str = "e1", size: int = 50) -> ObjectInfo:
    return ObjectInfo("clinic", f"root/drops/{path}", etag, size, DAY)


def planned(*items: ObjectInfo, done: Done | None = None, backfill: Backfill | None = None) -> Night:
    return plan_night(
        items,
        "root/drops/",
        done or Done(),
        max_bytes=100,
        language_of=lambda code: code if code in {"es", "it"} else None,
        backfill=backfill,
    )


def done_notes(*items: ObjectInfo, objects: tuple[ObjectInfo, ...] = ()) -> Done:
    return Done(
        FingerprintSet(b"".join(fingerprint((i.bucket, i.key, "", i.etag)) for i in items)),
        FingerprintSet(b"".join(fingerprint((i.bucket, i.key, i.etag)) for i in objects)),
    )


def note(language: str, key: str = "k", record_id: str | None = None) -> NoteRef:
    return NoteRef("clinic", key, "o", "v", "n", language, "path", "2026-06-11", 5, record_id)


def test_a_listing_is_sorted_by_what_its_notes_still_need() -> None:
    night = planned(
        listed("es/2026-06-11/a.txt"),
        listed("auto/2026-06-11/b.txt"),
        listed("es/2026-06-11/c.jsonl", size=10**9),
        listed("es/2026-06-11/d.txt", size=0),
        listed("es/2026-06-11/e.jsonl.gz", size=0),
        listed("es/2026-06-11/f.txt", size=101),
        listed("auto/2026-06-11/g.txt", size=101),
        listed("xx/2026-06-11/h.txt"),
        listed("es/2026-06-11/", size=0),
    )
    assert [n.note_id for n in night.ready] == ["a"]
    assert [n.note_id for n in night.unread] == ["b", "c.jsonl"]
    assert [(r.note.note_id, r.rule) for r in night.refused] == [
        ("d", Rule.EMPTY),
        ("e.jsonl.gz", Rule.EMPTY),
        ("f", Rule.TOO_LARGE),
        ("g", Rule.TOO_LARGE),
        ("h", Rule.LANGUAGE),
    ]
    assert night.counts["listed"] == 8


def test_a_version_that_is_done_is_taken_away_and_another_version_is_not() -> None:
    old, new = listed("es/2026-06-11/a.txt", "e1"), listed("es/2026-06-11/a.txt", "e2")
    bad = listed("xx/2026-06-11/b.txt")
    file = listed("es/2026-06-11/c.jsonl")
    done = done_notes(old, bad, objects=(file,))
    assert planned(old, bad, file, done=done).counts == {"listed": 3, "done": 3}
    assert len(planned(new, done=done).ready) == 1
    assert len(planned(listed("es/2026-06-11/c.jsonl", "e2"), done=done).unread) == 1


def test_a_backfill_takes_its_dates_done_or_not_and_nothing_else() -> None:
    items = [listed(f"es/2026-06-{day:02d}/a.txt") for day in (9, 10, 11, 12)] + [listed("stray.txt")]
    night = planned(*items, done=done_notes(*items), backfill=Backfill.parse("2026-06-10..2026-06-11"))
    assert [n.drop_date for n in night.ready] == ["2026-06-10", "2026-06-11"]
    assert night.refused == []


@pytest.mark.parametrize(
    "words", ["2026-06-11", "2026-06-11..", "2026-06-12..2026-06-11", "a..b", "2026-6-1..2026-6-2"]
)
def test_a_backfill_is_two_dates_in_order(words: str) -> None:
    with pytest.raises(UsageError):
        Backfill.parse(words)


def test_a_file_with_a_waiting_record_is_marked_to_be_opened_again() -> None:
    notes = [note("es", "f1", "a"), note("sv", "f1", "b"), note("es", "f2", "a"), note("sv", "t.txt")]
    refused = [Refused(note("", "f1", "#L3"), Rule.BLANK), Refused(note("", "f2", "#L3"), Rule.BLANK)]
    kept, counts = waiting(notes, frozenset({"es"}))
    assert [(n.key, n.object_whole) for n in kept] == [("f1", False), ("f2", True)]
    assert counts == {"sv": 2}
    marked = mark_torn(refused, notes, frozenset({"es"}))
    assert [r.note.object_whole for r in marked] == [False, True]


@given(st.dictionaries(st.sampled_from(["es", "it", "cs"]), st.integers(1, 400), min_size=1), st.integers(1, 50),
       st.integers(3, 20))  # fmt: skip
def test_shards_hold_each_note_once_in_one_language_and_never_exceed_their_number(
    counts: dict[str, int], per_shard: int, max_shards: int
) -> None:
    notes = [note(lang, f"{lang}{n}") for lang, count in counts.items() for n in range(count)]
    shards = list(cut_shards(notes, per_shard, max_shards))
    assert sorted(n.key for _, _, part in shards for n in part) == sorted(n.key for n in notes)
    assert all({n.language for n in part} == {lang} for lang, _, part in shards)
    assert len({(lang, number) for lang, number, _ in shards}) == len(shards) <= max_shards
    size = shard_size(counts, per_shard, max_shards)
    assert max(len(part) for _, _, part in shards) <= size
    if size > per_shard:  # a smaller one would not have done
        assert sum(-(-c // (size - 1)) for c in counts.values()) > max_shards


def test_more_languages_than_shards_is_a_wrong_setting() -> None:
    with pytest.raises(UsageError):
        list(cut_shards([note("es"), note("it")], 10, 1))
    assert list(cut_shards([], 10, 1)) == []


@given(st.sets(st.binary(min_size=16, max_size=16)), st.binary(min_size=16, max_size=16))
def test_a_fingerprint_set_is_a_set(members: set[bytes], other: bytes) -> None:
    found = FingerprintSet(b"".join(members))
    assert len(found) == len(members)
    assert all(m in found for m in members)
    assert (other in found) == (other in members)
    for m in members:  # equal in one half only
        assert (m[:8] + other[8:] in found) == (m[:8] + other[8:] in members)


def test_fingerprints_keep_their_parts_apart() -> None:
    assert fingerprint(("a", "bc")) != fingerprint(("ab", "c"))
    assert fingerprint(("a", "", "b")) != fingerprint(("a", "b", ""))
