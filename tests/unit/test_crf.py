"""The CRF against brute force and against pytorch-crf."""

from __future__ import annotations

import itertools

import pytest
import torch
import torchcrf
from hypothesis import given, settings
from hypothesis import strategies as st

from enigma_tasks.ner.network.crf import (
    FORBIDDEN,
    LinearChainCRF,
    constrained_viterbi,
    repair_tags,
    valid_transitions,
)

TOLERANCE = {"rtol": 1e-4, "atol": 1e-4}


def random_crf(seed: int, num_tags: int = 3) -> LinearChainCRF:
    generator = torch.Generator().manual_seed(seed)
    crf = LinearChainCRF(num_tags)
    for parameter in crf.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator)
    return crf


def random_emissions(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * 2


def prefix_mask(lengths: list[int], words: int) -> torch.Tensor:
    return torch.arange(words)[None, :] < torch.tensor(lengths)[:, None]


def is_legal(path: tuple[int, ...]) -> bool:
    return all(t == 0 or t % 2 == 1 or p in (t, t - 1) for p, t in zip((0, *path), path, strict=False))


def path_score(crf: LinearChainCRF, emissions: torch.Tensor, path: tuple[int, ...]) -> float:
    total = crf.start[path[0]] + crf.end[path[-1]] + sum(emissions[w, t] for w, t in enumerate(path))
    return float((total + sum(crf.transitions[a, b] for a, b in itertools.pairwise(path))).detach())


def legal_paths(num_tags: int, words: int) -> list[tuple[int, ...]]:
    return [p for p in itertools.product(range(num_tags), repeat=words) if is_legal(p)]


@pytest.mark.parametrize("words", range(1, 8))
@pytest.mark.parametrize("seed", range(3))
def test_loss_viterbi_and_marginals_equal_the_enumeration_of_every_legal_path(words: int, seed: int) -> None:
    crf, emissions = random_crf(seed), random_emissions(seed + 100, 1, words, 3)
    mask = torch.ones(1, words, dtype=torch.bool)
    paths = legal_paths(3, words)
    scores = torch.tensor([path_score(crf, emissions[0], p) for p in paths])
    probabilities = scores.softmax(0)

    assert tuple(crf.viterbi(emissions, mask)[0].tolist()) == paths[int(scores.argmax())]
    expected = torch.zeros(words, 3)
    for path, probability in zip(paths, probabilities, strict=True):
        expected[range(words), path] += probability
    torch.testing.assert_close(crf.marginals(emissions, mask)[0], expected, **TOLERANCE)
    for path in paths[:: max(1, len(paths) // 20)]:
        loss = crf(emissions, torch.tensor([path]), mask)
        wanted = scores.logsumexp(0) - path_score(crf, emissions[0], path)
        torch.testing.assert_close(loss, wanted, **TOLERANCE)


@pytest.mark.parametrize("words", [1, 2, 3, 4])
def test_two_types_equal_the_enumeration_too(words: int) -> None:
    crf, emissions = random_crf(7, 5), random_emissions(8, 1, words, 5)
    mask = torch.ones(1, words, dtype=torch.bool)
    paths = legal_paths(5, words)
    scores = torch.tensor([path_score(crf, emissions[0], p) for p in paths])
    assert tuple(crf.viterbi(emissions, mask)[0].tolist()) == paths[int(scores.argmax())]
    loss = crf(emissions, torch.tensor([paths[-1]]), mask)
    torch.testing.assert_close(loss, scores.logsumexp(0) - scores[-1], **TOLERANCE)


@pytest.mark.parametrize("seed", range(5))
def test_same_loss_gradient_and_tags_as_pytorch_crf_with_forbidden_transitions_copied(seed: int) -> None:
    lengths, words = [9, 1, 6, 33], 33
    ours, emissions, mask = random_crf(seed), random_emissions(seed, 4, words, 3), prefix_mask(lengths, words)
    tags = repair_tags(torch.randint(0, 3, (4, words), generator=torch.Generator().manual_seed(seed)), mask)
    theirs = torchcrf.CRF(3, batch_first=True)
    may_start, may_follow = valid_transitions()
    theirs.start_transitions.data = ours.start.data.masked_fill(~may_start, -1e4)
    theirs.end_transitions.data = ours.end.data.clone()
    theirs.transitions.data = ours.transitions.data.masked_fill(~may_follow, -1e4)

    mine, other = emissions.clone().requires_grad_(), emissions.clone().requires_grad_()
    loss, reference = ours(mine, tags, mask), -theirs(other, tags, mask=mask, reduction="mean")
    torch.testing.assert_close(loss, reference, **TOLERANCE)
    loss.backward()
    reference.backward()
    torch.testing.assert_close(mine.grad, other.grad, **TOLERANCE)
    torch.testing.assert_close(ours.end.grad, theirs.end_transitions.grad, **TOLERANCE)
    torch.testing.assert_close(
        ours.transitions.grad, theirs.transitions.grad.masked_fill(~may_follow, 0.0), **TOLERANCE
    )
    decoded = [row[:n].tolist() for row, n in zip(ours.viterbi(emissions, mask), lengths, strict=True)]
    assert decoded == theirs.decode(emissions, mask=mask)


def test_gradient_reaches_emissions_and_every_legal_transition_and_no_illegal_one() -> None:
    crf, emissions = random_crf(1), random_emissions(2, 2, 12, 3).requires_grad_()
    tags = torch.tensor([[0, 1, 2, 2, 1, 1, 0, 0, 1, 2, 1, 0], [1, 2, 0, 1, 0, 0, 0, 1, 2, 2, 2, 1]])
    crf(emissions, tags, torch.ones(2, 12, dtype=torch.bool)).backward()
    may_start, may_follow = valid_transitions()
    assert bool((emissions.grad.abs().sum(-1) > 0).all())
    assert torch.equal(crf.transitions.grad != 0, may_follow)
    assert torch.equal(crf.start.grad != 0, may_start)
    assert bool(torch.isfinite(crf.end.grad).all())


def test_training_with_it_lowers_the_loss_and_learns_a_transition() -> None:
    crf = LinearChainCRF()
    emissions, tags = torch.zeros(8, 6, 3), torch.tensor([[0, 1, 2, 2, 0, 0]]).expand(8, 6)
    mask = torch.ones(8, 6, dtype=torch.bool)
    optimiser = torch.optim.SGD(crf.parameters(), lr=0.5)
    losses = []
    for _ in range(30):
        loss = crf(emissions, tags, mask)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 2
    assert bool(crf.transitions[1, 2] > crf.transitions[1, 1])


@settings(max_examples=60)
@given(seed=st.integers(0, 10_000), words=st.integers(1, 40), scale=st.sampled_from([0.1, 3.0, 1e4]))
def test_decoded_tags_are_always_legal_and_padding_is_zero(seed: int, words: int, scale: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    emissions = torch.randn(3, words, 3, generator=generator) * scale
    mask = torch.rand(3, words, generator=generator) < 0.7
    for tags in (random_crf(seed).viterbi(emissions, mask), constrained_viterbi(emissions.log_softmax(-1), mask)):
        assert not tags[~mask].any()
        for row, kept in zip(tags, mask, strict=True):
            assert is_legal(tuple(row[kept].tolist()))


def test_the_best_illegal_path_is_not_taken_even_when_legal_ones_have_probability_zero() -> None:
    impossible = torch.full((1, 4, 3), float("-inf"))
    impossible[..., 2] = 0.0  # I at every word
    mask = torch.ones(1, 4, dtype=torch.bool)
    assert is_legal(tuple(constrained_viterbi(impossible, mask)[0].tolist()))
    assert is_legal(tuple(random_crf(3).viterbi(impossible, mask)[0].tolist()))


def test_constrained_viterbi_is_the_best_legal_path_without_transition_scores() -> None:
    emissions = random_emissions(11, 5, 6, 3).log_softmax(-1)
    mask = torch.ones(5, 6, dtype=torch.bool)
    paths = legal_paths(3, 6)
    for row, tags in zip(emissions, constrained_viterbi(emissions, mask), strict=True):
        best = max(paths, key=lambda p: float(sum(row[w, t] for w, t in enumerate(p))))
        assert tuple(tags.tolist()) == best


def test_an_untrained_crf_decodes_as_the_softmax_head() -> None:
    emissions, mask = random_emissions(4, 6, 20, 3).log_softmax(-1), prefix_mask([20, 3, 0, 11, 1, 19], 20)
    assert torch.equal(LinearChainCRF().viterbi(emissions, mask), constrained_viterbi(emissions, mask))


def test_a_masked_word_anywhere_equals_its_removal() -> None:
    crf, emissions = random_crf(5), random_emissions(6, 1, 7, 3)
    tags = torch.tensor([[-100, 1, 2, -100, 2, 0, -100]])
    mask = tags >= 0
    kept, full = emissions[:, mask[0]], torch.ones(1, 4, dtype=torch.bool)
    torch.testing.assert_close(crf(emissions, tags, mask), crf(kept, tags[:, mask[0]], full))
    assert torch.equal(crf.viterbi(emissions, mask)[:, mask[0]], crf.viterbi(kept, full))
    torch.testing.assert_close(crf.marginals(emissions, mask)[:, mask[0]], crf.marginals(kept, full))
    assert not crf.marginals(emissions, mask)[:, ~mask[0]].any()


def test_padding_further_changes_no_bit() -> None:
    crf, emissions, lengths = random_crf(9), random_emissions(10, 2, 21, 3), [21, 13]
    mask = prefix_mask(lengths, 21)
    wide = torch.cat([emissions, random_emissions(12, 2, 80, 3)], dim=1)
    wide_mask = prefix_mask(lengths, 101)
    assert torch.equal(crf.marginals(emissions, mask), crf.marginals(wide, wide_mask)[:, :21])
    assert torch.equal(crf.viterbi(emissions, mask), crf.viterbi(wide, wide_mask)[:, :21])


def test_an_empty_sequence_adds_nothing_and_a_batch_of_them_is_zero() -> None:
    crf, emissions = random_crf(2), random_emissions(3, 2, 5, 3)
    tags, mask = torch.tensor([[0, 1, 2, 0, 0]] * 2), prefix_mask([5, 0], 5)
    torch.testing.assert_close(crf(emissions, tags, mask), crf(emissions[:1], tags[:1], mask[:1]))
    nothing = crf(emissions.requires_grad_(), tags, prefix_mask([0, 0], 5))
    nothing.backward()
    assert nothing.item() == 0.0
    assert not emissions.grad.any()
    assert crf.viterbi(torch.zeros(2, 0, 3), torch.zeros(2, 0, dtype=torch.bool)).shape == (2, 0)


def test_an_inside_tag_with_nothing_to_continue_counts_as_begin() -> None:
    crf, emissions, mask = random_crf(2), random_emissions(3, 1, 4, 3), torch.ones(1, 4, dtype=torch.bool)
    cut = crf(emissions, torch.tensor([[2, 2, 0, 2]]), mask)
    torch.testing.assert_close(cut, crf(emissions, torch.tensor([[1, 2, 0, 1]]), mask))
    assert cut.item() < -FORBIDDEN / 1e6


def test_everything_is_float32_under_autocast_and_with_half_precision_emissions() -> None:
    crf, emissions = random_crf(2), random_emissions(3, 2, 9, 3).bfloat16()
    tags, mask = torch.zeros(2, 9, dtype=torch.long), torch.ones(2, 9, dtype=torch.bool)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss, marginals = crf(emissions, tags, mask), crf.marginals(emissions, mask)
    assert loss.dtype == marginals.dtype == torch.float32
    torch.testing.assert_close(loss, crf(emissions.float(), tags, mask))


def test_marginals_sum_to_one_in_inference_mode() -> None:
    crf = random_crf(2)
    with torch.inference_mode():
        marginals = crf.marginals(random_emissions(3, 2, 300, 3), torch.ones(2, 300, dtype=torch.bool))
    torch.testing.assert_close(marginals.sum(-1), torch.ones(2, 300), **TOLERANCE)


@pytest.mark.parametrize("num_tags", [0, 1, 2, 4])
def test_a_number_of_tags_without_pairs_is_refused(num_tags: int) -> None:
    with pytest.raises(ValueError, match="types"):
        LinearChainCRF(num_tags)


@settings(max_examples=60)
@given(st.integers(0, 999), st.lists(st.integers(0, 9), min_size=1, max_size=4), st.sampled_from([3, 5]))
def test_certain_chances_cost_what_the_tags_do(seed: int, lengths: list[int], num_tags: int) -> None:
    words = max(1, *lengths)
    crf, mask = random_crf(seed, num_tags), prefix_mask(lengths, words)
    emissions = random_emissions(seed, len(lengths), words, num_tags)
    tags = torch.randint(num_tags, (len(lengths), words), generator=torch.Generator().manual_seed(seed))
    certain = torch.nn.functional.one_hot(tags, num_tags).float()
    torch.testing.assert_close(crf.expected(emissions, certain, mask), crf(emissions, tags, mask), **TOLERANCE)


@pytest.mark.parametrize("seed", range(5))
def test_emissions_are_drawn_to_the_chances(seed: int) -> None:
    crf, mask = random_crf(seed), prefix_mask([6, 3, 1], 6)
    emissions = random_emissions(seed, 3, 6, 3).requires_grad_()
    # A teacher of BIO: an I is nowhere likelier than what it may continue.
    probabilities = torch.tensor([0.5, 0.3, 0.2]).expand(3, 6, 3).clone()
    probabilities[:, 0] = torch.tensor([0.6, 0.4, 0.0])
    crf.expected(emissions, probabilities, mask).backward()
    wanted = (crf.marginals(emissions, mask) - probabilities * mask.unsqueeze(2)) / 3  # the mean of three sequences
    assert emissions.grad is not None
    torch.testing.assert_close(emissions.grad, wanted, **TOLERANCE)


def test_chances_of_an_inside_with_nothing_before_it_count_for_a_begin() -> None:
    crf, mask = random_crf(3), torch.ones(1, 2, dtype=torch.bool)
    emissions = random_emissions(3, 1, 2, 3)
    orphan = torch.tensor([[[0.2, 0.1, 0.7], [0.9, 0.05, 0.05]]])
    begun = torch.tensor([[[0.2, 0.8, 0.0], [0.9, 0.05, 0.05]]])
    loss = crf.expected(emissions, orphan, mask)
    assert loss.isfinite()
    torch.testing.assert_close(loss, crf.expected(emissions, begun, mask))
