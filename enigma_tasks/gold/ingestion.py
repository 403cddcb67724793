"""Objects under gold/ -> deliveries to read, what is new among them, and documents merged into a version; pure.

A delivery is what has to be read together: a text with its annotation, an export, or a packed file. The manifest says
in which state each delivery was taken in last, so a drop that has not changed is not read again.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from enigma_tasks.documents import EntityType, check_id
from enigma_tasks.errors import DataError
from enigma_tasks.file_names import (
    FileKind,
    beside,
    is_about,
    is_hidden,
    is_type_system,
    kind_of,
    repeats_annotations,
    without_suffix,
)
from enigma_tasks.formats.corpus_files import ALL_TYPES, RELEASE_FOLDER, meaning
from enigma_tasks.formats.imports.inception_versions import superseded_files
from enigma_tasks.languages.rules import canonical_code

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from enigma_tasks.gold.manifest import Manifest

PAIR, EXPORT, PACKED = "pair", "export", "packed"
ANY_TYPE = "all"
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_READ_AS = {
    FileKind.TEXT: PAIR,
    FileKind.ANNOTATION: PAIR,
    FileKind.PACKED: PACKED,
    FileKind.LINES: EXPORT,
    FileKind.EXPORT: EXPORT,
    FileKind.TABLE: EXPORT,
}


@dataclass(frozen=True, slots=True, order=True)
class GoldObject:
    """One object of the store; `path` is its key below gold/."""

    path: str
    etag: str
    size: int
    modified: str
    """ISO time."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """What has to be read together, or `rule`: why it cannot be."""

    record: str
    """How the manifest and the quarantine name it: a path below gold/."""
    kind: str
    objects: tuple[GoldObject, ...]
    language: str = ""
    types: frozenset[EntityType] = frozenset()
    rule: str | None = None

    @property
    def state(self) -> tuple[tuple[str, str], ...]:
        """(path, ETag) of its objects."""
        return tuple((o.path, o.etag) for o in self.objects)

    @property
    def modified(self) -> str:
        """When the last of its objects was written."""
        return max(o.modified for o in self.objects)


def arrange(
    objects: Iterable[GoldObject], language_of: Callable[[str], str | None] | None, max_bytes: int
) -> tuple[list[Delivery], int]:
    """Deliveries in the order of their records, and how many objects are ignored.

    Those are hidden files, settings, tables and other companions of what is read, texts of a test set, and each
    annotator's version of a document that was curated, where its folder says so (`superseded_files`).

    Args:
        objects: everything below gold/, or below another place of annotated documents.
        language_of: folder name -> configured language code, or None. Without it, folders mean nothing: documents are
            of no known language, and of all types unless they say otherwise.
        max_bytes: of one object.
    """
    listed = sorted(objects)
    systems = {o.path.rpartition("/")[0]: o for o in listed if is_type_system(o.path)}
    texts = {beside(o.path.split("/")[:-1]) for o in listed if _kind(o.path)[0] == PAIR}
    superseded = superseded_files(o.path for o in listed if _kind(o.path)[0] == EXPORT)
    pairs: dict[str, list[Delivery]] = {}
    whole: list[Delivery] = []
    ignored = 0
    for item in listed:
        delivery = None if item.path in superseded else _delivery(item, language_of, max_bytes, texts)
        if delivery is None:
            ignored += 1
        elif delivery.kind == PAIR and delivery.rule != "key_unsafe":
            pairs.setdefault(delivery.record, []).append(delivery)
        else:
            whole.append(_with_type_system(delivery, systems))
    for record, parts in list(pairs.items()):
        if is_about(PurePosixPath(record).stem) and all(p.objects[0].path.lower().endswith(".txt") for p in parts):
            ignored += len(pairs.pop(record))  # a README about the files beside it
    return sorted([*whole, *map(_joined, pairs.values())], key=lambda d: d.record), ignored


def news(deliveries: Iterable[Delivery], manifest: Manifest, *, again: bool = False) -> list[Delivery]:
    """The deliveries whose objects are not those of the manifest; with `again` also those with refused documents."""
    return [
        d
        for d in deliveries
        if (entry := manifest.get(d.record)) is None or entry.state != d.state or (again and entry.refused)
    ]


def content_digest(delivery: Delivery, data: Mapping[str, bytes]) -> str:
    """SHA-256 over what was read for a delivery, by path."""
    digest = hashlib.sha256()
    for item in delivery.objects:
        digest.update(f"{item.path}\0{hashlib.sha256(data.get(item.path, b'')).hexdigest()}\0".encode())
    return digest.hexdigest()


def _delivery(
    item: GoldObject, language_of: Callable[[str], str | None] | None, max_bytes: int, texts: set[tuple[str, ...]]
) -> Delivery | None:
    """What one object is, or None where it is ignored; `texts` are the places of pairs (`beside`)."""
    *folders, name = item.path.split("/")
    named = kind_of(name)[0]
    if not name or named in (FileKind.HIDDEN, FileKind.COMPANION) or any(is_hidden(f) for f in folders):
        return None
    if named is FileKind.TABLE and repeats_annotations(folders, texts):
        return None
    releases = [RELEASE_FOLDER.fullmatch(folder) for folder in folders]
    if any(release and release["split"] not in (None, "train") for release in releases):
        return None  # texts to be judged must not be taken for training because they are beside it
    kind, record = _kind(item.path)
    if _CONTROL.search(item.path) or not {"", ".", ".."}.isdisjoint(folders):
        return Delivery(ascii(item.path)[1:-1], kind, (item,), rule="key_unsafe")
    place = ("", ALL_TYPES) if language_of is None else _place(folders, language_of)
    if isinstance(place, str):
        return Delivery(record, kind, (item,), rule=place)
    rule = "file_type" if not kind else "too_large" if item.size > max_bytes else None
    return Delivery(record, kind, (item,), *place, rule)


def _place(folders: Sequence[str], language_of: Callable[[str], str | None]) -> tuple[str, frozenset[EntityType]] | str:
    """What the folders below gold/ say: (language, types), or the rule that they break."""
    if len(folders) < 2:
        return "key_layout"
    language = language_of(folders[0])
    if language is None:
        return "language_not_configured"
    if folders[1] not in {ANY_TYPE, *EntityType}:
        return "type_unknown"
    types = ALL_TYPES if folders[1] == ANY_TYPE else frozenset({EntityType(folders[1])})
    for folder in folders[2:]:
        release = RELEASE_FOLDER.fullmatch(folder)
        entity = meaning(folder)[1]
        types = types & {entity} if entity else types
        if release and canonical_code(release["language"]) != language:
            return "place_differs"
    return (language, types) if types else "place_differs"


def _kind(path: str) -> tuple[str, str]:
    """(kind, record); a pair's record is the path of its text in composed form (NFC), were the two in one folder."""
    name = path.rpartition("/")[2]
    named, stem = kind_of(name)
    kind = _READ_AS.get(named, "")
    return kind, unicodedata.normalize("NFC", f"{_beside(path)}{without_suffix(stem)}.txt") if kind == PAIR else path


def _beside(path: str) -> str:
    """The folder of an object without its `txt/` or `ann/`."""
    return "".join(f"{folder}/" for folder in beside(path.split("/")[:-1]))


def _joined(parts: Sequence[Delivery]) -> Delivery:
    """A text and its annotation; several of one kind cannot be distinguished, and go to quarantine."""
    first = parts[0]
    objects = tuple(sorted(o for d in parts for o in d.objects))
    rule = next((d.rule for d in parts if d.rule), None)
    if rule is None and max(Counter(kind_of(o.path.rpartition("/")[2])[0] for o in objects).values()) > 1:
        rule = "id_duplicate"
    if rule is None:
        try:
            check_id(PurePosixPath(first.record).stem)
        except DataError as error:
            rule = error.rule
    return Delivery(first.record, PAIR, objects, first.language, first.types, rule)


def _with_type_system(delivery: Delivery, systems: Mapping[str, GoldObject]) -> Delivery:
    system = systems.get(delivery.record.rpartition("/")[0])
    if delivery.rule or system is None or not delivery.record.lower().endswith(".xmi"):
        return delivery
    objects = (*delivery.objects, system)
    return Delivery(delivery.record, delivery.kind, objects, delivery.language, delivery.types)
