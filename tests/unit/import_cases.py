"""Exports of Label Studio as their users have them, and what has to come out: `docs/gold.md` lists each.

An outcome is one of each document of the export, in order: the surfaces that are gold, or the rule that refuses it.
"""

from __future__ import annotations

import json

from tests.unit.import_builders import (
    ABOUT_ONE,
    ABOUT_TEXT,
    ASTHMA,
    BARE,
    BOTH,
    CELL,
    HEADER,
    ONE,
    PAGE,
    QUOTED,
    SPANS,
    STORED,
    TEXT,
    TWO,
    TWO_TEXTS,
    UNREAD,
    WINDOWS,
    WRONG,
    Case,
    annotation,
    labelled,
    of_page,
    region,
    row,
    task,
    zipped,
)

LABEL_STUDIO: dict[str, Case] = {
    "ls-json": Case("a.json", labelled(ONE, TWO), [BOTH]),
    "ls-completions": Case(
        "a.json",
        [{"id": 7, "data": {"text": TEXT}, "completions": [annotation(ONE, updated_at=None, created_at=1609789589)]}],
        [ASTHMA],
    ),
    "ls-json-min": Case("a.json", [row(tags=SPANS)], [BOTH]),
    "ls-min-older": Case(
        "a.json", [{"id": 7, "text": TEXT, "label": SPANS}, {"id": 8, "text": TEXT}], [BOTH, "task_malformed"]
    ),
    "ls-min-two-controls": Case("a.json", [row(one=SPANS[:1], two=SPANS[1:])], [BOTH]),
    "ls-csv": Case("a.csv", f'{HEADER}\n"{TEXT}",7,"{QUOTED}",a,4,,2026-05-01,3\n'.encode(), [ASTHMA]),
    "ls-tsv": Case(
        "a.tsv", f'ID\tTEXT\tid\tlabel\tannotator\tannotation_id\n1\t{TEXT}\t7\t"{QUOTED}"\ta\t4\n'.encode(), [ASTHMA]
    ),
    "ls-tsv-as-csv": Case(
        "a.csv", f'ID\tTEXT\tid\tlabel\tannotator\tannotation_id\n1\t{TEXT}\t7\t"{QUOTED}"\ta\t4\n'.encode(), [ASTHMA]
    ),
    "ls-cell-json": Case("a.json", [row(label=CELL)], [ASTHMA]),
    "ls-cell-cut": Case("a.json", [row(label=CELL[:-20])], ["span_malformed"]),
    "ls-storage": Case("12", STORED | {"result": [ONE]}, [ASTHMA]),
    "ls-storage-task": Case("7.json", labelled(ONE)[0], [ASTHMA]),
    "ls-zip": Case(
        "a.zip", zipped({"a.json": json.dumps(labelled(ONE)).encode(), "__MACOSX/._a.json": b"\0"}), [ASTHMA]
    ),
    "ls-hypertext": Case(
        "a.json", labelled(of_page(13, 21, "neumonía"), of_page(37, 41, "asma"), text=PAGE), [("neumonía", "asma")]
    ),
    "ls-hypertext-br": Case(
        "a.json", labelled(of_page(22, 34, "Tos\\ny fiebre", "labels"), text=PAGE), [("Tos\ny fiebre",)]
    ),
    "ls-hypertext-head": Case(
        "a.json",
        labelled(of_page(0, 5, "Tiene"), of_page(6, 21, "asma bronquial"), text="  Tiene asma  bronquial.\n  Alta."),
        [("Tiene", "asma  bronquial")],
    ),
    "ls-hypertext-elsewhere": Case(
        "a.json", labelled(of_page(12, 20, "neumonía"), ONE, text=PAGE), ["hypertext_not_understood"]
    ),
    "ls-hypertext-no-surface": Case("a.json", labelled(of_page(13, 21, None), text=PAGE), ["hypertext_not_understood"]),
    "ls-hypertext-no-offsets": Case(
        "a.json", labelled(of_page(13, 21, "neumonía", globalOffsets=None), text=PAGE), ["hypertext_not_understood"]
    ),
    "ls-html-unmarked": Case("a.json", labelled(text=PAGE), ["not_plain_text"]),
    "ls-paragraphs": Case(
        "a.json",
        labelled(
            of_page(0, 4, "asma", "paragraphlabels", start="0", end="0", globalOffsets=None),
            text=[{"author": "a", "text": TEXT}],
        ),
        ["paragraphs_not_understood"],
    ),
    "ls-paragraphs-offsets": Case(
        "a.json", labelled(of_page(6, 10, "asma", "paragraphlabels", start="0", end="0")), [ASTHMA]
    ),
    "ls-other-region": Case(
        "a.json",
        labelled(
            ONE, {"id": "x", "type": "rectanglelabels", "value": {"x": 1, "y": 2, "rectanglelabels": ["DISEASE"]}}
        ),
        ["region_not_understood"],
    ),
    "ls-taxonomy-region": Case(
        "a.json",
        labelled(ONE, {"id": "x", "type": "taxonomy", "value": {"start": 30, "end": 36, "taxonomy": [["SYMPTOM"]]}}),
        ["region_not_understood"],
    ),
    "ls-no-label": Case("a.json", labelled(ONE, region(30, 36, "fiebre", labels=[])), ["label_missing"]),
    "ls-two-labels": Case("a.json", labelled(region(6, 10, "asma", labels=["DISEASE", "Síntoma"])), [("asma", "asma")]),
    "ls-two-label-keys": Case(
        "a.json", labelled(region(6, 10, "asma", hypertextlabels=["SYMPTOM", "DISEASE"])), [("asma", "asma")]
    ),
    "ls-about-document": Case("a.json", labelled(ONE, ABOUT_TEXT), [ASTHMA]),
    "ls-about-region": Case("a.json", labelled(ONE, ABOUT_ONE), [ASTHMA]),
    "ls-about-nothing": Case("a.json", labelled(TWO, ABOUT_ONE), ["region_not_understood"]),
    "ls-relation": Case("a.json", labelled(ONE, TWO, {"type": "relation", "from_id": "r6", "to_id": "r30"}), [BOTH]),
    "ls-relation-open": Case(
        "a.json", labelled(ONE, {"type": "relation", "from_id": "r6", "to_id": "r30"}), ["relation_not_understood"]
    ),
    "ls-last": Case(
        "a.json",
        [
            task(
                annotation(WRONG, id=12, updated_at="2026-05-01T11:00:00+02:00"),
                annotation(ONE, id=9, updated_at="2026-05-01T09:00:00.5Z"),
                annotation(WRONG, id=10, updated_at="2026-05-01T09:00:00.45Z"),
            )
        ],
        [ASTHMA],
    ),
    "ls-last-by-id": Case("a.json", [task(annotation(WRONG, id=9), annotation(ONE, id=10))], [ASTHMA]),
    "ls-last-row": Case(
        "a.json", [row(tags=[ONE["value"]], updated_at="2026-05-02"), row(tags=[WRONG["value"]])], [ASTHMA]
    ),
    "ls-last-rfc": Case(
        "a.json",
        [
            task(
                annotation(WRONG, id=9, updated_at="Fri, 02 Jan 2026 10:30:01 GMT"),
                annotation(ONE, id=5, updated_at="Sat, 03 Jan 2026 10:30:00 +0100"),
            )
        ],
        [ASTHMA],
    ),
    "ls-time-unknown": Case(
        "a.json",
        [
            task(annotation(WRONG, id=9, updated_at="vor 2 Tagen"), annotation(ONE, id=5)),
            task(annotation(ONE, id=9, updated_at="vor 2 Tagen"), annotation(ONE, id=5)) | {"id": 8},
        ],
        ["annotations_tie", ASTHMA],
    ),
    "ls-tie": Case("a.json", [task(annotation(ONE), annotation(WRONG))], ["annotations_tie"]),
    "ls-truth": Case(
        "a.json", [task(annotation(ONE, ground_truth=True), annotation(WRONG, updated_at="2026-06-01"))], [ASTHMA]
    ),
    "ls-truth-imported": Case(
        "a.json",
        [
            task(
                annotation(WRONG, id=9, ground_truth=True, updated_by=None, updated_at="2026-06-01"),
                annotation(ONE, id=8, updated_by=1),
            )
        ],
        [ASTHMA],
    ),
    "ls-choices-only": Case("a.json", labelled(ABOUT_TEXT), ["not_span_labels"]),
    "ls-choices-beside": Case("a.json", [*labelled(ABOUT_TEXT), task(annotation(ONE), id=8)], [(), ASTHMA]),
    "ls-row-of-choices": Case("a.json", [row(label="DISEASE")], ["not_span_labels"]),
    "ls-row-without": Case("a.json", [row(), row(id=8, tags=SPANS)], [(), BOTH]),
    "ls-row-other-spans": Case(
        "a.json",
        [row(entities=[[6, 10, "DISEASE"]]), row(id=8, tags=SPANS)],
        ["spans_not_understood", BOTH],
    ),
    "ls-cell-unread": Case(
        "a.json",
        [row(tags=SPANS), *(row(id=8 + i, tags=cell) for i, cell in enumerate(UNREAD))],
        [BOTH, *["span_malformed"] * len(UNREAD)],
    ),
    "ls-cell-empty": Case(
        "a.json",
        [row(tags=SPANS), *(row(id=8 + i, tags=cell) for i, cell in enumerate(["", " ", "[]", "null", None, []]))],
        [BOTH, *[()] * 6],
    ),
    "ls-empty": Case("a.json", labelled(), [()]),
    "ls-predictions": Case(
        "a.json", [task(predictions=[{"result": [ONE]}], drafts=[{"result": [ONE]}])], ["text_without_annotation"]
    ),
    "ls-cancelled": Case("a.json", [task(annotation(ONE, was_cancelled=True))], ["text_without_annotation"]),
    "ls-text-unusable": Case(
        "a.json",
        [
            task(annotation(), text=" \u200b\n"),
            task(annotation(region(0, 4, "asma")), text="asma\0") | {"id": 8},
            task(annotation(region(13, 17, "asma")), text='{"resumen": "asma"}') | {"id": 9},
        ],
        ["blank", "nul_byte", "not_plain_text"],
    ),
    "ls-no-id": Case(
        "a.json", [task(annotation(ONE)) | {"id": None}, task(annotation(ONE)) | {"id": 8}], ["id_missing", ASTHMA]
    ),
    "ls-id-twice": Case(
        "a.json",
        [*labelled(ONE), *labelled(region(3, 7, "asma"), text="Su asma."), task(annotation(ONE)) | {"id": 8}],
        ["id_duplicate", "id_duplicate", ASTHMA],
    ),
    "ls-own-id-twice": Case(
        "a.json",
        [
            task(annotation(ONE), data={"text": TEXT, "doc_id": "n1"}),
            task(data={"text": "Tos.", "doc_id": "n1"}) | {"id": 8},
        ],
        ["id_duplicate", "id_duplicate"],
    ),
    "ls-task-copies": Case(
        "a.json",
        [
            task(data={"text": TEXT, "doc_id": "n1"}),
            task(annotation(ONE), data={"text": TEXT, "doc_id": "n1"}) | {"id": 8},
        ],
        [ASTHMA],
    ),
    "ls-own-id-path": Case(
        "a.json",
        [
            task(annotation(ONE), data={"text": TEXT, "filename": "a/n1.txt"}),
            task(annotation(ONE), data={"text": TEXT, "filename": "b/n1.txt"}) | {"id": 8},
        ],
        [ASTHMA, ASTHMA],
    ),
    "ls-url": Case(
        "a.json",
        [
            *labelled(region(5, 9, None), text="s3://notes/2026/note 18.txt"),
            task(annotation(), text="/data/upload/7/n.txt") | {"id": 8},
        ],
        ["text_missing", "text_missing"],
    ),
    "ls-columns": Case(
        "a.json", [task(annotation(ONE), data={"nota": TEXT, "patient": "p-00012", "ward": "cardio"})], [ASTHMA]
    ),
    "ls-columns-unmarked": Case(
        "a.json", [task(annotation(), data={"nota": TEXT, "ward": "cardio"})], ["text_missing"]
    ),
    "ls-columns-both": Case(
        "a.json", [task(annotation(ONE), data={"nota": TEXT, "copy": f"{TEXT} "})], ["text_ambiguous"]
    ),
    "ls-columns-too-many": Case(
        "a.json", [task(annotation(ONE), data={f"c{i}": f"{TEXT} {i}" for i in range(101)})], ["text_ambiguous"]
    ),
    "ls-columns-neither": Case(
        "a.json",
        [task(annotation(ONE, region(8, 11, "tos")), data={"a": TEXT, "b": "Refiere tos seca"})],
        ["surface_differs"],
    ),
    "ls-columns-named": Case(
        "a.json",
        [
            task(annotation(BARE | {"to_name": "plan"}), data=TWO_TEXTS),
            task(annotation(BARE | {"to_name": "$plan"}), id=8, data=TWO_TEXTS),
            task(annotation(ONE | {"to_name": "plan"}), id=9, data={"text": TEXT, "plan": f"{TEXT} "}),
            task(annotation(BARE), id=10, data=TWO_TEXTS),
        ],
        [ASTHMA, ASTHMA, ASTHMA, ("tose",)],
    ),
    "ls-columns-unnamed": Case(
        "a.json",
        [
            row(label=[BARE["value"]], plan="Alta."),
            row(id=8, label=[BARE["value"]], **TWO_TEXTS),
            row(id=9, label=[BARE["value"], ONE["value"]], **TWO_TEXTS),
            task(annotation(BARE | {"to_name": "t"}), id=10, data=TWO_TEXTS),
            task(annotation(BARE, BARE | {"id": "r2", "to_name": "plan"}), id=11, data=TWO_TEXTS),
            task(annotation(BARE, BARE | {"id": "r2", "to_name": "t"}), id=12, data={"text": TEXT, "ward": "car"}),
        ],
        [ASTHMA, *["text_ambiguous"] * 5],
    ),
    "ls-blanks": Case(
        "a.json", labelled(region(6, 21, "asma bronquial"), text="Tiene asma  bronquial."), [("asma  bronquial",)]
    ),
    "ls-crlf-once": Case("a.json", labelled(region(14, 18, "asma"), text=WINDOWS), [ASTHMA]),
    "ls-crlf-twice": Case("a.json", labelled(region(15, 19, "asma"), text=WINDOWS), [ASTHMA]),
    "ls-no-surface": Case("a.json", labelled(region(6, 10, None)), [ASTHMA]),
    "ls-no-surface-crlf": Case("a.json", labelled(region(14, 18, None), text=WINDOWS), ["offset_unit_unknown"]),
    "ls-unit-mixed": Case(
        "a.json", labelled(region(14, 18, "asma"), region(22, 26, "Alta"), text=WINDOWS), ["surface_differs"]
    ),
    "ls-encrypted": Case(
        "a.zip",
        zipped({"a.json": b"[]"})
        .replace(b"PK\x03\x04\x14\0\0\0", b"PK\x03\x04\x14\0\1\0")
        .replace(b"PK\x01\x02\x14\x03\x14\0\0\0", b"PK\x01\x02\x14\x03\x14\0\1\0"),
        ["zip_invalid"],
    ),
    "ls-zip-in-zip": Case(
        "a.zip", zipped({"a.json": json.dumps(labelled(ONE)).encode(), "b.zip": zipped({})}), [ASTHMA, "zip_in_zip"]
    ),
    "ls-conll": Case("a.zip", zipped({"result.conll": b"-DOCSTART- -X- O\nasma -X- _ B-DISEASE\n"}), ["file_type"]),
    "ls-nothing": Case("a.json", [], ["export_empty"]),
}
