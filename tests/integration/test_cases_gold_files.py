"""Cases from public reports of people who annotate: each small file gives what its README calls right."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from enigma_tasks.cli import main
from enigma_tasks.config import load_params
from enigma_tasks.documents import EntityType
from enigma_tasks.gold.deliveries import ReadDelivery, read_delivery
from enigma_tasks.gold.ingestion import GoldObject, arrange
from enigma_tasks.gold.settling import Arriving, settle

CASES = Path(__file__).parents[3] / "shared" / "cases"
PARAMS = str(Path(__file__).parents[2] / "params.yaml")
TSV = "filename label start_span end_span text"
pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason="the shared cases do not lie beside the repository")


def dropped(case: str, scratch: Path) -> tuple[list[ReadDelivery], list[str], int]:
    """What a drop of the case's files gives: readings, fates of the documents, ignored objects."""
    folder = CASES / "gold" / case
    files = {f"es/all/{case}/{p.relative_to(folder).as_posix()}": p for p in folder.rglob("*") if p.is_file()}
    objects = [GoldObject(path, "e", p.stat().st_size, "2026-06-11") for path, p in files.items()]
    deliveries, ignored = arrange(objects, load_params(Path(PARAMS)).language, 10_000_000)
    readings = []
    for number, delivery in enumerate(deliveries):
        assert delivery.rule is None
        data = {path: files[path].read_bytes() for path, _ in delivery.state}
        readings.append(read_delivery(delivery, data, scratch / str(number)))
    arriving = [Arriving(r.delivery.record, d) for r in readings for d in r.documents]
    held: dict[tuple[str, EntityType], list[Any]] = {("es", t): [] for t in EntityType}
    return readings, list(settle(arriving, held, {}).fates), ignored


@pytest.mark.parametrize(
    ("case", "documents", "refusals"),
    [
        ("brat811", {"b811": ["Virus A- y B-positivo"]}, []),
        ("dkpro1185", {"b1185": ["asma"]}, []),
        ("in1631", {}, [("1", "layer_not_understood")]),
        ("in1640", {"rezipped": ["neumonía lobar"]}, []),
        ("in2065", {}, [("", "zip_of_several")]),
        ("wa426", {"doc1": ["neumonía lobar"], "doc2": None}, []),
    ],
)
def test_a_drop_gives_what_is_right(
    case: str, documents: dict[str, list[str] | None], refusals: list[tuple[str, str]], tmp_path: Path
) -> None:
    readings, fates, _ = dropped(case, tmp_path)
    found = {d.id: [e.text for e in d.entities] for r in readings for d in r.documents}
    assert set(found) == set(documents)
    assert all(found[name] == spans for name, spans in documents.items() if spans is not None)
    assert fates == ["added"] * len(documents)
    assert [(x.document, x.rule) for r in readings for x in r.refusals] == refusals
    assert sum(r.read for r in readings) == len(documents) + len(refusals)


def enigma(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any], str]:
    code = main([words[0], "--params", PARAMS, "--json", *words[1:]])
    out, err = capsys.readouterr()
    return code, json.loads(out) if out else {}, err


def test_every_pair_of_a_folder_is_validated_whatever_its_letter_case(capsys: pytest.CaptureFixture[str]) -> None:
    _, report, _ = enigma(capsys, "validate", str(CASES / "corpora" / "mixed"), "--language", "es")
    assert (report["documents"], report["spans"]["disease"]) == (4, 4)


def score(capsys: pytest.CaptureFixture[str], name: str) -> tuple[int, dict[str, Any], str]:
    scores = CASES / "scores"
    return enigma(capsys, "score", "--gold", str(scores / "one.tsv"), "--pred", str(scores / name))


def test_a_submission_whose_names_end_in_ann_is_of_the_same_documents(capsys: pytest.CaptureFixture[str]) -> None:
    code, report, _ = score(capsys, "annname.tsv")
    assert (code, report["documents"], report["strict"]["f1"]) == (0, 1, 1)


def test_another_tasks_header_is_answered_with_the_one_wanted(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = score(capsys, "medproc.tsv")
    assert code == 1
    assert "medproc.tsv: tsv_header_unknown at 1" in err
    assert TSV in err


def test_a_cell_that_may_be_text_is_not_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = score(capsys, "leak.tsv")
    assert code == 1
    assert "leak.tsv: label_unknown at 2" in err
    assert "DRUG" in err
    assert "asma" not in err
    assert "Paciente" not in err
