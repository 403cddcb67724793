"""params.yaml and `--set` options -> one tree of values, which `config.Params` checks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from enigma_tasks.errors import UsageError
from enigma_tasks.yaml_text import parsed_yaml

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def params_tree(path: Path, overrides: Iterable[str]) -> dict[str, Any]:
    """The sections of a params file with `section.key=value` overrides (values in YAML).

    Raises:
        UsageError: no such file, one that is no YAML or has no sections, or an override that cannot be applied.
    """
    try:
        tree = parsed_yaml(path.read_bytes())
    except FileNotFoundError as error:
        raise UsageError(f"no params file at {path}; run from the project's folder or pass --params") from error
    except ValueError:
        raise UsageError(f"{path} is not YAML") from None
    if not isinstance(tree, dict):
        raise UsageError(f"{path} has no sections")
    for override in overrides:
        _override(tree, override)
    return tree


def _override(tree: dict[str, Any], override: str) -> None:
    dotted, equals, value = override.partition("=")
    if not equals:
        raise UsageError(f"--set takes section.key=value, got {override!r}")
    *sections, key = dotted.split(".")
    for section in sections:
        tree = tree.setdefault(section, {})
        if not isinstance(tree, dict):
            raise UsageError(f"--set {dotted}: {section} is no section")
    try:
        tree[key] = parsed_yaml(value)
    except ValueError:
        raise UsageError(f"--set {dotted}: the value is not YAML") from None
