"""The section `languages` of params.yaml."""

from __future__ import annotations

from typing import Literal

from enigma_tasks.frozen import Frozen


class LanguageParams(Frozen):
    """A language that Enigma annotates; its rules and word lists are in enigma_tasks/languages/."""

    name: str
    augmentation: Literal["oversample", "morphology", "paraphrase"] = "oversample"
    """How the training path augments its training documents."""
