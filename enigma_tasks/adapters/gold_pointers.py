"""What the gold repository's git holds: pointers to packed files, and nothing that would lead DVC elsewhere."""

from __future__ import annotations

import configparser
import re
from typing import TYPE_CHECKING

from pydantic import Field, TypeAdapter

from enigma_tasks.adapters.git_environment import DVC_CONFIG
from enigma_tasks.artifacts import INGESTED, gold_place
from enigma_tasks.errors import DataError
from enigma_tasks.file_names import is_about, shapes
from enigma_tasks.frozen import Frozen
from enigma_tasks.yaml_text import parsed_yaml

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from enigma_tasks.adapters.workspace import Workspace

_LONGEST = 2000
"""Bytes of a pointer."""
_CORE = {"analytics", "check_update", "autostage", "remote"}
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


def refuse_unexpected(names: Iterable[str]) -> None:
    """Raise DataError `file_unexpected` if one of a version's files is not expected."""
    unexpected = [name for name in names if not _is_expected(name)]
    if unexpected:
        raise DataError("gold repository", "file_unexpected", hint=f"named like {shapes(unexpected)}")


def _is_expected(name: str) -> bool:
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
        pointer = _POINTER.validate_python(parsed_yaml(content) if len(content) <= _LONGEST else None)
    except ValueError:  # pydantic's too
        pointer = None
    if pointer is None or pointer.outs[0].path != name.rpartition("/")[2] or pointer.outs[0].hash != "md5":
        raise DataError(f"{name}.dvc", "pointer_unexpected")
    return pointer.outs[0].md5


def check_revision(workspace: Workspace, revision: str, allowed: Mapping[str, str]) -> None:
    """Check a version before `dvc import` follows its settings, pointers and links.

    Args:
        workspace: where the version was fetched to.
        revision: its commit.
        allowed: what its settings may say of a remote.

    Raises:
        DataError: as `Workspace.files_of`, `refuse_unexpected` and `read_pointer`; `settings_unexpected`: its
            `.dvc/config` says of a remote what is not allowed, or says anything else.
    """
    names = workspace.files_of(revision)
    refuse_unexpected(names)
    for name in names:
        if name.endswith(".dvc"):
            read_pointer(name.removesuffix(".dvc"), workspace.git("show", f"{revision}:{name}").encode())
    if DVC_CONFIG in names:
        _check_settings(workspace.git("show", f"{revision}:{DVC_CONFIG}"), allowed)


def _check_settings(content: str, allowed: Mapping[str, str]) -> None:
    config = configparser.ConfigParser(interpolation=None)
    try:
        config.read_string(content)
    except configparser.Error:
        config["unreadable"] = {}
    for section in config.sections():
        found = dict(config[section])
        is_remote = section.startswith("'remote ") and found.items() <= allowed.items()
        if not is_remote and not (section == "core" and found.keys() <= _CORE):
            hint = f"{DVC_CONFIG} may name ENIGMA_S3_DVC only, without further settings"
            raise DataError("gold repository", "settings_unexpected", hint=hint)
