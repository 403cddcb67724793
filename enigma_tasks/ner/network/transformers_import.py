"""The modelling code of transformers, imported without scikit-learn."""

from __future__ import annotations

import importlib


def import_modelling() -> None:
    """Import what every encoder's module imports of text generation, as where scikit-learn is not installed.

    Assisted generation imports scikit-learn if it can, and with it SciPy and pandas, for a curve that no encoder draws:
    a fifth of the time that starting a shard took. Other code that needs scikit-learn still finds it.
    """
    from transformers import utils

    is_available = utils.is_sklearn_available
    utils.is_sklearn_available = lambda: False
    try:
        importlib.import_module("transformers.generation.candidate_generator")
    finally:
        utils.is_sklearn_available = is_available
