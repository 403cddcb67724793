"""Which items a limit takes of many sources."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from enigma_tasks.notes.fair_share import FairShare
from tests.unit.memory import least_traced

Offered = tuple[str, int]


def taken_of(sources: str, most: int) -> tuple[list[Offered], list[Offered]]:
    """What is taken and what is not, of items that these sources offer, each numbered within its source."""
    share, left, numbers = FairShare[Offered](most), list[Offered](), Counter[str]()
    for source in sources:
        item = (source, numbers[source])
        numbers[source] += 1
        if (other := share.offer(source, item)) is not None:
            left.append(other)
        assert len(share) <= most
    return list(share), left


@given(st.text("abcdef", max_size=120), st.integers(1, 60))
def test_every_item_is_taken_or_returned_once_and_the_limit_is_used_up(sources: str, most: int) -> None:
    taken, left = taken_of(sources, most)
    assert sorted(taken + left) == sorted((s, n) for s, count in Counter(sources).items() for n in range(count))
    assert len(taken) == min(most, len(sources))


@given(st.text("abcdef", max_size=120), st.integers(1, 60))
def test_a_source_has_its_first_items_taken(sources: str, most: int) -> None:
    taken, _ = taken_of(sources, most)
    for source, count in Counter(s for s, _ in taken).items():
        assert [n for s, n in taken if s == source] == list(range(count))


@given(st.text("abcdef", max_size=120), st.integers(1, 60))
def test_no_source_has_more_taken_than_one_that_lacks_some(sources: str, most: int) -> None:
    taken, left = taken_of(sources, most)
    counts = Counter(s for s, _ in taken)
    for source in {s for s, _ in left}:
        assert counts[source] >= max(counts.values()) - 1
    for source, offered in Counter(sources).items():
        if offered <= most // len(set(sources)):
            assert counts[source] == offered, "within an equal share"


@given(st.lists(st.integers(0, 40), min_size=1, max_size=5), st.integers(1, 60), st.randoms(use_true_random=False))
def test_when_a_source_offers_what_does_not_change_how_many_are_taken_by_more_than_one(
    counts: list[int], most: int, random: object
) -> None:
    offered = [source for source, count in zip("abcde", counts, strict=False) for _ in range(count)]
    in_turn = Counter(s for s, _ in taken_of("".join(offered), most)[0])
    random.shuffle(offered)  # type: ignore[attr-defined]
    mixed = Counter(s for s, _ in taken_of("".join(offered), most)[0])
    assert all(abs(in_turn[source] - mixed[source]) <= 1 for source in "abcde")


def test_four_times_the_items_take_no_more_memory() -> None:
    def offered(items: int) -> int:
        share = FairShare[bytes](1000)
        return sum(share.offer(f"s{n % 7}", bytes(500)) is not None for n in range(items))

    (few, least), (many, most) = least_traced(lambda: offered(5000)), least_traced(lambda: offered(20_000))
    assert (few, many) == (4000, 19_000)
    assert most < 1.1 * least
