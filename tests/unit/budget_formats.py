"""Worst cases of the readers of BRAT, TSV, packed files and corpus folders, and of what they share."""

from __future__ import annotations

import gzip
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from enigma_tasks.documents import Document, Entity, EntityType, canonical_label, entity_at, label_hint, sorted_entities
from enigma_tasks.errors import DataError
from enigma_tasks.file_names import beside, kind_of, shape, without_suffix
from enigma_tasks.formats.corpora import read_corpus
from enigma_tasks.formats.corpus_files import corpus_files
from enigma_tasks.formats.corpus_reader import CorpusReport
from enigma_tasks.formats.label_studio_tasks import tasks_json
from enigma_tasks.formats.offset_units import UNITS, Content, fitting_unit
from enigma_tasks.formats.packed import pack, read_packed
from enigma_tasks.formats.predictions import check_ends, placed
from enigma_tasks.formats.standoff import TSV_HEADER, format_ann, format_rows, parse_ann, parse_tsv, verified
from enigma_tasks.formats.surfaces import BratSpan, located_all, same_surface
from enigma_tasks.formats.visible_runs import VisibleRuns, visible_runs
from tests.unit.budgets import Call, case

if TYPE_CHECKING:
    from collections.abc import Callable

WORDS = "tos "


def folder() -> Path:
    """Removed when the test's process ends."""
    made = tempfile.TemporaryDirectory()
    KEPT.append(made)
    return Path(made.name)


KEPT: list[tempfile.TemporaryDirectory[str]] = []


def spans(n: int) -> list[Entity]:
    """n words of a text of n words."""
    return [Entity("SYMPTOM", 4 * i, 4 * i + 3, "tos") for i in range(n)]


def attempt(call: Callable[[], object]) -> object:
    """A refusal is a result as good as any."""
    try:
        return call()
    except DataError as error:
        return error


@case(parse_ann, 250)
def nested_spans_of_other_surfaces(n: int) -> Call:
    ann = "".join(f"T{i}\tDISEASE {i} {4 * n - i}\tx\n" for i in range(n))
    return lambda: parse_ann("d", WORDS * n, ann, [])


@case(parse_ann, 250)
def sound_spans(n: int) -> Call:
    ann = "".join(f"T{i}\tSYMPTOM {4 * i} {4 * i + 3}\ttos\n" for i in range(n))
    return lambda: parse_ann("d", WORDS * n, ann, [])


@case(parse_ann, 200)
def spans_of_blanks(n: int) -> Call:
    ann = "".join(f"T{i}\tDISEASE {i} {4 * n - i}\tx y\n" for i in range(n))
    return lambda: parse_ann("d", "x" + " " * (4 * n) + "y", ann, [])


@case(parse_ann, 500)
def fragments_over_the_whole_text(n: int) -> Call:
    ann = f"T1\tDISEASE {';'.join([f'0 {4 * n}'] * n)}\ttos\n"
    return lambda: parse_ann("d", WORDS * n, ann, [])


@case(parse_ann, 200)
def fragments_far_apart(n: int) -> Call:
    ann = "".join(f"T{i}\tDISEASE 0 3;{4 * n - 4} {4 * n - 1}\ttos tos\n" for i in range(n))
    return lambda: parse_ann("d", WORDS * n, ann, [])


@case(parse_ann, 150)
def unknown_labels(n: int) -> Call:
    ann = "".join(f"T{i}\tLABEL{i} 0 3\ttos\n" for i in range(n))
    return lambda: parse_ann("d", WORDS * (5 * n), ann, [])


@case(parse_ann, 120)
def lines_within_lines(n: int) -> Call:
    ann = "".join(f"T{i}\tDISEASE 0 3\ttos T1\tDISEASE 0 {i}\n" for i in range(n))
    return lambda: parse_ann("d", WORDS * (10 * n), ann, [])


@case(parse_ann, 300)
def one_line_within_itself(n: int) -> Call:
    return lambda: parse_ann("d", "T1\tDISEASE 0 3 " * n, "T1\tDISEASE 0 3 " * n + "T" * n, [])


@case(parse_ann, 200)
def other_lines(n: int) -> Call:
    ann = "".join(f"R{i}\tOf Arg1:T{i} Arg2:T0\nE{i}\tX:T{i} {'Y:T1 ' * 3}\n#\t\tnote\n" for i in range(n))
    return lambda: parse_ann("d", WORDS, ann, [])


@case(parse_ann, 800)
def one_event_of_many_parts(n: int) -> Call:
    return lambda: parse_ann("d", WORDS, "E1\t" + "X:T9 " * n + "\n*\t" + " T1" * n + "\t" * n + "\n" + "\t" * n, [])


@case(parse_tsv, 250)
def a_quotation_that_does_not_end(n: int) -> Call:
    tsv = f'{TSV_HEADER}\nd\tDISEASE\t0\t3\t"tos\n' + "tos\n" * n
    return lambda: parse_tsv(tsv, "t", [])


@case(parse_tsv, 500)
def quotations_that_end_on_a_later_line(n: int) -> Call:
    tsv = f"{TSV_HEADER}\n" + 'd\tDISEASE\t0\t3\t"tos\n"\n' * n + 'd\tDISEASE\t0\t3\t"' + '""' * n
    return lambda: parse_tsv(tsv, "t", [])


@case(parse_tsv, 150)
def rows_of_unknown_labels(n: int) -> Call:
    tsv = f"{TSV_HEADER}\n" + "".join(f"d\tLABEL{i}\t0\t3\ttos\n" for i in range(n))
    return lambda: parse_tsv(tsv, "t", [])


@case(verified, 150)
def rows_of_other_surfaces(n: int) -> Call:
    rows = [Entity("DISEASE", i, 4 * n - i, "x") for i in range(n)]
    return lambda: verified("d", WORDS * n, rows, [])


@case(format_ann, 300)
def mentions_of_many_lines(n: int) -> Call:
    return lambda: format_ann([*spans(n), Entity("DISEASE", 0, 4 * n, "tos\n" * n + "\n" * n)])


@case(format_rows, 300)
def many_rows(n: int) -> Call:
    return lambda: format_rows([("d", spans(n)), *((f"d{i}", ()) for i in range(n))])


@case(located_all, 300)
def surfaces_in_another_unit(n: int) -> Call:
    text = "😀\r\n" * n
    written = [BratSpan("DISEASE", ((4 * i, 4 * i + 2),), "😀") for i in range(n)]
    return lambda: located_all("d", text, written)


@case(same_surface, 1000)
def a_surface_of_many_fragments(n: int) -> Call:
    fragments = tuple((4 * i, 4 * i + 3) for i in range(n))
    return lambda: same_surface(WORDS * n, fragments, WORDS * n)


@case(visible_runs, 200)
def runs_of_a_text(n: int) -> Call:
    text = "tos " * n + " " * n + "x" * n
    places = [(i, 6 * n - i) for i in range(n)]
    return lambda: [VisibleRuns(text).squeezed(0, n), *(visible_runs(text).count(*place) for place in places)]


@case(fitting_unit, 200)
def clusters_of_many_marks(n: int) -> Call:
    text = "a" + "\u0301" * n + "🇪🇸" * n + "👩\u200d" * n + "가" * n + "\u1100" * n + "\r\n" * n
    written = [BratSpan("DISEASE", ((i, i + 1),), "") for i in range(n)]
    attempts = [(UNITS, lambda *_: False)]
    return lambda: fitting_unit("d", Content(text, frozenset(range(n))), written, attempts)


@case(label_hint, 150)
def many_labels_of_one_text(n: int) -> Call:
    text = WORDS * (5 * n)
    return lambda: [label_hint(f"LABEL{i}", text) for i in range(n)]


@case(canonical_label, 5000)
def a_long_label(n: int) -> Call:
    return lambda: canonical_label(" " + "e\u0301" * n)


@case(sorted_entities, 2000)
def entities_in_falling_order(n: int) -> Call:
    return lambda: sorted_entities(reversed(spans(n)))


@case(entity_at, 2000)
def entities_of_a_text(n: int) -> Call:
    return lambda: [entity_at("d", WORDS * n, "SYMPTOM", e.char_start, e.char_end) for e in spans(n)]


@case(without_suffix, 2000)
def a_name_of_suffixes(n: int) -> Call:
    return lambda: without_suffix("a" + ".txt.ANN" * n)


@case(kind_of, 5000)
def a_long_name(n: int) -> Call:
    return lambda: [kind_of("a." * n), kind_of("1" * n), shape("a1" * n), beside(("txt", "x") * n)]


def packed_lines(lines: list[dict[str, object]], path: Path | None = None) -> Path:
    path = path or folder() / "disease.jsonl.gz"
    path.write_bytes(gzip.compress(b"".join(json.dumps(line).encode() + b"\n" for line in lines)))
    return path


def packed_line(i: int, text: str, entities: list[dict[str, object]]) -> dict[str, object]:
    return {"id": f"d{i}", "text": text, "language": "es", "annotated": ["disease"], "entities": entities}


@case(read_packed, 100)
def packed_documents(n: int) -> Call:
    path = packed_lines([packed_line(i // 2, WORDS, []) for i in range(n)])
    return lambda: read_packed(path, [])


@case(read_packed, 120)
def packed_spans_of_other_surfaces(n: int) -> Call:
    found: list[dict[str, object]] = [{"label": "DISEASE", "start": i, "end": 4 * n - i, "text": "x"} for i in range(n)]
    found += [{"label": f"LABEL{i}", "start": 0, "end": 3, "text": "tos"} for i in range(n)]
    path = packed_lines([packed_line(0, WORDS * n, found)])
    return lambda: read_packed(path, [])


@case(pack, 300)
def documents_to_pack(n: int) -> Call:
    types = frozenset({EntityType("symptom")})
    documents = [Document(f"d{i}", WORDS, (), "es", types) for i in range(n)]
    return lambda: pack([*documents, Document("d", WORDS * n, tuple(spans(n)), "es", types)])


@case(placed, 100)
def predictions_elsewhere(n: int) -> Call:
    found = {f"d{i}": [Entity("SYMPTOM", 0, 3, "asma")] for i in range(n)}
    found["d"] = [Entity("SYMPTOM", 4 * i, 4 * i + 3, "asma") for i in range(n)]
    texts = dict.fromkeys(found, WORDS) | {"d": WORDS * n}
    return lambda: attempt(lambda: placed(found, texts))


@case(placed, 300)
def nested_predictions_elsewhere(n: int) -> Call:
    found = {"d": [Entity("SYMPTOM", i, 4 * n - i, "asma") for i in range(n)]}
    return lambda: attempt(lambda: placed(found, {"d": WORDS * n}))


@case(check_ends, 2000)
def ends_of_predictions(n: int) -> Call:
    return lambda: check_ends("f", {"d": spans(n)})


@case(tasks_json, 500)
def tasks_of_spans(n: int) -> Call:
    return lambda: tasks_json([(Document("d", WORDS * n, tuple(spans(n))), "1")])


@case(read_corpus, 30)
def pairs_in_one_folder(n: int) -> Call:
    top = folder()
    for i in range(n):
        (top / f"d{i}.txt").write_text(WORDS)
        (top / f"d{i}.ann").write_text("T1\tSYMPTOM 0 3\ttos\n")
    return lambda: read_corpus(top)


@case(read_corpus, 30)
def many_ids_with_two_texts(n: int) -> Call:
    top = folder()
    for name, entity in (("a", "disease"), ("a", "symptom"), ("b", "disease")):
        lines = [packed_line(i, f"{WORDS}{name}", []) | {"annotated": [entity]} for i in range(n)]
        (top / name).mkdir(exist_ok=True)
        packed_lines(lines, top / name / f"{entity}.jsonl.gz")
    return lambda: read_corpus(top, report=CorpusReport())


@case(corpus_files, 50)
def exports_in_one_folder(n: int) -> Call:
    top = folder()
    for i in range(n):
        (top / f"d{i}.json").write_text("[]")
    return lambda: corpus_files(top)
