"""What a command takes before its settings: variables from standard input, the folder for temporary folders."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from enigma_tasks.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping

MAX_CHARACTERS = 1_000_000
SYSTEM_TEMPORARY = "/tmp"  # noqa: S108 - the default, in which private folders are made


def take_from_standard_input(environment: MutableMapping[str, str] | None = None, stream: TextIO | None = None) -> None:
    """With ENIGMA_ENVIRONMENT=stdin: set the variables that one line of JSON, an object of texts, names.

    Raises:
        UsageError: ENIGMA_ENVIRONMENT has another value, or the line is none such; without quoting it.
    """
    env = os.environ if environment is None else environment
    how = env.pop("ENIGMA_ENVIRONMENT", "")
    if not how:
        return
    if how != "stdin":
        raise UsageError("ENIGMA_ENVIRONMENT can only be stdin")
    line = (sys.stdin if stream is None else stream).readline(MAX_CHARACTERS)
    try:
        given = json.loads(line)
    except ValueError:
        given = None
    if not isinstance(given, dict) or not all(isinstance(value, str) for value in given.values()):
        raise UsageError("ENIGMA_ENVIRONMENT=stdin: standard input begins with no line of JSON that holds variables")
    env.update(given)


def temporary_root(environment: Mapping[str, str] | None = None) -> Path:
    """The folder for temporary folders: `TMPDIR`, or the system's."""
    env = os.environ if environment is None else environment
    return Path(env.get("TMPDIR") or SYSTEM_TEMPORARY).absolute()
