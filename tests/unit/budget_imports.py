"""Worst cases of the importers of annotation tools' exports."""

from __future__ import annotations

import csv
import io
import json
from functools import partial
from typing import Any

from enigma_tasks.documents import Document, EntityType
from enigma_tasks.formats.imports import doccano, inception, label_studio, read_export
from enigma_tasks.formats.imports.files import parsed_json, parsed_table, unzipped
from enigma_tasks.formats.imports.ids import Source, own_id, places_of, shown_id
from enigma_tasks.formats.imports.inception_versions import superseded_documents, superseded_files
from enigma_tasks.formats.imports.inception_zip import zipped_documents
from enigma_tasks.formats.imports.label_studio_tasks import as_task, span_columns
from enigma_tasks.formats.imports.latest import latest
from enigma_tasks.formats.imports.markup import has_markup, shown
from enigma_tasks.formats.imports.other_keys import check_other_key
from enigma_tasks.formats.imports.placing import located
from enigma_tasks.formats.imports.regions import read_regions
from enigma_tasks.formats.imports.spans import Span, imported, is_location
from enigma_tasks.formats.limits import Budget
from enigma_tasks.formats.offset_units import UNITS, Content
from tests.unit.budget_formats import WORDS, attempt
from tests.unit.budgets import Call, case
from tests.unit.import_builders import region, zipped
from tests.unit.inception_builders import cas_of

ALL = frozenset(EntityType)
TOKEN = "de.tudarmstadt.ukp.dkpro.core.api.segmentation.type.Token"


def exported(name: str, value: Any) -> Call:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return lambda: read_export(name, data, "es", ALL)


def spans(n: int) -> list[list[object]]:
    return [[4 * i, 4 * i + 3, "SYMPTOM"] for i in range(n)]


def task(i: int, *results: Any, **data: Any) -> dict[str, Any]:
    return {"id": i, "data": {"text": WORDS, **data}, "annotations": [{"id": 1, "result": list(results)}]}


# doccano


@case(doccano.read_records, 500)
def spans_under_two_keys(n: int) -> Call:
    line = {"id": 1, "text": WORDS * n, "label": spans(n), "spans": spans(n), "more": json.dumps(spans(n))}
    return exported("a.jsonl", line)


@case(doccano.read_records, 100)
def lines_of_one_id(n: int) -> Call:
    return exported("a.json", [{"id": 1, "text": WORDS + str(i), "label": spans(1)} for i in range(n)])


@case(doccano.read_records, 150)
def offsets_in_another_unit(n: int) -> Call:
    return exported("a.jsonl", {"id": 1, "text": "😀\r\n🇪🇸" * n, "label": [[4 * i, 4 * i + 1, "x"] for i in range(n)]})


@case(doccano.read_records, 500)
def relations_between_spans(n: int) -> Call:
    found = [{"id": i, "label": "SYMPTOM", "start_offset": 4 * i, "end_offset": 4 * i + 3} for i in range(n)]
    relations = [{"from_id": i, "to_id": 0} for i in range(n)]
    return exported("a.jsonl", {"id": 1, "text": WORDS * n, "entities": found, "relations": relations})


@case(imported, 120)
def spans_of_unknown_labels(n: int) -> Call:
    found = [Span(f"LABEL{i}", 0, 3) for i in range(n)]
    return lambda: imported("d", WORDS * (5 * n), found, "es", ALL)


@case(is_location, 2000)
def a_text_like_a_path(n: int) -> Call:
    texts = ["/" + "a " * n + "\n", "a/" * n, "http://" + "a." * n, "A" * n + "!", "data:" + "x" * n + " ", "a." * 1000]
    return lambda: [is_location(text) for text in texts]


@case(located, 80)
def surfaces_that_fit_no_unit(n: int) -> Call:
    found = [Span("DISEASE", 4 * i, 4 * i + 3, "tos") for i in range(n)]
    found.append(Span("DISEASE", 0, 3, "xyz"))
    return lambda: located("d", Content("tos\r\n" * n), found, UNITS[:2])


@case(located, 200)
def nested_spans_of_other_surfaces_in_an_export(n: int) -> Call:
    found = [Span("DISEASE", i, 4 * n - i, "xyz") for i in range(n)]
    return lambda: located("d", Content(WORDS * n), found, UNITS[:2])


@case(check_other_key, 500)
def spans_as_damaged_text(n: int) -> Call:
    read = frozenset((i, i + 1) for i in range(n))
    texts = [
        "[" + "start 1 " * n, "start" + "'" * n + "start=", "[" + "a_1_1_" * n, "DISEASE 1 1 " * n, "_" * n, "1 " * n,
        "[" * n, '"\\' * n, "(" + "\\" * n, "[" + '""' * n, "{" + '\\"' * n, "1" * n, "start=" + "1" * n,
    ]  # fmt: skip
    return lambda: [attempt(partial(check_other_key, "d", "k", text, read)) for text in texts]


# Label Studio


@case(label_studio.read_records, 50)
def columns_by_spans(n: int) -> Call:
    data = {f"column{i}": WORDS + str(i) for i in range(n)}
    return exported("a.json", [task(1, *[region(0, 3, "tos") for _ in range(n)], **data)])


@case(label_studio.read_records, 50)
def tasks_of_one_note(n: int) -> Call:
    return exported("a.json", [task(i, region(0, 3, "tos"), document_id="n1", text=WORDS + str(i)) for i in range(n)])


@case(label_studio.read_records, 100)
def rows_of_a_table(n: int) -> Call:
    value = json.dumps([{"start": 4 * i, "end": 4 * i + 3, "text": "tos", "labels": ["SYMPTOM"]} for i in range(n)])
    written = io.StringIO()
    rows = csv.writer(written)
    rows.writerow(["id", "text", "label", "annotator", "annotation_id", "other"])
    rows.writerows([[i, WORDS, "[]", 1, 1, "x"] for i in range(n)])
    rows.writerow([n, WORDS * n, value, 1, 1, value])
    return exported("a.csv", written.getvalue().encode())


@case(latest, 300)
def imported_ground_truths(n: int) -> Call:
    made = [{"id": i, "result": [0], "updated_by": 1} for i in range(n)]
    made += [{"id": i, "result": [0], "ground_truth": True, "updated_by": None} for i in range(n)]
    made += [{"id": i, "result": ["x" * n], "created_at": "?" * 50} for i in range(30)]
    return lambda: attempt(lambda: latest("d", made))


@case(read_regions, 300)
def regions_with_attributes(n: int) -> Call:
    results = [region(4 * i, 4 * i + 3, "tos") for i in range(n)]
    results += [{"id": f"r{4 * i}", "type": "choices", "value": {"start": 1, "choices": ["x"]}} for i in range(n)]
    results += [{"type": "relation", "from_id": f"r{4 * i}", "to_id": "r0"} for i in range(n)]
    return lambda: read_regions("d", results)


@case(span_columns, 200)
def rows_of_many_columns(n: int) -> Call:
    row = {f"c{i}": '[{"start": 1, "labels"' + '"start"  ' * 3 for i in range(n)} | {"annotator": 1, "annotation_id": 1}
    return lambda: [span_columns([row] * 3), as_task(row, frozenset(row)), as_task(row)]


@case(has_markup, 500)
def pieces_of_tags(n: int) -> Call:
    texts = [piece * n for piece in ("<", "<p ", "</", "<p", "&", "<!", "<?")]
    return lambda: [has_markup(text) for text in texts]


TAGS = (
    *("<", "</", "<p ", "<p a='", "<a =", "</a ", "<p/", "<!--", "<!", "<![", "<?", "<script>", "<style><!--"),
    *("<p>a<br/></p>", "&", "&#", "&a"),
)


def page_of(piece: str) -> None:
    def page(n: int) -> Call:
        return lambda: shown(piece * n)

    page.__name__ = f"page_of_{piece}"
    case(shown, 300)(page)


for tag in TAGS:
    page_of(tag)


# ids, files, zips


@case(shown_id, 300)
def an_id_of_suffixes(n: int) -> Call:
    values = ["a1" + ".txt" * n, "/" * n + "1", "./" * n, "1 " * n, "a" * n, "e\u0301" * n]
    return lambda: [shown_id(value) for value in values] + [own_id([{"filename": values[0]}] * n)]


@case(places_of, 1000)
def many_sources(n: int) -> Call:
    return lambda: places_of([Source("f", i, i) for i in range(n)])


@case(parsed_json, 1000)
def lines_that_are_no_json(n: int) -> Call:
    return lambda: parsed_json("f", b"{}\n" + b"[\n" * n + b'{"a": 1}\n' * n, Budget())


@case(parsed_table, 300)
def rows_of_other_numbers_of_cells(n: int) -> Call:
    rows = [f"{i},a,b\n{i + 1},a\n" for i in range(n)]
    return lambda: attempt(lambda: parsed_table("f", "".join(["id,x\n", *rows]).encode(), Budget()))


@case(parsed_table, 500)
def rows_of_one_cell(n: int) -> Call:
    return lambda: attempt(lambda: parsed_table("f", b"a\n" + b"b\n" * n + b'"' + b"x\n" * n, Budget()))


@case(unzipped, 100)
def files_of_a_zip(n: int) -> Call:
    data = zipped({f"a/{i}.json": "{}" for i in range(n)})
    return lambda: unzipped("a.zip", data, Budget())


@case(read_export, 50)
def exports_of_a_zip(n: int) -> Call:
    lines = "".join(json.dumps({"id": i, "text": WORDS, "label": spans(1)}) + "\n" for i in range(3))
    return exported("a.zip", zipped({f"{i}.jsonl": lines for i in range(n)}))


# INCEpTION


@case(zipped_documents, 50)
def curated_documents_of_a_project(n: int) -> Call:
    files = {f"curation/d{i}.txt/CURATION_USER.xmi": "x" for i in range(n)}
    files |= {f"annotation/d{i}.txt/TypeSystem.xml": "x" for i in range(n)}
    members = unzipped("a.zip", zipped(files), Budget())
    return lambda: list(zipped_documents("a.zip", members, Budget()))


@case(superseded_files, 500)
def versions_of_documents(n: int) -> Call:
    paths = [f"a/d{i % 9}.txt/{who}{i}.xmi" for i in range(n) for who in ("anna", "CURATION_USER")]
    return lambda: superseded_files(paths)


@case(superseded_documents, 300)
def versions_of_one_text(n: int) -> Call:
    found = [(f"a/{i}.xmi", Document("d", WORDS)) for i in range(n)]
    return lambda: superseded_documents([*found, ("a/CURATION_USER.xmi", Document("d", WORDS))])


@case(inception.read_xmi, 100)
def layers_of_an_xmi(n: int) -> Call:
    made: list[Any] = [(TOKEN, 4 * i, 4 * i + 3, {}) for i in range(n)]
    found = [("custom.Disease", 0, 4 * i + 3, {"value": "DISEASE"}) for i in range(n)]
    cas = cas_of(*made, *found, text=WORDS * n)
    data, system = cas.to_xmi().encode(), cas.typesystem.to_xml().encode()
    return lambda: read_export("a.xmi", data, "es", ALL, system)


@case(inception.read_cas, 100)
def views_of_a_cas(n: int) -> Call:
    return exported("a.json", cas_json(n))


def cas_json(n: int) -> dict[str, Any]:
    sofas: list[dict[str, Any]] = [
        {
            "%ID": i + 1,
            "%TYPE": "uima.cas.Sofa",
            "sofaNum": i,
            "sofaID": f"v{i}",
            "mimeType": "text",
            "sofaString": WORDS,
        }
        for i in range(n)
    ]
    others = [
        {"%ID": n + i + 1, "%TYPE": "uima.tcas.Annotation", "@sofa": i + 1, "begin": 0, "end": 3} for i in range(n)
    ]
    views = {f"v{i}": {"%SOFA": i + 1, "%MEMBERS": [n + i + 1]} for i in range(n)}
    return {"%TYPES": {}, "%FEATURE_STRUCTURES": [*sofas, *others], "%VIEWS": views}
