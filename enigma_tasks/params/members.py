"""The section `members` of params.yaml: training recipes by name (paper, section 3.2 and appendix C)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from enigma_tasks.frozen import Frozen
from enigma_tasks.params.annotators import GlinerMemberParams, LlmMemberParams
from enigma_tasks.params.postprocess import PostprocessRules


class ScratchParams(Frozen):
    """Shape of an encoder with random weights; its tokenizer is learnt from the training text."""

    vocabulary: int = Field(gt=100)
    min_notes: int = Field(5, ge=1)
    """Notes that a word must be in to become pieces of the tokenizer: a surname of fewer is not kept in the model."""
    hidden: int = Field(gt=0)
    layers: int = Field(gt=0)
    heads: int = Field(gt=0)


class MemberParams(Frozen):
    """A member: one training recipe (paper, appendix C)."""

    kind: Literal["encoder"] = "encoder"
    base: str
    """A hub id; a local folder with a base model or a trained model, whose encoder is trained further; or `scratch`."""
    scratch: ScratchParams | None = None
    head: Literal["softmax", "crf"] = "softmax"
    head_layers: int = Field(0, ge=0, le=8)
    """Hidden layers of each entity type's head: linear, GELU, dropout."""
    chunker: Literal["window", "sentence"] = "window"
    window_tokens: int = Field(256, gt=8)
    """Sub-words of a window, special tokens included."""
    overlap_tokens: int = Field(64, ge=0)
    """Sub-words that neighbouring windows share."""
    context_tokens: int = Field(0, ge=0)
    """Unlabelled sub-words of context at either end of a window, included in `window_tokens`."""
    word_label: Literal["first", "mean"] = "mean"
    """How a word is represented: by its first sub-word, or by the mean of all."""
    noise_share: float = Field(0.0, ge=0, le=1)
    """Share of training windows with replaced sub-words, drawn in each epoch."""
    noise_tokens: float = Field(0.0, ge=0, le=1)
    """Share of the sub-words replaced in such a window."""
    noise_by: Literal["random", "unknown"] = "random"
    """The replacement: a random sub-word of the training windows, or the tokenizer's unknown sub-word."""
    frozen_layers: int = Field(0, ge=0)
    """Lowest layers of the encoder that are frozen, with its embeddings; an ensemble runs shared ones once."""
    learning_rate: float = Field(gt=0)
    head_learning_rate: float | None = Field(None, gt=0)
    """Learning rate of heads and CRFs, which start untrained; None: `learning_rate`."""
    warm_start_words: int = Field(0, ge=0)
    """Words on which the heads are first fitted as a linear probe of the frozen encoder; 0: random heads."""
    batch_size: int = Field(gt=0)
    """Windows per optimiser step."""
    batch_tokens: int | None = Field(None, gt=0)
    """Divide a step into parts of at most so many padded sub-words and add up their gradients; bounds memory only."""
    epochs: float = Field(gt=0)
    max_steps: int | None = Field(None, gt=0)
    """Limit of optimiser steps, besides `epochs`."""
    patience: int | None = Field(None, gt=0)
    """Stop after so many consecutive epochs without a better strict F1 on dev."""
    weight_decay: float = 0.1
    warmup_ratio: float = 0.01
    max_gradient_norm: float = Field(1.0, gt=0)
    """A step's gradient is scaled down to this norm."""
    dev_batch_tokens: int = Field(8192, gt=0)
    """Padded sub-words per forward pass when dev is scored; bounds memory only."""
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    postprocess: PostprocessRules = PostprocessRules()

    @model_validator(mode="after")
    def _check_options(self) -> MemberParams:
        if (self.base == "scratch") != (self.scratch is not None):
            raise ValueError("`scratch` (the encoder's shape) and base: scratch need each other")
        if self.base == "scratch" and self.frozen_layers:
            raise ValueError("frozen_layers: not for an encoder from scratch")
        if self.overlap_tokens >= self.window_tokens - 2:
            raise ValueError("overlap_tokens must be smaller than window_tokens")
        own = self.window_tokens - 2 * self.context_tokens
        if self.context_tokens and own <= max(8, self.overlap_tokens + 2):
            raise ValueError("context_tokens on both sides leave too few sub-words in a window")
        if self.batch_tokens is not None and self.batch_tokens < self.window_tokens:
            raise ValueError("batch_tokens must hold one window")
        if (self.noise_share > 0) != (self.noise_tokens > 0):
            raise ValueError("noise_share and noise_tokens need each other")
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
