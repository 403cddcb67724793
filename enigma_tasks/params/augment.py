"""The section `augment` of params.yaml: how training documents are multiplied (paper, section 3.2)."""

from __future__ import annotations

from pydantic import Field

from enigma_tasks.frozen import Frozen


class OversampleParams(Frozen):
    """Sentences with entities, again."""

    times: int = Field(gt=0)
    """How often: OS x 1 and so on."""


class MorphologyParams(Frozen):
    """Rare terms in other words or another form of the same family."""

    rare: int = Field(gt=0)
    """A surface form is rare when the corpus has it as a mention so often or less."""
    copies: int = Field(gt=0)
    """New documents from one, at most: as many as differ."""
    keep_case: bool
    """Only members of the same case and number, where the dictionary tells; the paper takes any."""
    kept_share: float = Field(0.15, ge=0, lt=1)
    """Of the places in a copy, so many stay as they are: copies of a document with few choices still differ."""


class ParaphraseParams(Frozen):
    """Sentences rewritten by a language model."""

    model: str
    """The endpoint's name for it; `ENIGMA_LLM_MODEL` goes before."""
    longest: float = Field(3.0, ge=1)
    """An answer may be so many times as long as its sentence; a longer one tells what the sentence does not."""


class AugmentParams(Frozen):
    """One section a method."""

    oversample: OversampleParams
    morphology: MorphologyParams
    paraphrase: ParaphraseParams
