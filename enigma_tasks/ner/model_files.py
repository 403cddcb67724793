"""Files of a model that may come from a download: checked before a library opens any of them.

transformers and GLiNER run a model's own code where its settings name some (`auto_map`; GLiNER without asking), and
open every file that an index of weights names, pickles too.
"""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from enigma_tasks import artifacts
from enigma_tasks.errors import ModelError
from enigma_tasks.paths import model_file, refuse_model_links

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_SETTINGS = ("*config.json", artifacts.SPECIAL_TOKENS_MAP)
_CODE = ("auto_map", "custom_pipelines", "transformers_weights")
"""Settings that name code, or another file of weights than the usual one."""
_ATTENTION = ("attn_implementation", "_attn_implementation", "_attn_implementation_internal")
_ADAPTER = "adapter_config.json"
"""Names another base model, which PEFT would load in place of the folder's."""
_SUFFIX = ".safetensors"
_LAYERS = 1000
"""More than any encoder has; they are built before the weights are found not to fit them."""


def check_model_files(folder: Path) -> None:
    """Refuse what would run code, or be read from elsewhere, if a library loaded the folder.

    Raises:
        ModelError: `symbolic_link`; `model_code`: settings name code or another model; `weights_unsafe`: an index of
            weights names a file that is no safetensors file beside it; `settings_damaged`: they are no JSON object, or
            ask for more layers than any encoder has.
    """
    refuse_model_links(folder)
    if (folder / _ADAPTER).exists():
        raise ModelError(f"model {folder.name}: model_code ({_ADAPTER} names another model)")
    for path in sorted(folder.glob("*.json")):
        if any(fnmatchcase(path.name, pattern) for pattern in _SETTINGS):
            _check_settings(path)
        elif path.name.endswith(".index.json"):
            _check_index(path)


def check_sizes(folder: Path, settings: Any, most: int) -> None:
    """Refuse an encoder's settings that would fill the memory before the weights are found not to fit them.

    Args:
        folder: the model's, for the message.
        settings: its `config.json`.
        most: elements of all weights, which no size exceeds.

    Raises:
        ModelError: `settings_damaged`.
    """
    if any(isinstance(value, int) and value > most for _, value in _pairs(settings)):
        hint = f"a number in {artifacts.ENCODER_CONFIG} is larger than all weights together"
        raise ModelError(f"model {folder.name}: settings_damaged ({hint})")


def _check_settings(path: Path) -> None:
    for key, value in _pairs(_read(path)):
        if "layers" in key and isinstance(value, int) and value > _LAYERS:
            raise ModelError(f"model {path.parent.name}: settings_damaged ({path.name} asks for too many layers)")
        attention = key in _ATTENTION and isinstance(value, str) and not value.isidentifier()
        if key in _CODE or attention:  # a name with a slash is a kernel on a hub
            raise ModelError(f"model {path.parent.name}: model_code ({path.name} has {key}; code of models never runs)")


def _check_index(path: Path) -> None:
    weights = _read(path).get("weight_map")
    names = weights.values() if isinstance(weights, dict) else [""]
    for name in {str(name) for name in names}:
        if not name.endswith(_SUFFIX) or "/" in name or not model_file(path.parent, name).is_file():
            hint = f"{path.name} names a file that is no {_SUFFIX} file beside it"
            raise ModelError(f"model {path.parent.name}: weights_unsafe ({hint})")


def _read(path: Path) -> dict[str, Any]:
    try:
        tree = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        tree = None
    if not isinstance(tree, dict):
        raise ModelError(f"model {path.parent.name}: settings_damaged ({path.name})")
    return tree


def _pairs(tree: Any) -> Iterator[tuple[str, Any]]:
    """Every key of a JSON value with its value, at any depth."""
    waiting = [tree]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            yield from value.items()
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
