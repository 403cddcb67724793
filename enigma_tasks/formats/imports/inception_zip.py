"""The zips that INCEpTION makes -> the CAS files in them, in memory; nothing is written to a disk.

Of one document: an XMI and its type system. Of a project: settings, sources, each annotator's version of each document
and the curated ones. Curation decides which annotator is right, so only curated documents are taken.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from enigma_tasks.errors import DataError
from enigma_tasks.file_names import is_type_system
from enigma_tasks.formats.imports.files import unzipped

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from enigma_tasks.formats.imports.files import Member
    from enigma_tasks.formats.limits import Budget

CURATED = "CURATION_USER"
"""The annotator whose version of a document is the curated one."""
INITIAL = "INITIAL_CAS"
"""The version of a document that has not been annotated yet."""
_CAS = (".xmi", ".xml", ".json")
_SOURCES = (".txt", ".pdf", ".htm", ".html", ".xml", ".xmi", ".tei", ".tsv", ".conll", ".json", ".docx")
"""Suffixes of documents that INCEpTION reads; it names a folder after each."""
_ZIP = ".zip"
_STATES = ("annotation", "curation")


@dataclass(frozen=True, slots=True)
class ZippedCas:
    """One document of a zip, or why there is no version of it that could be taken."""

    name: str
    data: bytes = field(default=b"", repr=False)
    type_system: bytes | None = field(default=None, repr=False)
    error: DataError | None = None


def is_document_folder(name: str) -> bool:
    """A folder that INCEpTION named after a document: `doc1.txt`."""
    return name.lower().endswith(_SOURCES)


def annotated_folder(path: str) -> str:
    """The folder of all versions of one document, the curated one among them."""
    return "/".join(f for f in path.split("/")[:-1] if f not in _STATES)


def zipped_documents(name: str, files: Sequence[Member], budget: Budget) -> Iterable[ZippedCas]:
    """The documents of a zip; the zips in it are unpacked one after the other, when their document is drawn.

    A curated document whose file is damaged is refused alone: `zip_member_damaged`. Of sources, settings and versions
    that are not curated only the names are read.

    Args:
        name: the zip's.
        files: `unzipped`.
        budget: for the zips in it.

    Raises:
        DataError: `zip_invalid` (it holds nothing that is known, or two files of one name; a type system is damaged, by
            which documents are read, or its only document), `zip_of_several` (a project without a curated document, or
            several documents otherwise).
    """
    members = _members(name, files)
    damaged = {member.path for member in files if member.damaged}
    if any(is_type_system(path.name) for path in damaged):
        raise DataError(name, "zip_invalid", hint="its type system is damaged")
    systems = {p.parent: content for p, content in members.items() if is_type_system(p.name)}
    curated = _readable({p: content for p, content in members.items() if p.stem == CURATED and len(p.parts) > 1})
    if curated:
        found = (
            _damaged(path) if path in damaged else _curated(path, content, systems, budget)
            for path, content in sorted(curated.items())
        )
        return chain(found, _not_curated(members, {p.parent.name for p in curated}))
    documents = [p for p in members if p.suffix.lower() in _CAS and not is_type_system(p.name)]
    if len(documents) > 1 or any(p.suffix.lower() == _ZIP or _is_project(p) for p in members):
        hint = "export each document by itself, or curate the project's documents"
        raise DataError(name, "zip_of_several", hint=hint)
    if not documents:
        raise DataError(name, "zip_invalid", hint="expected one XMI and its TypeSystem.xml")
    (path,) = documents
    if path in damaged:
        raise DataError(name, "zip_invalid", hint="its document is damaged")
    return [ZippedCas(_single_name(name, path), members[path], _type_system(path, systems))]


def _readable(curated: dict[PurePosixPath, bytes]) -> dict[PurePosixPath, bytes]:
    """Without the Java serialisations (`curation_ser/`) of documents that are there in a form that can be read too."""
    known = {p.parent.name for p in curated if p.suffix.lower() in {*_CAS, _ZIP}}
    return {
        p: content for p, content in curated.items() if p.suffix.lower() in {*_CAS, _ZIP} or p.parent.name not in known
    }


def _damaged(path: PurePosixPath) -> ZippedCas:
    name = f"{path.parent.name}/{path.name}"
    hint = "its file in the zip is damaged: export the project again"
    return ZippedCas(name, error=DataError(name, "zip_member_damaged", hint=hint))


def _curated(path: PurePosixPath, content: bytes, systems: dict[PurePosixPath, bytes], budget: Budget) -> ZippedCas:
    name = f"{path.parent.name}/{path.name}"
    suffix = path.suffix.lower()
    if suffix in _CAS:
        return ZippedCas(name, content, _type_system(path, systems))
    if suffix != _ZIP:
        return ZippedCas(name, error=DataError(name, "export_unknown", hint="expected UIMA CAS, as XMI or JSON"))
    try:
        inner = list(zipped_documents(name, unzipped(name, content, budget), budget))
    except DataError as error:
        return ZippedCas(name, error=error)
    if len(inner) != 1:
        return ZippedCas(name, error=DataError(name, "zip_of_several"))
    return ZippedCas(name, inner[0].data, inner[0].type_system, inner[0].error)


def _not_curated(members: dict[PurePosixPath, bytes], curated: set[str]) -> list[ZippedCas]:
    """The project's other documents, by the folders of their annotators and by their sources."""
    documents = {p.parent.name for p in members if is_document_folder(p.parent.name)}
    documents |= {p.name for p in members if p.parent.name == "source"}
    hint = "the project has no curated version of it"
    return [
        ZippedCas(f"{name}/{CURATED}", error=DataError(name, "not_curated", hint=hint))
        for name in sorted(documents - curated)
    ]


def _members(name: str, members: Sequence[Member]) -> dict[PurePosixPath, bytes]:
    paths = {member.path: member.data for member in members}
    if len(paths) < len(members):
        raise DataError(name, "zip_invalid", hint="two of its files have one name")
    return paths


def _is_project(path: PurePosixPath) -> bool:
    return path.name.startswith("exportedproject")


def _single_name(name: str, path: PurePosixPath) -> str:
    """The zip's name says which document it is, unless its member is the version that has not been annotated."""
    return f"{PurePosixPath(name).stem}/{path.name}" if path.stem == INITIAL else name


def _type_system(path: PurePosixPath, systems: dict[PurePosixPath, bytes]) -> bytes | None:
    """Beside the document, else the only one of the zip; `systems` by folder."""
    return systems.get(path.parent) or (next(iter(systems.values())) if len(systems) == 1 else None)
