"""YAML of a file or an option -> values, with one exception for everything that may be wrong with it."""

from __future__ import annotations

import json
from typing import Any

import yaml

_MOST = 50_000_000
"""Characters with aliases written out, where each value counts as `_OF_A_VALUE` more."""
_OF_A_VALUE = 50


def parsed_yaml(text: bytes | str) -> Any:
    """The values of a YAML document.

    Raises:
        ValueError: it is no YAML, is far larger with its aliases written out, or holds what YAML can write and
            Python cannot read: a day 45, a number of thousands of digits, `!!bool 7`, lists nested a thousand deep,
            half of a character.
    """
    try:
        tree = yaml.safe_load(text)
        _check_size(tree)
        json.dumps(tree, ensure_ascii=False, default=str).encode()
    except (yaml.YAMLError, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError):
        raise ValueError("no YAML") from None
    return tree


def _check_size(tree: Any) -> None:
    """Aliases of aliases make billions of values of a few hundred bytes. Raises ValueError."""
    size, waiting = 0, [tree]
    while waiting:
        value = waiting.pop()
        inner = [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else []
        size += sum(_OF_A_VALUE + (len(part) if isinstance(part, str) else 0) for part in inner)
        if size > _MOST:
            raise ValueError("too much")
        waiting += (part for part in inner if isinstance(part, dict | list))
