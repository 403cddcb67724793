"""YAML of a file or an option -> values, with one exception for everything that may be wrong with it."""

from __future__ import annotations

import json
from typing import Any

import yaml


def parsed_yaml(text: bytes | str) -> Any:
    """The values of a YAML document.

    Raises:
        ValueError: it is no YAML, or holds what YAML can write and Python cannot read: a day 45, a number of thousands
            of digits, `!!bool 7`, lists nested a thousand deep, half of a character.
    """
    try:
        tree = yaml.safe_load(text)
        json.dumps(tree, ensure_ascii=False, default=str).encode()
    except (yaml.YAMLError, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError):
        raise ValueError("no YAML") from None
    return tree
