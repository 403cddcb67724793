"""Planning without a store: what is done, refused, waiting, deferred; how shards are cut."""

from __future__ import annotations

import datetime as dt
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enigma_tasks.adapters.object_store import ObjectInfo
from enigma_tasks.errors import UsageError
from enigma_tasks.notes.done import Done, FingerprintSet, fingerprint
from enigma_tasks.notes.fair_share import FairShare
from enigma_tasks.notes.planning import Backfill, Night, cut_shards, scan_listing, shard_size
from enigma_tasks.notes.references import NoteRef, Refused, Rule

DAY = dt.datetime(2026, 6, 11, tzinfo=dt.UTC)


def listed(path: str, etag: str = "e1", size: int = 50) -> ObjectInfo:
    return ObjectInfo("clinic", f"root/drops/{path}", etag, size, DAY)


def scanned(
    *items: ObjectInfo, done: Done | None = None, backfill: Backfill | None = None
) -> list[NoteRef | Refused | None]:
    found = scan_listing(
        items,
        "root/drops/",
        done or Done(),
        max_bytes=100,
        language_of=lambda code: code if code in {"es", "it"} else None,
        backfill=backfill,
    )
    return list(found)


def a_night(most: int = 100, *, served: str = "es it", forgotten: frozenset[str] = frozenset()) -> Night:
    return Night(
        "root/drops/",
        FairShare(most),
        is_served=lambda language: language in served.split(),
        is_forgotten=lambda note: note.key in forgotten,
    )


def done_notes(*items: ObjectInfo, objects: tuple[ObjectInfo, ...] = ()) -> Done:
    return Done(
        FingerprintSet(b"".join(fingerprint((i.bucket, i.key, "", i.etag)) for i in items)),
        FingerprintSet(b"".join(fingerprint((i.bucket, i.key, i.etag)) for i in objects)),
    )


def note(language: str, key: str = "k", record_id: str | None = None) -> NoteRef:
    return NoteRef("clinic", key, "o", "v", "n", language, "path", "2026-06-11", 5, record_id)


def test_a_listing_is_divided_by_names_and_sizes() -> None:
    found = scanned(
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
    assert [(n.note_id, n.language) for n in found if isinstance(n, NoteRef)] == [
        ("a", "es"),
        ("b", ""),
        ("c.jsonl", "es"),
    ]
    assert [(r.note.note_id, r.rule) for r in found if isinstance(r, Refused)] == [
        ("d", Rule.EMPTY),
        ("e.jsonl.gz", Rule.EMPTY),
        ("f", Rule.TOO_LARGE),
        ("g", Rule.TOO_LARGE),
        ("h", Rule.LANGUAGE),
    ]
    assert len(found) == 8


def test_a_version_that_is_done_is_left_out_and_another_version_is_not() -> None:
    old, new = listed("es/2026-06-11/a.txt", "e1"), listed("es/2026-06-11/a.txt", "e2")
    bad = listed("xx/2026-06-11/b.txt")
    file = listed("es/2026-06-11/c.jsonl")
    done = done_notes(old, bad, objects=(file,))
    assert scanned(old, bad, file, done=done) == [None, None, None]
    (ref,) = scanned(new, done=done)
    assert isinstance(ref, NoteRef)
    assert scanned(listed("es/2026-06-11/c.jsonl", "e2"), done=done) != [None]


def test_a_backfill_takes_its_dates_done_or_not_and_nothing_else() -> None:
    items = [listed(f"es/2026-06-{day:02d}/a.txt") for day in (9, 10, 11, 12)] + [listed("stray.txt")]
    found = scanned(*items, done=done_notes(*items), backfill=Backfill.parse("2026-06-10..2026-06-11"))
    assert [n.drop_date for n in found if isinstance(n, NoteRef)] == ["2026-06-10", "2026-06-11"]
    assert len(found) == 2


@pytest.mark.parametrize(
    "words", ["2026-06-11", "2026-06-11..", "2026-06-12..2026-06-11", "a..b", "2026-6-1..2026-6-2"]
)
def test_a_backfill_is_two_dates_in_order(words: str) -> None:
    with pytest.raises(UsageError):
        Backfill.parse(words)


def test_a_file_with_a_waiting_record_is_marked_to_be_opened_again() -> None:
    night = a_night(served="es")
    for found in (
        *(note("es", "f1", "a"), note("sv", "f1", "b"), note("es", "f2", "a"), note("sv", "t.txt"), None),
        *(Refused(note("", "f1", "#L3"), Rule.BLANK), Refused(note("", "f2", "#L3"), Rule.BLANK)),
    ):
        night.add(found)
    assert [(n.key, night.marked(n).object_whole) for n in night.planned] == [("f1", False), ("f2", True)]
    assert [(r.note.key, r.note.object_whole) for r in night.refused] == [("f1", False), ("f2", True)]
    assert (night.waiting, night.deferred, night.done) == ({"sv": 2}, {}, 1)


def test_what_was_forgotten_is_refused_as_such_whatever_else_it_breaks() -> None:
    night = a_night(forgotten=frozenset({"a", "b", "c"}), served="es")
    for found in (note("es", "a"), Refused(note("", "b"), Rule.EMPTY), note("sv", "c"), note("es", "d")):
        night.add(found)
    assert [(r.note.key, r.rule) for r in night.refused] == [(key, Rule.FORGOTTEN) for key in "abc"]
    assert [n.key for n in night.planned] == ["d"]
    assert not night.waiting


def ward(name: str, count: int, *, date: str = "2026-06-11") -> list[NoteRef]:
    return [note("es", f"root/drops/es/{date}/{name}/n{n:04d}.txt") for n in range(count)]


def test_a_ward_that_drops_very_many_notes_delays_its_own_notes_only() -> None:
    night = a_night(20)
    for ref in (*ward("icu", 1000), *ward("er", 4), *ward("icu", 5, date="2026-06-12"), *ward("eye", 6)):
        night.add(ref)
    sites = Counter(n.key.split("/")[4] for n in night.planned)
    assert sites == {"icu": 10, "er": 4, "eye": 6}
    assert night.deferred == {"es": 995}
    assert [n.key[-8:] for n in night.planned if "/icu/" in n.key] == [f"{n:04d}.txt" for n in range(10)]


def test_the_same_ward_in_two_languages_is_two_sources() -> None:
    night = a_night(20)
    for n in range(100):
        night.add(note("es", f"root/drops/es/2026-06-11/ward/n{n}.txt"))
    for n in range(8):
        night.add(note("it", f"root/drops/it/2026-06-11/ward/n{n}.txt"))
    assert Counter(n.language for n in night.planned) == {"es": 12, "it": 8}


def test_refusals_take_places_of_the_night_and_waiting_notes_do_not() -> None:
    night = a_night(10, served="es")
    for n in range(30):
        night.add(note("sv", f"s{n}"))
        night.add(Refused(note("", "root/drops/es/2026-06-11/bad.jsonl", f"#L{n}"), Rule.BLANK))
    night.add(note("es", "root/drops/es/2026-06-11/x.txt"))
    assert (len(list(night.refused)), len(list(night.planned))) == (10, 0)
    assert (night.waiting, night.deferred) == ({"sv": 30}, {"": 20, "es": 1})
    assert not any(r.note.object_whole for r in night.refused)


Dropped = list[tuple[str, int, str]]


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3), st.sampled_from(["es", "sv", "bad"])), max_size=60),
    st.integers(1, 12),
)
def test_night_after_night_every_note_is_planned_refused_or_waits_and_none_twice(dropped: Dropped, most: int) -> None:
    refs = [
        note("" if kind == "bad" else kind, f"root/drops/es/2026-06-11/{site}/{file}.jsonl", f"r{n}")
        for n, (site, file, kind) in enumerate(dropped)
    ]
    done: dict[str | None, int] = {}
    whole: set[str] = set()
    for number in range(len(refs) + 1):
        night = a_night(most, served="es")
        for ref in refs:
            left = Refused(ref, Rule.BLANK) if not ref.language else ref
            night.add(None if ref.record_id in done else left)
        outcomes = [*(night.marked(n) for n in night.planned), *(r.note for r in night.refused)]
        assert len(outcomes) + night.waiting.total() + night.deferred.total() + night.done == len(refs)
        assert not whole & {n.key for n in outcomes}, "a file that was whole is not opened again"
        for ref in outcomes:
            assert ref.record_id not in done
            done[ref.record_id] = number
        whole |= {n.key for n in outcomes if n.object_whole}
        for key in whole:
            assert all(ref.record_id in done for ref in refs if ref.key == key)
        if not night.deferred:
            break
    assert set(done) == {ref.record_id for ref in refs if ref.language != "sv"}


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
