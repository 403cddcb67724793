"""Members of the other kinds in params.yaml: GLiNER (paper, appendices B and C) and language models (paper, 3.3)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from enigma_tasks.documents import EntityType
from enigma_tasks.frozen import Frozen
from enigma_tasks.params.postprocess import PostprocessRules


def _gliner_labels() -> dict[EntityType, tuple[str, ...]]:
    return {t: tuple(t.entry.gliner_labels) for t in EntityType}


class GlinerMemberParams(Frozen):
    """A GLiNER span model, zero-shot or fine-tuned."""

    kind: Literal["gliner"]
    base: str
    """A GLiNER checkpoint with safetensors: a hub id in the model store, or a local folder."""
    backbone: str | None = None
    """Its encoder, likewise, for config and tokenizer where the checkpoint has none."""
    labels: dict[EntityType, tuple[str, ...]] = Field(default_factory=_gliner_labels)
    """GLiNER's labels of each type; a fine-tuned model uses each type's first."""
    threshold: float = Field(0.65, gt=0, lt=1)
    window_tokens: int = Field(320, ge=16)
    """Sub-words of a window, without the labels; at most the checkpoint's `max_len`."""
    overlap_tokens: int = Field(64, ge=0)
    learning_rate: float = Field(5e-5, gt=0)
    batch_size: int = Field(8, gt=0)
    epochs: float = Field(3, ge=0)
    """0: zero-shot; `enigma train` then only scores it on dev."""
    max_steps: int | None = Field(None, gt=0)
    weight_decay: float = 0.1
    warmup_ratio: float = 0.01
    max_gradient_norm: float = Field(1.0, gt=0)
    """A step's gradient is scaled down to this norm."""
    precision: Literal["fp32", "bf16"] = "fp32"
    postprocess: PostprocessRules = PostprocessRules()

    @model_validator(mode="after")
    def _check_options(self) -> GlinerMemberParams:
        if self.overlap_tokens > self.window_tokens // 2:
            raise ValueError("overlap_tokens must be at most half of window_tokens")
        labels = [label for of_type in self.labels.values() for label in of_type]
        if not all(self.labels.values()) or not all(labels) or len(set(labels)) < len(labels):
            raise ValueError("labels: each type has one or more, and no two are the same")
        return self


class LlmMemberParams(Frozen):
    """A language model behind an endpoint, prompted without examples."""

    kind: Literal["llm"]
    model: str
    """The endpoint's name for it."""
    language: str
    """Language of the notes: a key of `languages`."""
    language_name: str = ""
    """Its name in the prompt; empty: its `name` in `languages`, which `enigma train` writes into the card."""
    entity_types: tuple[EntityType, ...] = Field(tuple(EntityType), min_length=1)
    window_characters: int = Field(6000, ge=200)
    """A longer note is divided into windows of complete sentences, a request each."""
    overlap_characters: int = Field(300, ge=0)
    """Overlap of the pieces of a sentence that is longer than a window; at most a quarter of a window."""
    prompt_price: float = Field(0.0, ge=0)
    """Per million tokens, as is the next; in one currency."""
    completion_price: float = Field(0.0, ge=0)
    postprocess: PostprocessRules = PostprocessRules()
