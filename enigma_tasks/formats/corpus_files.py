"""The files of a corpus folder, arranged into what has to be read together; nothing is opened.

`file_names` says what a file is, as for a drop. Every folder is entered but hidden ones and, from above, the release's
folders of texts that are to be judged.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from enigma_tasks.documents import LABELS, EntityType, Language, canonical_label
from enigma_tasks.errors import DataError, UsageError
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
from enigma_tasks.formats.imports.inception_versions import superseded_files
from enigma_tasks.formats.standoff import TSV_HEADER
from enigma_tasks.languages.rules import canonical_code

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

ALL_TYPES = frozenset(EntityType)

_TYPES = "|".join(t.value for t in EntityType)
RELEASE_FOLDER = re.compile(rf"MultiClinNER-(?P<language>[a-z]{{2}})(?:-(?P<split>[a-z]+)(?:-(?P<entity>{_TYPES}))?)?")
_LANGUAGE = re.compile(r"[a-z]{2}")
_ANNOTATIONS = "ann"


@dataclass(frozen=True, slots=True)
class Place:
    """What the folders say of their files."""

    language: Language | None
    types: frozenset[EntityType]


@dataclass
class Part:
    """The texts and annotations of one folder, its `txt/` and its `ann/`."""

    place: Place
    texts: dict[str, list[Path]] = field(default_factory=dict)
    """By stem in composed form (NFC), as systems write one name in two forms; a second file of one stem differs in its
    form or the suffix's letter case, or is in another folder."""
    annotations: dict[str, list[Path]] = field(default_factory=dict)
    annotated: bool = False
    """There is an annotation, or a folder for them."""


@dataclass(frozen=True, slots=True)
class Whole:
    """A file that holds documents with all that is known of them."""

    path: Path
    kind: FileKind
    place: Place
    type_system: Path | None = None


@dataclass
class CorpusFiles:
    """Everything below one folder."""

    parts: list[Part] = field(default_factory=list)
    """Of each folder without its last `txt` or `ann`."""
    whole: list[Whole] = field(default_factory=list)
    tables: list[Whole] = field(default_factory=list)
    """Those that repeat no annotations are of `whole` when all folders are known."""
    ignored: Counter[str] = field(default_factory=Counter)
    """Files that no reader reads, by suffix."""
    defects: list[DataError] = field(default_factory=list)
    """Folders that contradict each other: `place_differs`."""


def corpus_files(path: Path) -> CorpusFiles:
    """Arrange a folder, or one file that holds documents.

    Raises:
        UsageError: `path` is neither; or holds train/ and dev/, which are to be read apart.
    """
    found = CorpusFiles()
    own = path.absolute().name
    # a folder named on the command line may be called by letters that mean no language
    language, entity = (None, None) if _is_code(own.lower()) else meaning(own)
    place = Place(language, frozenset({entity}) if entity else ALL_TYPES)
    if path.is_dir():
        parts: dict[tuple[str, ...], Part] = {}
        _enter(path, place, parts, (), found)
        _place_tables(path, parts, found)
        _leave_out_superseded(found)
    elif path.is_file() and kind_of(own)[0] in (FileKind.PACKED, FileKind.LINES, FileKind.EXPORT, FileKind.TABLE):
        _file(path, Place(None, ALL_TYPES), Part(place), found, _type_system(path.parent.iterdir()))
        found.whole += found.tables
    else:
        raise UsageError(f"{path} is neither a folder nor a file that holds documents (.jsonl.gz, .jsonl, .json, ...)")
    return found


def meaning(name: str) -> tuple[Language | None, EntityType | None]:
    """What a folder's name says: (language, entity type)."""
    release = RELEASE_FOLDER.fullmatch(name)
    if release:
        code, entity = release["language"], release["entity"]
        return canonical_code(code), EntityType(entity) if entity else None
    if (label := canonical_label(name)) in LABELS:
        return None, EntityType(label.lower())
    code = name.lower()
    return (canonical_code(code), None) if _is_code(code) else (None, None)


def _is_code(name: str) -> bool:
    """Two letters, or another code of a language that has rules (`spa`)."""
    return _LANGUAGE.fullmatch(name) is not None or canonical_code(name) != name


def _enter(
    folder: Path, place: Place, parts: dict[tuple[str, ...], Part], below: tuple[str, ...], found: CorpusFiles
) -> None:
    """Arrange one folder and those in it; `below` is its path from the top, `parts` what was found so far by folder."""
    inside = sorted(p for p in folder.iterdir() if not is_hidden(p.name))
    folders = [p for p in inside if p.is_dir()]
    if {"train", "dev"} <= {p.name for p in folders}:
        raise UsageError(f"{folder} holds train/ and dev/, which are read apart: name one of them")
    key = beside([unicodedata.normalize("NFC", name) for name in below])
    part = parts.get(key)
    if part is None:
        part = parts[key] = Part(place)
        found.parts.append(part)
    part.annotated |= bool(below) and below[-1].lower() == _ANNOTATIONS
    system = _type_system(inside)
    for path in inside:
        if not path.is_dir():
            _file(path, place, part, found, system)
    for child in folders:
        release = RELEASE_FOLDER.fullmatch(child.name)
        if release and release["split"] not in (None, "train"):
            continue  # texts to be judged must not be taken for training because they are beside it
        language, entity = meaning(child.name)
        own = language if release else place.language or language
        types = place.types & {entity} if entity else place.types
        if types:
            _enter(child, Place(own or place.language, types), parts, (*below, child.name), found)
        else:
            found.defects.append(DataError("/".join((*below, child.name)), "place_differs"))


def _place_tables(top: Path, parts: dict[tuple[str, ...], Part], found: CorpusFiles) -> None:
    """A table is an export, or is ignored; which of the two, the texts beside it say."""
    texts = {key for key, part in parts.items() if part.texts or part.annotations}
    for table in found.tables:
        folders = [unicodedata.normalize("NFC", name) for name in table.path.parent.relative_to(top).parts]
        if repeats_annotations(folders, texts) or _is_of_the_shared_task(table.path):
            found.ignored[table.path.suffix.lower()] += 1
        else:
            found.whole.append(table)


def _is_of_the_shared_task(path: Path) -> bool:
    """A table of annotations or predictions without texts, which `enigma score` and `vote` read; no export."""
    with path.open("rb") as file:
        return file.readline(len(TSV_HEADER) + 8).strip() == TSV_HEADER.encode()


def _leave_out_superseded(found: CorpusFiles) -> None:
    """Versions of a document that its folder says do not count."""
    exports = {w.path.absolute().as_posix() for w in found.whole if w.kind is not FileKind.PACKED}
    gone = superseded_files(exports)
    found.ignored.update(w.path.suffix.lower() for w in found.whole if w.path.absolute().as_posix() in gone)
    found.whole = [w for w in found.whole if w.path.absolute().as_posix() not in gone]


def _type_system(files: Iterable[Path]) -> Path | None:
    """UIMA's, of the XMI files of one folder."""
    return next((path for path in files if is_type_system(path.name)), None)


def _file(path: Path, place: Place, part: Part, found: CorpusFiles, system: Path | None) -> None:
    kind, stem = kind_of(unicodedata.normalize("NFC", path.name))
    if kind is FileKind.TEXT:
        part.texts.setdefault(without_suffix(stem), []).append(path)
    elif kind is FileKind.ANNOTATION:
        part.annotations.setdefault(without_suffix(stem), []).append(path)
        part.annotated = True
    elif kind is FileKind.PACKED:
        named = place.types & {EntityType(stem)} if stem in set(EntityType) else place.types
        found.whole.append(Whole(path, kind, Place(place.language, named)))
    elif kind in (FileKind.LINES, FileKind.EXPORT):
        found.whole.append(Whole(path, kind, place, system))
    elif kind is FileKind.TABLE:
        found.tables.append(Whole(path, kind, place))
    elif kind is FileKind.OTHER:
        found.ignored[path.suffix.lower() or "no suffix"] += 1


def without_about(found: CorpusFiles) -> None:
    """Leave out texts about the corpus (README.txt) where its notes are annotated and they are not."""
    if not (found.whole or any(p.annotated for p in found.parts)):
        return
    for part in found.parts:
        for stem in [s for s in part.texts if is_about(s) and s not in part.annotations]:
            del part.texts[stem]
