"""Where a note's annotation file is written: one place for each note, see decision 0006."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

import numpy as np

from enigma_tasks.file_names import ANNOTATION_SUFFIX, stem
from enigma_tasks.notes.done import DIGEST_BYTES, FingerprintSet, fingerprint

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MAX_PLACE_BYTES = 800
"""S3's limit for a key (Amazon S3 user guide, object key names) is 1,024, with the prefix of annotations/."""
_SEPARATE = re.compile("~[0-9a-f]{32}")
"""The folder of a note that lies apart."""


class Note(NamedTuple):
    """A note in all its versions; in the order in which notes of one night take a place."""

    bucket: str
    key: str
    record_id: str
    """Empty for a text."""


def ordinary_place(language: str, drop_path: str, record_id: str | None) -> str:
    """The place below annotations/ that a note has unless another note has it already.

    `drop_path` is the key below drops/, `{folder}/{date}/.../{name}`. A folder that is not the note's language (`auto`,
    an alias) is kept below the date; a record's file is in a folder with its record file's name. Where no other note
    could be told from it, the separate place: a path that leaves its folder, that looks like a separate place or like
    an annotation file, or that is too long.
    """
    base, folders, name = _parts(language, drop_path, record_id)
    place = "/".join((base, *folders, f"{name}{ANNOTATION_SUFFIX}"))
    if any(_unfit(f) for f in folders) or len(place.encode()) > MAX_PLACE_BYTES:
        return separate_place(language, drop_path, record_id)
    return place


def separate_place(language: str, drop_path: str, record_id: str | None) -> str:
    """The place below annotations/ that no other note has: in a folder named by the digest of the note's key."""
    base, folders, name = _parts(language, drop_path, record_id)
    own = f"~{hashlib.sha256(json.dumps([drop_path, record_id]).encode()).hexdigest()[:32]}"
    place = "/".join((base, *(f for f in folders if not _unfit(f)), own, f"{name}{ANNOTATION_SUFFIX}"))
    return place if len(place.encode()) <= MAX_PLACE_BYTES else f"{base}/{own}/note{ANNOTATION_SUFFIX}"


def hashed_place(language: str, drop_path: str, shown: str) -> str:
    """The place of a note whose name is not shown; `shown` is its keyed hash, which no other note has."""
    return f"{language}/{drop_path.split('/', 2)[1]}/{shown}{ANNOTATION_SUFFIX}"


def folded(place: str) -> str:
    """The place as a store sees it that keeps neither letter case nor the form of accents."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", place).casefold())


NotesApart = Callable[[Note], bool]
"""Whether a note lies in its separate place."""


def notes_apart(night: Callable[[], Iterable[tuple[Note, str]]], held: Iterable[tuple[Note, str]]) -> NotesApart:
    """Which notes of the night lie in their separate place, as another note holds or takes their ordinary one.

    Places are compared folded. A note that holds a place keeps it; a place that is free is taken by the first of the
    night's notes. 32 bytes per note of the night are kept in memory, and the notes that meet another.

    Args:
        night: every note of the night with its ordinary place, in any order; called again where two notes meet.
        held: every note of other nights with the place that it was given.
    """
    places, owned = bytearray(), bytearray()
    for note, place in night():
        places += _fingerprint(place)
        owned += _fingerprint(place, note)
    wanted, own, repeated = FingerprintSet(places), FingerprintSet(owned), set(_repeated(places))
    holders: dict[bytes, Note] = {}
    for note, place in held:
        found = _fingerprint(place)
        if found in wanted and (found in repeated or _fingerprint(place, note) not in own):
            holders.setdefault(found, note)
    contested = holders.keys() | repeated
    claims: dict[bytes, list[Note]] = defaultdict(list)
    for note, place in night() if contested else ():
        if (found := _fingerprint(place)) in contested:
            claims[found].append(note)
    apart = {note for found, notes in claims.items() for note in notes if note != holders.get(found, min(notes))}
    return apart.__contains__


def _parts(language: str, drop_path: str, record_id: str | None) -> tuple[str, list[str], str]:
    folder, date, rest = drop_path.split("/", 2)
    *folders, file = rest.split("/")
    name = stem(file) if record_id is None else _file_name(record_id)
    folders += [] if record_id is None else [file]
    return f"{language}/{date}", folders if folder == language else [folder, *folders], name


def _unfit(folder: str) -> bool:
    known = folder.casefold()
    return known in ("", ".", "..") or known.endswith(ANNOTATION_SUFFIX) or bool(_SEPARATE.fullmatch(known))


def _fingerprint(place: str, note: Iterable[str] = ()) -> bytes:
    return fingerprint((folded(place), *note))


def _repeated(fingerprints: bytearray) -> Iterator[bytes]:
    """The fingerprints that occur more than once."""
    values = np.frombuffer(bytes(fingerprints), dtype=f"V{DIGEST_BYTES}")
    ordered = np.sort(values)
    yield from {bytes(v) for v in ordered[1:][ordered[1:] == ordered[:-1]]}


def _file_name(record_id: str) -> str:
    """A record id percent-encoded, leading dots included: it may be `..`."""
    encoded = quote(record_id, safe="")
    return "%2E" * (len(encoded) - len(encoded.lstrip("."))) + encoded.lstrip(".")
