"""Five real models' predictions: the majority of three scores what it is known to score."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from enigma_tasks.cli import main
from enigma_tasks.formats.corpora import read_corpus, read_text
from enigma_tasks.formats.standoff import parse_tsv, verified

SHARED = Path(__file__).parents[3] / "shared" / "predictions" / "cardioccc-es"
PARAMS = str(Path(__file__).parents[2] / "params.yaml")
pytestmark = pytest.mark.skipif(not SHARED.is_dir(), reason="the shared predictions do not lie beside the repository")


@pytest.mark.parametrize(("entity", "f1"), [("disease", 0.8356), ("procedure", 0.8654), ("symptom", 0.8194)])
def test_three_of_five_members_reach_the_known_strict_f1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], entity: str, f1: float
) -> None:
    members = [str(p) for p in sorted((SHARED / entity).glob("*.tsv")) if p.stem != "gold"]
    assert len(members) == 5
    out = tmp_path / "voted.tsv"
    assert main(["vote", "--params", PARAMS, "--strategy", "majority", "--k", "3", "--out", str(out), *members]) == 0
    capsys.readouterr()
    gold = str(SHARED / entity / "gold.tsv")
    assert main(["score", "--params", PARAMS, "--json", "--gold", gold, "--pred", str(out)]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["strict"]["f1"] == f1
    assert report["strict"]["f1_interval"]["low"] < f1 < report["strict"]["f1_interval"]["high"]
    assert report["documents"] == 125


@pytest.mark.parametrize("entity", ["disease", "procedure", "symptom"])
def test_every_real_prediction_and_gold_span_is_its_texts_slice(entity: str) -> None:
    texts = {d.id: d.text for d in read_corpus(SHARED)}
    for path in (SHARED / entity).glob("*.tsv"):
        for name, rows in parse_tsv(read_text(path), path.name).items():
            assert [e.span for e in verified(name, texts[name], rows)] == [e.span for e in rows]
