"""What the gold repository's git holds: pointers to packed files, and nothing that would lead DVC elsewhere."""

from __future__ import annotations

import re

import yaml
from pydantic import Field, TypeAdapter, ValidationError

from enigma_tasks.artifacts import INGESTED, gold_place
from enigma_tasks.errors import DataError
from enigma_tasks.file_names import is_about
from enigma_tasks.frozen import Frozen

_LONGEST = 2000
"""Bytes of a pointer."""
_BESIDE = re.compile(r"([^/]+/)?\.gitignore|\.dvc/(config|\.gitignore)|\.dvcignore")


class _Output(Frozen):
    """The only entry of a pointer; DVC would follow others (`repo`, `deps`, `remote`) to other places."""

    md5: str = Field(pattern="^[0-9a-f]{32}$")
    size: int = Field(ge=0)
    hash: str = "md5"
    path: str


class _Pointer(Frozen):
    outs: tuple[_Output]


_POINTER = TypeAdapter(_Pointer)


def is_expected(name: str) -> bool:
    """A file that an ingestion writes, or a text about the repository (`README.md`)."""
    data = name.removesuffix(".dvc")
    if data != name:
        return data == INGESTED or (gold_place(data) is not None and not data.startswith("."))
    return _BESIDE.fullmatch(name) is not None or ("/" not in name and is_about(name))


def read_pointer(name: str, content: bytes) -> str:
    """The digest of a data file, from its pointer.

    Raises:
        DataError: `pointer_unexpected`: it is not exactly what `dvc add` writes for that file.
    """
    try:
        pointer = _POINTER.validate_python(yaml.safe_load(content) if len(content) <= _LONGEST else None)
    except (yaml.YAMLError, ValidationError, ValueError, RecursionError):
        pointer = None
    if pointer is None or pointer.outs[0].path != name.rpartition("/")[2] or pointer.outs[0].hash != "md5":
        raise DataError(f"{name}.dvc", "pointer_unexpected")
    return pointer.outs[0].md5
