"""What a file is by its name: one place for drops of notes, drops of gold and folders on this machine.

Names are compared without letter case, as the systems that wrote them do.
"""

from __future__ import annotations

import re
from enum import Enum, auto
from itertools import groupby
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence


class FileKind(Enum):
    """What is to be done with a file of that name."""

    TEXT = auto()
    """`.txt`: a note, or the text of an annotation."""
    ANNOTATION = auto()
    """`.ann`: BRAT's, of the text of the same stem."""
    LINES = auto()
    """`.jsonl`: notes or an annotation tool's export, a line each."""
    PACKED = auto()
    """`.jsonl.gz`: notes, or annotated documents that Enigma packed."""
    EXPORT = auto()
    """`.json`, `.xmi`, `.zip`, or a number without a suffix (Label Studio's target storage): an annotation tool's."""
    TABLE = auto()
    """`.tsv`: repeats the annotations beside it, or is an export (`repeats_annotations`)."""
    COMPANION = auto()
    """Settings of tools and systems, type systems, lists that Enigma writes: nothing to be read by itself."""
    HIDDEN = auto()
    """Of another program."""
    OTHER = auto()


TEXT_SUFFIX = ".txt"
ANNOTATION_SUFFIX = ".ann"
RECORD_SUFFIXES = (".jsonl", ".jsonl.gz")
TYPE_SYSTEM = "TypeSystem.xml"
"""UIMA's, of the XMI files beside it."""
_KINDS = {
    TEXT_SUFFIX: FileKind.TEXT,
    ANNOTATION_SUFFIX: FileKind.ANNOTATION,
    ".jsonl": FileKind.LINES,
    ".jsonl.gz": FileKind.PACKED,
    ".json": FileKind.EXPORT,
    ".csv": FileKind.EXPORT,
    ".xmi": FileKind.EXPORT,
    ".zip": FileKind.EXPORT,
    ".tsv": FileKind.TABLE,
}
_COMPANIONS = frozenset(
    {
        *("annotation.conf", "visual.conf", "tools.conf", "kb_shortcuts.conf", "acl.conf"),  # brat
        *("thumbs.db", "desktop.ini"),  # Windows
        TYPE_SYSTEM.lower(),
        *("split.json", "provenance.jsonl", "dictionary.tsv", "ingested.jsonl.gz"),  # Enigma
    }
)
_ABOUT = re.compile(r"(readme|licen[cs]e|copying|citation|changelog)(\.(txt|md|rst|cff))?")
_ARCHIVED_BY_MACOS = "__MACOSX"
_HALVES = ("txt", "ann")
_HALF = 4
"""Characters of the suffix of a text, and of an annotation."""
_TABLES = "tsv"
_SHAPE_LENGTH = 40


def kind_of(name: str) -> tuple[FileKind, str]:
    """What a file is by its name (without folders), and the name without the suffix that says so."""
    lower = name.lower()
    if is_hidden(name):
        return FileKind.HIDDEN, name
    if lower in _COMPANIONS:
        return FileKind.COMPANION, name
    for suffix, kind in sorted(_KINDS.items(), key=lambda item: -len(item[0])):
        if lower.endswith(suffix):
            return kind, name[: -len(suffix)]
    if _ABOUT.fullmatch(lower):
        return FileKind.COMPANION, name
    return (FileKind.EXPORT if name.isdecimal() and name.isascii() else FileKind.OTHER), name


def holds_records(key: str) -> bool:
    """A file of records, a line each, rather than one text; `key` is a path or a name."""
    return kind_of(key.rpartition("/")[2])[0] in (FileKind.LINES, FileKind.PACKED)


def stem(key: str) -> str:
    """The file's name without the suffix of a text or an annotation; any other file keeps its whole name."""
    kind, name = kind_of(key.rpartition("/")[2])
    return name if kind in (FileKind.TEXT, FileKind.ANNOTATION) else key.rpartition("/")[2]


def site_of(drop_path: str) -> str:
    """The folder below the drop date of a key below drops/, `{folder}/{date}/{site}/...`; empty where there is none."""
    folders = drop_path.split("/")[2:-1]
    return folders[0] if folders else ""


def is_about(stem: str) -> bool:
    """A text of this stem is about the files beside it: no note where notes have annotations and it has none."""
    return _ABOUT.fullmatch(stem.lower()) is not None


def is_type_system(path: str) -> bool:
    """The file of that path or name is a UIMA type system."""
    return path.rpartition("/")[2].lower() == TYPE_SYSTEM.lower()


def is_hidden(name: str) -> bool:
    """A file or folder of another program's: `.name`, the lock files of office programs, what macOS adds to a zip."""
    dotted = name.startswith(".") and not name.startswith("..") and name != "."
    return dotted or name.startswith("~$") or name == _ARCHIVED_BY_MACOS


def beside(folders: Sequence[str]) -> tuple[str, ...]:
    """The folders of a file without the last `txt` or `ann`: where its text and its annotation would be together."""
    for i in range(len(folders) - 1, -1, -1):
        if folders[i].lower() in _HALVES:
            return (*folders[:i], *folders[i + 1 :])
    return tuple(folders)


def repeats_annotations(folders: Sequence[str], places: Collection[tuple[str, ...]]) -> bool:
    """A table of these folders is in `tsv/`, or beside texts or annotations: it is no export.

    Args:
        folders: of the table.
        places: `beside` of every text and annotation.
    """
    return [folder.lower() for folder in folders[-1:]] == [_TABLES] or beside(folders) in places


def without_suffix(name: str) -> str:
    """A document's name without the suffixes of its files: `a.txt`, `a.ann` and `a` are one document."""
    end = len(name)
    while not is_hidden(name) and end > _HALF and name[end - _HALF : end].lower() in (TEXT_SUFFIX, ANNOTATION_SUFFIX):
        end -= _HALF
    return name[:end]


def shape(name: str) -> str:
    """What a name looks like, to be shown where the name itself may hold text of a note: `caso-17` -> `a-9`.

    A run of letters becomes `A` or `a`, a run of digits `9`; of the rest only `._-+~` are kept.
    """
    kinds = ("9" if c.isdigit() else "A" if c.isupper() else "a" if c.isalpha() else c for c in name)
    runs = "".join(k for k, _ in groupby(k if k in "9Aa._-+~" else "?" for k in kinds))
    return runs[:_SHAPE_LENGTH]


def shapes(names: Iterable[str], count: int = 3) -> str:
    """The shapes of the first names, for a message."""
    return ", ".join(dict.fromkeys(shape(n) for n in sorted(names)[:count]))
