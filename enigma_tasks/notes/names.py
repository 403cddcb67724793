"""What is shown of a key or id outside the tables: the rule of docs/what-is-shown.md, in one place.

Quarantine lists, pages, logs and messages use it. Without a key, names are shown as they are; with one
(`ENIGMA_NAME_KEY`), as keyed hashes, for hospitals whose file names or ids hold patient numbers.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import TYPE_CHECKING

from enigma_tasks.notes.references import record_name

if TYPE_CHECKING:
    from collections.abc import Collection

    from enigma_tasks.config import Settings
    from enigma_tasks.errors import DataError

DIGITS = 24
"""Hexadecimal: 96 bits."""
MARK = "name-"
_SHOWN = re.compile(rf"{MARK}[0-9a-f]{{{DIGITS}}}")
_LINE = re.compile(r"#L?[0-9]+\Z")
_PLACES_OF_NAMES = ("drops", "annotations", "gold", "to_review", "reviewed")
"""Places in whose keys the hospital's names are; all others are named by us."""


@dataclass(frozen=True, slots=True)
class Names:
    """Keys and ids as they may be shown. Equal names are shown alike in every list, page and log."""

    key: str = field(default="", repr=False)
    prefixes: tuple[str, ...] = ()
    """URIs, with their slash, below which keys are the hospital's."""

    @classmethod
    def of(cls, settings: Settings) -> Names:
        """As the settings say."""
        places = (str(getattr(settings, place)) for place in _PLACES_OF_NAMES)
        return cls(settings.name_key.get_secret_value(), tuple(f"{place}/" for place in places if place))

    @property
    def hidden(self) -> bool:
        """Names are shown as hashes."""
        return bool(self.key)

    def shown(self, name: str) -> str:
        """A key, an id or a document's name."""
        if not self.key:
            return name
        digest = hmac.new(self.key.encode(), name.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()
        return MARK + digest[:DIGITS]

    def is_shown(self, name: str) -> bool:
        """Whether it is a keyed hash, or begins with one: a record's name has two parts."""
        return bool(_SHOWN.match(name))

    def in_hash(self, path: str) -> bool:
        """Whether the name of a file is a keyed hash already, as those of annotations are."""
        return bool(_SHOWN.fullmatch(PurePath(path).stem))

    def record(self, key: str, record_id: str | None) -> str:
        """A note: `key`, `key#id`, `key#L7`; the line of a record without an id is shown as it is."""
        if record_id is not None and not record_id.startswith("#L"):
            record_id = self.shown(record_id)
        return record_name(self.shown(key), record_id)

    def below(self, place: str, path: str) -> str:
        """A path below a place's URI: as it is, or hashed as the key that it is part of."""
        return self.shown(f"{place}/{path}".removeprefix("s3://").partition("/")[2]) if self.key else path

    def message(self, error: DataError, typed: Collection[str]) -> str:
        """An error's message. Its record is shown as it is where the user typed that file's name, else as `shown` says.

        Args:
            error: of a command.
            typed: the command's arguments.
        """
        name = _LINE.sub("", error.record)
        files = {PurePath(word.rpartition("=")[2]).name for word in typed if PurePath(word).suffix}
        if not self.key or name in files or _SHOWN.fullmatch(name):
            return str(error)
        return error.message(f"{self.shown(name)}{error.record[len(name) :]}")

    def uri(self, uri: str) -> str:
        """An object: its key is shown as `shown` says where the hospital named it, and as it is elsewhere."""
        if self.key and any(uri.startswith(prefix) and uri != prefix for prefix in self.prefixes):
            bucket, _, key = uri.removeprefix("s3://").partition("/")
            return f"s3://{bucket}/{self.shown(key)}"
        return uri
