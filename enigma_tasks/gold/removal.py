"""Takes documents out of the files of a gold version: packed files and the manifest. Pure."""

from __future__ import annotations

import gzip
import io
import json
import zlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from enigma_tasks.errors import DataError
from enigma_tasks.file_names import stem
from enigma_tasks.gold.manifest import pack_manifest, unpack_manifest

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

DocumentKey = tuple[str, str]
"""Language (the folder of its packed file) and id: a document in all its versions, of all types."""


def texts_in(name: str, language: str, data: bytes) -> Iterator[tuple[DocumentKey, str]]:
    """The documents of a packed file with their texts.

    Args:
        name: of the file, for errors.
        language: of its folder.
        data: its bytes.

    Raises:
        DataError: `packed_damaged`, `packed_line_malformed`; names the file and the line.
    """
    for _, tree in _lines(name, data):
        yield (language, tree["id"]), tree["text"]


def packed_without(name: str, language: str, data: bytes, removed: Collection[DocumentKey]) -> bytes | None:
    """A packed file without documents: the same bytes where it has none of them, None where it has no other.

    Raises:
        DataError: as `texts_in`.
    """
    found = [(line, (language, tree["id"]) in removed) for line, tree in _lines(name, data)]
    if not any(gone for _, gone in found):
        return data
    kept = [line for line, gone in found if not gone]
    if not kept:
        return None
    packed = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=packed, mtime=0) as stream:  # as `pack` does
        stream.write(b"".join(kept))
    return packed.getvalue()


def manifest_without(data: bytes, removed: Collection[DocumentKey]) -> bytes:
    """A manifest without documents, and without the deliveries that hold nothing else; else the same bytes.

    A delivery is called after its files, so one that is called after a removed document goes too.

    Raises:
        DataError: `manifest_damaged`.
    """
    manifest = unpack_manifest(data)
    ids = {document for _, document in removed}
    kept = {}
    for record, entry in manifest.items():
        documents = tuple(c for c in entry.documents if (c[0], c[2]) not in removed)
        if documents or (entry.documents == documents and stem(record) not in ids):
            kept[record] = replace(entry, documents=documents)
    return data if kept == manifest else pack_manifest(kept)


def _lines(name: str, data: bytes) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """Every line of a packed file that holds something, and its object."""
    number = 0
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as stream:
            for number, line in enumerate(stream, start=1):
                if line.strip():
                    yield line, _tree(name, number, line)
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise DataError(name, "packed_damaged", number + 1) from None


def _tree(name: str, number: int, line: bytes) -> dict[str, Any]:
    try:
        tree = json.loads(line)
    except (ValueError, RecursionError):
        tree = None
    if not isinstance(tree, dict) or not all(isinstance(tree.get(field), str) for field in ("id", "text")):
        raise DataError(name, "packed_line_malformed", number) from None
    return tree
