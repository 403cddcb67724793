"""The set of notes that are done, as fingerprints of 16 bytes each."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

DIGEST_BYTES = 16
"""128 bits: two of ten million notes collide with a probability of 1e-25."""


def fingerprint(parts: Iterable[str]) -> bytes:
    """A hash of the parts, joined by NUL, which keys do not contain."""
    return hashlib.blake2b("\0".join(parts).encode("utf-8", "surrogatepass"), digest_size=DIGEST_BYTES).digest()


class FingerprintSet:
    """A frozen set of fingerprints, stored as two sorted columns of 64 bits."""

    def __init__(self, fingerprints: bytes | bytearray = b"") -> None:
        """`fingerprints`: concatenated, in any order."""
        pairs = np.frombuffer(bytes(fingerprints), dtype="<u8").reshape(-1, 2)
        order = np.argsort(pairs[:, 0], kind="stable")
        self._high = pairs[order, 0]
        self._low = pairs[order, 1]

    def __len__(self) -> int:
        return len(self._high)

    def __contains__(self, fingerprint: bytes) -> bool:
        high, low = np.frombuffer(fingerprint, dtype="<u8")
        at = int(np.searchsorted(self._high, high))
        while at < len(self._high) and self._high[at] == high:
            if self._low[at] == low:
                return True
            at += 1
        return False


class Done:
    """The notes that have an outcome in the tables, and the files whose records all have one."""

    def __init__(self, notes: FingerprintSet | None = None, objects: FingerprintSet | None = None) -> None:
        self.notes = notes or FingerprintSet()
        """Fingerprints of NoteRef.identity."""
        self._objects = objects or FingerprintSet()

    def has(self, identity: tuple[str, str, str, str]) -> bool:
        """Whether this version of a note has an outcome."""
        return fingerprint(identity) in self.notes

    def has_object(self, bucket: str, key: str, object_version: str) -> bool:
        """Whether every record of this version of a file has an outcome."""
        return fingerprint((bucket, key, object_version)) in self._objects
