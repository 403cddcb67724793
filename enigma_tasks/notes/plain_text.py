"""Detects files that are not plain text.

Otherwise the source of a file of another kind would be annotated, or refused once for every line. Detection is by
signatures at the beginning, zero bytes and tags. A note that quotes one or two tags is plain text.
"""

from __future__ import annotations

import json
import re

from enigma_tasks.notes.encoded_text import is_encoded, is_table_of_notes

HEAD = 4096
"""Bytes of a file that are examined."""
_SIGNATURES = (
    b"\x1f\x8b",  # gzip
    b"PK\x03\x04",  # zip: .docx, .odt, .xlsx
    b"BZh",
    b"\xfd7zXZ\x00",
    b"7z\xbc\xaf\x27\x1c",
    b"Rar!\x1a\x07",
    b"\x28\xb5\x2f\xfd",  # zstd
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",  # OLE: .doc
    b"\xff\xfe",  # UTF-16 and UTF-32, little endian
    b"\xfe\xff",
    b"\x00\x00\xfe\xff",
    b"\x89PNG\r\n",
    b"\xff\xd8\xff",  # JPEG
    b"II*\x00",
    b"MM\x00*",
    b"PAR1",
    b"SQLite format 3\x00",
)
_TEXT_SIGNATURES = (
    b"%PDF-",
    b"%!PS",
    b"{\\rtf",
    b"<?xml",
    b"<!doctype",
    b"<html",
    b"MSH|",  # HL7 version 2
    b"FHS|^",
    b"BHS|^",
    b"MIME-Version:",
    b"Content-Type:",
    b"Content-Transfer-Encoding:",
    b"UNA:+",  # EDIFACT
    b"UNB+UN",
    b"BEGIN:VC",  # vCard, iCalendar
    b"-----BEGIN PGP",
    b"-----BEGIN CERT",
    b"begin 644 ",  # uuencode
    b"begin 666 ",
    b"-- MySQL dump",
    b"-- PostgreSQL database dump",
)
_UTF8_MARK = b"\xef\xbb\xbf"
_BLANKS = b" \t\r\n\x0b\x0c"
_ZERO_SHARE = 0.3
"""UTF-16 of these languages has a larger share of zero bytes, a text with stray ones a smaller."""
_BLOCKS = "p|div|br|hr|table|tbody|thead|tr|td|th|ul|ol|li|h[1-6]|section|article|header|footer|pre|blockquote|dl|dt|dd"
_FORMATTING = "b|i|u|strong|em|sup|sub|small"
_INLINE = f"{_FORMATTING}|span|font|a|center|title|meta|link|style|script|img"
_ATTRIBUTES = r"(?:\s+[\w:-]+(?:\s*=\s*(?:\"[^\"<>]{0,500}\"|'[^'<>]{0,500}'|[^\s\"'<>]{1,100}))?)*+\s*/?"
_BLOCK_TAG = re.compile(rf"</?(?:{_BLOCKS}){_ATTRIBUTES}>", re.IGNORECASE)
_DOCUMENT_TAG = re.compile(rf"</?(?:html|head|body){_ATTRIBUTES}>|<!doctype\s+html", re.IGNORECASE)
_FIRST_TAG = re.compile(rf"\s*+(?:<!--|<(?P<name>{_BLOCKS}|{_INLINE}){_ATTRIBUTES}>)", re.IGNORECASE)
_KNOWN_ROOT = re.compile(
    r"\s*+(?:<!--[^>]{0,2000}-->\s*+)?"
    r"<(?:(?:cda|hl7|fhir|soap|soapenv|SOAP-ENV|s|env|w|ns?[0-9]*):[A-Za-z]\w*|ClinicalDocument|StructuredDocument|"
    r"Envelope|Bundle|Composition|DocumentReference|DiagnosticReport|Observation)(?:\s[^<>]*)?>\s*+(?=<|\Z)"
)
"""The first tag of CDA, FHIR, SOAP or Word, and another after it: such a document may have been cut off."""
_TAG = r"<(?P<{0}>[A-Za-z][\w.:-]*)(?:\s[^<>]*)?>"
_NESTED = re.compile(
    rf"\s*+{_TAG.format('a')}\s*+{_TAG.format('b')}\s*+{_TAG.format('c')}[^<]*</(?P=c)\s*>.*</(?P=b)\s*>"
    rf"|\s*+{_TAG.format('d')}[ \t]*\r?\n[ \t]*{_TAG.format('e')}[^<\n]*</(?P=e)\s*>[ \t]*\r?\n\s*<[A-Za-z/]",
    re.DOTALL,
)
"""Elements in elements, or one a line, at the head: XML of any kind, cut off or not. Placeholders are not nested."""
_MESSAGE = re.compile(r"(?:EVN|PID|PV1|ORC|OBR|OBX|NTE)\|[^|\n]{0,40}\|")
"""A segment of an HL7 version 2 message without its head."""
_JSON_HEAD = re.compile(r'\[?\s*\{\s*"[^"\n]{1,80}"\s*:')
_ROOT = re.compile(r"\s*+(?:<!--[^>]{0,2000}-->\s*+)?<(?P<name>[A-Za-z_][\w.:-]*)(?P<attributes>(?:\s[^<>]*)?)>")
_ESCAPED_TAG = re.compile(rf"&lt;/?(?:{_BLOCKS}|{_INLINE})\b", re.IGNORECASE)
_REFERENCE = re.compile(r"&(?!(?:amp|lt|gt|quot|apos);)(?:[A-Za-z]{2,8}|#\d{2,5}|#x[0-9A-Fa-f]{2,4});")
_MANY = 4
"""Number of block tags or character references from which a text is markup ..."""
_DENSE = 300
"""... if there is at least one for so many characters."""


def is_other_kind(head: bytes) -> bool:
    """Whether the first bytes (`HEAD` of them) are those of another kind of file than UTF-8 text."""
    if head.startswith(_SIGNATURES) or (len(head) > 262 and head[257:262] == b"ustar") or head[128:132] == b"DICM":
        return True
    if len(head) > 3 and head.count(0) >= _ZERO_SHARE * len(head):
        return True
    begin = head.removeprefix(_UTF8_MARK).lstrip(_BLANKS)[:16]
    return begin.lower().startswith(tuple(s.lower() for s in _TEXT_SIGNATURES)) or b"\n%PDF-" in head[:1024]


def is_markup(text: str) -> bool:
    """Whether a text is HTML, XML (CDA), RTF, JSON, an HL7 message, encoded (Base64, ...) or a table of notes."""
    start = text.removeprefix("\ufeff").lstrip()
    if is_other_kind(start[:32].encode("utf-8", "replace")):
        return True
    if start[:1] in "{[" and (_JSON_HEAD.match(start) or _is_json(start)):
        return True
    if _MESSAGE.match(start) or is_encoded(start) or is_table_of_notes(start):
        return True
    if "<" in text and _is_tagged(text, start):
        return True
    return "&" in text and _many(len(_REFERENCE.findall(text)) + len(_ESCAPED_TAG.findall(text)), text)


def _is_tagged(text: str, start: str) -> bool:
    root = _ROOT.match(start)
    if _KNOWN_ROOT.match(start) or _NESTED.match(start):
        return True
    if root and ("xmlns" in root["attributes"] or _encloses(root["name"], start)):
        return True
    if _DOCUMENT_TAG.search(text) or _many(len(_BLOCK_TAG.findall(text)), text):
        return True
    first = _FIRST_TAG.match(start)
    if first is None or first["name"] is None:
        return first is not None
    if re.fullmatch(_FORMATTING, first["name"], re.IGNORECASE):
        return _encloses(first["name"], start)
    return re.search(rf"</{first['name']}\s*>", text, re.IGNORECASE) is not None


def _encloses(name: str, start: str) -> bool:
    """The closing tag of the first element ends the text: a note that begins and ends with placeholders has several."""
    end = len(start.rstrip())
    depth = 0
    for tag in re.finditer(rf"<(?P<closing>/?){re.escape(name)}(?:\s[^<>]*)?>", start, re.IGNORECASE):
        if not tag[0].endswith("/>"):
            depth += -1 if tag["closing"] else 1
        if depth <= 0:
            return tag["closing"] != "" and tag.end() == end
    return re.search(rf"</{re.escape(name)}\s*>\s*$", start, re.IGNORECASE) is not None


def _many(count: int, text: str) -> bool:
    return count >= _MANY and count * _DENSE >= len(text)


def _is_json(start: str) -> bool:
    """Whether it is one object, a list of objects, or an object per line."""
    first = start.split("\n", 1)[0]
    for source in (start, first):
        try:
            tree = json.loads(source)
        except (ValueError, RecursionError):
            continue
        if isinstance(tree, dict) or (isinstance(tree, list) and any(isinstance(item, dict) for item in tree)):
            return True
    return False
