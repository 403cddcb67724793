"""Files of a model that may come from a download: checked before a library opens any of them.

transformers and GLiNER run a model's own code where its settings name some (`auto_map`; GLiNER without asking), and
open every file that an index of weights names, pickles too.
"""

from __future__ import annotations

import json
import math
import re
from contextlib import contextmanager
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from enigma_tasks import artifacts
from enigma_tasks.errors import ModelError
from enigma_tasks.paths import model_file, refuse_model_links
from enigma_tasks.unforeseen import is_panic

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
"""More than any encoder has."""
_ANY_SIZE = 1_000_000
"""Fills no memory, whatever it is the size of."""
_LARGE_NUMBER = re.compile(rb'": ?\d{8,}')
"""The tokenizers library takes 4 bytes for each number up to that of the last piece."""
_SIZES = (artifacts.ENCODER_CONFIG, artifacts.GLINER_CONFIG)
"""Settings of networks: a size in them is a dimension of the weights. A tokenizer's may be without end."""


def check_model_files(folder: Path) -> None:
    """Refuse what would run code, or be read from elsewhere, if a library loaded the folder.

    Raises:
        ModelError: `symbolic_link`; `model_code`: settings name code or another model; `weights_unsafe`: an index of
            weights names a file that is no safetensors file beside it; `settings_damaged`: they are no JSON object, or
            have a number that would fill the memory before the weights are found not to fit.
    """
    refuse_model_links(folder)
    if (folder / _ADAPTER).exists():
        raise ModelError(f"model {folder.name}: model_code ({_ADAPTER} names another model)")
    for path in sorted(folder.glob("*.json")):
        if path.name == artifacts.TOKENIZER and _LARGE_NUMBER.search(path.read_bytes()):
            raise ModelError(f"model {folder.name}: settings_damaged ({path.name} has a number of too many digits)")
        if any(fnmatchcase(path.name, pattern) for pattern in _SETTINGS):
            _check_settings(path)
        elif path.name.endswith(".index.json"):
            _check_index(path)


@contextmanager
def refused_unless_loaded(message: str) -> Iterator[None]:
    """Around a library that loads a file of a model: what it raises on strange files is of many kinds, panics too.

    Raises:
        ModelError: `message`, for anything but another ModelError.
    """
    try:
        yield
    except ModelError:
        raise
    except BaseException as error:
        if not isinstance(error, Exception) and not is_panic(error):
            raise
        raise ModelError(message) from error


def _check_settings(path: Path) -> None:
    weights = [file.stat().st_size for file in path.parent.glob(f"*{_SUFFIX}")]
    most = max(_ANY_SIZE, sum(weights)) if weights and path.name in _SIZES else math.inf
    for key, value in _pairs(_read(path)):
        if isinstance(value, int) and value > (_LAYERS if "layers" in key else most):
            hint = f"{path.name} asks for more layers than an encoder has, or sizes than its weights have"
            raise ModelError(f"model {path.parent.name}: settings_damaged ({hint})")
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
