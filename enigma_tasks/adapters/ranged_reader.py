"""An object as a seekable stream of ranged reads, a few megabytes each."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, BinaryIO, cast

if TYPE_CHECKING:
    from collections.abc import Callable

STREAM_CHUNK = 4 * 1024 * 1024
"""Bytes of one ranged read."""


def ranged_stream(read: Callable[[int, int], bytes], size: int, start: int = 0) -> BinaryIO:
    """A stream over `size` bytes that begins at `start`; `read` has a start and a length."""
    return cast("BinaryIO", io.BufferedReader(_RangedReader(read, size, start), STREAM_CHUNK))


class _RangedReader(io.RawIOBase):
    def __init__(self, read: Callable[[int, int], bytes], size: int, start: int) -> None:
        self._read = read
        self._size = size
        self._position = start

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._position = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        return self._position

    def readinto(self, buffer: Any) -> int:
        length = min(len(buffer), self._size - self._position)
        if length <= 0:
            return 0
        data = self._read(self._position, length)
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)
