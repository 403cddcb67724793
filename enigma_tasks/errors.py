"""Typed errors; each has an exit code for the command line and never contains note text."""

from __future__ import annotations

import unicodedata
from typing import ClassVar

MESSAGE_CHARACTERS = 4000
RECORD_CHARACTERS = 300
HINT_CHARACTERS = 500
"""The longest message, and the longest name of a record and hint in it; what is longer is cut."""
FARTHEST = 2**63
"""No text is so long, and no table has a number for it: an offset from a file beyond it is left out."""
CUT = "\N{HORIZONTAL ELLIPSIS}"
_ESCAPED = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Categories of characters that would make a name look like another one, or a message like two."""


def visible(text: str) -> str:
    """Text with its control, format and line-separating characters, and lone surrogates, as escapes."""
    return "".join(c.encode("unicode_escape").decode() if unicodedata.category(c) in _ESCAPED else c for c in text)


def bounded(text: str, characters: int) -> str:
    """What a message quotes: `visible`, and cut to a number of characters."""
    shown = visible(text[: characters + 1])
    return shown if len(shown) <= characters else shown[: characters - 1] + CUT


class EnigmaError(Exception):
    """Base class of every error that a user may see. Messages contain ids, rules, counts and offsets only.

    Whatever a message quotes, it is one line of at most `MESSAGE_CHARACTERS`.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str = "") -> None:
        super().__init__(bounded(message, MESSAGE_CHARACTERS))


class DataError(EnigmaError):
    """A record breaks a rule.

    `record` names the document, note or file; `rule` is a short snake_case word; `offset` is a position in that
    record, in the rule's unit (`not_utf8` counts bytes, span rules count code points, `line` rules lines);
    `hint` says what was expected or what to do. The message quotes `RECORD_CHARACTERS` of the record's name.
    """

    def __init__(self, record: str, rule: str, offset: int | None = None, hint: str = "") -> None:
        self.record = record
        self.rule = str(rule)  # Great Expectations takes no member of a StrEnum
        self.offset = offset if offset is None or abs(offset) < FARTHEST else None
        self.hint = bounded(hint, HINT_CHARACTERS)
        super().__init__(self.message(record))

    def detached(self) -> DataError:
        """Itself without its traceback and context, to be kept: their frames would keep the text in memory."""
        self.__context__ = None
        return self.with_traceback(None)

    def message(self, record: str) -> str:
        """The message, its record called `record`."""
        at = "" if self.offset is None else f" at {self.offset}"
        hint = f" ({self.hint})" if self.hint else ""
        return f"{bounded(record, RECORD_CHARACTERS)}: {bounded(self.rule, RECORD_CHARACTERS)}{at}{hint}"


class ModelError(EnigmaError):
    """A model folder, checkpoint or registered version is missing, damaged or does not fit."""


class IncompleteError(EnigmaError):
    """A night cannot be published: planned notes have no outcome yet."""


class UsageError(EnigmaError):
    """Wrong arguments or configuration."""

    exit_code: ClassVar[int] = 2


class ServiceError(EnigmaError):
    """A service (S3, MLflow) is unreachable or failed after retries."""

    exit_code: ClassVar[int] = 3


class DiskError(ServiceError):
    """A folder of this machine cannot be written, as its disk is full, read-only or fails."""


class ObjectMissing(ServiceError):  # noqa: N818 - a state of the store that callers handle, named for it
    """The object or the bucket does not exist."""


class ObjectChanged(ServiceError):  # noqa: N818
    """The object is no longer the requested version (412 on If-Match)."""
