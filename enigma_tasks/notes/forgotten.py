"""What `enigma forget` removes, and its tombstones: keyed hashes of notes, prefixes and texts. Pure."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from enigma_tasks.notes.references import record_name

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

TEXT_CHARACTERS = 40
"""A shorter text gets no tombstone: other patients may have the same."""
KEY_DIGITS = 16
"""Hexadecimal, of the digest that says which key made a tombstone."""


class Kind(StrEnum):
    """What a tombstone is of."""

    NOTE = "note"
    """A note in all versions, or a file with all its records."""
    PREFIX = "prefix"
    """Every note below a folder."""
    TEXT = "text"
    """A text, under any key."""


def keyed_digest(secret: str, kind: str, *parts: str) -> str:
    """HMAC-SHA256 in hexadecimal; differs by kind."""
    message = json.dumps([kind, *parts]).encode()  # ASCII: lone surrogates are escaped
    return hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()


def text_digest(secret: str, text: str) -> str:
    """The tombstone of a text."""
    return keyed_digest(secret, Kind.TEXT, hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest())


def key_name(secret: str) -> str:
    """The folder of the tombstones of a key: one that was replaced is noticed."""
    return keyed_digest(secret, "key")[:KEY_DIGITS]


@dataclass(frozen=True, slots=True)
class Target:
    """A note in all versions, a whole file of records (`record_id` None), or all notes below a folder."""

    bucket: str
    key: str
    """Of a folder, with its slash at the end."""
    record_id: str | None = None

    @property
    def is_prefix(self) -> bool:
        """Whether it is a folder."""
        return self.key.endswith("/")

    def covers(self, bucket: str, key: str, record_id: str | None) -> bool:
        """Whether that note is to be forgotten."""
        if bucket != self.bucket:
            return False
        if self.is_prefix:
            return key.startswith(self.key)
        return key == self.key and (self.record_id is None or record_id == self.record_id)

    def named_by(self, name: str) -> bool:
        """Whether `key`, `key#id` or `s3://bucket/key#id` is a note that is to be forgotten."""
        name = name.removeprefix(f"s3://{self.bucket}/")
        if self.is_prefix:
            return name.startswith(self.key)
        own = record_name(self.key, self.record_id)
        return name == own or (self.record_id is None and name.startswith(f"{own}#"))

    def tombstone(self, secret: str) -> tuple[Kind, str]:
        """Its kind and digest."""
        if self.is_prefix:
            return Kind.PREFIX, keyed_digest(secret, Kind.PREFIX, self.bucket, self.key)
        return Kind.NOTE, keyed_digest(secret, Kind.NOTE, self.bucket, self.key, self.record_id or "")


@dataclass(frozen=True, slots=True)
class Tombstones:
    """All that is forgotten, as digests."""

    secret: str = field(default="", repr=False)
    digests: frozenset[tuple[str, str]] = frozenset()
    """(kind, digest)."""

    def with_texts(self, secret: str, texts: Collection[tuple[str, str]]) -> Tombstones:
        """Besides these, the tombstones of texts that are to be written."""
        return Tombstones(secret, self.digests.union(texts))

    def has(self, bucket: str, key: str, record_id: str | None) -> bool:
        """Whether the note, its file, or a folder that it is below was forgotten."""
        return bool(self.digests) and any(
            t.tombstone(self.secret) in self.digests for t in _ways(bucket, key, record_id)
        )

    def has_text(self, text: str) -> bool:
        """Whether the text was forgotten."""
        return bool(self.digests) and (Kind.TEXT, text_digest(self.secret, text)) in self.digests


def _ways(bucket: str, key: str, record_id: str | None) -> Iterator[Target]:
    """Every target that covers a note."""
    yield Target(bucket, key)
    if record_id is not None:
        yield Target(bucket, key, record_id)
    for at in (i + 1 for i, c in enumerate(key) if c == "/"):
        yield Target(bucket, key[:at])
