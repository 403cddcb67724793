"""Load the teachers of a distillation from folders of models and ensembles."""

from __future__ import annotations

from typing import TYPE_CHECKING

from enigma_tasks import artifacts
from enigma_tasks.ensembles.folder import read_ensemble
from enigma_tasks.errors import UsageError
from enigma_tasks.ner.model_folder import load_model, model_digest, read_any_card

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from enigma_tasks.ner.model_folder import Model


def load_teachers(folders: Sequence[Path]) -> tuple[list[Model], int]:
    """The token classifiers among the models and the ensembles' members, and the number of members of other kinds.

    A folder is a model's, an ensemble's, or one with an ensemble for each type. A model in several ensembles is loaded
    once.

    Raises:
        ModelError: a folder is missing or damaged; UsageError: none is a token classifier.
    """
    found: dict[str, Path] = {}
    for folder in folders:
        cards = [folder / artifacts.ENSEMBLE_CARD, *sorted(folder.glob(f"*/{artifacts.ENSEMBLE_CARD}"))]
        ensembles = [read_ensemble(card.parent) for card in cards if card.is_file()]
        found |= {member.digest: member.folder for ensemble in ensembles for member in ensemble.members}
        if not ensembles:
            found[model_digest(folder)] = folder
    encoders = {d: f for d, f in found.items() if read_any_card(f).recipe.get("kind", "encoder") == "encoder"}
    if not encoders:
        raise UsageError("none of the teachers is a token classifier")
    return [load_model(folder, digest) for digest, folder in encoders.items()], len(found) - len(encoders)
