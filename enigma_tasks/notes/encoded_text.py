"""Texts that hold notes in another form: encoded for transport (Base64, mail, JSON, URLs), or many in a table."""

from __future__ import annotations

import csv
import io
import re

_BASE64 = re.compile(r"(?:data:[\w/+.-]*;base64,)?[A-Za-z0-9+/_-]+={0,2}")
_HEXADECIMAL = re.compile(r"(?:0x)?[0-9A-Fa-f]+")
_FIRST_WORD = re.compile(r"\s*\S{40}")
"""Characters without a blank that no language has in one word."""
_FEWEST_CLASSES = 3
"""Of capital letters, small letters, digits and signs: a separator line has one."""
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
        *("id", "note_id", "noteid", "doc_id", "docid", "document_id", "report_id", "record_id", "row_id"),
        *("visit_id", "encounter_id", "patient_id", "patientid", "person_id", "subject_id", "hadm_id", "nhc", "mrn"),
        *("filename", "file_name", "file"),
    }
)
_TEXTS = frozenset(
    {
        *("text", "note_text", "notetext", "note", "report", "document", "body", "content", "clinical_text"),
        *("free_text", "freetext", "texto", "nota", "informe", "contenido", "testo", "tekst", "verslag", "anteckning"),
    }
)
_HEADER = 2000


def is_encoded(text: str) -> bool:
    """Whether a text is Base64 or hexadecimal as a whole, or its letters outside ASCII are escaped."""
    first = _FIRST_WORD.match(text)
    if first and _is_wrapped(lines := text.split()):
        joined = "".join(lines)
        if _HEXADECIMAL.fullmatch(joined) and len(joined) % 2 == 0 and not joined.isdecimal():
            return True
        if _BASE64.fullmatch(joined) and _classes(joined) >= _FEWEST_CLASSES:
            return True
    count = len(_ESCAPES.findall(text))
    return count >= _MANY and count * _DENSE >= len(text)


def _is_wrapped(lines: list[str]) -> bool:
    """One line, or lines of one length but for the last, as programs wrap what they encode."""
    return all(len(line) == len(lines[0]) for line in lines[:-1])


def _classes(text: str) -> int:
    return sum(bool(re.search(pattern, text)) for pattern in ("[A-Z]", "[a-z]", "[0-9]", "[+/=_-]"))


def is_table_of_notes(text: str) -> bool:
    """Whether the first line names a column of ids and one of texts, and the first row below has as many cells."""
    header = text[:_HEADER].partition("\n")[0].rstrip("\r")
    delimiter = max(",;\t|", key=header.count)
    names = [name.strip(" \"'").lower() for name in header.split(delimiter)]
    if _IDS.isdisjoint(names) or _TEXTS.isdisjoint(names):
        return False
    below = csv.reader(io.StringIO(text.partition("\n")[2], newline=""), delimiter=delimiter)
    try:
        return len(next(below, names)) == len(names)
    except csv.Error:
        return True
