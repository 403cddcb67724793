"""Which notes of a night are reviewed: probabilities of inclusion, strata, order, and the most useful notes."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enigma_tasks.monitoring.review_sample import Candidate, allocated, draw, entropy, most_useful

if TYPE_CHECKING:
    import random

FIELDS = ("language", "site", "entities")
SEEDS = 2000


def candidate(number: int, language: str = "es", site: str = "w1", *, found: bool = True, **more: float) -> Candidate:
    labels = frozenset({"DISEASE"}) if found else frozenset()
    note = ("hospital", f"drops/{language}/2026-06-11/{site}/n{number}.txt", "", f"v{number}")
    return Candidate(note, language, site, int(more.pop("characters", 1000)), labels, **more)


candidates = st.builds(
    lambda rows: [candidate(i, language, site, found=found) for i, (language, site, found) in enumerate(rows)],
    st.lists(st.tuples(st.sampled_from(["es", "it", "cs"]), st.sampled_from(["w1", "w2", ""]), st.booleans())),
)


@given(candidates, st.integers(0, 40), st.text(max_size=3))
def test_the_sample_is_of_the_size_asked_for_and_probabilities_of_inclusion_sum_to_it(notes, size, seed) -> None:
    drawn = draw(notes, size, FIELDS, seed)
    assert len({d.note for d in drawn}) == len(drawn) == min(size, len(notes))
    sizes = Counter(n.stratum(FIELDS) for n in notes)
    shares = allocated(sizes, size)
    assert sum(shares.values()) == len(drawn)
    by_note = {n.note: n for n in notes}
    for one in drawn:
        assert one.stratum == by_note[one.note].stratum(FIELDS)
        assert one.probability == float(shares[one.stratum] / sizes[one.stratum])
        assert 0 < one.probability <= 1


@given(candidates, st.integers(0, 40), st.integers(0, 9))
def test_every_stratum_has_its_share_rounded_down_or_up_and_a_note_where_there_are_enough(notes, size, seed) -> None:
    sizes = Counter(n.stratum(FIELDS) for n in notes)
    shares = allocated(sizes, size)
    found = Counter(d.stratum for d in draw(notes, size, FIELDS, str(seed)))
    assert all(abs(found[name] - share) < 1 and share <= sizes[name] for name, share in shares.items())
    if size >= len(sizes):
        assert set(found) == set(sizes)


@given(candidates, st.integers(0, 40), st.randoms(use_true_random=False))
def test_the_order_of_listing_changes_neither_stream(notes, size, shuffler: random.Random) -> None:
    shuffled = list(notes)
    shuffler.shuffle(shuffled)
    assert draw(shuffled, size, FIELDS, "s") == draw(notes, size, FIELDS, "s")
    assert most_useful(shuffled, size, "s") == most_useful(notes, size, "s")


def test_another_night_draws_other_notes() -> None:
    notes = [candidate(i) for i in range(100)]
    one, other = ({d.note for d in draw(notes, 10, FIELDS, f"7/{night}")} for night in ("a", "b"))
    assert one != other


def test_a_weighted_total_over_many_seeds_is_that_of_the_night_and_each_note_comes_as_often_as_is_said() -> None:
    """Strata of very different sizes and values: an unweighted mean is far off."""
    notes = [
        *(candidate(i, "es", "w1") for i in range(37)),
        *(candidate(i, "es", "w1", found=False) for i in range(37, 40)),
        *(candidate(i, "it", "w2") for i in range(40, 43)),
        candidate(43, "cs", ""),
    ]
    errors = {n.note: (9.0 if n.language == "it" else 1.0 + i % 3) for i, n in enumerate(notes)}
    times: Counter[tuple[str, str, str, str]] = Counter()
    probabilities: dict[tuple[str, str, str, str], float] = {}
    totals, means = [], []
    for seed in range(SEEDS):
        drawn = draw(notes, 8, FIELDS, str(seed))
        times.update(d.note for d in drawn)
        probabilities |= {d.note: d.probability for d in drawn}
        totals.append(sum(errors[d.note] / d.probability for d in drawn))
        means.append(sum(errors[d.note] for d in drawn) / len(drawn))
    truth = sum(errors.values())
    assert sum(totals) / SEEDS == pytest.approx(truth, rel=0.01)
    assert sum(means) / SEEDS > 1.1 * truth / len(notes)
    for note, probability in probabilities.items():
        assert times[note] / SEEDS == pytest.approx(probability, abs=4 * (0.25 / SEEDS) ** 0.5)
    assert set(probabilities) == set(errors)


def test_small_strata_are_given_a_note_at_the_cost_of_large_ones() -> None:
    assert allocated({"a": 96, "b": 3, "c": 1}, 10) == {"a": Fraction(8), "b": Fraction(1), "c": Fraction(1)}
    assert sum(allocated({"a": 96, "b": 3, "c": 1}, 2).values()) == 2
    assert allocated({"a": 2, "b": 1}, 10) == {"a": 2, "b": 1}
    assert allocated({}, 10) == {}


@pytest.mark.parametrize(("score", "bits"), [(0.5, 1.0), (1.0, 0.0), (0.0, 0.0), (None, 1.0), (0.9, 0.469)])
def test_entropy_is_least_where_a_model_is_certain(score: float | None, bits: float) -> None:
    assert entropy(score) == pytest.approx(bits, abs=1e-3)


def test_useful_notes_are_uncertain_or_disputed_for_their_length_and_of_many_kinds() -> None:
    dull = candidate(0)
    uncertain = [candidate(i, uncertainty=9.0 - i / 10) for i in range(1, 6)]
    long = candidate(6, uncertainty=9.0, characters=90_000)
    disputed = candidate(7, "it", disagreement=2.0)
    empty = candidate(8, "cs", found=False, missed=1.0)
    notes = [dull, *uncertain, long, disputed, empty]
    assert most_useful(notes, 4, "s") == [uncertain[0].note, disputed.note, empty.note, long.note]
    assert most_useful(notes, 5, "s")[4] == uncertain[1].note
    assert set(most_useful(notes, 99, "s")) == {n.note for n in notes} - {dull.note}
