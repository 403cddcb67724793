"""What native code writes to file descriptor 2 is kept out of the log, and so are values in tracebacks.

A panic of a Rust library is written there past Python: with a path of the machine that built it and, where a string was
cut at a wrong place, with the string itself, which may be a note. Python's own output is not affected.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from types import TracebackType

STDERR = 2
FRAMES = 6
"""Of a traceback, the innermost."""
COUNTED_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class _Hidden:
    """The real standard error, and the file that descriptor 2 is instead."""

    real: TextIO
    caught: int


_hidden: list[_Hidden] = []
"""One, while native output is hidden."""


def hide_native_output() -> None:
    """Redirect file descriptor 2 to a file without a name; `sys.stderr` writes where it did.

    Children inherit the redirection. An exception that ends a thread or a finaliser becomes one line.
    """
    threading.excepthook = lambda failed: _one_line(failed.exc_type, failed.exc_traceback)
    sys.unraisablehook = lambda failed: _one_line(failed.exc_type, failed.exc_traceback)
    if not _hidden:
        real = os.fdopen(os.dup(STDERR), "w", buffering=1, encoding="utf-8", errors="backslashreplace")
        caught = _unnamed_file()
        os.dup2(caught, STDERR)
        sys.stderr = real
        _hidden.append(_Hidden(real, caught))


def show_native_output() -> None:
    """Undo `hide_native_output`: for ENIGMA_DEBUG=1, and for tests."""
    threading.excepthook, sys.unraisablehook = threading.__excepthook__, sys.__unraisablehook__
    while _hidden:
        hidden = _hidden.pop()
        os.dup2(hidden.real.fileno(), STDERR)
        os.close(hidden.caught)


def native_lines() -> int:
    """How many lines native code and children have written since `hide_native_output`, of the first mebibyte."""
    # by position: the descriptor's offset is that of the writers
    return sum(bool(line.strip()) for h in _hidden for line in os.pread(h.caught, COUNTED_BYTES, 0).splitlines())


def where(trace: TracebackType | None) -> str:
    """The innermost frames of a traceback, by file, line and function, without values."""
    frames = reversed(traceback.extract_tb(trace)[-FRAMES:])
    return " <- ".join(f"{f.filename.rsplit('/', 1)[-1]}:{f.lineno} {f.name}" for f in frames)


def _one_line(kind: type[BaseException] | None, trace: TracebackType | None) -> None:
    print(f"{kind.__name__ if kind else 'an error'} in {where(trace)}", file=sys.stderr)  # noqa: T201


def _unnamed_file() -> int:
    """A file descriptor; in memory where the system has that, so that a full disk is no obstacle."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("stderr")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
