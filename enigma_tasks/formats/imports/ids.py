"""Which id a document of an export has, and how records that share one are told apart in a message."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from enigma_tasks.file_names import without_suffix

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

ID_KEYS = ("document_id", "doc_id", "note_id", "filename", "file_name")
"""Where a hospital that fed a tool may have kept its own id of a note, the surest first."""
_IDENTIFIER = re.compile(r"(?=.*\d)[^\s,;]+")
_SEPARATOR = re.compile(r"[/\\]+")
_NO_FOLDER = re.compile(r"\.{0,2}|[A-Za-z][A-Za-z0-9+.-]*:")
"""A part of a path that names no folder: nothing, `.`, `..`, a drive, a scheme."""
_WHOLE = re.compile(r"[0-9]+\.0")
_EXACT = 2**53
"""Up to here a JSON number with a decimal point is an exact whole number."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a record of an export stands."""

    file: str
    """The file's name; of a file in a zip with the zip's."""
    number: int
    """Line, row or place in a list, from 1."""
    of_file: int = 1
    """Which of the export's files, from 1."""

    @property
    def name(self) -> str:
        """For messages."""
        return f"{self.file}#{self.number}"

    @property
    def place(self) -> str:
        """Its number, after that of its file where it is not in the first."""
        return str(self.number) if self.of_file == 1 else f"{self.of_file}.{self.number}"


def places_of(sources: Sequence[Source]) -> str:
    """The first of several records, for a message: their numbers, and their files where there are several."""
    several = len({source.of_file for source in sources}) > 1
    shown = [f"{s.number} of file {s.of_file}" if several else str(s.number) for s in sources[:3]]
    return f"records {', '.join(shown)}{', ...' if len(sources) > 3 else ''} of the export"


def id_text(value: Any) -> str | None:
    """What may be an id: a string that is not blank, or a whole number (`18.0` is 18, in a table's cell too)."""
    if isinstance(value, str) and _WHOLE.fullmatch(value.strip()):
        value = value.strip().partition(".")[0]
    if isinstance(value, float) and value.is_integer() and abs(value) <= _EXACT:
        value = int(value)
    if not isinstance(value, str | int) or isinstance(value, bool):
        return None
    return str(value).strip() or None


def own_id(trees: Iterable[Any]) -> str | None:
    """The hospital's own id of a note, from the first of `trees` that has one, as `shown_id` says."""
    for tree in trees:
        for key in ID_KEYS if isinstance(tree, dict) else ():
            if text := id_text(tree.get(key)):
                return shown_id(text)
    return None


def shown_id(value: str) -> str:
    """An id as a file may be called, or a digest of one that may be a person's name.

    That is one without a digit, or with a blank or comma: the same value is the same document again, and is not shown
    where ids are listed.
    """
    own = file_name(value)
    if _IDENTIFIER.fullmatch(own):
        return own
    return f"id-{hashlib.sha256(own.encode(errors='surrogatepass')).hexdigest()[:16]}"


def file_name(value: str) -> str:
    """A name or path as one name, in composed form (NFC), without the suffix of a text: `ward/n17.TXT` -> `ward-n17`.

    The folders of a path stay part of the id, as files of several folders may have one name.
    """
    parts = [p for p in _SEPARATOR.split(unicodedata.normalize("NFC", value.strip())) if not _NO_FOLDER.fullmatch(p)]
    return without_suffix("-".join(parts))
