"""Where a note's annotation file is written: one place for each note, see decision 0006."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from urllib.parse import quote

from enigma_tasks.file_names import ANNOTATION_SUFFIX, RECORD_SUFFIXES, TEXT_SUFFIX, stem

_DROP_FOLDER = re.compile("auto|[a-z]{2}")
"""Name of a drop's folder that is not the note's language: `auto`, `cz`."""
_OWN = re.compile("~[0-9a-f]{32}")
"""The folder of a note whose ordinary place is ambiguous."""
MAX_KEY_BYTES = 1024
"""S3's limit for a key (Amazon S3 user guide, object key names)."""


def annotation_uri(annotations: str, language: str, drop_path: str, record_id: str | None) -> str:
    """The URI of a note's BRAT file; no two notes share one in any letter case or Unicode form.

    `drop_path` is the key below drops/, `{folder}/{date}/.../{name}`. A folder that is not the note's language (`auto`,
    an alias) is kept below the date; a record's file is in a folder with its record file's name. A note whose place is
    ambiguous (not `_is_ordinary`) gets a separate folder, named by the digest of its key: decision 0006.
    """
    folder, date, rest = drop_path.split("/", 2)
    base = f"{annotations}/{language}/{date}"
    *folders, file = rest.split("/")
    name = stem(file) if record_id is None else _file_name(record_id)
    folders += [] if record_id is None else [file]
    folders = folders if folder == language else [folder, *folders]
    place = "/".join((base, *folders, f"{name}{ANNOTATION_SUFFIX}"))
    if _is_ordinary(language, folder, rest, record_id) and len(place.encode()) <= MAX_KEY_BYTES:
        return place
    own = f"~{hashlib.sha256(json.dumps([drop_path, record_id]).encode()).hexdigest()[:32]}"
    place = "/".join((base, *filter(None, folders), own, f"{name}{ANNOTATION_SUFFIX}"))
    return place if len(place.encode()) <= MAX_KEY_BYTES else f"{base}/{own}/note{ANNOTATION_SUFFIX}"


def _is_ordinary(language: str, folder: str, rest: str, record_id: str | None) -> bool:
    """Whether no other key has the same ordinary place, which belongs to keys in lower case and composed form (NFC).

    Keys that could collide: in other letter case (`N1.txt`, `n1.TXT`), in a folder named like a file of records or like
    a drop's folder (`es/{date}/auto/n1.txt`), with an empty segment, or in a folder that matches `_OWN`.
    """
    *folders, file = rest.split("/")
    written = f"{folder}/{rest}"
    if unicodedata.normalize("NFC", written.casefold()) != written or unicodedata.normalize("NFC", written) != written:
        return False
    if any(not f or f.endswith((*RECORD_SUFFIXES, ANNOTATION_SUFFIX)) or _OWN.fullmatch(f) for f in folders):
        return False
    if folder != language and not _DROP_FOLDER.fullmatch(folder):
        return False
    if folder == language and folders and folders[0] != language and _DROP_FOLDER.fullmatch(folders[0]):
        return False
    ending = (TEXT_SUFFIX,) if record_id is None else RECORD_SUFFIXES
    return file.endswith(ending) and not any("A" <= c <= "Z" for c in record_id or "")


def _file_name(record_id: str) -> str:
    """A record id percent-encoded, leading dots included: it may be `..`."""
    encoded = quote(record_id, safe="")
    return "%2E" * (len(encoded) - len(encoded.lstrip("."))) + encoded.lstrip(".")
