"""Exports of annotation tools from public reports, as they lie beside the repository: each read right or refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from enigma_tasks.config import load_params
from enigma_tasks.gold.deliveries import read_delivery
from enigma_tasks.gold.ingestion import GoldObject, arrange

ROOT = Path(__file__).parents[2]
CASES = ROOT.parent / "shared" / "cases" / "gold"

pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason="the shared cases do not lie beside the repository")

# case -> (documents: id and spans), (refusals: place in the file and rule)
EXPECTED: dict[str, tuple[dict[str, list[tuple[int, int, str]]], list[tuple[str, str]]]] = {
    "ls2512": ({"labelstudio-111": [(6, 10, "asma")]}, []),
    "ls2777": ({"labelstudio-103": [(13, 21, "neumonía")]}, []),
    "ls3078": ({"labelstudio-101": [(13, 31, "diabetes  mellitus")]}, []),
    "ls539": ({"labelstudio-102": [(48, 62, "neumonía lobar")]}, []),
    "ls5459": ({}, [("1", "text_missing"), ("2", "text_missing")]),
    "ls719": ({"labelstudio-301": [(6, 20, "asma bronquial")]}, []),
    "ls889": ({}, [("1", "id_missing")]),
    "ls_min2": ({"labelstudio-112": [(6, 20, "asma bronquial")]}, []),
    "lsc37": ({"labelstudio-113": [(6, 10, "asma")]}, []),
    "lsname": ({}, [("1", "surface_differs")]),
    "do1422": ({"doccano-203": [(6, 10, "asma")]}, []),
    "do2114": ({}, [("1", "offset_unit_unknown")]),
}


def test_every_case_of_these_tools_has_an_expected_outcome() -> None:
    assert {p.name for p in CASES.iterdir() if p.name.startswith(("ls", "do"))} == set(EXPECTED)


@pytest.mark.parametrize("case", EXPECTED)
def test_a_case_from_a_public_report_comes_out_right(case: str, tmp_path: Path) -> None:
    files = {f"es/all/{case}/{p.name}": p.read_bytes() for p in (CASES / case).iterdir() if p.name != "README"}
    listed = [GoldObject(path, "etag", len(data), "2026-05-01") for path, data in files.items()]
    deliveries, ignored = arrange(listed, load_params(ROOT / "params.yaml").language, 10**8)
    documents, refusals = EXPECTED[case]
    assert (len(deliveries), ignored) == (1, 0)
    assert deliveries[0].rule is None
    reading = read_delivery(deliveries[0], files, tmp_path / "scratch")
    found = {d.id: [(*e.span, e.text) for e in d.entities] for d in reading.documents}
    assert found == documents
    assert [(r.document, r.rule) for r in reading.refusals] == refusals
