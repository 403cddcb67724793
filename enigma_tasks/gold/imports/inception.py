"""INCEpTION's UIMA exports -> documents: CAS as JSON, as XMI beside its type system, or both in the downloaded zip.

A span counts when it is of a layer called after one of our types (`custom.Disease`), or has a feature `value` or
`label` (DKPro's NamedEntity, a custom layer with a tag set). UIMA counts UTF-16 units; `cassis` makes them code points.
"""

from __future__ import annotations

import io
import json
import re
import warnings
import zipfile
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import cassis

from enigma_tasks.documents import LABELS, canonical_label
from enigma_tasks.errors import DataError
from enigma_tasks.gold.imports.spans import Imported, Span, imported

if TYPE_CHECKING:
    from collections.abc import Iterator

    from enigma_tasks.documents import EntityType, Language

TYPE_SYSTEM = "TypeSystem.xml"
METADATA = "de.tudarmstadt.ukp.dkpro.core.api.metadata.type.DocumentMetaData"
STRUCTURE = ("uima.", "de.tudarmstadt.ukp.dkpro.core.api.segmentation.", "de.tudarmstadt.ukp.dkpro.core.api.metadata.")
"""Layers of the tool's own: tokens, sentences, what it says about the document."""
LABEL_FEATURES = ("value", "label")
MAX_UNZIPPED = 16
"""Times its own size that a zip may unpack to in XMI and type system; more is a bomb."""
SMALL_ZIP = 10_000_000
"""Bytes that any zip may unpack to."""
_DECLARED = re.compile(rb"""\A(?:\xef\xbb\xbf)?\s*<\?xml[^>]*?encoding\s*=\s*["']([^"']*)["']""")


def is_cas(tree: Any) -> bool:
    """A CAS as JSON (UIMA JSON CAS 0.4.0)."""
    return isinstance(tree, dict) and "%FEATURE_STRUCTURES" in tree


def read_cas(name: str, tree: Any, language: Language | None, types: frozenset[EntityType]) -> list[Imported]:
    """The one document of a CAS as JSON. Raises DataError `uima_invalid`."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they quote the file
            cas = cassis.load_cas_from_json(json.dumps(tree), lenient=True)
    except Exception:  # noqa: BLE001 - of many kinds, and their messages quote the file
        raise DataError(name, "uima_invalid") from None
    return [_document(name, cas, language, types)]


def read_xmi(
    name: str, data: bytes, language: Language | None, types: frozenset[EntityType], type_system: bytes | None
) -> list[Imported]:
    """The one document of an XMI, or of a zip of XMI and type system.

    Raises:
        DataError: `uima_invalid`, `zip_invalid`, `type_system_missing`, or `xml_unsafe` (a DTD, or not UTF-8).
    """
    if name.lower().endswith(".zip"):
        data, type_system = _unzipped(name, data)
    if type_system is None:
        raise DataError(name, "type_system_missing")
    for xml in (data, type_system):
        declared = _DECLARED.match(xml)
        if b"<!DOCTYPE" in xml or b"<!ENTITY" in xml or (declared and declared[1].lower() not in (b"utf-8", b"ascii")):
            raise DataError(name, "xml_unsafe")
        try:
            xml.decode("utf-8")
        except UnicodeDecodeError as error:
            raise DataError(name, "not_utf8", error.start) from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            system = cassis.load_typesystem(io.BytesIO(type_system))
            cas = cassis.load_cas_from_xmi(io.BytesIO(data), typesystem=system, lenient=True)
    except Exception:  # noqa: BLE001
        raise DataError(name, "uima_invalid") from None
    return [_document(name, cas, language, types)]


def _unzipped(name: str, data: bytes) -> tuple[bytes, bytes]:
    """The XMI and the type system of a zip, which holds exactly these two and is never written to a disk."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            files = [f for f in archive.infolist() if not f.is_dir()]
            if sum(f.file_size for f in files) > max(SMALL_ZIP, MAX_UNZIPPED * len(data)):
                raise DataError(name, "zip_invalid")
            systems = [f for f in files if PurePosixPath(f.filename).name == TYPE_SYSTEM]
            documents = [f for f in files if f.filename.lower().endswith((".xmi", ".xml")) and f not in systems]
            if len(systems) != 1 or len(documents) != 1:
                raise DataError(name, "zip_invalid")
            return archive.read(documents[0]), archive.read(systems[0])
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, EOFError, ValueError):
        raise DataError(name, "zip_invalid") from None


def _document(name: str, cas: Any, language: Language | None, types: frozenset[EntityType]) -> Imported:
    stem = PurePosixPath(name).name.rpartition(".")[0] or name
    titles = [getattr(m, "documentTitle", None) for m in _select(cas, METADATA)]
    document_id = next((str(t) for t in titles if t), stem).removesuffix(".txt")
    return imported(document_id, cas.sofa_string, list(_spans(cas)), language, types)


def _select(cas: Any, type_name: str) -> list[Any]:
    return list(cas.select(type_name)) if cas.typesystem.contains_type(type_name) else []


def _spans(cas: Any) -> Iterator[Span]:
    for annotation in cas.select_all_annotations():
        layer = annotation.type.name
        if layer.startswith(STRUCTURE):
            continue
        label = _label(annotation, layer.rpartition(".")[2])
        if label is not None:
            start, end = annotation.begin, annotation.end
            inside = isinstance(start, int) and isinstance(end, int) and 0 <= start <= end
            yield Span(label, start, end, cas.sofa_string[start:end] if inside else None)


def _label(annotation: Any, layer: str) -> str | None:
    """A feature's value, or the layer's own name where that is one of ours; None for a layer that says neither."""
    if canonical_label(layer) in LABELS:
        return canonical_label(layer)
    own = {feature.name for feature in annotation.type.all_features}
    named = [name for name in LABEL_FEATURES if name in own]
    return str(getattr(annotation, named[0])) if named else None
