"""The sections `training` and `evaluate` of params.yaml: what `dvc repro` trains, and how it is measured."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated

from pydantic import Field, field_validator

from enigma_tasks.frozen import Frozen


class TrainingParams(Frozen):
    """One model that the training path trains; the models of a language are its ensemble's members."""

    language: str
    member: str


class EvaluateParams(Frozen):
    """What `enigma evaluate` says beside the overall scores."""

    lengths: tuple[Annotated[int, Field(gt=0)], ...]
    """Where one slice of documents ends and the next, longer one begins, in characters."""
    samples: int = Field(ge=100)
    """Bootstrap resamples of the documents for each interval, of `enigma score` too."""

    @field_validator("lengths")
    @classmethod
    def _longer_and_longer(cls, lengths: tuple[int, ...]) -> tuple[int, ...]:
        if any(b <= a for a, b in pairwise(lengths)):
            raise ValueError("each length must be greater than the one before")
        return lengths
