"""Typed errors; each has an exit code for the command line and never contains note text."""

from __future__ import annotations

from typing import ClassVar


class EnigmaError(Exception):
    """Base class of every error that a user may see. Messages contain ids, rules, counts and offsets only."""

    exit_code: ClassVar[int] = 1


class DataError(EnigmaError):
    """A record breaks a rule.

    `record` names the document, note or file; `rule` is a short snake_case word; `offset` is a position in that
    record, in the rule's unit (`not_utf8` counts bytes, span rules count code points, `line` rules lines);
    `hint` says what was expected or what to do.
    """

    def __init__(self, record: str, rule: str, offset: int | None = None, hint: str = "") -> None:
        self.record = record
        self.rule = str(rule)  # Great Expectations takes no member of a StrEnum
        self.offset = offset
        self.hint = hint
        at = "" if offset is None else f" at {offset}"
        super().__init__(f"{record}: {rule}{at}" + (f" ({hint})" if hint else ""))


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


class ObjectMissing(ServiceError):  # noqa: N818 - a state of the store that callers handle, named for it
    """The object or the bucket does not exist."""


class ObjectChanged(ServiceError):  # noqa: N818
    """The object is no longer the requested version (412 on If-Match)."""
