"""Label Studio's results of one annotation -> spans; what is not understood refuses the document.

A result is understood when it is a labelled region of text, an attribute of one that was read, or says something about
the document as a whole. Labels are in `value` under the result's type: `labels`, `hypertextlabels`, `paragraphlabels`.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from enigma_tasks.errors import DataError
from enigma_tasks.formats.imports.spans import Span
from enigma_tasks.formats.limits import check_count

if TYPE_CHECKING:
    from collections.abc import Sequence

ABOUT_THE_DOCUMENT = frozenset(
    {"choices", "textarea", "rating", "number", "datetime", "taxonomy", "pairwise", "ranker"}
)
"""Results that say something about the document, or about a region where they have its place."""
_OF_TEXT = frozenset({"labels", "hypertextlabels", "paragraphlabels"})
"""Kinds of regions that are of text, with or without the text itself; another kind must have it."""
_OF_OTHER_MEDIA = frozenset(
    {"timeserieslabels", "brushlabels", "rectanglelabels", "polygonlabels", "ellipselabels", "keypointlabels"}
    | {"bitmasklabels", "timelinelabels", "vectorlabels"}
)
_PLACE = frozenset(
    {"start", "end", "startOffset", "endOffset", "globalOffsets", "x", "y", "points", "rle", "sequence", "ranges"}
)
"""Keys of a `value` that is about a part of the document."""
_SHOWABLE = re.compile(r"[a-z-]{1,30}")


@dataclass(frozen=True, slots=True)
class Regions:
    """The spans of one annotation."""

    spans: tuple[Span, ...]
    markup: str | None
    """`hypertext` or `paragraphs`, where their offsets count the text that a browser shows."""
    targets: frozenset[str | None]
    """What the regions say that they are of: names of the tags that show a text; None where one does not say."""


def is_region(value: Any) -> bool:
    """A `value` of a part of the document, or with labels."""
    return isinstance(value, dict) and bool(_PLACE & value.keys() or _label_key(value))


def is_labelled(value: Any) -> bool:
    """A `value` that gives a part of the document its labels."""
    return isinstance(value, dict) and bool(_PLACE & value.keys() and _label_key(value))


def result_of(value: dict[str, Any]) -> dict[str, Any]:
    """A `value` alone, as JSON-MIN and CSV have it -> a result."""
    about = next((key for key in sorted(ABOUT_THE_DOCUMENT) if key in value), "")
    kind = _label_key(value) or ("textarea" if isinstance(value.get("text"), list) else about)
    return {"type": kind, "value": value}


def read_regions(record: str, results: Sequence[Any]) -> Regions:
    """All spans of one annotation.

    Args:
        record: names the document in errors.
        results: `result` of the annotation.

    Raises:
        DataError: `task_malformed`, `span_malformed`, `label_missing`; `hypertext_not_understood` and
            `paragraphs_not_understood` (no global offsets, or no surface to check them against),
            `relation_not_understood` (of something that is no span), `region_not_understood` (any other kind of
            region, or an attribute of none that was read), `too_many_spans`.
    """
    spans: list[Span] = []
    read: set[str] = set()
    attributes: list[dict[str, Any]] = []
    relations: list[dict[str, Any]] = []
    markup: str | None = None
    targets: set[str | None] = set()
    for result in results:
        if not isinstance(result, dict):
            raise DataError(record, "task_malformed", hint="a result is no object")
        kind, value = str(result.get("type")), result.get("value")
        if kind == "relation":
            relations.append(result)
        elif not isinstance(value, dict):
            raise DataError(record, "span_malformed", hint="a result, or a cell of spans, cannot be read")
        elif kind in ABOUT_THE_DOCUMENT and not _label_key(value):
            attributes += [result] if is_region(value) else []
        else:
            spans += _labelled(record, kind, value)
            check_count(record, len(spans))
            markup = markup or _markup(kind, value)
            targets.add(_target(result))
            read.add(_identity(result))
    for attribute in attributes:
        if _identity(attribute) not in read:
            raise _not_understood(record, "region", f"an attribute ({_named(attribute['type'])}) of no labelled region")
    for relation in relations:
        if not {str(relation.get("from_id")), str(relation.get("to_id"))} <= read:
            raise _not_understood(record, "relation", "it is of something that is no labelled region")
    return Regions(tuple(spans), markup, frozenset(targets))


def _identity(result: dict[str, Any]) -> str:
    """What a region and its attributes share: an id, or their place where the export has no ids."""
    if isinstance(result.get("id"), str | int):
        return str(result["id"])
    value = result["value"]
    return json.dumps({key: value[key] for key in _PLACE & value.keys()}, sort_keys=True)


def _target(result: dict[str, Any]) -> str | None:
    """The tag that shows the text; it is often called as the column, with or without the `$` of a reference to it."""
    places = (place[key] for place in (result, result["value"]) for key in ("to_name", "to") if key in place)
    return next((name.removeprefix("$") for name in places if isinstance(name, str) and name), None)


def _labelled(record: str, kind: str, value: dict[str, Any]) -> list[Span]:
    """The spans of one region: one for each of its labels."""
    label_key = _label_key(value)
    key = label_key or kind
    of_text = key in _OF_TEXT or (key.endswith("labels") and isinstance(value.get("text"), str) and value["text"])
    if not of_text or key in _OF_OTHER_MEDIA:
        raise _not_understood(record, "region", f"its type is {_named(key)}")
    lists = [value[own] for own in value if own.endswith("labels") and value[own] is not None]
    if not all(isinstance(own, list) and all(isinstance(label, str) for label in own) for own in lists):
        raise DataError(record, "span_malformed", hint="labels must be a list of strings")
    labels = dict.fromkeys(label for own in lists for label in own)
    if not labels:
        raise DataError(record, "label_missing", hint="a region without a label")
    check_count(record, len(labels))
    start, end = _offsets(record, kind, value)
    surface = value.get("text")
    return [Span(label, start, end, surface if isinstance(surface, str) and surface else None) for label in labels]


def _offsets(record: str, kind: str, value: dict[str, Any]) -> tuple[Any, Any]:
    if "start" not in value and "globalOffsets" not in value:
        raise _not_understood(record, "region", f"its type is {_named(kind)}, and it has no place in a text")
    if "channel" in value:
        raise _not_understood(record, "region", "it is of a sound")
    which = _markup(kind, value)
    if which is None:
        return value["start"], value.get("end")
    offsets = value.get("globalOffsets")
    if not isinstance(offsets, dict):
        raise _not_understood(record, which, "there are no globalOffsets")
    if not isinstance(value.get("text"), str) or not value["text"].strip():
        raise _not_understood(record, which, "there is no text of the span to check its globalOffsets against")
    return offsets.get("start"), offsets.get("end")


def _markup(kind: str, value: dict[str, Any]) -> str | None:
    """What its `start` and `end` name, where they are no offsets: nodes of a page, or paragraphs of a dialogue."""
    if kind == "paragraphlabels":
        return "paragraphs"
    if "start" not in value or str(value["start"]).startswith("/"):
        return "hypertext"
    return "paragraphs" if "startOffset" in value or "endOffset" in value else None


def _label_key(value: dict[str, Any]) -> str | None:
    return next((key for key in value if key.endswith("labels")), None)


def _not_understood(record: str, kind: str, why: str) -> DataError:
    return DataError(record, f"{kind}_not_understood", hint=why)


def _named(kind: str) -> str:
    """A result's type, where it looks like one."""
    return kind if _SHOWABLE.fullmatch(kind) else "not shown"
