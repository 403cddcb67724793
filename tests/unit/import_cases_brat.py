"""BRAT files as their users have them, and what has to come out: `docs/gold.md` lists each.

An outcome is one of each document or file, by its name: the surfaces that are gold, or the rule that refuses it.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.unit.import_builders import ASTHMA, BOTH, TEXT, WINDOWS, Outcome

NFC, NFD = "se\u00f1al1", "sen\u0303al1"
ONE = "T1\tDISEASE 6 10\tasma\n"
TWO = ONE + "T2\tSYMPTOM 30 36\tfiebre\n"


@dataclass(frozen=True)
class FilesCase:
    """Files of one folder."""

    files: dict[str, str | bytes]
    outcomes: dict[str, Outcome]
    drops_only: bool = False
    """On this machine a file of another kind is counted as ignored: `test_validate.py`."""


def pair(ann: str | bytes, outcome: Outcome, text: str | bytes = TEXT) -> FilesCase:
    return FilesCase({"x.txt": text, "x.ann": ann}, {"x": outcome})


BRAT: dict[str, FilesCase] = {
    "br-mentions": pair(TWO, BOTH),
    "br-no-mention": pair("", ()),
    "br-folders": FilesCase({"txt/x.TXT": TEXT, "ann/x.Ann": ONE}, {"x": ASTHMA}),
    "br-fragments": pair("T1\tDISEASE 6 10;21 27\tasma severa\n", ("asma bronquial severa",)),
    "br-comment": pair("T1\tDISEASE 6 10\tasma\tC0004096\nT2\tSYMPTOM 30 36\tfiebre  \n", BOTH),
    "br-fragments-joined": pair("T1\tDISEASE 6 8;8 10\tasma\n", ASTHMA),
    "br-blanks": pair("T1\tDISEASE 6 22\tasma bronquial\n", ("asma   bronquial",), "Tiene asma   bronquial."),
    "br-accents": pair("T1\tDISEASE 0 8\tneumoni\u0301a\n", ("neumonía",), "neumonía"),
    "br-windows": pair(TWO.replace("\n", "\r\n"), BOTH),
    "br-continues": pair("T1\tDISEASE 6 10\tasma bronquial\n", "surface_differs"),
    "br-two-in-line": pair("T1\tDISEASE 6 10\tasmaT2\tSYMPTOM 30 36\tfiebre\n", "ann_line_malformed"),
    "br-two-in-line-cr": pair(TWO.replace("\n", "\r"), "ann_line_malformed"),
    "br-no-tab": pair("T1 DISEASE 6 10 asma\n", "ann_line_malformed"),
    "br-crlf-once": pair("T1\tDISEASE 14 18\tasma\n", ASTHMA, WINDOWS),
    "br-crlf-lost": pair("T1\tDISEASE 15 19\tasma\n", ASTHMA, WINDOWS.replace("\r\n", "\n")),
    "br-utf16": pair("T1\tDISEASE 9 13\tasma\n", ASTHMA, "🙂 tiene asma"),
    "br-bytes": pair("T1\tDISEASE 6 10\tasma\n", ASTHMA, "Niño, asma"),
    "br-end-included": pair("T1\tDISEASE 6 9\tasma\nT2\tSYMPTOM 30 35\tfiebre\n", BOTH),
    "br-units": pair("T1\tSYMPTOM 3 5\taa\n", "offset_unit_unknown", "é\r\n aaaa"),
    "br-elsewhere": pair("T1\tDISEASE 7 11\tasma\n", "surface_differs"),
    "br-others": pair(
        f"{TWO}R1\trel Arg1:T1 Arg2:T2\nA1\tNegated T2\nN1\tReference T1 UMLS:C0004096\tasma\n#1\tNote T1\tver\n", BOTH
    ),
    "br-others-open": pair(f"{ONE}A1\tNegated T9\n", "ann_line_malformed"),
    "br-label": pair("T1\tDRUG 6 10\tasma\n", "label_unknown"),
    "br-outside": pair("T1\tDISEASE 6 999\tasma\n", "span_outside_text"),
    "br-inverted": pair("T1\tDISEASE 10 6\tasma\n", "span_inverted"),
    "br-bionlp": FilesCase(
        {"x.txt": TEXT, "x.a1": ONE}, {"x": "text_without_annotation", "x.a1": "file_type"}, drops_only=True
    ),
    "br-packed-ann": FilesCase(
        {"x.txt": TEXT, "x.ann.gz": b"x"}, {"x": "text_without_annotation", "x.ann.gz": "file_type"}, drops_only=True
    ),
    "br-no-text": FilesCase({"x.txt": TEXT, "x.ann": ONE, "y.ann": ONE}, {"x": ASTHMA, "y": "annotation_without_text"}),
    "br-no-annotation": FilesCase(
        {"x.txt": TEXT, "x.ann": ONE, "y.txt": TEXT}, {"x": ASTHMA, "y": "text_without_annotation"}
    ),
    "br-rtf": pair(ONE, "not_plain_text", "{\\rtf1\\ansi asma}"),
    "br-base64": pair("", "not_plain_text", "RWwgcGFjaWVudGUgdGllbmUgYXNtYSBncmF2ZSB5IGZpZWJyZQ=="),
    "br-empty": pair("", "empty", ""),
    "br-blank": pair("", "blank", " \u200b\n"),
    "br-nul": pair(ONE, "nul_byte", TEXT + "\0"),
    "br-latin1": pair("", "not_utf8", "Neumonía".encode("latin-1")),
    "br-suffix-twice": FilesCase({"x.txt": TEXT, "x.TXT": TEXT, "x.ann": ONE}, {"x": "id_duplicate"}),
    "br-forms": FilesCase({f"{NFC}.txt": TEXT, f"{NFD}.ann": ONE}, {NFC: ASTHMA}),
    "br-forms-both": FilesCase({f"{NFC}.txt": TEXT, f"{NFD}.txt": TEXT, f"{NFD}.ann": ONE}, {NFC: "id_duplicate"}),
    "br-both-suffixes": FilesCase({"x.txt": TEXT, "x.txt.ann": ONE}, {"x": ASTHMA}),
    "br-companions": FilesCase(
        {"x.txt": TEXT, "x.ann": ONE, "annotation.conf": "[entities]", "Thumbs.db": b"\0", ".stats_cache": "x",
         "README.txt": "Corpus.", "x.tsv": "filename\tlabel"},
        {"x": ASTHMA},
    ),
}  # fmt: skip
