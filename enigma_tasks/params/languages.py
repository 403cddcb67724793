"""The section `languages` of params.yaml."""

from __future__ import annotations

from typing import Literal

from enigma_tasks.frozen import Frozen


class LanguageParams(Frozen):
    """One language that Enigma annotates; what is known of it beside is in enigma_tasks/languages/."""

    name: str
    augmentation: Literal["oversample", "morphology", "paraphrase"] = "oversample"
    """How the training path multiplies its training documents."""
