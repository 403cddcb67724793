"""The licences of base models: which may not be used commercially (docs/licences.md)."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Literal

import yaml
from pydantic import TypeAdapter

from enigma_tasks.frozen import Frozen

LICENCES = Path(__file__).with_name("licences.yaml")


class Licence(Frozen):
    """A base model's licence, and whether it allows commercial use."""

    licence: str
    commercial: Literal["yes", "no", "unknown"]


UNKNOWN = Licence(licence="not recorded", commercial="unknown")


@cache
def _licences() -> dict[str, Licence]:
    return TypeAdapter(dict[str, Licence]).validate_python(yaml.safe_load(LICENCES.read_text(encoding="utf-8")))


def licence_of(base: str) -> Licence:
    """The licence of a hub id; UNKNOWN for a local folder and for models that params.yaml does not name."""
    return _licences().get(base, UNKNOWN)
