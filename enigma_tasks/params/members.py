"""The section `members` of params.yaml: training recipes by name (paper, section 3.2 and appendix C)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from enigma_tasks.frozen import Frozen
from enigma_tasks.params.postprocess import PostprocessRules


class ScratchParams(Frozen):
    """Shape of an encoder that is built, with its tokenizer, from the training text itself."""

    vocabulary: int = Field(gt=100)
    hidden: int = Field(gt=0)
    layers: int = Field(gt=0)
    heads: int = Field(gt=0)


class MemberParams(Frozen):
    """A member: one training recipe (paper, appendix C)."""

    base: str
    """A hub id, a local folder, or `scratch`."""
    scratch: ScratchParams | None = None
    head: Literal["softmax", "crf"] = "softmax"
    chunker: Literal["window", "sentence"] = "window"
    window_tokens: int = Field(256, gt=8)
    """Sub-words of a window, special tokens included."""
    overlap_tokens: int = Field(64, ge=0)
    """Sub-words that neighbouring windows share."""
    word_label: Literal["first", "mean"] = "mean"
    """Where a word carries its label: on its first sub-word, or on the mean of all."""
    learning_rate: float = Field(gt=0)
    batch_size: int = Field(gt=0)
    """Windows per optimiser step."""
    epochs: float = Field(gt=0)
    max_steps: int | None = Field(None, gt=0)
    """Stop after so many optimiser steps, whatever `epochs` says."""
    weight_decay: float = 0.1
    warmup_ratio: float = 0.01
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    postprocess: PostprocessRules = PostprocessRules()

    @model_validator(mode="after")
    def _shape_is_known(self) -> MemberParams:
        if (self.base == "scratch") != (self.scratch is not None):
            raise ValueError("`scratch` (the encoder's shape) goes with base: scratch, and only with it")
        if self.overlap_tokens >= self.window_tokens - 2:
            raise ValueError("overlap_tokens must be smaller than window_tokens")
        return self
