"""Files of records (.jsonl, .jsonl.gz): a byte stream in, one note or refusal a line out; holds one line at a time."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, BinaryIO

from enigma_tasks.errors import DataError
from enigma_tasks.notes.gunzip import DamagedError, gunzip
from enigma_tasks.notes.references import NoteRef, Refused, Rule, is_blank, line_name

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

ESCAPES = 6
"""A text byte may take six in JSON: `\\u0041`."""
LINE_OVERHEAD = 64 * 1024
"""Bytes of a line for everything but the text."""
MAX_ID_BYTES = 256
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Line:
    """One line: counted from 1; `data` is None when it is longer than anyone wants to hold."""

    number: int
    start: int
    size: int
    sha256: str
    data: bytes | None


@dataclass(frozen=True, slots=True)
class Record:
    """A line that is a note."""

    id: str
    text: str
    language: str | None


def opened(stream: BinaryIO, key: str) -> BinaryIO:
    """The stream itself, or its decompressed bytes when the key says gzip."""
    if not key.lower().endswith(".gz"):
        return stream
    return gunzip(stream)


def lines(stream: BinaryIO, limit: int) -> Iterator[Line]:
    """Every line that is not blank; one longer than `limit` bytes is hashed and counted, not held.

    Raises DamagedError after the last whole line.
    """
    start, number = 0, 1
    while True:
        data = stream.readline(limit + 1)
        if not data:
            return
        digest, size, held = hashlib.sha256(), 0, data if len(data) <= limit or data.endswith(b"\n") else None
        while True:
            size += len(data)
            digest.update(data.rstrip(b"\r\n") if data.endswith(b"\n") else data)
            if data.endswith(b"\n"):
                break
            data = stream.readline(limit)
            if not data:
                break
        if held is None or held.strip():
            yield Line(number, start, size, digest.hexdigest(), held)
        start += size
        number += 1


def line_limit(max_bytes: int) -> int:
    """The longest line that can hold a text of `max_bytes`."""
    return max_bytes * ESCAPES + LINE_OVERHEAD


def parse(name: str, line: Line, max_bytes: int) -> Record:
    """A line -> its record.

    Raises:
        DataError: with `name` and the rule; `.record` holds the id where one could be read.
    """
    if line.data is None:
        raise DataError(name, Rule.TOO_LARGE, line.number)
    tree = _json(name, line)
    identity, text, language = (tree.get(k) for k in ("id", "text", "language"))
    if not isinstance(identity, str) or not _usable(identity):
        raise DataError(name, Rule.JSON_FIELDS, line.number)
    if not isinstance(text, str) or not (language is None or isinstance(language, str)):
        raise DataError(name, Rule.JSON_FIELDS, line.number)
    try:
        size = len(text.encode("utf-8"))
    except UnicodeEncodeError as error:
        raise DataError(name, Rule.NOT_UTF8, error.start) from None
    if size > max_bytes:
        raise DataError(name, Rule.TOO_LARGE, line.number)
    if (at := text.find("\x00")) >= 0:
        raise DataError(name, Rule.NUL_BYTE, at)
    if not text:
        raise DataError(name, Rule.EMPTY)
    if is_blank(text):
        raise DataError(name, Rule.BLANK)
    return Record(identity, text, language)


def _json(name: str, line: Line) -> dict[str, Any]:
    assert line.data is not None
    try:
        source = line.data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(name, Rule.NOT_UTF8, error.start) from None
    try:
        tree = json.loads(source.removeprefix("\ufeff") if line.number == 1 else source)
    except (ValueError, RecursionError):  # the message quotes nothing, the exception holds the line
        raise DataError(name, Rule.JSON_INVALID, line.number) from None
    if not isinstance(tree, dict):
        raise DataError(name, Rule.JSON_FIELDS, line.number)
    return tree


def _usable(identity: str) -> bool:
    try:
        size = len(identity.encode("utf-8"))
    except UnicodeEncodeError:
        return False
    return 0 < size <= MAX_ID_BYTES and not _CONTROL.search(identity) and not identity.startswith("#L")


@dataclass(frozen=True, slots=True)
class Judgement:
    """What decides about a record."""

    max_bytes: int
    language_of: Callable[[str], str | None]
    """A language's name -> the configured code, or None."""
    detect: Callable[[str], str | None]
    """A text -> the configured code, or None; asked where the folder is `auto` and the record is silent."""
    is_done: Callable[[NoteRef], bool]


def scan(template: NoteRef, stream: BinaryIO, judgement: Judgement) -> Iterator[NoteRef | Refused | None]:
    """Every record of a file, in order, None for one that is done; a damaged tail or no record at all is a refusal.

    `template` is the file's own reference. The record's language goes before the folder's.
    """
    seen: set[str] = set()
    plain = not template.key.lower().endswith(".gz")
    number, any_line = 1, False
    try:
        for line in lines(opened(stream, template.key), line_limit(judgement.max_bytes)):
            any_line, number = True, line.number + 1
            ref = replace(
                template,
                version=line.sha256,
                size=line.size,
                line=line.number,
                line_start=line.start if plain else None,
                record_id=line_name(line.number),
                note_id=f"{template.note_id}{line_name(line.number)}",
            )
            yield _judged(ref, line, seen, judgement)
    except DamagedError:
        yield Refused(template, Rule.GZIP_DAMAGED, number)
    else:
        if not any_line:
            yield Refused(template, Rule.BLANK)


def _judged(ref: NoteRef, line: Line, seen: set[str], judgement: Judgement) -> NoteRef | Refused | None:
    """One line -> a note, a refusal, or None where it is done."""
    try:
        record = parse(ref.record, line, judgement.max_bytes)
    except DataError as error:
        return None if judgement.is_done(ref) else Refused(ref, Rule(error.rule), error.offset)
    if record.id in seen:
        return None if judgement.is_done(ref) else Refused(ref, Rule.DUPLICATE_ID, line.number)
    seen.add(record.id)
    ref = replace(ref, record_id=record.id, note_id=record.id)
    if judgement.is_done(ref):
        return None
    named = record.language if record.language and record.language.lower() != "auto" else None
    if named:
        found, ref = judgement.language_of(named), replace(ref, language_source="record")
    elif ref.language:
        return ref
    else:
        found, ref = judgement.detect(record.text), replace(ref, language_source="detected")
    return replace(ref, language=found) if found else Refused(ref, Rule.LANGUAGE)


def texts(stream: BinaryIO, key: str, wanted: Collection[str], max_bytes: int) -> Iterator[tuple[str, str | DataError]]:
    """(SHA-256 of the line, its text or what is wrong with it) of the wanted lines, each once, wherever they lie."""
    missing = set(wanted)
    try:
        for line in lines(opened(stream, key), line_limit(max_bytes)):
            if line.sha256 in missing:
                missing.discard(line.sha256)
                try:
                    yield line.sha256, parse(line_name(line.number), line, max_bytes).text
                except DataError as error:
                    yield line.sha256, error
            if not missing:
                return
    except DamagedError:
        return
