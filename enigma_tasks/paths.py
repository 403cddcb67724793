"""Names that come from a file, an archive or an object's key -> paths that cannot leave their folder.

No other module joins such a name to a folder.
"""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from enigma_tasks.errors import DataError, ModelError

if TYPE_CHECKING:
    from collections.abc import Iterator

_LONGEST_PART = 255
"""Bytes of one part of a path, on every file system in use."""


def below(root: Path, name: str, record: str) -> Path:
    """The path of `name` below `root`; neither has to exist.

    Args:
        root: a folder.
        name: relative, its parts separated by `/`.
        record: what holds the name, for the error: the name itself may be text of a note.

    Raises:
        DataError: `path_outside`: the name is empty or absolute, has `..`, a NUL or a part that no file system takes,
            or follows a symbolic link out of `root`.
    """
    if not _is_relative(name):
        raise DataError(record, "path_outside")
    path = root / name
    if not path.resolve().is_relative_to(root.resolve()):
        raise DataError(record, "path_outside", hint="it follows a symbolic link")
    return path


def refuse_links(folder: Path, record: str) -> None:
    """Check that nothing in a folder is a symbolic link.

    Raises:
        DataError: `symbolic_link`: one is.
    """
    if any(path.is_symlink() for path in _entries(folder)):
        raise DataError(record, "symbolic_link", hint="copy the file that it points to")


def model_file(folder: Path, name: str) -> Path:
    """`below` for a name in the card of a model or ensemble. Raises ModelError `path_outside`."""
    try:
        return below(folder, name, f"model {folder.name}")
    except DataError as error:
        raise ModelError(str(error)) from None


def refuse_model_links(folder: Path) -> None:
    """`refuse_links` for the folder of a model or ensemble. Raises ModelError `symbolic_link`."""
    try:
        refuse_links(folder, f"model {folder.name}")
    except DataError as error:
        raise ModelError(str(error)) from None


def _is_relative(name: str) -> bool:
    try:
        parts = [os.fsencode(part) for part in name.split("/")]
    except UnicodeEncodeError:  # half of a surrogate pair
        return False
    return (
        "\0" not in name
        and not name.startswith("/")
        and bool(PurePosixPath(name).parts)
        and b".." not in parts
        and max(map(len, parts)) <= _LONGEST_PART
    )


def _entries(folder: Path) -> Iterator[Path]:
    for place, folders, files in os.walk(folder):  # follows no links
        yield from (Path(place) / name for name in (*folders, *files))
