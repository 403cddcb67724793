"""Worst cases of what takes gold in: deliveries, settling, rules, cases, folds."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path

from enigma_tasks.config import load_params
from enigma_tasks.documents import Document, Entity, EntityType
from enigma_tasks.errors import DataError
from enigma_tasks.formats.corpora import CorpusReport
from enigma_tasks.gold.augmented import Provenance, augmented_among, format_provenance, is_augmented, parse_provenance
from enigma_tasks.gold.cases import case_id, group_cases
from enigma_tasks.gold.changes import TrainedVersion, outdated
from enigma_tasks.gold.deliveries import ReadDelivery, leave_out_superseded, read_delivery
from enigma_tasks.gold.examination import Examination, checked_tables
from enigma_tasks.gold.filters import without_dropped
from enigma_tasks.gold.folds import annotated_only, read_folds
from enigma_tasks.gold.frozen_sets import check_not_trained_on, differing, digests_of
from enigma_tasks.gold.ingestion import GoldObject, arrange, news
from enigma_tasks.gold.manifest import Manifest, ManifestEntry, documents_of, pack_manifest, unpack_manifest
from enigma_tasks.gold.rules import Fold, far_densities, span_breaches, tables
from enigma_tasks.gold.settling import Arriving, origin, origins_of, settle
from enigma_tasks.gold.splitting import Case, assign, case_of
from enigma_tasks.gold.training_documents import check_cases
from tests.unit.budget_formats import WORDS, attempt, folder, packed_line, packed_lines, spans
from tests.unit.budgets import Call, case

PARAMS = load_params(Path(__file__).parents[2] / "params.yaml")
RULES = PARAMS.validation.rules
SYMPTOM, DISEASE = EntityType("symptom"), EntityType("disease")
LANGUAGES = frozenset({"es", "en"})


def documents(n: int, text: str = WORDS) -> list[Document]:
    return [Document(f"d{i}", f"{text}{i}", (), "es", frozenset({SYMPTOM})) for i in range(n)]


def objects(*paths: str) -> list[GoldObject]:
    return [GoldObject(path, "e", 1, "t") for path in paths]


@case(settle, 100)
def exports_of_one_document(n: int) -> Call:
    record = "es/symptom/project-1-at-2026-01-01-00-{:02}-{:08x}.json"
    arriving = [
        Arriving(record.format(i * 60 // n, i), Document("d", f"{WORDS}{i % 2}", (), "es", frozenset({SYMPTOM})))
        for i in range(n)
    ]
    return lambda: settle(arriving, {}, {})


@case(settle, 100)
def wards_with_one_document(n: int) -> Call:
    old = Document("d", WORDS, (), "es", frozenset({SYMPTOM}))
    arriving = [Arriving(f"es/symptom/w{i}/d.txt", replace(old, text=f"{WORDS}{i}")) for i in range(n)]
    origins = {("es", "symptom", "d"): {f"es/symptom/v{i}/d.txt" for i in range(n)}}
    return lambda: settle(arriving, {("es", SYMPTOM): [old]}, origins)


@case(settle, 100)
def documents_that_are_new(n: int) -> Call:
    arriving = [Arriving(f"{i}.txt", document) for i, document in enumerate(documents(n))]
    return lambda: settle(arriving, {("es", SYMPTOM): documents(n)}, {})


@case(origin, 1000)
def a_record_of_a_long_name(n: int) -> Call:
    return lambda: origin("-at-2026-01-01-00-00-" * n + "a" * n + "-at-2026-01-01-00-00-0000.json")


@case(origins_of, 200)
def a_manifest_of_many_documents(n: int) -> Call:
    claims = tuple(("es", "symptom", f"d{i}") for i in range(n))
    manifest: Manifest = {f"{i}.txt": ManifestEntry((), "", 0, claims[i : i + 1]) for i in range(n)}
    manifest["a.zip"] = ManifestEntry((), "", 0, claims)
    return lambda: [origins_of(manifest), unpack_manifest(pack_manifest(manifest)), documents_of(manifest["a.zip"])]


@case(pack_manifest, 200)
def deliveries_of_many_objects(n: int) -> Call:
    entry = ManifestEntry(tuple((f"{i}", "e") for i in range(n)), "", 0)
    return lambda: pack_manifest({"a": entry})


@case(arrange, 100)
def objects_of_many_kinds(n: int) -> Call:
    found = [f"es/symptom/{kind}/{i}.{kind}" for i in range(n) for kind in ("txt", "ann")]
    found += [f"es/symptom/d{i}.txt/{who}.xmi" for i in range(n) for who in ("anna", "CURATION_USER")]
    found += [f"es/symptom/{i}/TypeSystem.xml" for i in range(n)] + [f"es/x{i}/a.json" for i in range(n)]
    listed = objects(*found, "es/symptom/" + "a/" * n + "txt/" * n + "a.txt")
    return lambda: news(arrange(listed, lambda code: code, 9)[0], {})


@case(read_delivery, 100)
def a_packed_delivery(n: int) -> Call:
    (delivery,), _ = arrange(objects("es/symptom/symptom.jsonl.gz"), lambda code: code, 9)
    lines = [packed_line(i // 2, WORDS, []) | {"annotated": ["symptom"]} for i in range(n)]
    data = {delivery.record: gzip.compress("\n".join(map(json.dumps, lines)).encode())}
    return lambda: read_delivery(delivery, data, folder() / "scratch")


@case(leave_out_superseded, 200)
def deliveries_that_were_curated(n: int) -> Call:
    (delivery,), _ = arrange(objects("es/symptom/a/CURATION_USER.xmi"), lambda code: code, 9)
    readings = [ReadDelivery(delivery, documents=documents(2)) for _ in range(n)]
    return lambda: leave_out_superseded(readings)


@case(tables, 30)
def documents_of_many_languages(n: int) -> Call:
    found = [replace(d, language=f"l{i}") for i, d in enumerate(documents(n))]
    return lambda: tables({None: Fold(found, [])}, PARAMS.validation, lambda _: None, {})


@case(tables, 100)
def documents_with_defects(n: int) -> Call:
    defects = [DataError(f"d{i}", f"rule{i % 5}") for i in range(n)]
    return lambda: tables({None: Fold(documents(n), defects)}, PARAMS.validation, lambda _: None, {})


@case(span_breaches, 500)
def breaches_of_many_spans(n: int) -> Call:
    found = [*spans(n), Entity("SYMPTOM", 4 * n, 8 * n, " " + "." * n + " a" * n)]
    return lambda: span_breaches(found, RULES)


@case(far_densities, 200)
def densities_of_many_documents(n: int) -> Call:
    found = [replace(d, entities=tuple(spans(i % 3))) for i, d in enumerate(documents(n))]
    return lambda: far_densities(found, SYMPTOM, RULES.density_far)


@case(checked_tables, 50)
def folds_of_many_cases(n: int) -> Call:
    folds: dict[str | None, Fold] = {name: Fold(documents(n), []) for name in ("train", "dev")}
    return lambda: Examination(checked_tables(folds, PARAMS, lambda _: None), ()).defects()


@case(without_dropped, 40)
def documents_to_filter(n: int) -> Call:
    found = [Document("d", WORDS * n, tuple(spans(n)), "es"), *documents(n)]
    made = tables({None: Fold(found, [])}, PARAMS.validation, lambda _: None, {})
    return lambda: without_dropped(found, made, PARAMS.validation)


def numbered(n: int) -> list[str]:
    """Texts of 40 words; each word but for a few is its text's own."""
    return [" ".join(f"w{i}x{k}" for k in range(40)) for i in range(n)]


@case(group_cases, 100)
def texts_that_differ(n: int) -> Call:
    found = [Document(f"a{i}", text) for i, text in enumerate(numbered(n))]
    return lambda: group_cases(found, LANGUAGES, 0.8)


@case(group_cases, 100)
def texts_that_are_nearly_the_same(n: int) -> Call:
    common = " ".join(f"w{k}" for k in range(100))
    found = [Document(f"a{i}", f"{common} {i}") for i in range(n)]
    return lambda: group_cases(found, LANGUAGES, 0.8)


@case(group_cases, 100)
def texts_on_one_form(n: int) -> Call:
    common = " ".join(f"w{k}" for k in range(60))
    found = [Document(f"a{i}", f"{common} {text}") for i, text in enumerate(numbered(n))]
    return lambda: group_cases(found, LANGUAGES, 0.8)


@case(case_id, 1000)
def an_id_of_many_parts(n: int) -> Call:
    return lambda: case_id("es-disease" * n + "~disease+symptom" * n, LANGUAGES)


@case(check_cases, 50)
def cases_in_train_and_dev(n: int) -> Call:
    held = [Document(f"h{i}", text) for i, text in enumerate(numbered(n))]
    return lambda: attempt(lambda: check_cases(documents(n), held, PARAMS))


@case(check_not_trained_on, 50)
def frozen_documents(n: int) -> Call:
    held = [Document(f"h{i}", text) for i, text in enumerate(numbered(n))]
    return lambda: check_not_trained_on(documents(n), held, PARAMS)


@case(differing, 300)
def frozen_documents_and_gold(n: int) -> Call:
    return lambda: [differing(documents(n), documents(n)), digests_of({"dev": documents(n)})]


@case(assign, 300)
def cases_of_one_stratum(n: int) -> Call:
    cases = [Case(f"d{i}", 1 + i % 3, ("s",), i % 7) for i in range(n)]
    return lambda: [assign(cases, {"train": 0.8, "dev": 0.2}, 4, 7), case_of(documents(n))]


@case(outdated, 300)
def versions_of_one_language(n: int) -> Call:
    versions = [TrainedVersion("es", "symptom", {"symptom": f"d{i}"}, ("symptom",)) for i in range(n)]
    return lambda: outdated({"es": {"symptom": "d"}, **{f"l{i}": {"symptom": "d"} for i in range(n)}}, versions)


@case(is_augmented, 1000)
def ids_like_augmented_ones(n: int) -> Call:
    ids = ["--morphology-1" * n, "a--morphology-" + "1" * n + "x", "--" * n, "a--oversample-1" + "~a" * n]
    return lambda: [augmented_among([Document(i, "")], "dev") for i in ids]


@case(parse_provenance, 100)
def provenance_of_many_documents(n: int) -> Call:
    rows = [Provenance(f"a{i}", ("b",), "morphology", 1, "es") for i in range(n)]
    return lambda: parse_provenance(format_provenance(rows), "p")


@case(read_folds, 30)
def a_packed_corpus(n: int) -> Call:
    top = folder()
    packed_lines([packed_line(i, WORDS, []) for i in range(n)], top / "disease.jsonl.gz")
    return lambda: [annotated_only(fold) for fold in read_folds(top, None, None, CorpusReport()).values()]
