"""An annotation tool's export (its name and bytes) -> documents, and what is wrong with the others.

A format is recognised by its content, not by its name. A bad document does not affect the others; a file that cannot be
read at all is one `Imported` without a document.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from enigma_tasks.errors import DataError
from enigma_tasks.file_names import FileKind, is_type_system, kind_of
from enigma_tasks.formats.imports import doccano, inception, label_studio
from enigma_tasks.formats.imports.files import Records, is_zip, parsed_json, parsed_table, unzipped
from enigma_tasks.formats.imports.ids import Source
from enigma_tasks.formats.imports.spans import Imported, refused, without_duplicates
from enigma_tasks.formats.limits import Budget
from enigma_tasks.unforeseen import refused_if_unforeseen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from enigma_tasks.documents import EntityType, Language
    from enigma_tasks.formats.imports.files import Member

__all__ = ["Imported", "read_export"]

_TOOLS = (label_studio, doccano)
_TABLES = (".csv", ".tsv")
_MEMBERS = (".json", ".jsonl", *_TABLES)


def read_export(
    name: str,
    data: bytes,
    language: Language | None,
    types: frozenset[EntityType],
    type_system: bytes | None = None,
) -> list[Imported]:
    """The documents of one exported file, in its order.

    Args:
        name: the file's name; names a document where the export does not.
        data: JSON, JSON lines, CSV or TSV; XMI; or a zip of such files.
        language: of all its documents.
        types: what its documents were annotated for; a label of another type is a defect.
        type_system: `TypeSystem.xml` of an XMI that is not in a zip.

    Returns:
        One `Imported` a document. Documents of one export that share an id are all refused (`id_duplicate`). Rules of a
        whole file: `json_invalid`, `table_invalid`, `export_empty`, `export_unknown`, `uima_invalid`, `not_utf8`,
        `zip_invalid`, those of `Budget`; of a file in a zip also `file_type` and `zip_in_zip`.
    """
    budget = Budget()
    try:
        with refused_if_unforeseen(name):
            if is_zip(data) or name.lower().endswith(".zip"):
                found = _read_zip(name, data, language, types, budget)
            elif name.lower().endswith(".xmi"):
                found = inception.read_xmi(name, data, language, types, budget, type_system=type_system)
            else:
                found = _read_files([(name, _parsed(name, data, budget))], language, types)
    except DataError as error:
        return [refused(None, error)]
    return without_duplicates(found)


def _read_zip(
    name: str, data: bytes, language: Language | None, types: frozenset[EntityType], budget: Budget
) -> list[Imported]:
    """The documents of all files of a zip; what INCEpTION packed is its own reader's.

    A damaged file refuses the zip: it may hold other annotations of any document of the others, of which then the wrong
    ones would count. INCEpTION names its files after their documents, so there only that document is lost.
    """
    members = unzipped(name, data, budget)
    if _is_inception(members):
        return inception.read_zip(name, members, language, types, budget)
    damaged = next((member.name for member in members if member.damaged), None)
    if damaged is not None:
        raise DataError(name, "zip_invalid", hint=f"{damaged} is damaged: what it says of other documents is not known")
    files: list[tuple[str, Records]] = []
    refusals: list[Imported] = []
    for member in members:
        record = f"{name}/{member.name}"
        try:
            if is_zip(member.data):
                raise DataError(record, "zip_in_zip", hint="unpack the outer zip")
            if not member.name.lower().endswith(_MEMBERS) and member.path.suffix:
                of_brat = kind_of(member.path.name)[0] in (FileKind.TEXT, FileKind.ANNOTATION)
                hint = "unpack the zip" if of_brat else f"expected {', '.join(_MEMBERS)}"
                raise DataError(record, "file_type", hint=hint)
            if member.data.strip():  # a member of a project who has annotated nothing has an empty file
                files.append((record, _parsed(record, member.data, budget)))
        except DataError as error:
            refusals.append(refused(None, error))
    if not files and not refusals:
        raise DataError(name, "export_empty", hint="the zip holds no document")
    return [*_read_files(files, language, types), *refusals]


def _is_inception(members: Sequence[Member]) -> bool:
    """It holds UIMA, a project's settings, or zips only: of a project, one for each annotator's version."""
    names = [member.path.name.lower() for member in members]
    if any(name.endswith(".xmi") or is_type_system(name) or name.startswith("exportedproject") for name in names):
        return True
    return any(name.endswith(".zip") for name in names) and not any(name.endswith(_MEMBERS) for name in names)


def _parsed(name: str, data: bytes, budget: Budget) -> Records:
    return (parsed_table if name.lower().endswith(_TABLES) else parsed_json)(name, data, budget)


def _read_files(
    files: Sequence[tuple[str, Records]], language: Language | None, types: frozenset[EntityType]
) -> list[Imported]:
    """Documents of files that are one export: each tool sees all of its records together."""
    records: dict[Any, list[tuple[Source, Any]]] = {}
    found: list[Imported] = []
    for place, (name, parsed) in enumerate(files, start=1):
        values = [value for _, value in parsed.values]
        if len(values) == 1 and inception.is_cas(values[0]):
            found.append(_of_cas(name, values[0], language, types))
            continue
        tool = next((tool for tool in _TOOLS if any(map(tool.is_record, values))), None)
        if tool is None:
            rule = "export_unknown" if values else "export_empty"
            found.append(refused(None, DataError(name, rule, hint="expected an export that docs/gold.md names")))
            continue
        records.setdefault(tool, []).extend((Source(name, number, place), value) for number, value in parsed.values)
        found += [refused(None, defect) for defect in parsed.defects]
    for tool, own in records.items():
        found += _of_tool(tool, own, language, types)
    return found


def _of_cas(name: str, tree: Any, language: Language | None, types: frozenset[EntityType]) -> Imported:
    try:
        with refused_if_unforeseen(name):
            return inception.read_cas(name, tree, language, types)
    except DataError as error:
        return refused(None, error)


def _of_tool(
    tool: Any, records: Sequence[tuple[Source, Any]], language: Language | None, types: frozenset[EntityType]
) -> list[Imported]:
    """The documents of all records together; without those that the tool's reader fails on even alone."""
    try:
        with refused_if_unforeseen(records[0][0].file):
            return list(tool.read_records(records, language, types))
    except DataError as error:
        together = refused(None, error)
    sound: list[tuple[Source, Any]] = []
    refusals: list[Imported] = []
    for source, value in records:
        try:
            with refused_if_unforeseen(source.name):
                tool.read_records([(source, value)], language, types)
            sound.append((source, value))
        except DataError as error:
            refusals.append(replace(refused(None, error), place=source.place))
    if not refusals:
        return [together]
    return [*_of_tool(tool, sound, language, types), *refusals] if sound else refusals
