"""One file of gold costs only itself: what is far more than an annotator's work is refused before it takes memory."""

from __future__ import annotations

import gc
import gzip
import hashlib
import io
import json
import struct
import tracemalloc
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from enigma_tasks.documents import Document, Entity, EntityType
from enigma_tasks.errors import DataError
from enigma_tasks.formats.corpora import CorpusReport, read_corpus
from enigma_tasks.formats.imports import Imported, read_export
from enigma_tasks.formats.imports.files import parsed_json, parsed_table, unzipped
from enigma_tasks.formats.imports.other_keys import python_value
from enigma_tasks.formats.limits import (
    MAX_ANNOTATIONS,
    MAX_DEPTH,
    MAX_FILES,
    MAX_FRAGMENTS,
    MAX_RECORDS,
    MAX_SPANS,
    MAX_VALUES,
    MAX_VIEWS,
    Budget,
)
from enigma_tasks.formats.packed import pack, packed_records, read_packed
from enigma_tasks.formats.predictions import placed
from enigma_tasks.formats.standoff import parse_ann, verified
from tests.unit.import_builders import labelled, line, lines, region, zipped
from tests.unit.inception_builders import as_json, cas_of
from tests.unit.memory import traced

if TYPE_CHECKING:
    from pathlib import Path

TYPES = frozenset(EntityType)
TEXT = "Tiene asma bronquial severa y fiebre."
LONG = "a b " * 250_000
"""A text of a megabyte."""
MB = 1_000_000


def read(name: str, data: bytes, **more: Any) -> list[Imported]:
    return read_export(name, data, "es", TYPES, **more)


def rules(found: list[Imported]) -> list[str]:
    """Of each document, its rule or nothing."""
    return [one.defects[0].rule if one.defects else "" for one in found]


def lying_zip(method: int, size: int, said: int) -> bytes:
    """A zip of one file of `size` bytes, which its directory says to have `said`."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as archive:
        archive.writestr("a.json", b" " * size)
    data = bytearray(packed.getvalue())
    struct.pack_into("<I", data, data.rfind(b"PK\x01\x02") + 24, said)
    struct.pack_into("<I", data, 22, said)
    return bytes(data)


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_whose_directory_lies_about_a_size_is_not_unpacked_whole(method: int) -> None:
    data = lying_zip(method, 60 * MB, 100)
    assert len(data) < 100_000
    found, most = traced(lambda: read("a.zip", data))
    assert rules(found) == ["zip_invalid"]
    assert most < 5 * MB


def test_zips_of_far_more_than_their_size_or_of_far_too_many_files_are_refused() -> None:
    assert rules(read("a.zip", zipped({"a.json": b" " * 2 * MB}))) == ["unpacked_ratio"]
    many = zipped({f"{n}.json": b"" for n in range(MAX_FILES + 1)})
    found, most = traced(lambda: read("a.zip", many))
    assert rules(found) == ["too_many_files"]
    assert most < MB


def test_zips_in_a_zip_have_one_budget_together() -> None:
    inner = zipped({"a.xmi": b"x" * 1000})
    budget = Budget(unpacked=2500)
    for _ in range(2):
        unzipped("a.zip", inner, budget)
    with pytest.raises(DataError, match="unpacked_too_large"):
        unzipped("a.zip", inner, budget)


def test_a_line_with_far_too_many_spans_costs_that_line_only() -> None:
    bad = line(id=1, text="a" * 1000, label=[[0, 1, "DISEASE"]] * 200_000)
    data = lines(bad, line(id=2, text=TEXT, label=[[6, 10, "DISEASE"]]))
    found, most = traced(lambda: read("a.jsonl", data))
    assert rules(found) == ["too_many_spans", ""]
    assert most < 60 * MB


def test_as_many_spans_as_are_allowed_are_read() -> None:
    data = lines(line(id=1, text=LONG, label=[[4 * n, 4 * n + 1, "DISEASE"] for n in range(MAX_SPANS)]))
    assert rules(read("a.jsonl", data)) == [""]


@pytest.mark.parametrize("labels", [["DISEASE"] * 10, [f"L{n}" for n in range(MAX_SPANS + 1)]], ids=["few", "many"])
def test_a_regions_labels_are_spans_too(labels: list[str]) -> None:
    marked = region(6, 10, "asma", labels=labels)
    count = MAX_SPANS + 1 if len(labels) == 10 else 1
    assert rules(read("a.json", json.dumps(labelled(*[marked] * count)).encode())) == ["too_many_spans"]


@pytest.mark.parametrize("count", [MAX_FRAGMENTS + 1, 500])
def test_a_span_of_far_too_many_fragments_is_refused_before_its_surface_is_looked_for(count: int) -> None:
    ann = f"T1\tDISEASE 0 1\ta\nT2\tDISEASE {';'.join(['0 1000000'] * count)}\tx\n"
    defects: list[DataError] = []
    parsed, most = traced(lambda: parse_ann("d", LONG, ann, defects))
    assert (parsed.entities, [(d.rule, d.offset) for d in defects]) == ((), [("too_many_fragments", 2)])
    assert most < MB


def test_spans_that_cover_a_long_text_again_and_again_are_refused() -> None:
    whole = [Entity("DISEASE", 0, len(LONG), "x")] * 11
    ann = "".join(f"T{n}\tDISEASE 0 {len(LONG)}\tx\n" for n in range(11))
    fragments = "T1\tDISEASE " + ";".join(["0 1000000"] * 50) + "\tx\n"
    doccano = lines(
        line(id=1, text=LONG, label=[[0, len(LONG), "DISEASE"]] * 11), line(id=2, text=TEXT, label=[[6, 10, "DISEASE"]])
    )
    for content in (ann, fragments):
        defects: list[DataError] = []
        _, most = traced(lambda content=content, defects=defects: parse_ann("d", LONG, content, defects))
        assert [d.rule for d in defects] == ["too_much_marked"]
        assert most < 5 * MB
    assert rules(read("a.jsonl", doccano)) == ["too_much_marked", ""]
    for call in (lambda: verified("d", LONG, whole), lambda: placed({"d": whole}, {"d": LONG})):
        with pytest.raises(DataError, match="d: too_much_marked"):
            call()


def test_many_documents_may_not_mark_their_texts_again_and_again_either() -> None:
    text = "Tiene asma. " * 2000
    spans = [[n, len(text) - n, "DISEASE"] for n in range(300)]
    data = lines(*(line(id=n, text=text, label=spans) for n in range(60)))
    found, most = traced(lambda: read("a.jsonl", data))
    assert set(rules(found)) == {"too_much_marked"}
    assert most < 10 * len(data)  # their texts were 430 MB


def test_fragments_are_counted_as_spans() -> None:
    row = f"T1\tDISEASE {';'.join(f'{4 * n} {4 * n + 1}' for n in range(MAX_FRAGMENTS))}\tx\n"
    defects: list[DataError] = []
    _, most = traced(lambda: parse_ann("d", LONG, row * (MAX_SPANS // MAX_FRAGMENTS + 1), defects))
    assert [d.rule for d in defects] == ["too_many_spans"]
    assert most < MB


def test_an_annotation_file_of_far_too_many_lines_is_one_defect() -> None:
    for row, most_rows, rule in (
        ("#1\tx\n", MAX_RECORDS, "too_many_records"),
        ("T1\tDISEASE 0 1\ta\n", MAX_SPANS + 1, "too_many_spans"),
    ):
        ann = row * (most_rows + 1)
        defects: list[DataError] = []
        _, most = traced(lambda ann=ann, defects=defects: parse_ann("d", LONG, ann, defects))
        assert [d.rule for d in defects] == [rule]
        assert most < MB


@pytest.mark.parametrize("name", ["a.json", "a.jsonl", "a.csv"])
def test_far_too_many_values_are_refused_before_they_are_parsed(name: str) -> None:
    data = b"[" + b",".join([b"[]"] * (MAX_VALUES // 2 + 1)) + b"]"
    found, most = traced(lambda: read(name, data))
    assert rules(found) == ["too_many_values"]
    assert most < 3 * len(data)


def test_the_files_of_an_export_have_one_budget_of_values_together() -> None:
    budget = Budget(values=20)
    for _ in range(2):
        parsed_json("a.json", b"[1, 2, 3, 4, 5, 6, 7, 8]", budget)
    for parse, data in ((parsed_json, b"[1, 2, 3, 4, 5]"), (parsed_table, b"a,b,c\n1,2,3\n")):
        with pytest.raises(DataError, match="too_many_values"):
            parse("a", data, budget)


@pytest.mark.parametrize(
    ("name", "row"), [("a.json", b"{},"), ("a.jsonl", b'{"id": 1}\n'), ("a.csv", b"x\n"), ("a.jsonl", b"\n")]
)
def test_a_file_of_far_too_many_records_is_one_refusal(name: str, row: bytes) -> None:
    many = row * (MAX_RECORDS + 1)
    data = b"[" + many[:-1] + b"]" if row.endswith(b",") else b"id\n" + many if name == "a.csv" else many
    found, most = traced(lambda: read(name, data + b"{}\n" if row == b"\n" else data))
    assert rules(found) == [{b"\n": "export_unknown"}.get(row, "too_many_records")]
    assert most < 50 * MB


@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 900, 100_000])
def test_values_too_far_in_one_another_cost_their_line_only(depth: int) -> None:
    deep = b'{"id": 1, "text": "x", "label": [], "meta": ' + b"[" * depth + b"]" * depth + b"}\n"
    found = read("a.jsonl", deep + lines(line(id=2, text=TEXT, label=[[6, 10, "DISEASE"]])))
    assert sorted(rules(found)) == ["", "too_deep"]
    assert rules(read("a.json", deep)) == ["too_deep"]


def test_values_as_far_in_one_another_as_is_allowed_are_read() -> None:
    depth = MAX_DEPTH - 1
    deep = b'{"id": 1, "text": "asma", "label": [[0, 4, "DISEASE"]], "meta": ' + b"[" * depth + b"]" * depth + b"}"
    assert rules(read("a.json", deep)) == [""]


def test_a_long_text_that_python_may_have_written_is_not_given_to_its_parser() -> None:
    assert python_value("['a', 1]") == ["a", 1]
    long = "[" + ",".join(["[]"] * MB) + "]"

    def refused() -> None:
        with pytest.raises(ValueError, match="long"):
            python_value(long)

    _, most = traced(refused)
    assert most < MB


def test_the_words_of_a_long_text_are_not_listed() -> None:
    data = lines(line(id=1, text=TEXT, label=[[6, 10, "DISEASE"]], note="tos " * 2_000_000))
    found, most = traced(lambda: read("a.jsonl", data))
    assert rules(found) == [""]
    assert most < 5 * len(data)


def test_a_cas_of_far_too_many_elements_is_not_loaded() -> None:
    cas = cas_of(("custom.Disease", 6, 10, {}), text=TEXT)
    xmi, system, tree = cas.to_xmi().encode(), cas.typesystem.to_xml().encode(), json.loads(as_json(cas))
    assert rules(read("a.xmi", xmi, type_system=system)) == [""]
    many = xmi.replace(b"</xmi:XMI>", b"<a/>" * MAX_ANNOTATIONS + b"</xmi:XMI>")
    found, most = traced(lambda: read("a.xmi", many, type_system=system))
    assert rules(found) == ["too_many_annotations"]
    assert most < 5 * MB
    for name, short in (("a.xmi", xmi), ("a.json", as_json(cas))):
        long = short.replace(TEXT.encode(), b"x" * 2_000_001)
        found, most = traced(lambda name=name, long=long: read(name, long, type_system=system))
        assert rules(found) == ["too_large"]
        assert most < 12 * MB
    words = xmi.replace(b'members="', b'members="' + b"1 " * MAX_VALUES)
    found, most = traced(lambda: read("a.xmi", words, type_system=system))
    assert rules(found) == ["too_many_values"]
    assert most < len(words) + 5 * MB
    structures = tree["%FEATURE_STRUCTURES"]
    tree["%FEATURE_STRUCTURES"] = [*structures, *[structures[-1]] * MAX_ANNOTATIONS]
    assert rules(read("a.json", json.dumps(tree).encode())) == ["too_many_annotations"]
    sofa = next(fs for fs in structures if fs["%TYPE"] == "uima.cas.Sofa")
    tree["%FEATURE_STRUCTURES"] = [*structures, *[sofa | {"sofaID": f"v{n}"} for n in range(MAX_VIEWS)]]
    tree["%VIEWS"]["v1"] = {}
    assert rules(read("a.json", json.dumps(tree).encode())) == ["views_several"]


def test_a_refused_document_does_not_keep_what_it_was_read_from() -> None:
    cas = cas_of(("custom.Disease", 6, 10, {"value": "NONE"}), ("custom.Other", 6, 10, {}), text=TEXT + "x" * 100_000)
    xmi, system = cas.to_xmi().encode(), cas.typesystem.to_xml().encode()
    read("a.xmi", xmi, type_system=system)
    gc.collect()
    gc.freeze()
    tracemalloc.start()
    found = read("a.xmi", xmi, type_system=system)
    gc.collect()
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    gc.unfreeze()
    assert rules(found) == ["layer_not_understood"]
    assert kept < 100_000


def test_a_long_text_of_a_page_is_refused_before_it_is_parsed() -> None:
    page = "<p>a</p> " * 700_000
    found, most = traced(lambda: read("a.json", json.dumps(labelled(region(0, 1, "a"), text=page)).encode()))
    assert rules(found) == ["too_large"]
    assert most < 6 * len(page)


def packed_lines(*rows: dict[str, Any], times: int = 1) -> bytes:
    return gzip.compress(b"".join(json.dumps(row).encode() + b"\n" for row in rows) * times)


def packed_row(name: str, text: str, *spans: tuple[int, int]) -> dict[str, Any]:
    entities = [{"label": "DISEASE", "start": s, "end": e, "text": text[s:e]} for s, e in spans]
    return {"id": name, "text": text, "language": "es", "annotated": ["disease"], "entities": entities}


def test_a_packed_file_that_was_dropped_has_limits_of_the_file_and_of_each_document(tmp_path: Path) -> None:
    path = tmp_path / "disease.jsonl.gz"
    text = " ".join(hashlib.sha256(str(n).encode()).hexdigest()[:9] for n in range(20_000))
    many, marked = [(7 * n, 7 * n + 3) for n in range(MAX_SPANS + 1)], packed_row("b", text)
    marked["entities"] = [{"label": "DISEASE", "start": 0, "end": len(text), "text": ""}] * 60
    path.write_bytes(packed_lines(packed_row("a", text, *many), marked, packed_row("c", TEXT)))
    found = packed_records(path, dropped=True)
    assert [[d.rule for d in one.defects] for one in found] == [["too_many_spans"], ["too_much_marked"], []]
    path.write_bytes(packed_lines(packed_row("a", TEXT), times=400_000))
    found, most = traced(lambda: packed_records(path, dropped=True))
    assert [[d.rule for d in one.defects] for one in found] == [["unpacked_ratio"]]
    assert most < 60 * MB
    path.write_bytes(gzip.compress(b'{"id":' * 70_000 + b"\n" * (MAX_RECORDS + 1) + b"{}"))
    assert [d.rule for one in packed_records(path, dropped=True) for d in one.defects][-1] == "too_many_records"


def test_what_enigma_packed_itself_is_read_whatever_its_size(tmp_path: Path) -> None:
    path = tmp_path / "disease.jsonl.gz"
    entities = tuple(Entity("DISEASE", 6, 10, "asma") for _ in range(MAX_SPANS + 1))
    document = Document("a", TEXT, entities, "es", frozenset({EntityType.DISEASE}))
    path.write_bytes(pack([document]))
    assert len(path.read_bytes()) * 100 < len(gzip.decompress(path.read_bytes()))
    assert read_packed(path) == [document]
    assert read_corpus(path) == [document]


def test_a_text_of_phrases_is_refused_in_every_shape(tmp_path: Path) -> None:
    phrases = "\ufdfa" * 300_000
    (tmp_path / "a.txt").write_text(phrases)
    (tmp_path / "a.ann").write_text("")
    (tmp_path / "b.txt").write_text(TEXT)
    (tmp_path / "b.ann").write_text("")
    report = CorpusReport()
    assert [d.id for d in read_corpus(tmp_path, "es", None, report)] == ["b"]
    assert [(d.record, d.rule) for d in report.defects] == [("a", "too_many_subwords")]
    assert rules(read("a.jsonl", lines(line(id=1, text=phrases, label=[[0, 1, "DISEASE"]])))) == ["too_many_subwords"]
    assert rules(read("a.jsonl", lines(line(id=1, text="x y " * 2 * MB, label=[[0, 1, "DISEASE"]])))) == ["too_large"]
