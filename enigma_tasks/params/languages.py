"""The section `languages` of params.yaml."""

from __future__ import annotations

from typing import Literal

from enigma_tasks.frozen import Frozen


class LanguageParams(Frozen):
    """One language that Enigma annotates."""

    name: str
    aliases: tuple[str, ...] = ()
    """Other codes for it in paths and corpora: the MultiClinNER release writes Czech as `cz`."""
    augmentation: Literal["oversample", "morphology", "paraphrase"] = "oversample"
    """How the training path multiplies its training documents."""
