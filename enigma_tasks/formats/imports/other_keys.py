"""What looks like spans under a key of a record that is not read for them: they would be lost."""

from __future__ import annotations

import ast
import json
import re
from typing import TYPE_CHECKING, Any

from enigma_tasks.documents import LABELS, canonical_label
from enigma_tasks.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Set as AbstractSet

_PARTS = (("start", "begin", "from"), ("end", "stop", "to"), ("label", "labels", "type", "entity", "tag", "category"))
"""First words of the keys under which programs write a span's start, end and label."""
_TAG = re.compile(r"[BIELSU][-_](.+)")
"""Of a token, as tools that write CoNLL name it."""
_NAME = re.compile(r"[A-Za-z_]{1,30}")
_DEPTH = 4
_LONGEST_LITERAL = 500_000
"""Characters: Python's parser takes several hundred bytes for each."""
_AROUND = " \t\r\n\ufeff'\"=<>`\\\u201c\u201d"
"""What programs and spreadsheets put around a value that was written as text."""
_QUOTES = re.compile(r"""\\+["']|""|[\u201c\u201d\u201e]""")
_OFFSET = r"(\d{1,18})"
"""No text is longer, and Python reads no number of thousands of digits."""
_KEYED = re.compile(
    rf"""\bstart\w*["']*\s*[:=]\s*["']*{_OFFSET}\D{{1,40}}?\bend\w*["']*\s*[:=]\s*["']*{_OFFSET}(?!\d)"""
)
_NUMBERED = re.compile(
    rf"\b([^\W\d]+)[\W_]{{1,8}}{_OFFSET}\W{{1,6}}{_OFFSET}\b|\b{_OFFSET}\W{{1,6}}{_OFFSET}\W{{1,8}}([^\W\d]+)\b"
)
"""A label and its two offsets, side by side."""
_WORDS = re.compile(r"\w+")


def check_other_key(record: str, key: str, value: Any, read: AbstractSet[tuple[Any, Any]]) -> None:
    """Refuse spans under another key that are not at the places of those that were read.

    Args:
        record: names the document in errors.
        key: where the record has them.
        value: what it has there, at any depth, also in a string: as JSON or Python, however often it was encoded, cut
            off, or as labels with their offsets.
        read: (start, end) of the spans that are read, `places_of_spans`.

    Raises:
        DataError: `spans_not_understood`.
    """
    if any(place not in read for place in _places(value, _DEPTH)):
        named = key if _NAME.fullmatch(key) else "another key"
        raise DataError(record, "spans_not_understood", hint=f"{named} holds spans or tags, and is not read for them")


def python_value(text: str) -> Any:
    """What Python's `repr` wrote as this text. Raises what `ast.literal_eval` does; ValueError for a long one."""
    if len(text) > _LONGEST_LITERAL:
        raise ValueError("long")
    return ast.literal_eval(text)


def parsed(value: Any) -> Any:
    """What older versions of tools export as JSON in a string."""
    if isinstance(value, str) and value.lstrip().startswith(("{", "[")):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


def _places(value: Any, depth: int) -> Iterator[tuple[int, int] | None]:
    """Of each span inside; None for tags of tokens, which have no offsets."""
    if isinstance(value, str):
        written = _unwritten(value)
        if written is None:
            yield from _places_in_text(value)
        elif depth:
            yield from _places(written, depth - 1 if isinstance(written, str) else depth)
        return
    place = _place(value)
    if place:
        yield place
    elif isinstance(value, list) and any(map(_is_tag, value)):
        yield None
    elif depth and isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _places(inner, depth - 1)


def _unwritten(text: str) -> Any:
    """The list, object or string that a program wrote as this text; None where it is none of these."""
    bare = text.strip(_AROUND)
    if not bare.startswith(("{", "[", "(")):
        return None
    for candidate in (text, bare, _QUOTES.sub('"', bare)):
        for parse in (json.loads, python_value):
            try:
                value = json.loads(json.dumps(parse(candidate.strip())))
            except (TypeError, ValueError, SyntaxError, RecursionError, MemoryError):
                continue
            if isinstance(value, dict | list) or (isinstance(value, str) and value != text):
                return value
    return None


def _places_in_text(text: str) -> Iterator[tuple[int, int]]:
    """Offsets beside one of our labels in a text that is nothing else or is a damaged list; or named start and end."""
    yield from ((int(found[1]), int(found[2])) for found in _KEYED.finditer(text))
    labelled = [found for found in _NUMBERED.finditer(text) if canonical_label(found[1] or found[6]) in LABELS]
    if not labelled:
        return
    rest = _words(text) - sum(_words(found[0]) for found in labelled)
    if not rest or text.strip(_AROUND).startswith(("{", "[", "(")):
        yield from ((int(found[2] or found[4]), int(found[3] or found[5])) for found in labelled)


def _words(text: str) -> int:
    return sum(1 for _ in _WORDS.finditer(text))


def _place(value: Any) -> tuple[int, int] | None:
    """Start and end of what looks like a span: two offsets and a label, in a list or under names for these."""
    if isinstance(value, dict):
        named = {key.lower().split("_")[0]: own for key, own in value.items() if _NAME.fullmatch(key)}
        start, end, label = (next((named[name] for name in names if name in named), None) for names in _PARTS)
    elif isinstance(value, list) and len(value) in (3, 4):
        numbers = [part for part in value if _offset(part) is not None]
        label = next((part for part in value if isinstance(part, str) and _offset(part) is None), None)
        start, end = numbers[:2] if len(numbers) > 1 else (None, None)
    else:
        return None
    first, last = _offset(start), _offset(end)
    if first is None or last is None or first >= last or not isinstance(label, str | list):
        return None
    return first, last


def _offset(value: Any) -> int | None:
    if isinstance(value, str) and re.fullmatch(_OFFSET, value):
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _is_tag(value: Any) -> bool:
    found = _TAG.fullmatch(value) if isinstance(value, str) else None
    return found is not None and canonical_label(found[1]) in LABELS
