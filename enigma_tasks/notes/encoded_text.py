"""Texts that hold notes in another form: encoded for transport (Base64, mail, JSON, URLs), or many in a table."""

from __future__ import annotations

import csv
import io
import re

_BASE64 = re.compile(r"(?:data:[\w/+.-]*;base64,)?[A-Za-z0-9+/_-]+={0,2}")
_HEXADECIMAL = re.compile(r"(?:0x)?[0-9A-Fa-f]+")
_FIRST_WORD = re.compile(r"\s*\S{40}")
"""Characters without a blank that no language has in one word."""
_CHANGES = re.compile(r"(?=[a-z][A-Z])")
_FEWEST_CHANGES = 3
"""From a small to a capital letter: words have none inside, and Base64 many."""
_ESCAPES = re.compile(
    r"=(?:C[2-9A-F]|D[0-9]|E[0-9])=[89AB][0-9A-F]"  # quoted-printable, in mail
    r"|%(?:C[2-9A-F]|D[0-9]|E[0-9])%[89AB][0-9A-F]"  # URLs
    r"|\\u00[0-9A-Fa-f]{2}|\\x[0-9A-Fa-f]{2}",  # JSON and Python
    re.IGNORECASE,
)
_MANY = 4
_DENSE = 500
_IDS = frozenset(
    {
        *("id", "noteid", "docid", "patientid", "reportid", "filename", "file", "nhc", "mrn", "episodio", "identifier"),
        *("identificador", "identificativo", "identifikator", "identificatie"),
    }
)
"""Words in the names of columns of ids ..."""
_TEXTS = frozenset(
    {
        *("text", "texto", "testo", "tekst", "note", "notes", "nota", "notetext", "report", "document", "body"),
        *("content", "contenido", "freetext", "informe", "referto", "verslag", "anteckning", "zpráva"),
    }
)
"""... and of texts."""
_WORDS = 3
"""In the name of a column; a sentence has more."""
_HEADER = 2000


def is_encoded(text: str) -> bool:
    """Whether a text is Base64 or hexadecimal as a whole, or its letters outside ASCII are escaped."""
    first = _FIRST_WORD.match(text)
    if first and _is_wrapped(lines := text.split()):
        joined = "".join(lines)
        if _HEXADECIMAL.fullmatch(joined) and len(joined) % 2 == 0 and not joined.isdecimal():
            return True
        if _BASE64.fullmatch(joined) and len(_CHANGES.findall(joined)) >= _FEWEST_CHANGES:
            return True
    count = len(_ESCAPES.findall(text))
    return count >= _MANY and count * _DENSE >= len(text)


def _is_wrapped(lines: list[str]) -> bool:
    """One line, or lines of one length but for the last, as programs wrap what they encode."""
    return all(len(line) == len(lines[0]) for line in lines[:-1])


def is_table_of_notes(text: str) -> bool:
    """Whether the first line names a column of ids and one of texts, and the first row below has as many cells."""
    header = text[:_HEADER].partition("\n")[0].rstrip("\r")
    delimiter = max(",;\t|", key=header.count)
    names = [re.findall(r"[^\W_]+", name.lower()) for name in header.split(delimiter)]
    words = [set(name) for name in names if len(name) <= _WORDS]
    ids = {i for i, name in enumerate(words) if _IDS & name}
    texts = {i for i, name in enumerate(words) if _TEXTS & name}
    if not ids or not texts or len(ids | texts) == 1:
        return False
    below = csv.reader(io.StringIO(text.partition("\n")[2], newline=""), delimiter=delimiter)
    try:
        return len(next(below, names)) == len(names)
    except csv.Error:
        return True
