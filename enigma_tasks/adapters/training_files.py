"""`dvc.yaml` and `dvc.lock` of the training project, which every user who may push to it can change."""

from __future__ import annotations

from typing import Any

from enigma_tasks.artifacts import DVC_LOCK
from enigma_tasks.errors import DataError
from enigma_tasks.training_places import TRAINING_GOLD
from enigma_tasks.yaml_text import parsed_yaml

DVC_YAML = "dvc.yaml"


def read_lock(data: bytes) -> dict[str, Any]:
    """The entries of dvc.lock: stage -> command, and digests of dependencies, parameters and outputs.

    Raises:
        DataError: `dvc_file_invalid`: it is no YAML, or its stages are no entries by name.
    """
    tree = _tree(DVC_LOCK, data)
    stages = tree.get("stages")
    if stages is None:
        return {}
    if not isinstance(stages, dict) or not all(isinstance(k, str) and isinstance(v, dict) for k, v in stages.items()):
        raise DataError(DVC_LOCK, "dvc_file_invalid", hint="expected stages with an entry each")
    return dict(stages)


def trains_on_imported_gold(data: bytes) -> bool:
    """Whether dvc.yaml names the folder of imported gold in its `vars`.

    Raises:
        DataError: `dvc_file_invalid`: it is no YAML, or no object.
    """
    variables = _tree(DVC_YAML, data).get("vars")
    trees = [tree for tree in variables if isinstance(tree, dict)] if isinstance(variables, list) else []
    return next((tree["gold"] for tree in reversed(trees) if "gold" in tree), None) == TRAINING_GOLD


def _tree(name: str, data: bytes) -> dict[Any, Any]:
    try:
        tree = parsed_yaml(data)
    except ValueError:
        raise DataError(name, "dvc_file_invalid", hint="expected YAML") from None
    if tree is not None and not isinstance(tree, dict):
        raise DataError(name, "dvc_file_invalid", hint="expected an object")
    return tree or {}
