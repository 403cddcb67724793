"""Objects under gold/ -> deliveries to read, what is new among them, and documents merged into a version; pure.

A delivery is what has to be read together: a text with its annotation, an export, or a packed file. The manifest says
in which state each delivery was taken in last, so a drop that has not changed is not read again.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
import zlib
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from enigma_tasks.documents import Document, EntityType, check_id
from enigma_tasks.errors import DataError
from enigma_tasks.formats.corpora import ALL_TYPES, RELEASE_FOLDER
from enigma_tasks.formats.packed import PACKED_SUFFIX
from enigma_tasks.gold.imports.inception import TYPE_SYSTEM
from enigma_tasks.languages.rules import canonical_code

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

PAIR, EXPORT, PACKED = "pair", "export", "packed"
PAIR_SUFFIXES = (".txt", ".ann")
EXPORT_SUFFIXES = (".json", ".jsonl", ".xmi", ".zip")
COMPANIONS = (".tsv",)
"""What a corpus has beside its texts and annotations, and says nothing more."""
ANY_TYPE = "all"
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


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


@dataclass(frozen=True, slots=True)
class Refusal:
    """A document, or all of a delivery, that goes to quarantine: names and numbers only."""

    record: str
    document: str | None
    rule: str
    offset: int | None = None
    more: int = 0
    """Further defects of the document."""

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class ManifestEntry:
    """A line of the manifest: the state of a delivery when it was taken in."""

    state: tuple[tuple[str, str], ...]
    digest: str
    refused: int
    """Documents that went to quarantine."""


Manifest = dict[str, ManifestEntry]


def arrange(
    objects: Iterable[GoldObject], language_of: Callable[[str], str | None], max_bytes: int
) -> tuple[list[Delivery], int]:
    """Deliveries in the order of their records, and how many objects are none of ours (hidden, TSV, of a test set).

    Args:
        objects: everything below gold/.
        language_of: folder name -> configured language code, or None.
        max_bytes: of one object.
    """
    pairs: dict[str, list[Delivery]] = {}
    whole: list[Delivery] = []
    systems: dict[str, GoldObject] = {}
    ignored = 0
    for item in sorted(objects):
        folder, _, name = item.path.rpartition("/")
        if name == TYPE_SYSTEM:
            systems[folder] = item
        delivery = _delivery(item, language_of, max_bytes)
        if delivery is None:
            ignored += 1
        elif delivery.kind == PAIR and delivery.rule != "key_unsafe":
            pairs.setdefault(delivery.record, []).append(delivery)
        else:
            whole.append(delivery)
    whole = [_with_type_system(d, systems) for d in whole]
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


def merged(held: Sequence[Document], arriving: Sequence[Document]) -> tuple[list[Document], dict[str, str]]:
    """A packed file's documents with those that arrive, the last of one id winning.

    Args:
        held: of one language and type, ids unique.
        arriving: of the same, in the order of their writing.

    Returns:
        The documents, and for each id that arrived what became of it: `added`, `replaced` or `unchanged`.
    """
    before = {d.id: d for d in held}
    after = before | {d.id: d for d in arriving}
    fates = {}
    for d in arriving:
        old = before.get(d.id)
        fates[d.id] = "added" if old is None else "unchanged" if old == after[d.id] else "replaced"
    return list(after.values()), fates


def by_type(documents: Iterable[Document]) -> dict[tuple[str, EntityType], list[Document]]:
    """(language, type) -> the documents annotated for it, with that type's spans only, in their order."""
    found: dict[tuple[str, EntityType], list[Document]] = {}
    for d in documents:
        for t in EntityType:
            if t in d.annotated:
                one = Document(d.id, d.text, d.of_type(t), d.language, frozenset({t}))
                found.setdefault((d.language or "", t), []).append(one)
    return found


def pack_manifest(manifest: Manifest) -> bytes:
    """The manifest's bytes: sorted JSON lines, gzipped, without a time."""
    packed = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=packed, mtime=0) as stream:
        for record, e in sorted(manifest.items()):
            line = {"record": record, "state": e.state, "digest": e.digest, "refused": e.refused}
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
            line["record"]: ManifestEntry(tuple((p, e) for p, e in line["state"]), line["digest"], line["refused"])
            for line in lines
        }
    except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError):
        raise DataError("manifest", "manifest_damaged") from None


def _delivery(item: GoldObject, language_of: Callable[[str], str | None], max_bytes: int) -> Delivery | None:
    """What one object is, or None where it is none of ours."""
    *folders, name = item.path.split("/")
    if not name or name.startswith(".") or name == TYPE_SYSTEM or name.lower().endswith(COMPANIONS):
        return None
    releases = [RELEASE_FOLDER.fullmatch(folder) for folder in folders]
    if any(release and release["split"] not in (None, "train") for release in releases):
        return None  # texts to be judged must not be taken for training because they lie beside it
    kind, record = _kind(folders, name, item.path)
    if _CONTROL.search(item.path) or not {"", ".", ".."}.isdisjoint(folders):
        return Delivery(ascii(item.path)[1:-1], kind, (item,), rule="key_unsafe")
    place = _place(folders, language_of)
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
        own = release["entity"] if release else folder if folder in set(EntityType) else None
        types = types & {EntityType(own)} if own else types
        if release and canonical_code(release["language"]) != language:
            return "place_differs"
    return (language, types) if types else "place_differs"


def _kind(folders: Sequence[str], name: str, path: str) -> tuple[str, str]:
    """(kind, record); a pair's record is the path of its text, were the two in one folder."""
    lower = name.lower()
    if lower.endswith(PACKED_SUFFIX):
        return PACKED, path
    if lower.endswith(PAIR_SUFFIXES):
        beside = folders[:-1] if folders and folders[-1] in ("txt", "ann") else folders
        return PAIR, "/".join([*beside, f"{name[:-4]}.txt"])
    return EXPORT if lower.endswith(EXPORT_SUFFIXES) else "", path


def _joined(parts: Sequence[Delivery]) -> Delivery:
    """A text and its annotation; more than one of a kind cannot be told apart, and goes to quarantine."""
    first = parts[0]
    objects = tuple(sorted(o for d in parts for o in d.objects))
    rule = next((d.rule for d in parts if d.rule), None)
    if rule is None and max(Counter(o.path[-4:].lower() for o in objects).values()) > 1:
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
