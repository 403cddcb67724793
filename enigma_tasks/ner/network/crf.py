"""Linear-chain CRF over BIO tags (paper, section 3.2): emissions -> loss, best valid tags, marginal probabilities.

Letters in shapes: B sequences, W words, L tags. Tag 0 is O, then one pair per type: B = 2k - 1, I = 2k. I may only
follow its own B or I, never O and never the start; this holds for the normaliser and for Viterbi.

Chains are contracted as a balanced tree of L x L matrices instead of word by word: about log2(W) tensor operations per
call, and a result that does not depend on the batch's padding.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

FORBIDDEN = -1e12
"""Score of an invalid transition: finite to avoid NaN, yet below every sum of real scores (exp gives exactly 0)."""
_TINY = 1e-12
_FLOOR = -1e6  # replaces -inf (log 0); sums over any number of words stay above FORBIDDEN


def valid_transitions(num_tags: int = 3) -> tuple[Tensor, Tensor]:
    """Which tag may come first, BoolTensor[L], and which may follow which, BoolTensor[L, L] (row: from, column: to).

    Raises:
        ValueError: `num_tags` is not O plus pairs of B and I.
    """
    if num_tags < 3 or num_tags % 2 == 0:
        raise ValueError("num_tags must be 1 + 2 x types")
    tag = torch.arange(num_tags)
    inside = (tag > 0) & (tag % 2 == 0)
    continues = (tag[:, None] == tag[None, :]) | (tag[:, None] == tag[None, :] - 1)
    return ~inside, ~inside[None, :] | continues


class LinearChainCRF(nn.Module):
    """Transition scores on top of an encoder's emissions (Lafferty and others, 2001).

    A word whose mask is False is not part of its sequence, at any position: its neighbours follow each other. All
    arithmetic is float32, also under autocast and with half-precision weights.
    """

    _may_start: Tensor
    _may_follow: Tensor

    def __init__(self, num_tags: int = 3) -> None:
        super().__init__()
        may_start, may_follow = valid_transitions(num_tags)
        self.register_buffer("_may_start", may_start, persistent=False)
        self.register_buffer("_may_follow", may_follow, persistent=False)
        # zeros, so that an untrained CRF decodes as the softmax head does
        self.start = nn.Parameter(torch.zeros(num_tags))
        self.end = nn.Parameter(torch.zeros(num_tags))
        self.transitions = nn.Parameter(torch.zeros(num_tags, num_tags))

    def forward(self, emissions: Tensor, tags: Tensor, mask: Tensor) -> Tensor:
        """Negative log-likelihood in nats, the mean over the sequences that have a word: Tensor[].

        emissions Tensor[B, W, L], tags LongTensor[B, W], mask BoolTensor[B, W]. Tags of masked words are ignored. An I
        without a B or I of its type before it is read as B, as windows may begin inside an entity.
        """
        scores, order, present = _compact(emissions, mask)
        gold = repair_tags(tags.gather(1, order).masked_fill(~present, 0), present)
        start, follow, end = self._scores()
        words = scores.gather(2, gold.unsqueeze(2)).squeeze(2)
        steps = follow[gold[:, :-1], gold[:, 1:]]
        last = gold.gather(1, (present.sum(1, keepdim=True) - 1).clamp_min(0)).squeeze(1)
        path = (words * present).sum(1) + (steps * present[:, 1:]).sum(1) + start[gold[:, 0]] + end[last]
        has_words = present[:, 0]
        loss = (_log_normaliser(scores, present, start, follow, end) - path) * has_words
        return loss.sum() / has_words.sum().clamp_min(1)

    def expected(self, emissions: Tensor, probabilities: Tensor, mask: Tensor) -> Tensor:
        """`forward` for tag probabilities, such as a teacher's: the same mean in nats, Tensor[].

        `probabilities` Tensor[B, W, L] sum to one at each word. Neighbours are taken as independent, except that an I's
        excess over the tags that it may follow is added to its B. One-hot probabilities give the result of `forward`,
        and the gradient by the emissions is `marginals` minus the probabilities.
        """
        scores, order, present = _compact(emissions, mask)
        known = probabilities.float().gather(1, order.unsqueeze(2).expand_as(probabilities))
        known = _repair_probabilities(known * present.unsqueeze(2))
        start, follow, end = self._scores()
        pairs = known[:, :-1, :, None] * known[:, 1:, None, :] * self._may_follow
        pairs = pairs / pairs.sum((2, 3), keepdim=True).clamp_min(_TINY)  # masked words have no pair
        last = (present.sum(1) - 1).clamp_min(0)
        ends = known[torch.arange(len(known), device=known.device), last]
        path = (known * scores).sum((1, 2)) + (pairs * follow).sum((1, 2, 3)) + known[:, 0] @ start + ends @ end
        has_words = present[:, 0]
        loss = (_log_normaliser(scores, present, start, follow, end) - path) * has_words
        return loss.sum() / has_words.sum().clamp_min(1)

    @torch.no_grad()
    def viterbi(self, emissions: Tensor, mask: Tensor) -> Tensor:
        """The best valid tags: LongTensor[B, W], 0 where the mask is False."""
        return _viterbi(emissions, mask, *self._scores())

    def marginals(self, emissions: Tensor, mask: Tensor) -> Tensor:
        """Probability of each tag at each word given the whole sequence: Tensor[B, W, L] float32, 0 where masked.

        They are the gradient of the log normaliser by the emissions. Works inside `inference_mode`; gives no gradient.
        """
        with torch.inference_mode(mode=False), torch.enable_grad():
            given = emissions.detach().float().clone().requires_grad_()
            scores, _, present = _compact(given, mask.clone())
            start, follow, end = (s.detach() for s in self._scores())
            total = (_log_normaliser(scores, present, start, follow, end) * present[:, 0]).sum()
            (gradient,) = torch.autograd.grad(total, given)
        return gradient

    def _scores(self) -> tuple[Tensor, Tensor, Tensor]:
        start = self.start.float().masked_fill(~self._may_start, FORBIDDEN)
        follow = self.transitions.float().masked_fill(~self._may_follow, FORBIDDEN)
        return start, follow, self.end.float()


@torch.no_grad()
def constrained_viterbi(log_probabilities: Tensor, mask: Tensor) -> Tensor:
    """The most probable valid tags without transition scores (softmax head): [B, W, L], [B, W] -> LongTensor[B, W]."""
    may_start, may_follow = (m.to(log_probabilities.device) for m in valid_transitions(log_probabilities.shape[2]))
    zero = torch.zeros((), device=log_probabilities.device)
    start, follow = (torch.where(m, zero, FORBIDDEN) for m in (may_start, may_follow))
    return _viterbi(log_probabilities, mask, start, follow, torch.zeros_like(start))


def repair_tags(tags: Tensor, mask: Tensor) -> Tensor:
    """Turn each I without B or I of its type before it into B. tags LongTensor[B, W], mask BoolTensor[B, W] prefix."""
    before = nn.functional.pad(tags[:, :-1], (1, 0))
    orphan = (tags > 0) & (tags % 2 == 0) & (before != tags) & (before != tags - 1)
    return torch.where(orphan & mask, tags - 1, tags)


def _repair_probabilities(probabilities: Tensor) -> Tensor:
    """`repair_tags` for probabilities [B, W, L]: an I's excess over the B and I before it is added to its B."""
    outside, begin, inside = probabilities[..., :1], probabilities[..., 1::2], probabilities[..., 2::2]
    continued = torch.minimum(inside, nn.functional.pad((begin + inside)[:, :-1], (0, 0, 1, 0)))
    pairs = torch.stack([begin + inside - continued, continued], dim=3)
    return torch.cat([outside, pairs.flatten(2)], dim=2)


def _compact(emissions: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Move present words to the left: scores [B, W, L] float32, order [B, W] (original positions), present [B, W]."""
    order = (~mask).to(torch.uint8).argsort(dim=1, stable=True)
    scores = emissions.float().clamp_min(_FLOOR).gather(1, order.unsqueeze(2).expand_as(emissions))
    return scores, order, mask.gather(1, order)


def _steps(scores: Tensor, present: Tensor, follow: Tensor) -> Tensor:
    """One matrix per step, [B, S, L, L]: transition plus emission of the word stepped to; absent words are identities.

    S is the next power of two from W - 1, so that every level of the tree pairs up evenly.
    """
    batch, words, tags = scores.shape
    identity = torch.full_like(follow, FORBIDDEN).fill_diagonal_(0.0)
    real = torch.where(present[:, 1:, None, None], follow + scores[:, 1:, None, :], identity)
    size = 1 << max(0, words - 2).bit_length()
    padding = identity.expand(batch, size - (words - 1), tags, tags)
    return torch.cat([real, padding], dim=1)


def _log_normaliser(scores: Tensor, present: Tensor, start: Tensor, follow: Tensor, end: Tensor) -> Tensor:
    """log of the sum over valid paths of exp(score): Tensor[B]."""
    chain = _steps(scores, present, follow)
    while chain.shape[1] > 1:
        pairs = chain[:, 0::2, :, :, None] + chain[:, 1::2, None, :, :]
        chain = pairs.logsumexp(dim=3)
    first = start + scores[:, 0]
    return (first[:, :, None] + chain[:, 0] + end).flatten(1).logsumexp(dim=1)


def _viterbi(emissions: Tensor, mask: Tensor, start: Tensor, follow: Tensor, end: Tensor) -> Tensor:
    """`_log_normaliser` with max instead of sum: up the tree with the best middle tags, then down for the path."""
    if emissions.shape[1] == 0:
        return torch.zeros(mask.shape, dtype=torch.long, device=mask.device)
    scores, order, present = _compact(emissions, mask)
    chain, middles = _steps(scores, present, follow), []
    while chain.shape[1] > 1:
        pairs = chain[:, 0::2, :, :, None] + chain[:, 1::2, None, :, :]
        chain, middle = pairs.max(dim=3)
        middles.append(middle)
    ends = (start + scores[:, 0])[:, :, None] + chain[:, 0] + end
    best = ends.flatten(1).argmax(dim=1)
    tags = torch.stack([best // end.shape[0], best % end.shape[0]], dim=1)  # the tags at the tree's two ends
    for middle in reversed(middles):
        left, right = tags[:, :-1], tags[:, 1:]
        between = _pick(middle, left, right)
        # left[0], between[0], left[1], between[1], ..., last
        tags = torch.cat([torch.stack([left, between], dim=2).flatten(1), tags[:, -1:]], dim=1)
    tags = tags[:, : mask.shape[1]] * present
    return torch.zeros_like(tags).scatter_(1, order, tags)


def _pick(middle: Tensor, left: Tensor, right: Tensor) -> Tensor:
    """middle[b, s, left[b, s], right[b, s]]: [B, S, L, L], [B, S], [B, S] -> [B, S]."""
    size = middle.shape[3]
    return middle.flatten(2).gather(2, (left * size + right).unsqueeze(2)).squeeze(2)
