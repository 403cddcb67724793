"""INCEpTION's UIMA exports -> documents: CAS as JSON, as XMI beside its type system, or in the zips that it makes.

A span counts when its layer is called after one of our types (`custom.Disease`), or has a feature that holds one of our
labels in every annotation of the layer (`value`, `label`, `category`, ...). Any other layer but text structure and
relations refuses its document: what was not understood must not count as absent. UIMA counts UTF-16 units; `cassis`
makes them code points.
"""

from __future__ import annotations

import io
import json
import re
import warnings
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import cassis

from enigma_tasks.errors import DataError
from enigma_tasks.file_names import without_suffix
from enigma_tasks.formats.imports.files import parsed_json
from enigma_tasks.formats.imports.ids import file_name, shown_id
from enigma_tasks.formats.imports.inception_layers import (
    CAS_METADATA,
    METADATA,
    WORDS,
    layers_of,
    shown_layer,
    spans_of,
)
from enigma_tasks.formats.imports.inception_zip import CURATED, INITIAL, is_document_folder, zipped_documents
from enigma_tasks.formats.imports.spans import Imported, Span, imported
from enigma_tasks.formats.limits import MAX_ANNOTATIONS, MAX_CAS_TEXT, MAX_VIEWS, Budget
from enigma_tasks.unforeseen import refused_if_unforeseen

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from enigma_tasks.documents import EntityType, Language
    from enigma_tasks.formats.imports.files import Member

_INITIAL_VIEW, _SOFA = "_InitialView", "uima.cas.Sofa"
_PERSON_LIKE = re.compile(r"[\s,;]")
"""In a title, where a file name is usual: a blank or comma, as in a person's name."""
_DECLARED = re.compile(rb"""\A(?:\xef\xbb\xbf)?\s*<\?xml[^>]*?encoding\s*=\s*["']([^"']*)["']""")
_UNKNOWN_TYPE = re.compile(r"Type with name \[([^\]]*)\] not found")
_SOFA_STRING = re.compile(rb"""\bsofaString\s*=\s*(?:"[^"]*"|'[^']*')""")
_BEGIN = re.compile(rb"""\bbegin"?\s*[:=]\s*"?[0-9]""")
_NO_SUCH_OFFSET = "Not mapping external offset"


def is_cas(tree: Any) -> bool:
    """A CAS as JSON (UIMA JSON CAS 0.4.0)."""
    return isinstance(tree, dict) and "%FEATURE_STRUCTURES" in tree


def export_name(parts: Sequence[str]) -> str:
    """What an export is called: with its folder where that names the document, as in INCEpTION's own folders."""
    inside = len(parts) > 1 and (PurePosixPath(parts[-1]).stem in (CURATED, INITIAL) or is_document_folder(parts[-2]))
    return "/".join(parts[-2:] if inside else parts[-1:])


def read_cas(name: str, tree: Any, language: Language | None, types: frozenset[EntityType]) -> Imported:
    """The one document of a CAS as JSON.

    Raises:
        DataError: `uima_invalid`, `views_several`, `too_large`, `too_many_annotations`.
    """
    held = tree["%FEATURE_STRUCTURES"]
    structures = [*held.values()] if isinstance(held, dict) else held if isinstance(held, list) else []
    _check_annotations(name, len(structures))
    texts = (structure.get("sofaString") for structure in structures if isinstance(structure, dict))
    _check_text(name, sum(len(text.encode("utf-8", "surrogatepass")) for text in texts if isinstance(text, str)))
    try:
        parts = [json.dumps(part).encode() for part in _one_view_each(name, tree)]
    except (TypeError, ValueError, AttributeError, RecursionError):  # an id that is none, values nested too deeply
        raise DataError(name, "uima_invalid") from None
    views = [view for part in parts for view in _loaded(name, part, None)]
    return _document(name, views, language, types)


def read_zip(
    name: str, files: Sequence[Member], language: Language | None, types: frozenset[EntityType], budget: Budget
) -> list[Imported]:
    """The documents of a zip: one XMI and its type system, or a project with curated documents.

    Raises:
        DataError: a rule of `zipped_documents`.
    """
    found = []
    for member in zipped_documents(name, files, budget):
        try:
            if member.error:
                raise member.error
            own = Budget()  # one CAS is in memory at a time
            with refused_if_unforeseen(member.name):
                found += read_xmi(member.name, member.data, language, types, own, type_system=member.type_system)
        except DataError as error:
            found.append(Imported(_own_id(member.name) if "/" in member.name else None, None, (error,)))
    return found


def read_xmi(
    name: str,
    data: bytes,
    language: Language | None,
    types: frozenset[EntityType],
    budget: Budget,
    *,
    type_system: bytes | None,
) -> list[Imported]:
    """The one document of an XMI, or of a CAS as JSON that is called so.

    Raises:
        DataError: `uima_invalid`, `type_system_missing`, `type_system_differs`, `views_several`, `xml_unsafe` (a DTD,
            or not UTF-8), `too_large`, `too_many_annotations`, `too_many_values`.
    """
    if data.lstrip()[:1] == b"{":
        values = [value for _, value in parsed_json(name, data, budget).values]
        if len(values) != 1 or not is_cas(values[0]):
            raise DataError(name, "uima_invalid", hint="expected a CAS as JSON, or XMI")
        return [read_cas(name, values[0], language, types)]
    if type_system is None:
        raise DataError(name, "type_system_missing", hint="expected TypeSystem.xml in the same folder or zip")
    for xml in (data, type_system):
        declared = _DECLARED.match(xml)
        if b"<!DOCTYPE" in xml or b"<!ENTITY" in xml or (declared and declared[1].lower() not in (b"utf-8", b"ascii")):
            raise DataError(name, "xml_unsafe")
        try:
            xml.decode("utf-8")
        except UnicodeDecodeError as error:
            raise DataError(name, "not_utf8", error.start) from None
        _check_annotations(name, xml.count(b"<"))
        budget.take_values(name, xml.count(b"=") + xml.count(b" "))  # a list of numbers is one attribute
    _check_text(name, sum(len(found[0]) for found in _SOFA_STRING.finditer(data)))
    return [_document(name, _loaded(name, data, type_system), language, types)]


def _check_text(name: str, size: int) -> None:
    if size > MAX_CAS_TEXT:
        raise DataError(name, "too_large", hint=f"{size} bytes of text, at most {MAX_CAS_TEXT}")


def _check_annotations(name: str, count: int) -> None:
    if count > MAX_ANNOTATIONS:
        raise DataError(name, "too_many_annotations", hint=f"{count} elements, at most {MAX_ANNOTATIONS}")


def _one_view_each(name: str, tree: dict[str, Any]) -> list[dict[str, Any]]:
    """A CAS of several views as several CAS of one: cassis cannot load others than `_InitialView` from JSON.

    Raises:
        DataError: `views_several`.
    """
    structures, views = tree["%FEATURE_STRUCTURES"], tree.get("%VIEWS")
    if not isinstance(structures, list) or not isinstance(views, dict) or not views.keys() - {_INITIAL_VIEW}:
        return [tree]
    if not all(isinstance(fs, dict) for fs in structures) or not all(isinstance(v, dict) for v in views.values()):
        return [tree]
    parts = []
    sofas = [fs for fs in structures if fs.get("%TYPE") == _SOFA]
    if len(sofas) > MAX_VIEWS:
        raise DataError(name, "views_several", hint=f"{len(sofas)} views, expected one that is annotated")
    for sofa in sofas:
        own = [fs for fs in structures if fs.get("%TYPE") != _SOFA and fs.get("@sofa") in (None, sofa.get("%ID"))]
        ids = {fs.get("%ID") for fs in own}
        view = views.get(sofa.get("sofaID"), {})
        members = [m for m in view.get("%MEMBERS", ()) if m in ids]
        renamed = {_INITIAL_VIEW: view | {"%MEMBERS": members}}
        first = sofa | {"sofaID": _INITIAL_VIEW, "sofaNum": 1}
        parts.append(tree | {"%FEATURE_STRUCTURES": [first, *own], "%VIEWS": renamed})
    return parts or [tree]


def _loaded(name: str, data: bytes, type_system: bytes | None) -> list[Any]:
    """The views of XMI or JSON, with all their annotations; cassis leaves out those of types that it does not know."""
    with warnings.catch_warnings(record=True) as said:  # the messages quote the file
        warnings.simplefilter("always")
        try:
            if type_system is None:
                cas = cassis.load_cas_from_json(io.BytesIO(data), lenient=True)
            else:
                system = cassis.load_typesystem(io.BytesIO(type_system))
                cas = cassis.load_cas_from_xmi(io.BytesIO(data), typesystem=system, lenient=True)
        except Exception:  # noqa: BLE001 - of many kinds, and their messages quote the file
            raise DataError(name, "uima_invalid") from None
    for warning in said:
        unknown = _UNKNOWN_TYPE.search(str(warning.message))
        if unknown and unknown[1] not in WORDS:
            raise DataError(name, "type_system_differs", hint=f"it lacks the layer {shown_layer(unknown[1])}")
        if str(warning.message).startswith(_NO_SUCH_OFFSET):
            raise DataError(name, "span_outside_text", hint="an offset is no place in the text")
    views = [cas.get_view(sofa.sofaID) for sofa in cas.sofas] or [cas]
    if not all(isinstance(view.sofa_string, str | None) for view in views):
        raise DataError(name, "uima_invalid", hint="its text is no string")
    if _BEGIN.search(data) and not any(view.select_all_annotations() for view in views):
        raise DataError(name, "uima_invalid", hint="its views list none of its annotations")
    return views


def _document(name: str, views: Sequence[Any], language: Language | None, types: frozenset[EntityType]) -> Imported:
    document_id = _title(views) or _own_id(name)
    if PurePosixPath(name).stem == INITIAL:
        error = DataError(document_id, "text_without_annotation", hint=f"{INITIAL}: it has not been annotated")
        return Imported(document_id, None, (error,))
    try:
        view = _view(document_id, views)
    except DataError as error:
        return Imported(document_id, None, (error,))
    spans: list[Span] = []
    defects: list[DataError] = []
    for layer, found in layers_of(view).items():
        try:
            spans += spans_of(document_id, view.sofa_string or "", layer, found)
        except DataError as error:
            defects.append(error)
    if defects:
        return Imported(document_id, None, tuple(defects))
    return imported(document_id, view.sofa_string, spans, language, types)


def _title(views: Iterable[Any]) -> str | None:
    """What the CAS itself says its document is called."""
    for type_name, feature in ((METADATA, "documentTitle"), (CAS_METADATA, "sourceDocumentName")):
        for view in views:
            found = view.select(type_name) if view.typesystem.contains_type(type_name) else []
            for title in (getattr(metadata, feature, None) for metadata in found):
                if own := file_name(str(title or "")):
                    return shown_id(own) if _PERSON_LIKE.search(own) else own
    return None


def _own_id(name: str) -> str:
    """From the file's name, or its folder's where that is the document's (`export_name`)."""
    *folders, file = name.split("/")
    stem = PurePosixPath(file).stem
    of_folder = folders and (stem in (CURATED, INITIAL) or is_document_folder(folders[-1]))
    return without_suffix(folders[-1] if of_folder else stem)


def _view(document_id: str, views: Sequence[Any]) -> Any:
    """The view whose text was annotated; without annotations the one that has a text."""
    annotated = [v for v in views if layers_of(v)]
    texts = {v.sofa_string for v in views if v.sofa_string}
    if len(annotated) > 1 or (not annotated and len(texts) > 1):
        raise DataError(document_id, "views_several", hint=f"{len(annotated)} views are annotated, expected one")
    return next(iter(annotated or [v for v in views if v.sofa_string] or views))
