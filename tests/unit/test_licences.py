"""The licences of base models."""

from __future__ import annotations

from enigma_tasks.licences import UNKNOWN, licence_of


def test_a_non_commercial_licence_is_told_from_a_free_and_an_unknown_one() -> None:
    assert licence_of("ufal/robeczech-base").commercial == "no"
    assert licence_of("FacebookAI/xlm-roberta-large").commercial == "yes"
    assert licence_of("IIC/XLM-R_Galen").commercial == "unknown"


def test_a_model_that_no_recipe_names_is_unknown_and_not_free() -> None:
    assert licence_of("/models/ours") == UNKNOWN
