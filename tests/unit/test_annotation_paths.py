"""Which note has which path: distinct notes never share one, folded, and no later night takes or moves one."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enigma_tasks.file_names import folded
from enigma_tasks.notes.annotation_paths import AnnotationPaths, NamedNote, paths_given, settle_paths
from enigma_tasks.notes.done import fingerprint, repeated
from tests.unit.strategies import drops, notes

DROPS = "root/drops/"
SEPARATE = re.compile(r"/~[0-9a-f]{32}/")


def note(drop_path: str, record_id: str = "", language: str = "es") -> NamedNote:
    folder, _, rest = drop_path.partition("/")
    return NamedNote(f"{DROPS}{folder}/2026-06-11/{rest}", record_id, language)


class Nights:
    """Nights one after another, as `publish` commits them."""

    def __init__(self) -> None:
        self.committed: list[tuple[NamedNote, str]] = []

    def publish(self, *tonight: NamedNote) -> dict[NamedNote, str]:
        paths = settle_paths(DROPS, lambda: iter(tonight), iter(self.committed))
        found = {n: paths.of(n) for n in tonight}
        self.committed += found.items()
        again = paths_given(DROPS, iter(found.items()))
        assert {n: again.of(n) for n in tonight} == found
        return found


LONE = [
    note("es/S0004-0614.txt"),
    note("es/Ward-1/N1.TXT"),
    note("es/cafe\u0301.txt"),
    note("es/auto/n1.txt"),
    note("es/er/n1.txt"),
    note("es/x.jsonl/n1.txt"),
    note("ES/n1.txt"),
    note("es/y.JSONL", "R1"),
]


@pytest.mark.parametrize("lone", LONE)
def test_a_note_that_meets_no_other_has_the_ordinary_path(lone: NamedNote) -> None:
    assert Nights().publish(lone) == {lone: AnnotationPaths(DROPS).ordinary(lone)}
    found = Nights().publish(*LONE)
    assert not any(map(SEPARATE.search, found.values()))


TWINS = [
    (note("es/N1.txt"), note("es/n1.txt")),
    (note("es/n1.TXT"), note("es/n1.txt")),
    (note("es/Ward/n1.txt"), note("es/ward/n1.txt")),
    (note("es/cafe\u0301.txt"), note("es/caf\u00e9.txt")),
    (note("es/STRASSE.txt"), note("es/stra\u00dfe.txt")),
    (note("AUTO/n1.txt"), note("auto/n1.txt")),
    (note("auto/n1.txt"), note("es/auto/n1.txt")),
    (note("cz/n1.txt", "", "cs"), note("cs/cz/n1.txt", "", "cs")),
    (note("es/x.jsonl", "N1"), note("es/x.jsonl", "n1")),
    (note("es/x.jsonl", "n1"), note("es/x.jsonl/n1.txt")),
    (note("es/X.jsonl", "n1"), note("es/x.jsonl/n1.txt")),
]


@pytest.mark.parametrize(("one", "other"), TWINS)
def test_of_two_notes_that_meet_the_earlier_night_s_keeps_the_ordinary_path(one: NamedNote, other: NamedNote) -> None:
    ordinary = AnnotationPaths(DROPS).ordinary
    for first, second in ((one, other), (other, one)):
        nights = Nights()
        assert nights.publish(first) == {first: ordinary(first)}
        later = nights.publish(second)[second]
        assert SEPARATE.search(later)
        assert folded(later) != folded(ordinary(first))
        third = nights.publish(second, first)
        assert third == {first: ordinary(first), second: later}


@pytest.mark.parametrize(("one", "other"), TWINS)
def test_of_two_notes_of_one_night_the_smaller_key_keeps_the_ordinary_path(one: NamedNote, other: NamedNote) -> None:
    smaller, larger = sorted((one, other), key=lambda n: (n.key, n.record_id))
    for night in ((one, other), (other, one)):
        found = Nights().publish(*night)
        assert found[smaller] == AnnotationPaths(DROPS).ordinary(smaller)
        assert SEPARATE.search(found[larger])


def test_a_note_in_another_language_has_a_path_in_that_language() -> None:
    nights = Nights()
    spanish, italian = note("auto/N1.txt"), note("auto/N1.txt", "", "it")
    assert nights.publish(spanish)[spanish] == "es/2026-06-11/auto/N1.ann"
    assert nights.publish(italian)[italian] == "it/2026-06-11/auto/N1.ann"


def test_the_place_of_a_separate_note_stays_free_of_its_twin() -> None:
    """`n1` had to make way for a first note that never comes again; its own versions stay together."""
    nights = Nights()
    first, second, third = note("es/N1.txt"), note("es/n1.txt"), note("es/n1.TXT")
    nights.publish(first)
    separate = nights.publish(second)[second]
    found = nights.publish(second, third)
    assert found[second] == separate
    assert len({separate, found[third], AnnotationPaths(DROPS).ordinary(first)}) == 3


named = st.builds(
    lambda folder, rest: note(f"{folder}/{rest[0]}", rest[1] or ""), drops, notes
) | st.sampled_from([n for pair in TWINS for n in pair] + LONE)  # fmt: skip


@settings(max_examples=300)
@given(st.lists(st.lists(named, max_size=6, unique=True), min_size=1, max_size=4))
def test_distinct_notes_never_share_a_path_in_any_night_and_every_note_keeps_its_own(
    planned: list[list[NamedNote]],
) -> None:
    nights = Nights()
    owned: dict[str, NamedNote] = {}
    for tonight in planned:
        for owner, path in nights.publish(*tonight).items():
            assert owned.setdefault(folded(path), owner) == owner
    assert len(owned) == len({n for tonight in planned for n in tonight})
    ordinary = AnnotationPaths(DROPS).ordinary
    wanted = {folded(ordinary(n)) for tonight in planned for n in tonight}
    assert wanted <= owned.keys()  # every ordinary path is used: a separate one is given only where a note has it


@given(st.lists(st.integers(0, 5), max_size=12))
def test_repeated_fingerprints_are_those_that_occur_twice(numbers: list[int]) -> None:
    marks = [fingerprint((str(n),)) for n in numbers]
    assert repeated(b"".join(marks)) == {m for m in marks if marks.count(m) > 1}
