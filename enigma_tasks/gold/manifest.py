"""The manifest of a gold version: in which state each delivery was taken in last, and what the version has of it."""

from __future__ import annotations

import gzip
import io
import json
import zlib
from dataclasses import asdict, dataclass

from enigma_tasks.errors import DataError

Claim = tuple[str, str, str]
"""Language, type and id: what a version has one document of."""


@dataclass(frozen=True, slots=True)
class ManifestEntry:
    """A line of the manifest: the state of a delivery when it was taken in."""

    state: tuple[tuple[str, str], ...]
    digest: str
    refused: int
    """Documents that went to quarantine."""
    documents: tuple[Claim, ...] = ()
    """What the version took from this delivery, then or earlier; sorted."""


Manifest = dict[str, ManifestEntry]


def documents_of(entry: ManifestEntry) -> int:
    """How many documents the version has from a delivery, of however many types each."""
    return len({(language, document) for language, _, document in entry.documents})


def pack_manifest(manifest: Manifest) -> bytes:
    """The manifest's bytes: sorted JSON lines, gzipped, without a time."""
    packed = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=packed, mtime=0) as stream:
        for record, e in sorted(manifest.items()):
            line = {"record": record} | asdict(e)
            stream.write(json.dumps(line).encode("ascii") + b"\n")
    return packed.getvalue()


def unpack_manifest(data: bytes) -> Manifest:
    """Back from `pack_manifest`. Raises DataError `manifest_damaged`."""
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as stream:
            lines = [json.loads(line) for line in stream]
        if not data:
            raise EOFError
        return {
            line["record"]: ManifestEntry(
                tuple((p, e) for p, e in line["state"]),
                line["digest"],
                line["refused"],
                tuple((language, entity, document) for language, entity, document in line["documents"]),
            )
            for line in lines
        }
    except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError, RecursionError):
        raise DataError("manifest", "manifest_damaged") from None
