"""Every row of docs/gold.md on BRAT, tried as a drop and as a folder on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from enigma_tasks.config import load_params
from enigma_tasks.formats.corpora import CorpusReport, read_corpus
from enigma_tasks.gold.deliveries import read_delivery
from enigma_tasks.gold.ingestion import GoldObject, arrange
from tests.unit.import_cases_brat import BRAT

if TYPE_CHECKING:
    from tests.unit.import_builders import Outcome
    from tests.unit.import_cases_brat import FilesCase

PARAMS = load_params(Path(__file__).parents[2] / "params.yaml")


def bytes_of(case: FilesCase) -> dict[str, bytes]:
    return {name: c if isinstance(c, bytes) else c.encode() for name, c in case.files.items()}


def of_drop(case: FilesCase, scratch: Path) -> dict[str, Outcome]:
    files = {f"es/all/w/{name}": content for name, content in bytes_of(case).items()}
    listed = [GoldObject(path, "etag", len(content), "2026-05-01") for path, content in files.items()]
    found: dict[str, Outcome] = {}
    deliveries, ignored = arrange(listed, PARAMS.language, 10**6)
    assert sum(len(d.objects) for d in deliveries) + ignored == len(files)
    for number, delivery in enumerate(deliveries):
        name = Path(delivery.record).name.removesuffix(".txt")
        if delivery.rule:
            found[name] = delivery.rule
            continue
        reading = read_delivery(delivery, {p: files[p] for p, _ in delivery.state}, scratch / str(number))
        assert reading.read == len(reading.documents) + len(reading.refusals) == 1
        found |= {d.id: tuple(e.text for e in d.entities) for d in reading.documents}
        assert {r.document for r in reading.refusals} <= {""}  # by its file, which holds that document alone
        if reading.refusals:
            found[name] = reading.refusals[0].rule
    return found


@pytest.mark.parametrize("case", BRAT.values(), ids=BRAT)
def test_a_drop_of_brat_is_read_right_or_refused_by_its_rule(case: FilesCase, tmp_path: Path) -> None:
    assert of_drop(case, tmp_path) == case.outcomes


@pytest.mark.parametrize("name", [name for name, case in BRAT.items() if not case.drops_only])
def test_a_folder_of_brat_is_read_as_the_drop_is(name: str, tmp_path: Path) -> None:
    case, report = BRAT[name], CorpusReport()
    for file, content in bytes_of(case).items():
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_bytes(content)
    found: dict[str, Outcome] = {d.id: tuple(e.text for e in d.entities) for d in read_corpus(tmp_path, report=report)}
    refused = {defect.record.removesuffix(".txt"): defect.rule for defect in reversed(report.defects)}
    assert found | refused == case.outcomes
