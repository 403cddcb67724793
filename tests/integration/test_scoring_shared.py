"""`enigma score` on five real models' predictions against the shared task's definition, written out pair by pair."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from enigma_tasks.cli import main

SHARED = Path(__file__).parents[3] / "shared" / "predictions" / "cardioccc-es"
PARAMS = str(Path(__file__).parents[2] / "params.yaml")
ENTITIES = ("disease", "procedure", "symptom")
MODELS = ("bert_es", "bsc_ehr", "camembertav2", "cardioberta", "xlm_roberta")
Row = tuple[str, str, int, int]
pytestmark = pytest.mark.skipif(not SHARED.is_dir(), reason="the shared predictions do not lie beside the repository")


def rows(path: Path) -> list[Row]:
    with path.open(encoding="utf-8", newline="") as file:
        lines = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        return [(r["filename"], r["label"], int(r["start_span"]), int(r["end_span"])) for r in lines]


def overlap(a: Row, b: Row) -> float:
    shared = min(a[3], b[3]) - max(a[2], b[2])
    if a[:2] != b[:2] or shared <= 0:
        return 0.0
    of_a, of_b = shared / (a[3] - a[2]), shared / (b[3] - b[2])
    return 2 * of_a * of_b / (of_a + of_b)


def defined(gold: list[Row], repeated: list[Row]) -> dict[str, dict[str, float]]:
    predicted = sorted(set(repeated))
    by_file: dict[str, tuple[list[Row], list[Row]]] = {}
    for side, spans in enumerate((gold, predicted)):
        for row in spans:
            by_file.setdefault(row[0], ([], []))[side].append(row)
    files = by_file.values()
    matched = sum(len(set(golds) & set(preds)) for golds, preds in files)
    recalls = [max((overlap(g, p) for p in preds), default=0.0) for golds, preds in files for g in golds]
    precisions = [max((overlap(p, g) for g in golds), default=0.0) for golds, preds in files for p in preds]
    scores = {
        "strict": (matched / len(predicted), matched / len(gold)),
        "character": (sum(precisions) / len(predicted), sum(recalls) / len(gold)),
    }
    return {
        name: {"precision": round(p, 4), "recall": round(r, 4), "f1": round(2 * p * r / (p + r), 4)}
        for name, (p, r) in scores.items()
    }


def scored(capsys: pytest.CaptureFixture[str], gold: Path, predicted: Path, *options: str) -> dict[str, Any]:
    arguments = ["score", "--params", PARAMS, "--json", "--gold", str(gold), "--pred", str(predicted), *options]
    assert main(arguments) == 0
    report: dict[str, Any] = json.loads(capsys.readouterr().out)
    return report


def six(report: dict[str, Any]) -> dict[str, dict[str, float]]:
    return {name: {k: report[name][k] for k in ("precision", "recall", "f1")} for name in ("strict", "character")}


@pytest.mark.parametrize("entity", ENTITIES)
@pytest.mark.parametrize("model", MODELS)
def test_all_six_numbers_equal_the_definition(capsys: pytest.CaptureFixture[str], entity: str, model: str) -> None:
    gold, predicted = SHARED / entity / "gold.tsv", SHARED / entity / f"{model}.tsv"
    report = scored(capsys, gold, predicted)
    assert six(report) == defined(rows(gold), rows(predicted))
    interval = report["character"]["f1_interval"]
    assert interval["low"] < report["character"]["f1"] < interval["high"]


@pytest.mark.parametrize("model", MODELS)
def test_several_labels_in_one_file_are_scored_together_and_apart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], model: str
) -> None:
    whole = {name: tmp_path / f"{name}.tsv" for name in ("gold", model)}
    for name, path in whole.items():
        files = [(SHARED / entity / f"{name}.tsv").read_text(encoding="utf-8").splitlines() for entity in ENTITIES]
        path.write_text("\n".join([files[0][0], *(line for file in files for line in file[1:])]), encoding="utf-8")
    gold, predicted = rows(whole["gold"]), rows(whole[model])
    report = scored(capsys, whole["gold"], whole[model], "--by", "label")
    assert six(report) == defined(gold, predicted)
    for row in report["by_label"]:
        own = defined([g for g in gold if g[1] == row["label"]], [p for p in predicted if p[1] == row["label"]])
        assert {k: row[k] for k in ("precision", "recall", "f1")} == own["strict"]
        assert {k: row[f"character_{k}"] for k in ("precision", "recall", "f1")} == own["character"]
