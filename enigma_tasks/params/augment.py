"""The section `augment` of params.yaml: how training documents are augmented (paper, section 3.2)."""

from __future__ import annotations

from pydantic import Field

from enigma_tasks.frozen import Frozen


class OversampleParams(Frozen):
    """Copies of sentences with entities."""

    times: int = Field(gt=0)
    """Number of copies: N of the paper's OS x N."""


class MorphologyParams(Frozen):
    """Replacement of rare terms by other terms or forms of the same family."""

    rare: int = Field(gt=0)
    """A surface form is rare if it is a mention at most so many times in the corpus."""
    copies: int = Field(gt=0)
    """Largest number of new documents from one; there are fewer if fewer different ones are possible."""
    keep_case: bool
    """Use only forms of the same case and number, where the dictionary has them; the paper uses any."""
    kept_share: float = Field(0.15, ge=0, lt=1)
    """Share of mentions that stay as they are in a copy, so that copies differ also where there are few forms."""


class ParaphraseParams(Frozen):
    """Sentences rewritten by a language model."""

    model: str
    """The endpoint's name for it; overridden by `ENIGMA_LLM_MODEL`."""
    longest: float = Field(3.0, ge=1)
    """Largest length of a reply, as a multiple of its sentence; a longer one adds content."""


class AugmentParams(Frozen):
    """A section for each method."""

    oversample: OversampleParams
    morphology: MorphologyParams
    paraphrase: ParaphraseParams
