"""The section `members` of params.yaml: training recipes by name (paper, section 3.2 and appendix C)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from enigma_tasks.frozen import Frozen
from enigma_tasks.params.annotators import GlinerMemberParams, LlmMemberParams
from enigma_tasks.params.postprocess import PostprocessRules


class ScratchParams(Frozen):
    """Shape of an encoder that is built, with its tokenizer, from the training text itself."""

    vocabulary: int = Field(gt=100)
    hidden: int = Field(gt=0)
    layers: int = Field(gt=0)
    heads: int = Field(gt=0)


class MemberParams(Frozen):
    """A member: one training recipe (paper, appendix C)."""

    kind: Literal["encoder"] = "encoder"
    base: str
    """A hub id, a local folder, of a base model or of a model trained before (its encoder goes on), or `scratch`."""
    scratch: ScratchParams | None = None
    head: Literal["softmax", "crf"] = "softmax"
    head_layers: int = Field(0, ge=0, le=8)
    """Hidden layers that each entity type's head has to itself: linear, GELU, dropout."""
    chunker: Literal["window", "sentence"] = "window"
    window_tokens: int = Field(256, gt=8)
    """Sub-words of a window, special tokens included."""
    overlap_tokens: int = Field(64, ge=0)
    """Sub-words that neighbouring windows share."""
    context_tokens: int = Field(0, ge=0)
    """Sub-words of the text shown before and after a window's own, inside `window_tokens`; they carry no label."""
    word_label: Literal["first", "mean"] = "mean"
    """Where a word carries its label: on its first sub-word, or on the mean of all."""
    noise_share: float = Field(0.0, ge=0, le=1)
    """Share of training windows that have some of their sub-words replaced, drawn anew each epoch."""
    noise_tokens: float = Field(0.0, ge=0, le=1)
    """Share of the sub-words replaced in such a window."""
    noise_by: Literal["random", "unknown"] = "random"
    """What replaces them: any sub-word of the training windows, or the tokenizer's unknown sub-word."""
    frozen_layers: int = Field(0, ge=0)
    """Lowest layers of the encoder that stay, with its embeddings, as the base has them; an ensemble runs them once."""
    learning_rate: float = Field(gt=0)
    head_learning_rate: float | None = Field(None, gt=0)
    """Of heads and CRFs, which begin untrained; None: `learning_rate`."""
    warm_start_words: int = Field(0, ge=0)
    """Fit the heads first, as a linear probe, on so many words of the frozen encoder; 0: they begin at random."""
    batch_size: int = Field(gt=0)
    """Windows per optimiser step."""
    batch_tokens: int | None = Field(None, gt=0)
    """Cut a step's windows into parts of at most so many padded sub-words, gradients added up: bounds memory only."""
    epochs: float = Field(gt=0)
    max_steps: int | None = Field(None, gt=0)
    """Stop after so many optimiser steps, whatever `epochs` says."""
    patience: int | None = Field(None, gt=0)
    """Stop after so many epochs in a row without a better strict F1 on dev."""
    weight_decay: float = 0.1
    warmup_ratio: float = 0.01
    max_gradient_norm: float = Field(1.0, gt=0)
    """A step's gradient is scaled down to this norm."""
    dev_batch_tokens: int = Field(8192, gt=0)
    """Padded sub-words per forward pass when dev is scored: bounds memory only."""
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    postprocess: PostprocessRules = PostprocessRules()

    @model_validator(mode="after")
    def _shape_is_known(self) -> MemberParams:
        if (self.base == "scratch") != (self.scratch is not None):
            raise ValueError("`scratch` (the encoder's shape) goes with base: scratch, and only with it")
        if self.base == "scratch" and self.frozen_layers:
            raise ValueError("frozen_layers: an encoder from scratch has nothing to keep")
        if self.overlap_tokens >= self.window_tokens - 2:
            raise ValueError("overlap_tokens must be smaller than window_tokens")
        own = self.window_tokens - 2 * self.context_tokens
        if self.context_tokens and own <= max(8, self.overlap_tokens + 2):
            raise ValueError("context_tokens on both sides leave a window too few sub-words of its own")
        if self.batch_tokens is not None and self.batch_tokens < self.window_tokens:
            raise ValueError("batch_tokens must hold one window")
        if (self.noise_share > 0) != (self.noise_tokens > 0):
            raise ValueError("noise_share and noise_tokens go together")
        return self


def _kind(tree: Any) -> str | None:
    return tree.get("kind", "encoder") if isinstance(tree, dict) else getattr(tree, "kind", None)


AnyMember = Annotated[
    Annotated[MemberParams, Tag("encoder")]
    | Annotated[GlinerMemberParams, Tag("gliner")]
    | Annotated[LlmMemberParams, Tag("llm")],
    Discriminator(_kind),
]
"""A member of any kind; without `kind` it is an encoder."""
