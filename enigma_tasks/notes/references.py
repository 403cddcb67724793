"""References to notes in the drops, and their texts: a key -> a reference, bytes -> a text, or the broken rule."""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import ConfigDict

from enigma_tasks.documents import LONGEST_EXPANSION, expanded_length
from enigma_tasks.errors import DataError
from enigma_tasks.file_names import RECORD_SUFFIXES, TEXT_SUFFIX, FileKind, holds_records, kind_of, stem
from enigma_tasks.notes.plain_text import HEAD, is_markup, is_other_kind
from enigma_tasks.unforeseen import UNREADABLE as UNFORESEEN

if TYPE_CHECKING:
    from collections.abc import Callable

AUTO = "auto"
"""The folder of notes whose language is detected ..."""
_UNDETERMINED = "und"
"""... and ISO 639-2's code for an undetermined language, which means the same."""
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_DOTS = frozenset({".", ".."})
_NAMELESS = frozenset({TEXT_SUFFIX, *RECORD_SUFFIXES})


class Rule(StrEnum):
    """Why a note is in quarantine, and the unit of `rule_offset`."""

    EMPTY = "empty"
    """0 bytes."""
    BLANK = "blank"
    """White space and invisible characters only, or a file of records without a record."""
    NOT_UTF8 = "not_utf8"
    """Offset: bytes; in a record's text, code points (a lone surrogate)."""
    NUL_BYTE = "nul_byte"
    """Offset: bytes; in a record's text, code points."""
    TOO_LARGE = "too_large"
    """Longer than notes.max_bytes. Offset: the line, in a file of records."""
    TOO_MANY_SUBWORDS = "too_many_subwords"
    """More than notes.max_subwords, by its length with ligatures and the like written out. Offset: the line, in a file
    of records."""
    TOO_MANY_RECORDS = "too_many_records"
    """A file of records with more than notes.max_records lines. Offset: the line."""
    UNPACKED_TOO_LARGE = "unpacked_too_large"
    """A packed file of records with more than notes.unpacked.max_bytes. Offset: the line where reading ended."""
    UNPACKED_RATIO = "unpacked_ratio"
    """... with more than notes.unpacked.max_ratio bytes for each packed one. Offset: the line where reading ended."""
    LANGUAGE = "language_not_configured"
    """The language of the folder, the record or the detector is not in params.yaml."""
    KEY_UNSAFE = "key_unsafe"
    """A segment `.` or `..`, or a control character."""
    KEY_LAYOUT = "key_layout"
    """Not {language}/{yyyy-mm-dd}/.../{name}."""
    FILE_TYPE = "file_type"
    """Neither .txt nor .jsonl nor .jsonl.gz."""
    NOT_PLAIN_TEXT = "not_plain_text"
    """A file of another kind (gzip, PDF, RTF, UTF-16, a JSON array, ...), markup (HTML, CDA and other XML, RTF, JSON,
    HL7 messages), encoded text (Base64, ...), or a table of notes. Export UTF-8 text, or one JSON object per line."""
    JSON_INVALID = "json_invalid"
    """A line is no JSON; without a line's name, no line of the file is. Offset: the line."""
    JSON_FIELDS = "json_fields"
    """`id` is missing, empty, or neither string nor whole number; or `text` or `language` is no string. Offset: the
    line. Without a line's name: no line of the file has a `text`."""
    DUPLICATE_ID = "duplicate_id"
    """A second record of the same id in one file. Offset: the line."""
    GZIP_DAMAGED = "gzip_damaged"
    """The part after the last complete line. Offset: the line where reading ended."""
    CHANGED = "changed_since_plan"
    """Overwritten between planning and reading; the new version is another note."""
    MISSING = "missing_since_plan"
    """Deleted between planning and reading."""
    FORGOTTEN = "forgotten"
    """The note, a folder that it is below, or its text was removed with `enigma forget`."""
    UNREADABLE = UNFORESEEN
    """Reading it ends in an exception that no rule foresees, which is in the log. Offset: the line."""
    FAILED = "annotation_failed"
    """The engine fails on this note and works on others."""


TRANSIENT = frozenset({Rule.CHANGED, Rule.MISSING})
"""Rules about the store, not the note: if the same version is listed again, it is annotated."""


WHOLE_FILE = frozenset({Rule.TOO_MANY_RECORDS, Rule.UNPACKED_TOO_LARGE, Rule.UNPACKED_RATIO})
"""Rules of a file of records that refuse all of it, its sound records too."""


@dataclass(frozen=True, slots=True)
class NoteRef:
    """One version of one note: a whole object, or one record (line) of a file of records.

    `language` and `drop_date` are empty if the key does not have them; `line` counts from 1.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")  # for `plans.read_notes`
    bucket: str
    key: str
    object_version: str
    """The object's ETag."""
    version: str
    """The ETag, or the SHA-256 of a record's line: if a file grows, only its new lines are new notes."""
    note_id: str
    language: str
    language_source: str
    """`path`, `record` or `detected`."""
    drop_date: str
    size: int
    """Bytes of the object, or of the record's line."""
    record_id: str | None = None
    line: int | None = None
    line_start: int | None = None
    """Byte offset of the line in an uncompressed file."""
    object_whole: bool = True
    """Whether no record of the file waits or is deferred, so that this object version need not be read again."""

    @property
    def uri(self) -> str:
        """The object's URI."""
        return f"s3://{self.bucket}/{self.key}"

    @property
    def record(self) -> str:
        """Its name in logs and quarantine: `key`, `key#id`, or `key#L7` for a line without a usable id."""
        return record_name(self.key, self.record_id)

    @property
    def identity(self) -> tuple[str, str, str, str]:
        """(bucket, key, record id or "", version), which has exactly one outcome in a night."""
        return self.bucket, self.key, self.record_id or "", self.version

    def to_json(self) -> dict[str, Any]:
        """As a JSON object; unset fields are left out."""
        return {name: value for name in _FIELDS if (value := getattr(self, name)) is not None}


_FIELDS = tuple(f.name for f in fields(NoteRef))


@dataclass(frozen=True, slots=True)
class Refused:
    """A note that goes to quarantine."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")  # for `plans.read_refusals`
    note: NoteRef
    rule: Rule
    offset: int | None = None

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return {"note": self.note.to_json(), "rule": self.rule.value, "offset": self.offset}


def line_name(line: int) -> str:
    """The record id of a line without a usable id."""
    return f"#L{line}"


def record_name(key: str, record_id: str | None) -> str:
    """`key`, `key#id`, or `key#L7` for a line without a usable id (ids do not begin with `#L`)."""
    if record_id is None:
        return key
    return f"{key}{record_id}" if record_id.startswith("#L") else f"{key}#{record_id}"


def is_marker(key: str, size: int) -> bool:
    """Whether the object only marks a folder; one with content is refused, not left out."""
    return key.endswith("/") and size == 0


def note_of_object(
    bucket: str, key: str, *, etag: str, size: int, drop_path: str, language_of: Callable[[str], str | None]
) -> NoteRef | Refused:
    """A listed object -> its reference; `drop_path` is the key below drops/.

    `language_of`: a folder's name -> the configured code, or None. The language of a note in `auto` or `und` is empty,
    its source `detected`. For a file of records the reference is a template, and its note id the file's name.
    """
    segments = drop_path.split("/")
    folder, name = segments[0], segments[-1]
    drop_date = segments[1] if len(segments) > 2 and is_date(segments[1]) else ""
    automatic = bool(folder) and named_language(folder) is None
    language = "" if automatic or not drop_date else language_of(folder) or ""
    note = NoteRef(
        bucket,
        key,
        object_version=etag,
        version=etag,
        note_id=stem(name),
        language=language,
        language_source="detected" if automatic else "path",
        drop_date=drop_date,
        size=size,
    )
    if _CONTROL.search(key) or not _DOTS.isdisjoint(key.split("/")):
        return Refused(note, Rule.KEY_UNSAFE)
    if not drop_date or not name or name.lower() in _NAMELESS:
        return Refused(note, Rule.KEY_LAYOUT)
    if not language and not automatic:
        return Refused(note, Rule.LANGUAGE)
    return note if kind_of(name)[0] is FileKind.TEXT or holds_records(name) else Refused(note, Rule.FILE_TYPE)


def named_language(language: str | None) -> str | None:
    """What a record or a drop's folder says of the language; None where that names none (missing, `auto`, `und`)."""
    code = (language or "").strip().lower().replace("_", "-").partition("-")[0]
    return None if code in ("", AUTO, _UNDETERMINED) else language


def is_date(word: str) -> bool:
    """Whether it is a valid date `yyyy-mm-dd`."""
    if not _DATE.fullmatch(word):
        return False
    try:
        dt.date.fromisoformat(word)
    except ValueError:
        return False
    return True


def text_of_bytes(record: str, data: bytes, max_bytes: int) -> str:
    """A note's bytes -> its text exactly as stored (UTF-8, strict; no newline translation, a BOM is one character).

    Raises:
        DataError: `empty`, `too_large`, `not_plain_text`, `not_utf8`, `nul_byte` (offsets in bytes) or `blank`.
    """
    if not data:
        raise DataError(record, Rule.EMPTY)
    if len(data) > max_bytes:
        raise DataError(record, Rule.TOO_LARGE)
    text = plain_text(record, data)
    if is_blank(text):
        raise DataError(record, Rule.BLANK)
    return text


def plain_text(record: str, data: bytes) -> str:
    """The bytes of a text file exactly as stored, wherever the file is.

    Raises:
        DataError: `not_plain_text`, `not_utf8`, `nul_byte` (offsets in bytes).
    """
    if is_other_kind(data[:HEAD]):
        raise DataError(record, Rule.NOT_PLAIN_TEXT)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(record, Rule.NOT_UTF8, error.start) from None  # the cause contains the bytes
    if is_markup(text):
        raise DataError(record, Rule.NOT_PLAIN_TEXT)
    if (at := data.find(b"\x00")) >= 0:
        raise DataError(record, Rule.NUL_BYTE, at)
    return text


def check_text(record: str, text: str) -> None:
    """The same rules for a text that stands in a record of a file.

    Raises:
        DataError: `not_utf8` (a lone surrogate) or `nul_byte` (offsets in code points), `empty`, `blank`,
            `not_plain_text`.
    """
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise DataError(record, Rule.NOT_UTF8, error.start) from None
    if (at := text.find("\x00")) >= 0:
        raise DataError(record, Rule.NUL_BYTE, at)
    if not text:
        raise DataError(record, Rule.EMPTY)
    if is_blank(text):
        raise DataError(record, Rule.BLANK)
    if is_markup(text):
        raise DataError(record, Rule.NOT_PLAIN_TEXT)


def check_subwords(record: str, text: str, most: int, line: int | None = None) -> None:
    """Refuse a text that a tokenizer may cut into more than `most` sub-words.

    Raises:
        DataError: `too_many_subwords` (offset: the line).
    """
    if len(text) * LONGEST_EXPANSION > most and expanded_length(text) > most:
        raise DataError(record, Rule.TOO_MANY_SUBWORDS, line)


def is_blank(text: str) -> bool:
    """Whether it has white space and invisible characters (Unicode category Cf) only."""
    return all(c.isspace() or unicodedata.category(c) == "Cf" for c in text)
