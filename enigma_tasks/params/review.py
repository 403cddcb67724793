"""The section `review` of params.yaml: which notes of a night are exported for review."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from enigma_tasks.frozen import Frozen

StratumField = Literal["language", "site", "entities"]


class ReviewParams(Frozen):
    """Notes a night, by stream, and how the random ones are stratified."""

    random_notes: int = Field(ge=0)
    """Drawn with known probabilities: F1 on them is an estimate for the whole night."""
    useful_notes: int = Field(ge=0)
    """Those from which training gains most; never part of an estimate."""
    strata: tuple[StratumField, ...]
    """What a stratum is made of; `entities`: whether the models found any."""
