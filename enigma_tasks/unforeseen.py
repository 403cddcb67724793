"""An exception that no reader foresees, while one record is read -> a refusal of that record alone."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING

from enigma_tasks.errors import DataError, EnigmaError
from enigma_tasks.standard_error import where

if TYPE_CHECKING:
    from collections.abc import Iterator

log = logging.getLogger(__name__)

UNREADABLE = "unreadable"
"""The rule; its hint is the exception's type."""
_PANIC = "PanicException"


def is_panic(error: BaseException) -> bool:
    """A panic of a Rust library (tokenizers, delta-rs), whose class is not exported, and is no Exception."""
    return type(error).__name__ == _PANIC


@contextmanager
def refused_if_unforeseen(record: str) -> Iterator[None]:
    """Around what reads one record: a strange record must not stop those that come after it.

    Errors of ours pass, and so do those of this machine (OSError, MemoryError), which are about no record. The log gets
    type and place of the exception, which is a fault of ours to be repaired; its message may quote the record.

    Args:
        record: names the record in the error.

    Raises:
        DataError: `unreadable`, for any other exception.
    """
    try:
        yield
    except (EnigmaError, OSError, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001 - of a library or of ours
        raise _refusal(record, error) from None
    except BaseException as error:
        if not is_panic(error):
            raise
        raise _refusal(record, error) from None


def _refusal(record: str, error: BaseException) -> DataError:
    kind = type(error).__name__
    log.warning("unforeseen %s in %s", kind, where(error.__traceback__))
    return DataError(record, UNREADABLE, hint=kind)
