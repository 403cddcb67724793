"""The sections `training` and `evaluate` of params.yaml: the models of `dvc repro`, and their evaluation."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated

from pydantic import Field, field_validator

from enigma_tasks.frozen import Frozen


class TrainingParams(Frozen):
    """A model of the training path; the models of a language are the members of its ensemble."""

    language: str
    member: str


class EvaluateParams(Frozen):
    """Settings of `enigma evaluate`."""

    lengths: tuple[Annotated[int, Field(gt=0)], ...]
    """Upper bounds of the ranges of document length, in characters."""
    samples: int = Field(ge=100)
    """Bootstrap resamples of the documents for each interval, of `enigma score` too."""

    @field_validator("lengths")
    @classmethod
    def _check_increasing(cls, lengths: tuple[int, ...]) -> tuple[int, ...]:
        if any(b <= a for a, b in pairwise(lengths)):
            raise ValueError("each length must be greater than the one before")
        return lengths
