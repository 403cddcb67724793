"""Takes a command's environment from its standard input, where `docker inspect` and `ps` do not show it."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, TextIO

from enigma_tasks.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import MutableMapping

MAX_CHARACTERS = 1_000_000


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
