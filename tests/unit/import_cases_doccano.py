"""Exports of doccano as their users have them, and what has to come out: `docs/gold.md` lists each.

An outcome is one of each document of the export, in order: the surfaces that are gold, or the rule that refuses it.
"""

from __future__ import annotations

from tests.unit.import_builders import (
    ANNOTATED,
    ASTHMA,
    BOTH,
    OBJECTS,
    TEXT,
    WINDOWS,
    WRITTEN,
    Case,
    line,
    lines,
    zipped,
)

DOCCANO: dict[str, Case] = {
    "do-label": Case("all.jsonl", lines(line(label=[[6, 10, "DISEASE"], [30, 36, "SYMPTOM"]])), [BOTH]),
    "do-labels": Case("all.json", [line(labels=[[6, 10, "Enfermedad"]], annotation_approver=None)], [ASTHMA]),
    "do-entities": Case(
        "all.jsonl", lines(line(entities=OBJECTS, relations=[{"id": 1, "from_id": 1, "to_id": 2, "type": "x"}])), [BOTH]
    ),
    "do-relation-open": Case(
        "all.jsonl", lines(line(entities=OBJECTS, relations=[{"from_id": 1, "to_id": 3}])), ["relation_not_understood"]
    ),
    "do-annotations": Case("all.jsonl", lines(line(annotations=[o | {"user": 1} for o in OBJECTS])), [BOTH]),
    "do-label-numbers": Case(
        "all.jsonl",
        lines(line(annotations=[{"label": 3, "start_offset": 6, "end_offset": 10, "user": 1}])),
        ["span_malformed"],
    ),
    "do-cell-json": Case("all.jsonl", lines(line(label='[[6, 10, "DISEASE"]]')), [ASTHMA]),
    "do-two-keys": Case(
        "all.jsonl", lines(line(label=[[6, 10, "DISEASE"]], entities=[[0, 5, "DISEASE"]])), ["annotations_tie"]
    ),
    "do-one-key-empty": Case("all.jsonl", lines(line(label=[[6, 10, "DISEASE"]], entities=[])), [ASTHMA]),
    "do-other-key": Case(
        "all.jsonl",
        lines(
            line(label=[], spans=[[6, 10, "DISEASE"]], annotation_approver="ana"),
            line(
                id=8, label=[], ner='[{"start_char": 6, "end_char": 10, "label": "DISEASE"}]', annotation_approver="a"
            ),
            line(id=9, spans=[{"start": 30, "end": 36, "type": "SYMPTOM"}], **ANNOTATED),
            line(id=10, label=[], meta={"spans": [["6", "10", "DISEASE"]]}),
            line(id=11, label=[], annotation_approver="ana", result={"entities": [["DISEASE", 6, 10]]}),
            line(id=12, label=[], annotation_approver="ana", tags=["O", "B-DISEASE"]),
        ),
        ["spans_not_understood"] * 6,
    ),
    "do-other-key-text": Case(
        "all.jsonl",
        lines(*(line(id=i, label=[], annotation_approver="ana", spans=text) for i, text in enumerate(WRITTEN))),
        ["spans_not_understood"] * len(WRITTEN),
    ),
    "do-other-key-alike": Case(
        "all.jsonl",
        lines(line(spans=[["DISEASE", 6, 10]], tokens=[{"text": "Tiene", "start": 0, "end": 5}], **ANNOTATED)),
        [ASTHMA],
    ),
    "do-classes": Case(
        "all.jsonl", lines(line(label=["DISEASE"]), line(id=8, label="resumen")), ["not_span_labels", "not_span_labels"]
    ),
    "do-classes-csv": Case("all.csv", f"id,text,label\n7,{TEXT},DISEASE\n".encode(), ["not_span_labels"]),
    "do-zip": Case(
        "a.zip",
        zipped(
            {"admin.jsonl": lines(line(**ANNOTATED)), "unknown.jsonl": lines(line(id=8, label=[])), "ana.jsonl": b""}
        ),
        [ASTHMA, "text_without_annotation"],
    ),
    "do-members": Case(
        "a.zip", zipped({"admin.jsonl": lines(line(**ANNOTATED)), "ana.jsonl": lines(line(label=[]))}), [ASTHMA]
    ),
    "do-members-differ": Case(
        "a.zip",
        zipped({"admin.jsonl": lines(line(**ANNOTATED)), "ana.jsonl": lines(line(label=[[0, 5, "DISEASE"]]))}),
        ["id_duplicate", "id_duplicate"],
    ),
    "do-zip-damaged": Case(
        "a.zip",
        zipped({"a.jsonl": lines(line(**ANNOTATED)), "b.jsonl": b"{", "c.pdf": b"x"}),
        [ASTHMA, "json_invalid", "file_type"],
    ),
    "do-line-damaged": Case(
        "all.jsonl", lines(line(**ANNOTATED)) + b'\n{"id": 8, "text": "Ti\n', ["json_invalid", ASTHMA]
    ),
    "do-zip-empty": Case("a.zip", zipped({}), ["export_empty"]),
    "do-unknown": Case("unknown.jsonl", lines(line(label=[])), ["text_without_annotation"]),
    "do-approved": Case("all.jsonl", lines(line(labels=[], annotation_approver="admin")), [()]),
    "do-approved-null": Case(
        "all.jsonl",
        lines(
            line(label=None, annotation_approver="admin"),
            line(id=8, label=None, entities=[], annotation_approver="admin"),
        ),
        ["text_without_annotation", ()],
    ),
    "do-id-in-meta": Case("all.jsonl", lines({"text": TEXT, "meta": '{"id": 3}'} | ANNOTATED), [ASTHMA]),
    "do-dates": Case("all.jsonl", lines(line(meta={"start": "2020", "x": 1}, end="2021", **ANNOTATED)), [ASTHMA]),
    "do-no-id": Case("all.jsonl", lines({"text": TEXT} | ANNOTATED, line(**ANNOTATED)), ["id_missing", ASTHMA]),
    "do-id-twice": Case("all.jsonl", lines(line(**ANNOTATED), line(**ANNOTATED)), ["id_duplicate", "id_duplicate"]),
    "do-crlf": Case("all.jsonl", lines(line(text=WINDOWS, label=[[14, 18, "DISEASE"]])), ["offset_unit_unknown"]),
    "do-crlf-after": Case("all.jsonl", lines(line(text="Tiene asma.\r\nAlta.", **ANNOTATED)), [ASTHMA]),
    "do-emoji": Case(
        "all.jsonl", lines(line(text="🙂 tiene asma", label=[[8, 12, "DISEASE"]])), ["offset_unit_unknown"]
    ),
    "do-combining": Case(
        "all.jsonl",
        lines(line(text="Niega ano\u0301smia y asma grave", label=[[17, 21, "DISEASE"]])),
        ["offset_unit_unknown"],
    ),
    "do-text-unusable": Case(
        "all.jsonl",
        lines(
            line(text="<html><p>asma</p></html>", label=[[9, 13, "DISEASE"]]),
            line(id=8, text="Tiene \0 asma", label=[[8, 12, "DISEASE"]]),
        ),
        ["not_plain_text", "nul_byte"],
    ),
    "do-path": Case("all.jsonl", lines(line(text="notes/note 17.txt", **ANNOTATED)), ["text_missing"]),
}
