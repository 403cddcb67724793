"""Forty objects that no night can annotate, of the kinds that a drop folder of many systems may hold, and their rules.

Beside them strange forms in which a note is sound. Every object's text holds the planted word where it can.
"""

from __future__ import annotations

import base64
import gzip
import io
import json
import random
import tarfile
import urllib.parse
import zipfile
from typing import TYPE_CHECKING, Any

from tests.integration.canary_world import CANARY

if TYPE_CHECKING:
    from collections.abc import Iterator

DAY = "2026-06-11"
TEXT = f"La paciente {CANARY} ingresa por neumonía con fiebre alta; analítica y radiografía de tórax sin hallazgos."
XML_BOMB = (
    '<?xml version="1.0"?><!DOCTYPE b [<!ENTITY a "zanahoria">'
    + "".join(f'<!ENTITY a{n} "{f"&a{n - 1 or str()};" * 10}">' for n in range(1, 10))
    + f"]><b>&a9; {CANARY}</b>"
)
MAIL = (
    "From: lab@hospital.example\nSubject: Informe\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n"
    f"Content-Transfer-Encoding: quoted-printable\n\n{CANARY} neumon=C3=ADa, t=C3=B3rax, evoluci=C3=B3n, "
    "ni=C3=B1o\n"
)
DEEP = 200_000


def line(**fields: Any) -> bytes:
    """A record."""
    return json.dumps(fields, ensure_ascii=False).encode() + b"\n"


def archive(kind: str) -> bytes:
    """A zip as Word writes it, or a tar, that holds the text."""
    packed = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(packed, "w") as file:
            file.writestr("word/document.xml", f"<w:document><w:t>{TEXT}</w:t></w:document>")
    else:
        with tarfile.open(fileobj=packed, mode="w") as file:
            file.addfile(tarfile.TarInfo("n.txt"), None)
    return packed.getvalue()


def dicom() -> bytes:
    """The head of a structured report."""
    return b"\0" * 128 + b"DICM" + b"\x02\0\0\0UL\x04\0\xc0\0\0\0" + TEXT.encode()


def packed_lines(count: int) -> bytes:
    """Small records, each with another id."""
    rows = b"".join(line(id=f"r{number * 7919:x}", text=TEXT) for number in range(count))
    return gzip.compress(rows, compresslevel=1, mtime=0)


def packed_line(size: int) -> bytes:
    """One record whose text has `size` characters that hardly repeat."""
    return gzip.compress(line(id="r", text=f"{CANARY} {random.Random(7).randbytes(size // 2).hex()}"), mtime=0)


def refused() -> dict[str, tuple[bytes, str]]:
    """Name in the tables below drops/ (key, or key and line) -> the object, and its rule with its offset if any."""
    latin, records = TEXT.encode("latin-1"), line(id="r", text=TEXT)
    es = f"es/{DAY}"
    base64_text = base64.encodebytes((TEXT * 5).encode())
    table = f'note_id,patient,"free text",score\n1,7,"{TEXT}",3\n2,8,"{TEXT}",4\n'.encode()
    return {
        # kinds of files
        f"{es}/lab/report.pdf.txt": (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n" + TEXT.encode(), "not_plain_text"),
        f"{es}/lab/image.txt": (dicom(), "not_plain_text"),
        f"{es}/lab/page.txt": (f"<html><body><p>{TEXT}</p></body></html>".encode(), "not_plain_text"),
        f"{es}/lab/letter.txt": (rb"{\rtf1\ansi " + latin + b"}", "not_plain_text"),
        f"{es}/lab/zip.txt": (archive("zip"), "not_plain_text"),
        f"{es}/lab/tar.txt": (archive("tar"), "not_plain_text"),
        f"{es}/lab/letter.docx": (archive("zip"), "file_type"),
        f"{es}/lab/notes.csv": (table, "file_type"),
        f"{es}/lab/table.txt": (table, "not_plain_text"),
        f"{es}/lab/gzip.txt": (gzip.compress(TEXT.encode(), mtime=0), "not_plain_text"),
        f"{es}/lab/bomb.txt": (XML_BOMB.encode(), "not_plain_text"),
        f"{es}/lab/mail.txt": (MAIL.encode(), "not_plain_text"),
        f"{es}/lab/base64.txt": (base64_text, "not_plain_text"),
        f"{es}/lab/hl7.txt": (f"MSH|^~\\&|LAB|H\rOBX|1|TX|n||{TEXT}\r".encode(), "not_plain_text"),
        f"{es}/lab/array.jsonl": (b"[" + records.strip() + b"]", "not_plain_text"),
        # encodings
        f"{es}/codes/utf16.txt": (TEXT.encode("utf-16"), "not_plain_text"),
        f"{es}/codes/utf16be.txt": (TEXT.encode("utf-16-be"), "not_plain_text"),
        f"{es}/codes/latin1.txt": (latin, f"not_utf8@{latin.index(0xED)}"),
        f"{es}/codes/nul.txt": (TEXT.encode() + b"\0", f"nul_byte@{len(TEXT.encode())}"),
        f"{es}/codes/surrogate.jsonl#L1": (
            rb'{"id": "s", "text": "' + CANARY.encode() + rb' \ud800"}' + b"\n", f"not_utf8@{len(CANARY) + 1}"
        ),
        # nothing in it
        f"{es}/none/empty.txt": (b"", "empty"),
        f"{es}/none/blank.txt": (b" \r\n\t\xc2\xa0\n", "blank"),
        f"{es}/none/mark.txt": (b"\xef\xbb\xbf", "blank"),
        f"{es}/none/packed.jsonl.gz": (gzip.compress(b"\n \n", mtime=0), "blank"),
        # sizes
        f"{es}/size/long.txt": (TEXT.encode() * 10_000, "too_large"),
        f"{es}/size/deep.txt": (f'{{"{CANARY}":'.encode() * 20_000, "not_plain_text"),
        f"{es}/size/deep.jsonl#L1": (b'{"id": "d", "text": ' + b"[" * DEEP + b"]" * DEEP + b"}\n", "json_invalid@1"),
        f"{es}/size/many.jsonl.gz": (packed_lines(100_001), "too_many_records@100001"),
        f"{es}/size/line.jsonl.gz#L1": (packed_line(10_000_000), "too_large@1"),
        f"{es}/size/ligatures.txt": (CANARY.encode() + chr(0xFDFA).encode() * 300_000, "too_many_subwords"),
        f"{es}/size/bomb.jsonl.gz": (gzip.compress(line(id="r", text=TEXT) * 100_000, mtime=0), "unpacked_ratio@7073"),
        f"{es}/size/bomb-line.jsonl.gz": (
            gzip.compress(line(id="r", text="a" * 50_000_000), mtime=0),
            "unpacked_ratio@1",
        ),
        f"{es}/size/bomb-blank.jsonl.gz": (gzip.compress(bytes([10]) * 50_000_000, mtime=0), "too_many_records@100001"),
        # names
        f"{es}/names/tab\there.txt": (TEXT.encode(), "key_unsafe"),
        f"{es}/names/../up.txt": (TEXT.encode(), "key_unsafe"),
        f"{es}/names/folder/": (TEXT.encode(), "key_layout"),
        f"es/2026-02-30/{DAY}.txt": (TEXT.encode(), "key_layout"),
        f"fr/{DAY}/n.txt": (TEXT.encode(), "language_not_configured"),
        # records
        f"{es}/records/no-text.jsonl#L1": (line(id="a", note=TEXT), "json_fields@1"),
        f"{es}/records/null.jsonl#L1": (line(id="a", text=None, note=TEXT), "json_fields@1"),
        f"{es}/records/number.jsonl#L1": (line(id="a", text=7, note=TEXT), "json_fields@1"),
        f"{es}/records/list.jsonl#L1": (line(id="a", text=[TEXT]), "json_fields@1"),
        f"{es}/records/id.jsonl#L1": (line(id=["a"], text=TEXT), "json_fields@1"),
        f"{es}/records/huge-id.jsonl#L1": (b'{"id": 1' + b"0" * 5000 + b', "text": "a"}\n', "json_invalid@1"),
        f"{es}/records/cut.jsonl.gz": (gzip.compress(records * 3, mtime=0)[:40], "gzip_damaged@1"),
    }  # fmt: skip


def beside_sound_records(texts: Iterator[str]) -> dict[str, tuple[bytes, dict[str, str]]]:
    """Files of records in which one is sound: key -> the object, and the outcome of each record (of the file: "")."""
    es = f"es/{DAY}/mixed"
    good = [line(id=f"good-{number}", text=next(texts)) for number in range(6)]
    return {
        f"{es}/ids.jsonl": (
            good[0] + line(id="good-0", text=TEXT), {"good-0": "annotated", "#L2": "duplicate_id@2"}
        ),
        f"{es}/trailing.jsonl.gz": (
            gzip.compress(good[1], mtime=0) + CANARY.encode(), {"good-1": "annotated", "": "gzip_damaged@2"}
        ),
        f"{es}/members.jsonl.gz": (
            gzip.compress(good[2], mtime=0) + gzip.compress(good[3], mtime=0),
            {"good-2": "annotated", "good-3": "annotated"},
        ),
        f"{es}/members-too.jsonl": (good[4] + good[5], {"good-4": "annotated", "good-5": "annotated"}),
    }  # fmt: skip


def sound_forms(texts: Iterator[str]) -> dict[str, bytes]:
    """Objects of a note each that are strange and yet sound: key -> bytes."""
    es, seed = f"es/{DAY}/odd", random.Random(7)
    zalgo = "".join(chr(seed.randrange(0x300, 0x36F)) for _ in range(3000))
    return {
        f"{es}/mark.txt": b"\xef\xbb\xbf" + next(texts).encode(),
        f"{es}/crlf.TXT": next(texts).replace("\n", "\r\n").encode(),
        f"{es}/controls.txt": f"\u202e{next(texts)}\u202c \u2066a\u2069\u200f".encode(),
        f"{es}/combining.txt": f"{next(texts)} a{zalgo} b".encode(),
        f"{es}/flags.txt": f"{next(texts)} {'🇪🇸🇮🇹' * 200}".encode(),
        f"{es}/word.txt": f"{next(texts)} {'a' * 20_000}".encode(),
        f"{es}/ligatures.txt": f"{next(texts)} {chr(0xFDFA) * 300}".encode(),
        f"{es}/{urllib.parse.quote('../../x y%00', safe='')}.txt": next(texts).encode(),
        f"{es}/{'n' * 940}.txt": next(texts).encode(),
        f"{es}/same.txt": next(texts).encode(),
        f"{es}/same.TXT": next(texts).encode(),
        f"{es}/Ünï cödé +&?#.txt": next(texts).encode(),
    }
