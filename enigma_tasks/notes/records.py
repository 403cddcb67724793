"""Files of records (.jsonl, .jsonl.gz): a byte stream -> a note or refusal per line; one line in memory at a time."""

from __future__ import annotations

import hashlib
import io
import json
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, BinaryIO

from enigma_tasks.errors import DataError
from enigma_tasks.notes.gunzip import DamagedError, ExceededError, gunzip
from enigma_tasks.notes.plain_text import HEAD, is_markup, is_other_kind
from enigma_tasks.notes.references import Rule, check_subwords, check_text, line_name
from enigma_tasks.unforeseen import refused_if_unforeseen

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from enigma_tasks.params.limits import RecordLimits

ESCAPES = 6
"""Bytes of JSON per byte of text, at most: `\\u0041`."""
LINE_OVERHEAD = 64 * 1024
"""Bytes of a line besides the text."""
MAX_ID_BYTES = 256
EXACT = 2**53
"""Up to here a JSON number with a decimal point is an exact whole number."""
LINES_WITHOUT_TEXT = 1000
"""After so many lines without an object with a text, the file is of another kind."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Line:
    """One line, counted from 1; `data` is None if it is longer than the limit."""

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


def opened(stream: BinaryIO, key: str, limits: RecordLimits) -> BinaryIO:
    """The stream itself, or the decompressed stream if the key ends in `.gz`: see `gunzip`."""
    if not key.lower().endswith(".gz"):
        return stream
    return gunzip(stream, limits.unpacked)


def lines(stream: BinaryIO, limit: int, most: int) -> Iterator[Line]:
    """Every line that is not blank; one longer than `limit` bytes is hashed and counted without its data.

    Raises:
        DamagedError: after the last complete line.
        ExceededError: `too_many_records` after `most` lines, blank ones included; or as `gunzip` does.
    """
    start, number = 0, 1
    while True:
        data = stream.readline(limit + 1)
        if not data:
            return
        if number > most:
            raise ExceededError(Rule.TOO_MANY_RECORDS, number)
        digest, size, content = hashlib.sha256(), 0, data if len(data) <= limit or data.endswith(b"\n") else None
        while True:
            size += len(data)
            digest.update(data.rstrip(b"\r\n") if data.endswith(b"\n") else data)
            if data.endswith(b"\n"):
                break
            data = stream.readline(limit)
            if not data:
                break
        if content is None or content.strip():
            yield Line(number, start, size, digest.hexdigest(), content)
        start += size
        number += 1


def line_limit(max_bytes: int) -> int:
    """The longest line with a text of `max_bytes`."""
    return max_bytes * ESCAPES + LINE_OVERHEAD


def parse(name: str, line: Line, limits: RecordLimits) -> Record:
    """A line -> its record.

    Raises:
        DataError: with `name` and the rule.
    """
    with refused_if_unforeseen(name):
        return _record(name, line, _json(name, line), limits)


def read_lines(stream: BinaryIO, key: str, limits: RecordLimits) -> Iterator[tuple[Line | None, Record | DataError]]:
    """Every line of a file with its record or its defect.

    A pair without a line is about the whole file, or about the part after a damage. A file of another kind, by its
    signature or because no line is an object with a text, gives one such pair instead of one for every line. One of a
    rule in `WHOLE_FILE` is the last, and stands for the file instead of all that came before it.
    """
    pending: list[tuple[Line, DataError]] = []
    number, any_text = 1, False
    try:
        source = _buffered(opened(stream, key, limits))
        head = source.peek(HEAD)[:HEAD]
        if is_other_kind(head) or _is_document(head):
            yield None, DataError(key, Rule.NOT_PLAIN_TEXT)
            return
        for line in lines(source, line_limit(limits.max_bytes), limits.max_records):
            number = line.number + 1
            has_text, outcome = _parsed_line(f"{key}{line_name(line.number)}", line, limits)
            any_text = any_text or has_text
            if not any_text and isinstance(outcome, DataError):
                pending.append((replace(line, data=None), outcome))  # a thousand lines may be of megabytes each
                if len(pending) == LINES_WITHOUT_TEXT:
                    break
                continue
            yield from pending
            pending = []
            yield line, outcome
    except DamagedError:
        yield from pending
        yield None, DataError(key, Rule.GZIP_DAMAGED, number)
        return
    except ExceededError as error:
        yield None, DataError(key, error.rule, error.line or number)
        return
    if len(pending) > 1:
        first = pending[0][1]
        yield None, DataError(key, first.rule, pending[0][0].number)
        return
    yield from pending
    if number == 1:
        yield None, DataError(key, Rule.BLANK)


def _buffered(stream: BinaryIO) -> io.BufferedReader:
    return stream if isinstance(stream, io.BufferedReader) else io.BufferedReader(stream)  # type: ignore[arg-type]


def _is_document(head: bytes) -> bool:
    """Whether it is a JSON array, one object over several lines, or markup."""
    start = head.decode("utf-8", "ignore").removeprefix("\ufeff").lstrip()
    first = start.split("\n", 1)[0].strip()
    only_bracket = first in ("[", "{") and "\n" in start
    return only_bracket or re.match(r"\[\s*\{", first) is not None or (first[:1] == "<" and is_markup(start))


def _parsed_line(name: str, line: Line, limits: RecordLimits) -> tuple[bool, Record | DataError]:
    """Whether the line is, or may be, an object with a text; and its record or defect."""
    if line.data is None:
        return True, DataError(name, Rule.TOO_LARGE, line.number)
    try:
        with refused_if_unforeseen(name):
            tree = _json(name, line)
    except DataError as error:
        return False, error.detached()
    try:
        with refused_if_unforeseen(name):
            return True, _record(name, line, tree, limits)
    except DataError as error:
        return isinstance(tree.get("text"), str), error.detached()


def _record(name: str, line: Line, tree: dict[str, Any], limits: RecordLimits) -> Record:
    identity, text, language = _identity(tree.get("id")), tree.get("text"), tree.get("language")
    if identity is None or not isinstance(text, str) or not (language is None or isinstance(language, str)):
        raise DataError(name, Rule.JSON_FIELDS, line.number)
    if len(text.encode("utf-8", "surrogatepass")) > limits.max_bytes:
        raise DataError(name, Rule.TOO_LARGE, line.number)
    check_text(name, text)
    check_subwords(name, text, limits.max_subwords, line.number)
    return Record(identity, text, language)


def _identity(value: Any) -> str | None:
    """An id: a string, or a whole number (OMOP's NOTE_ID), also with a decimal point (`7.0`)."""
    if isinstance(value, float) and value.is_integer() and abs(value) <= EXACT:
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    return value if isinstance(value, str) and _usable(value) else None


def _json(name: str, line: Line) -> dict[str, Any]:
    if line.data is None:
        raise DataError(name, Rule.TOO_LARGE, line.number)
    try:
        source = line.data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(name, Rule.NOT_UTF8, error.start) from None
    try:
        tree = json.loads(source.removeprefix("\ufeff") if line.number == 1 else source)
    except (ValueError, RecursionError):  # `from None`: the exception contains the line
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


def texts(
    stream: BinaryIO, key: str, wanted: Collection[str], limits: RecordLimits
) -> Iterator[tuple[str, str | DataError]]:
    """(SHA-256 of the line, its text or defect) of the lines with the `wanted` digests, each once."""
    missing = set(wanted)
    try:
        for line in lines(opened(stream, key, limits), line_limit(limits.max_bytes), limits.max_records):
            if line.sha256 in missing:
                missing.discard(line.sha256)
                try:
                    yield line.sha256, parse(line_name(line.number), line, limits).text
                except DataError as error:
                    yield line.sha256, error
            if not missing:
                return
    except (DamagedError, ExceededError):
        return
