"""Decompresses gzip streams that may be damaged, or hold far more than they seem to.

All intact bytes are delivered before DamagedError is raised.
"""

from __future__ import annotations

import io
import zlib
from typing import TYPE_CHECKING, Any, BinaryIO, cast

if TYPE_CHECKING:
    from enigma_tasks.params.limits import Unpacked

CHUNK = 64 * 1024


class DamagedError(Exception):
    """The compressed stream is truncated or corrupt here; everything before it has been delivered."""


class ExceededError(Exception):
    """A file exceeds a limit of whole files, and is not read further."""

    def __init__(self, rule: str, line: int | None = None) -> None:
        super().__init__(rule)
        self.rule = rule
        self.line = line


def gunzip(stream: BinaryIO, limits: Unpacked | None) -> BinaryIO:
    """The decompressed stream.

    Reading raises DamagedError where the compressed one is truncated or corrupt; ExceededError (`unpacked_too_large`,
    `unpacked_ratio`) where it unpacks to more than it may; what Enigma wrote itself has no limit.
    """
    return cast("BinaryIO", io.BufferedReader(_Gunzip(stream, limits), CHUNK))


class _Gunzip(io.RawIOBase):
    """gzip (RFC 1952, several members) -> raw bytes."""

    def __init__(self, stream: BinaryIO, limits: Unpacked | None) -> None:
        self._stream = stream
        self._limits = limits
        self._read = self._unpacked = 0
        self._member = zlib.decompressobj(wbits=31)
        self._pending = b""
        self._started = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while True:
            if not self._pending:
                self._pending = self._stream.read(CHUNK)
                self._read += len(self._pending)
                if not self._pending:
                    if self._started:
                        raise DamagedError
                    return 0
            if not self._started and not self._pending.strip(b"\x00"):
                self._pending = b""  # zeros after a member are padding
                continue
            out = self._inflate(len(buffer))
            if out:
                self._unpacked += len(out)
                packed = self._read - len(self._pending)
                if self._limits and (rule := self._limits.broken(packed, self._unpacked)):
                    raise ExceededError(rule)
                buffer[: len(out)] = out
                return len(out)

    def _inflate(self, most: int) -> bytes:
        self._started = True
        before = self._member.copy()
        try:
            out = self._member.decompress(self._pending, most)
        except zlib.error:
            return self._to_the_damage(before, most)
        if self._member.eof:
            self._pending = self._member.unused_data
            self._member = zlib.decompressobj(wbits=31)
            self._started = False
        else:
            self._pending = self._member.unconsumed_tail
        return out

    def _to_the_damage(self, member: Any, most: int) -> bytes:
        """Decompress byte by byte, as zlib returns nothing for a call that fails."""
        for at in range(len(self._pending)):
            try:
                out = member.decompress(self._pending[at : at + 1], most)
            except zlib.error:
                raise DamagedError from None
            if out:
                self._member, self._pending = member, member.unconsumed_tail + self._pending[at + 1 :]
                return cast("bytes", out)
        raise DamagedError
