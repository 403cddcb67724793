"""Places of annotation files: obvious where no other note has it, and never shared."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enigma_tasks.annotation_places import (
    MAX_PLACE_BYTES,
    Note,
    folded,
    notes_apart,
    ordinary_place,
    separate_place,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

SEPARATE = re.compile(r"/~[0-9a-f]{32}/")
Drop = tuple[str, str | None]


@pytest.mark.parametrize(
    ("language", "drop_path", "record_id", "place"),
    [
        ("es", "es/2026-06-11/a/b c%/n1.txt", None, "es/2026-06-11/a/b c%/n1.ann"),
        ("es", "es/2026-06-11/Ward-1/S0004-0614.TXT", None, "es/2026-06-11/Ward-1/S0004-0614.ann"),
        ("es", "es/2026-06-11/cafe\u0301.txt", None, "es/2026-06-11/cafe\u0301.ann"),
        ("es", "auto/2026-06-11/n1.txt", None, "es/2026-06-11/auto/n1.ann"),
        ("es", "es/2026-06-11/auto/n1.txt", None, "es/2026-06-11/auto/n1.ann"),
        ("cs", "cz/2026-06-11/n1.txt", None, "cs/2026-06-11/cz/n1.ann"),
        ("es", "es/2026-06-11/day.jsonl", "r/1", "es/2026-06-11/day.jsonl/r%2F1.ann"),
        ("es", "es/2026-06-11/day.jsonl.gz", "..", "es/2026-06-11/day.jsonl.gz/%2E%2E.ann"),
        ("it", "es/2026-06-11/day.jsonl", "ž", "it/2026-06-11/es/day.jsonl/%C5%BE.ann"),
    ],
)
def test_an_annotation_lies_where_its_note_lies(
    language: str, drop_path: str, record_id: str | None, place: str
) -> None:
    assert ordinary_place(language, drop_path, record_id) == place


@pytest.mark.parametrize(
    "drop_path",
    [
        f"es/2026-06-11/~{'0' * 32}/n1.txt",
        f"es/2026-06-11/~{'A' * 32}/n1.txt",
        "es/2026-06-11//n1.txt",
        "es/2026-06-11/../n1.txt",
        "es/2026-06-11/n1.ANN/x.txt",
        f"es/2026-06-11/{'y' * 900}/n1.txt",
    ],
)
def test_a_path_that_could_mean_another_note_s_place_never_gets_the_obvious_one(drop_path: str) -> None:
    assert ordinary_place("es", drop_path, None) == separate_place("es", drop_path, None)
    assert SEPARATE.search(separate_place("es", drop_path, None))


_STEMS = [
    "n",
    "N",
    "n1",
    "é",
    "e\u0301",
    "É",
    "ß",
    "ss",
    "ſ",
    "s",
    "..",
    "x.jsonl",
    "auto",
    "es",
    "%2E",
    "~" + "0" * 32,
]
_parts = st.sampled_from(_STEMS) | st.text(
    st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="/"), max_size=4
)
_folders = st.lists(_parts | st.sampled_from(["x.jsonl", "a.ann", "auto", "cz", "y" * 500]), max_size=3)
_texts = st.tuples(_folders, _parts, st.sampled_from([".txt", ".TXT"])).map(
    lambda t: ("/".join([*t[0], t[1] + t[2]]), None)
)
_records = st.tuples(
    _folders, st.sampled_from(["x.jsonl", "X.jsonl", "x.jsonl.gz", "x.JSONL"]), _parts.filter(bool)
).map(lambda t: ("/".join([*t[0], t[1]]), t[2]))
_drops = st.tuples(st.sampled_from(["es", "auto", "cz", "ES", "Auto", "es-es"]), _texts | _records).map(
    lambda t: (f"{t[0]}/2026-06-11/{t[1][0]}", t[1][1])
)
_nights = st.lists(st.lists(_drops, max_size=6), min_size=1, max_size=4)


def note(drop: Drop) -> Note:
    return Note("b", drop[0], drop[1] or "")


def published(nights: Iterable[Iterable[Drop]]) -> list[dict[Note, str]]:
    """What each night in turn gives its notes, an earlier one's places being held."""
    given_places: list[dict[Note, str]] = []
    for night in nights:
        held = [pair for earlier in given_places for pair in earlier.items()]
        apart = notes_apart(lambda n=night: [(note(d), ordinary_place("es", *d)) for d in n], held)
        given_places.append({note(d): (separate_place if apart(note(d)) else ordinary_place)("es", *d) for d in night})
    return given_places


@settings(max_examples=400)
@given(_nights)
def test_no_two_notes_share_a_place_and_a_note_keeps_its_own(nights: list[list[Drop]]) -> None:
    nights = [list(dict.fromkeys(night)) for night in nights]
    places = published(nights)
    all_places: dict[Note, set[str]] = {}
    for of_note, place in itertools.chain.from_iterable(p.items() for p in places):
        all_places.setdefault(of_note, set()).add(place)
    assert all(len(own) == 1 for own in all_places.values())
    assert len({folded(p) for own in all_places.values() for p in own}) == len(all_places)
    for place in itertools.chain.from_iterable(all_places.values()):
        assert place.startswith("es/2026-06-11/")
        assert not {"", ".", ".."} & set(place.removesuffix(".ann").split("/")[:-1])
        assert len(place.encode()) <= MAX_PLACE_BYTES


@given(_nights)
def test_places_do_not_depend_on_the_order_within_a_night_or_on_what_is_published_later(
    nights: list[list[Drop]],
) -> None:
    nights = [list(dict.fromkeys(night)) for night in nights]
    places = published(nights)
    assert published([night[::-1] for night in nights]) == places
    again = notes_apart(
        lambda: [(note(d), ordinary_place("es", *d)) for d in nights[0]],
        [pair for later in places[1:] for pair in later.items() if pair[0] not in places[0]],
    )
    assert all(
        (separate_place if again(n) else ordinary_place)("es", n.key, n.record_id or None) == place
        for n, place in places[0].items()
    )


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("auto/2026-06-11/n1.txt", None), ("es/2026-06-11/auto/n1.txt", None)),
        (("es/2026-06-11/x.jsonl", "n1"), ("es/2026-06-11/x.jsonl/n1.txt", None)),
        (("es/2026-06-11/caf\u00e9.txt", None), ("es/2026-06-11/cafe\u0301.txt", None)),
        (("es/2026-06-11/N1.txt", None), ("es/2026-06-11/n1.txt", None)),
        (("es/2026-06-11/n1.TXT", None), ("es/2026-06-11/n1.txt", None)),
        (("es/2026-06-11/x.jsonl", "N1"), ("es/2026-06-11/x.jsonl", "n1")),
        (("AUTO/2026-06-11/n1.txt", None), ("auto/2026-06-11/n1.txt", None)),
    ],
)
def test_of_twins_the_first_has_the_obvious_place_for_good(first: Drop, second: Drop) -> None:
    for one, other in ((first, second), (second, first)):
        alone, both = published([[one], [other, one]])
        assert alone[note(one)] == both[note(one)] == ordinary_place("es", *one)
        assert both[note(other)] == separate_place("es", *other)


def test_a_back_fill_keeps_no_note_that_meets_no_other() -> None:
    """The notes are gone through again only to collect those that meet another."""
    passes = 0
    notes = [(note(d), ordinary_place("es", *d)) for d in ((f"es/2026-06-11/N{n}.txt", None) for n in range(50))]

    def night() -> list[tuple[Note, str]]:
        nonlocal passes
        passes += 1
        return notes

    assert not any(map(notes_apart(night, notes * 2), (n for n, _ in notes)))
    assert passes == 1
    twin = ("es/2026-06-11/n7.txt", None)
    notes.append((note(twin), ordinary_place("es", *twin)))
    apart = notes_apart(night, notes[:-1])
    assert [n for n, _ in notes if apart(n)] == [note(twin)]
    assert passes == 3


def test_a_note_in_another_language_leaves_its_place_to_nobody() -> None:
    """`auto` may find another language in a later version."""
    first, second = ("auto/2026-06-11/N1.txt", None), ("auto/2026-06-11/n1.txt", None)
    held = [(note(first), ordinary_place("es", *first))]
    night = [(note(first), ordinary_place("it", *first)), (note(second), ordinary_place("es", *second))]
    apart = notes_apart(lambda: night, held)
    assert (apart(note(first)), apart(note(second))) == (False, True)
