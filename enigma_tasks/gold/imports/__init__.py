"""An annotation tool's export (its name and bytes) -> documents, and what is wrong with the others.

A format is told by its content, not by its name. One bad document costs no other anything; a file that cannot be read
at all is one `Imported` without a document.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from enigma_tasks.errors import DataError
from enigma_tasks.gold.imports import doccano, inception, label_studio
from enigma_tasks.gold.imports.spans import Imported, parsed_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from enigma_tasks.documents import EntityType, Language

__all__ = ["Imported", "read_export"]

_JSON: tuple[tuple[Callable[..., bool], Callable[..., list[Imported]]], ...] = (
    (inception.is_cas, inception.read_cas),
    (label_studio.is_export, label_studio.read_export),
    (doccano.is_export, doccano.read_export),
)


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
        data: JSON, JSON lines, XMI, or a zip of one XMI and its type system (INCEpTION's download).
        language: of all its documents.
        types: what its documents were annotated for; a label of another type is a defect.
        type_system: `TypeSystem.xml` of an XMI that is not in a zip.

    Returns:
        One `Imported` a document. Rules of a whole file: `json_invalid`, `export_unknown`, `uima_invalid`, `not_utf8`.
    """
    try:
        if name.lower().endswith((".xmi", ".zip")):
            return inception.read_xmi(name, data, language, types, type_system)
        tree = parsed_json(name, data)
        for is_export, read in _JSON:
            if is_export(tree):
                return read(name, tree, language, types)
        raise DataError(name, "export_unknown")
    except DataError as error:
        return [Imported(None, None, (error,))]
