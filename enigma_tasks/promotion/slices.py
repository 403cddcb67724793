"""Parts of a test set: which there are, and where a challenger is worse than the champion."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from scipy.stats import false_discovery_control

from enigma_tasks.promotion.comparison import gain, score
from enigma_tasks.promotion.decision import SliceTest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from enigma_tasks.ner.scoring import Counts
    from enigma_tasks.params.promotion import SliceParams

NAME_CHARACTERS = 60


def slices_of(document_id: str, length: str, params: SliceParams) -> dict[str, str]:
    """Kind of slice -> name, for one document; a kind that its id does not tell is left out."""
    found = {"length": length}
    for kind, pattern in params.patterns.items():
        match = re.search(pattern, document_id) if pattern else None
        if match and match[1]:
            found[kind] = match[1][:NAME_CHARACTERS]
    return found


def slice_tests(
    slices: Sequence[Mapping[str, str]],
    champion: Sequence[Counts],
    challenger: Sequence[Counts],
    params: SliceParams,
    seed: int,
) -> tuple[SliceTest, ...]:
    """Both models' scores in every slice, with the p-value of no fall, adjusted for the false discovery rate.

    A slice that has all documents is left out: it is the whole test set.
    """
    places: dict[tuple[str, str], list[int]] = {}
    for i, known in enumerate(slices):
        for kind, name in known.items():
            places.setdefault((kind, name), []).append(i)
    parts = {key: places[key] for key in sorted(places, key=_order) if len(places[key]) < len(slices)}
    tested = [key for key, own in parts.items() if len(own) >= params.documents]
    pairs = {key: ([champion[i] for i in own], [challenger[i] for i in own]) for key, own in parts.items()}
    p_values = [gain(*pairs[key], params.level / len(tested), seed, "less").p_value for key in tested]
    adjusted = dict(zip(tested, false_discovery_control(p_values).tolist() if tested else (), strict=True))
    return tuple(
        SliceTest(
            kind=kind,
            name=name,
            documents=len(parts[kind, name]),
            champion=score(before, seed),
            challenger=score(after, seed),
            adjusted_p=round(adjusted[kind, name], 9) if (kind, name) in adjusted else None,
        )
        for (kind, name), (before, after) in pairs.items()
    )


def _order(part: tuple[str, str]) -> tuple[str, list[int], bool, str]:
    """By kind; lengths by their bounds, the open range last."""
    kind, name = part
    return kind, [int(number) for number in re.findall(r"\d+", name)], name.startswith("over"), name
