"""Signatures of a night's records: HMAC-SHA256 with the key of the nights, where one is set."""

from __future__ import annotations

import hashlib
import hmac

from enigma_tasks.errors import DataError


class NightKey:
    """The key `ENIGMA_NIGHT_KEY`; without one nothing is signed or checked."""

    def __init__(self, key: str) -> None:
        self._key = key.encode()

    def sign(self, data: bytes) -> str | None:
        """The signature in hexadecimal; None without a key."""
        return hmac.digest(self._key, data, hashlib.sha256).hex() if self._key else None

    def derived(self, purpose: str) -> bytes | None:
        """A key (32 bytes) for another purpose, which does not reveal this one; None without a key."""
        return hmac.digest(self._key, purpose.encode(), hashlib.sha256) if self._key else None

    def check(self, record: str, signature: str | None, data: bytes) -> None:
        """Raise DataError `hmac` when there is a key and `signature` is not its signature of `data`."""
        expected = self.sign(data)
        if expected is not None and not hmac.compare_digest(expected, signature or ""):
            raise DataError(record, "hmac", hint="not signed with ENIGMA_NIGHT_KEY")
