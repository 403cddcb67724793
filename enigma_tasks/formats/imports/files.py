"""The bytes of an export -> values: JSON, JSON lines, tables with a header, and the files of a zip."""

from __future__ import annotations

import csv
import io
import json
import lzma
import struct
import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from enigma_tasks.errors import DataError

MAX_UNZIPPED = 30
"""Times its own size that a zip of exports may unpack to; more is a bomb."""
SMALL_ZIP = 10_000_000
"""Bytes that any zip may unpack to."""
_DAMAGES = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error),
    *(NotImplementedError, RuntimeError, OSError, EOFError, ValueError),
)
_ZIP = b"PK\x03\x04"
_EMPTY_ZIP = b"PK\x05\x06"
_HIDDEN_FOLDERS = {"__MACOSX"}
_HIDDEN_FILES = {"thumbs.db", "desktop.ini"}
_CELL = 2**31 - 1
"""Characters that a table's cell may hold, a whole note; the csv module's own limit is 131,072."""


@dataclass(frozen=True, slots=True)
class Member:
    """One file of a zip."""

    name: str
    """Its path in the zip, escaped to ASCII."""
    data: bytes = field(repr=False)


def decoded(name: str, data: bytes) -> str:
    """UTF-8, without a BOM at its start. Raises DataError `not_utf8` (offset: bytes)."""
    try:
        return data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise DataError(name, "not_utf8", error.start) from None


def parsed_json(name: str, data: bytes) -> Any:
    """A JSON value, or the list of the values of JSON lines.

    Raises:
        DataError: `not_utf8` (offset: bytes), `json_invalid` (offset: line, from 1).
    """
    text = decoded(name, data)
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    values = []
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                values.append(json.loads(line))
            except (ValueError, RecursionError):
                hint = "expected one JSON value, or one a line"
                raise DataError(name, "json_invalid", number, hint) from None
    if not values:
        raise DataError(name, "json_invalid", 1, "the file is empty")
    return values


def parsed_table(name: str, data: bytes) -> list[dict[str, str]]:
    """The rows of a CSV or TSV file by the names in its header; comma, semicolon or tab, as its header has it.

    Raises:
        DataError: `not_utf8` (offset: bytes), `table_invalid` (offset: row, from 1).
    """
    text = decoded(name, data)
    header = text.partition("\n")[0]
    delimiter = max(",;\t", key=header.count)
    csv.field_size_limit(_CELL)
    rows: list[dict[str, str]] = []
    try:
        lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        columns = next(lines, [])
        if len(set(columns)) < len(columns):
            raise DataError(name, "table_invalid", 1, "two columns have one name")
        for number, cells in enumerate(lines, start=2):
            if not cells:
                continue
            if len(cells) != len(columns):
                hint = f"{len(cells)} cells under a header of {len(columns)}"
                raise DataError(name, "table_invalid", number, hint)
            rows.append(dict(zip(columns, cells, strict=True)))
    except csv.Error:
        raise DataError(name, "table_invalid", len(rows) + 2, "a quoted cell does not end") from None
    if not rows:
        raise DataError(name, "export_empty", hint="no row below the header")
    return rows


def is_zip(data: bytes) -> bool:
    """Told by its first bytes."""
    return data.startswith((_ZIP, _EMPTY_ZIP))


def unzipped(name: str, data: bytes) -> list[Member]:
    """The files of a zip without those that operating systems hide in it; nothing is written to a disk.

    Raises:
        DataError: `zip_invalid`: damaged, encrypted, or it unpacks to more than it may.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            files = [f for f in archive.infolist() if not f.is_dir() and not _hidden(f.filename)]
            if sum(f.file_size for f in files) > max(SMALL_ZIP, MAX_UNZIPPED * len(data)):
                raise DataError(name, "zip_invalid", hint="it unpacks to too much")
            if any(f.flag_bits & 1 for f in files):
                raise DataError(name, "zip_invalid", hint="it is encrypted")
            return [Member(ascii(f.filename)[1:-1], archive.read(f)) for f in files]
    except _DAMAGES:
        raise DataError(name, "zip_invalid", hint="damaged, or packed in a way that is not read") from None


def _hidden(path: str) -> bool:
    parts = PurePosixPath(path).parts
    return (
        not parts
        or not _HIDDEN_FOLDERS.isdisjoint(parts)
        or any(part.startswith(".") for part in parts)
        or parts[-1].lower() in _HIDDEN_FILES
    )
