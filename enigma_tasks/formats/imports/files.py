"""The bytes of an export -> values: JSON, JSON lines, tables with a header, and the files of a zip."""

from __future__ import annotations

import csv
import io
import json
import lzma
import stat
import struct
import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from enigma_tasks.errors import DataError
from enigma_tasks.file_names import FileKind, is_hidden, is_type_system, kind_of
from enigma_tasks.formats.imports.ids import ID_KEYS, id_text
from enigma_tasks.formats.limits import MAX_FILES, check_depth, check_records

if TYPE_CHECKING:
    from enigma_tasks.formats.limits import Budget

_DAMAGES = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error),
    *(NotImplementedError, RuntimeError, OSError, EOFError, ValueError, IndexError),
)
_ZIP = b"PK\x03\x04"
_EMPTY_ZIP = b"PK\x05\x06"
_ENTRY = b"PK\x01\x02"
"""Begins an entry of a zip's directory."""
_BOUNDED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""Ways of packing that Python unpacks piece by piece; of others it unpacks a whole file, whatever its size."""
_BOM = b"\xef\xbb\xbf"
_IDS = ("id", *ID_KEYS)
_CELL = 2**31 - 1
"""Characters that a table's cell may hold, a whole note; the csv module's own limit is 131,072."""


@dataclass(frozen=True, slots=True)
class Member:
    """One file of a zip."""

    path: PurePosixPath
    """In the zip."""
    data: bytes = field(repr=False)
    damaged: bool = False
    """Its bytes cannot be unpacked, or are not those that were packed."""

    @property
    def name(self) -> str:
        """Its path, escaped to ASCII, for messages."""
        return ascii(str(self.path))[1:-1]


@dataclass(frozen=True, slots=True)
class Records:
    """What a file holds, one after the other."""

    values: list[tuple[int, Any]] = field(repr=False)
    """(line, row or place in a list, from 1; value)."""
    defects: tuple[DataError, ...] = ()
    """Lines that are no values."""


def decoded(name: str, data: bytes) -> str:
    """UTF-8, without a BOM at its start. Raises DataError `not_utf8` (offset: bytes)."""
    try:
        return data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise DataError(name, "not_utf8", error.start) from None


def count_values(data: bytes) -> int:
    """JSON values in a file, at most."""
    return data.count(b",") + data.count(b"[") + data.count(b"{") + 1


def parsed_json(name: str, data: bytes, budget: Budget) -> Records:
    """The values of a JSON list, one other JSON value, or the values of JSON lines.

    A line that is no JSON is a defect and does not affect other lines: `json_invalid` (offset: line, from 1), or
    `not_utf8` on `name#LINE` (offset: bytes of the line), `too_deep` (offset: line).

    Raises:
        DataError: `not_utf8` (offset: bytes) or `json_invalid` (offset: line, from 1), where the file is none of these:
            no line of it is an object, or it begins as a list does; `too_deep`, `too_many_records`, `too_many_values`.
    """
    budget.take_values(name, count_values(data))
    try:
        value = _value(name, decoded(name, data))
    except DataError as error:  # it may be a line that is
        whole = error
    except ValueError as error:
        hint = "expected one JSON value, or one a line" if data.strip() else "the file is empty"
        whole = DataError(name, "json_invalid", getattr(error, "lineno", 1), hint)
    else:
        records = value if isinstance(value, list) else [value]
        check_records(name, len(records))
        return Records(list(enumerate(records, start=1)))
    check_records(name, data.count(b"\n"))
    values: list[tuple[int, Any]] = []
    defects: list[DataError] = []
    for number, line in enumerate(data.split(b"\n"), start=1):
        try:
            if line.strip():
                values.append((number, _value(name, decoded(f"{name}#{number}", line), number)))
        except DataError as error:
            defects.append(error.detached())
        except ValueError:
            defects.append(DataError(name, "json_invalid", number, "expected one JSON value a line"))
    if data.removeprefix(_BOM).lstrip()[:1] == b"[" or not any(isinstance(value, dict) for _, value in values):
        raise whole
    return Records(values, tuple(defects))


def _value(name: str, text: str, line: int | None = None) -> Any:
    """Raises ValueError, or DataError `too_deep`."""
    try:
        value = json.loads(text)
    except RecursionError:
        raise DataError(name, "too_deep", line) from None
    if isinstance(value, dict | list):
        check_depth(name, value, line)
    return value


def parsed_table(name: str, data: bytes, budget: Budget) -> Records:
    """The rows of a CSV or TSV file by the names in its header; comma, semicolon or tab, as its header has it.

    A row with another number of cells than the header is a defect, `row_malformed` (offset: row, the header is 1), if
    it is known what is lost: it is one line without a quote, and its ids are among its cells. Rows with one of these
    ids are defects too, as of several rows of one document the last counts.

    Raises:
        DataError: `not_utf8` (offset: bytes), `table_invalid` (offset: row; a quoted cell does not end, or a row with a
            quote has another number of cells, so other rows may be in it; its ids are cut off; or no row is sound),
            `export_empty`, `too_many_records`, `too_many_values`.
    """
    text = decoded(name, data)
    header = text.partition("\n")[0]
    delimiter = max(",;\t", key=header.count)
    budget.take_values(name, text.count(delimiter) + text.count("\n") + count_values(data))
    csv.field_size_limit(_CELL)
    rows, malformed = _rows(name, text, delimiter)
    if not rows and not malformed:
        raise DataError(name, "export_empty", hint="no row below the header")
    found = _without_rows_of(rows, malformed)
    if not found.values:
        raise _invalid(malformed[0].error)
    return found


@dataclass(frozen=True, slots=True)
class _Malformed:
    """A row of a table with another number of cells than the header."""

    place: int
    """Among the rows, from 1."""
    cells: frozenset[str | None] = field(repr=False)
    error: DataError


def _rows(name: str, text: str, delimiter: str) -> tuple[list[tuple[int, dict[str, str]]], list[_Malformed]]:
    """(place from 1, row) of the sound rows, and the others. Raises DataError as `parsed_table` does."""
    source = _Line(text)
    rows: list[tuple[int, dict[str, str]]] = []
    malformed: list[_Malformed] = []
    lines = csv.reader(source, delimiter=delimiter, strict=True)
    try:
        columns = next(lines, [])
        if len(set(columns)) < len(columns):
            raise DataError(name, "table_invalid", 1, "two columns have one name")
        last_id = max((at for at, column in enumerate(columns) if column in _IDS), default=-1)
        before = lines.line_num
        for number, cells in enumerate(lines, start=2):
            taken, before = lines.line_num - before, lines.line_num
            place = len(rows) + len(malformed) + 1
            check_records(name, place)
            if len(cells) == len(columns):
                rows.append((place, dict(zip(columns, cells, strict=True))))
            elif cells:
                hint = f"{len(cells)} cells under a header of {len(columns)}"
                error = DataError(name, "row_malformed", number, hint)
                if taken > 1 or '"' in source.last or len(cells) <= last_id:
                    raise _invalid(error)
                malformed.append(_Malformed(place, frozenset(map(id_text, cells)), error))
    except csv.Error:
        number = len(rows) + len(malformed) + 2
        raise DataError(name, "table_invalid", number, "a quoted cell does not end") from None
    return rows, malformed


def _invalid(error: DataError) -> DataError:
    """The whole table is refused for a row."""
    return DataError(error.record, "table_invalid", error.offset, error.hint)


def _without_rows_of(rows: list[tuple[int, dict[str, str]]], malformed: list[_Malformed]) -> Records:
    """The rows whose id is in no malformed row, and what is wrong with the others."""
    defects = {one.place: one.error for one in malformed}
    lost = {cell: one.error for one in malformed for cell in one.cells if cell is not None}
    sound: list[tuple[int, Any]] = []
    for place, row in rows:
        other = next((lost[i] for key in _IDS if (i := id_text(row.get(key))) in lost), None) if lost else None
        if other is None:
            sound.append((place, row))
        else:
            hint = f"row {other.offset}, which is malformed, may be of the same document"
            defects[place] = DataError(other.record, "row_malformed", place + 1, hint)
    return Records(sound, tuple(error for _, error in sorted(defects.items())))


class _Line:
    """The lines of a text, and the last that was read."""

    def __init__(self, text: str) -> None:
        self._lines = io.StringIO(text, newline="")
        self.last = ""

    def __iter__(self) -> _Line:
        return self

    def __next__(self) -> str:
        self.last = next(self._lines)
        return self.last


def is_zip(data: bytes) -> bool:
    """By its first bytes."""
    return data.startswith((_ZIP, _EMPTY_ZIP))


def unzipped(name: str, data: bytes, budget: Budget) -> list[Member]:
    """The files of a zip without hidden ones and companions (type systems are kept); nothing is written to a disk.

    A file in it that is damaged is one of its files, without data, where the zip's directory is sound.

    Raises:
        DataError: `zip_invalid` (damaged as a whole, encrypted, with a symbolic link, or packed in another way than
            usual), `too_many_files`, `unpacked_too_large`, `unpacked_ratio`.
    """
    if (count := data.count(_ENTRY)) > MAX_FILES:
        raise DataError(name, "too_many_files", hint=f"{count}, at most {MAX_FILES}")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            paths = [(f, PurePosixPath(f.filename.replace("\\", "/"))) for f in archive.infolist() if not f.is_dir()]
            files = [(f, path) for f, path in paths if _is_read(path)]
            if any(stat.S_ISLNK(f.external_attr >> 16) for f, _ in files):
                raise DataError(name, "zip_invalid", hint="it holds a symbolic link")
            if any(f.flag_bits & 1 for f, _ in files):
                raise DataError(name, "zip_invalid", hint="it is encrypted")
            if any(f.compress_type not in _BOUNDED for f, _ in files):
                raise DataError(name, "zip_invalid", hint="packed in a way that is not read: use stored or deflated")
            budget.take_unpacked(name, len(data), sum(f.file_size for f, _ in files))
            return [_unpacked(archive, f, path) for f, path in files]
    except _DAMAGES:
        raise DataError(name, "zip_invalid", hint="damaged, or packed in a way that is not read") from None


def _unpacked(archive: zipfile.ZipFile, file: zipfile.ZipInfo, path: PurePosixPath) -> Member:
    """A file of the size that the directory says: `ZipFile.read` would unpack what is more than that too."""
    try:
        with archive.open(file) as stream:
            return Member(path, stream.read(file.file_size + 1))
    except _DAMAGES:
        return Member(path, b"", damaged=True)


def _is_read(path: PurePosixPath) -> bool:
    if not path.parts or any(is_hidden(part) for part in path.parts):
        return False
    return is_type_system(path.name) or kind_of(path.name)[0] is not FileKind.COMPANION
