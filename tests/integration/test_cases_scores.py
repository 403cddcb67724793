"""`enigma score` of files with offsets in another unit: converted where their surfaces decide, else an error."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from enigma_tasks.cli import main
from enigma_tasks.config import load_settings
from enigma_tasks.documents import Document, EntityType, entity_at
from enigma_tasks.formats.corpora import write_corpus
from enigma_tasks.formats.standoff import TSV_HEADER
from enigma_tasks.notes.names import Names

PARAMS = str(Path(__file__).parents[2] / "params.yaml")
TEXT = "Niño 😀 con asma.\r\nRefiere fiebre   alta.  Reposo."
ASTHMA, FEVER = (11, 15), (26, 39)
Row = tuple[str, int, int, str]


@pytest.fixture
def gold(tmp_path: Path) -> str:
    assert [TEXT[slice(*place)] for place in (ASTHMA, FEVER)] == ["asma", "fiebre   alta"]
    entities = (entity_at("a", TEXT, "DISEASE", *ASTHMA), entity_at("a", TEXT, "SYMPTOM", *FEVER))
    types = frozenset({EntityType.DISEASE, EntityType.SYMPTOM})
    write_corpus([Document("a", TEXT, entities, "es", types)], tmp_path / "gold", "by_entity")
    return str(tmp_path / "gold")


def score(
    capsys: pytest.CaptureFixture[str], gold: str, pred: Path, rows: list[Row]
) -> tuple[int, dict[str, Any], str]:
    lines = ["\t".join(map(str, ("a", *row))) for row in rows]
    pred.write_text("\n".join([TSV_HEADER, *lines]) + "\n", encoding="utf-8")
    code = main(["score", "--params", PARAMS, "--json", "--gold", gold, "--pred", str(pred)])
    out, err = capsys.readouterr()
    return code, json.loads(out) if out else {}, err


def moved(first: int, second: int, last: int = 0) -> list[Row]:
    """Both mentions, with so much more in front of each, and ends that are `last` off."""
    return [
        ("DISEASE", ASTHMA[0] + first, ASTHMA[1] + first + last, "asma"),
        ("SYMPTOM", FEVER[0] + second, FEVER[1] + second + last, "fiebre   alta"),
    ]


@pytest.mark.parametrize(
    ("rows", "unit"),
    [
        (moved(0, 0), None),
        (moved(1, 1), "UTF-16 units"),
        (moved(4, 4), "UTF-8 bytes"),
        (moved(0, -1), "code points, CRLF once"),
        (moved(0, 0, last=-1), "code points, end included"),
    ],
)
def test_offsets_of_another_unit_are_converted_where_the_texts_are_there(
    gold: str, rows: list[Row], unit: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, report, _ = score(capsys, gold, tmp_path / "p.tsv", rows)
    assert (code, report["strict"]["f1"]) == (0, 1)
    assert report["converted_offsets"] == ({unit: 1} if unit else {})


@pytest.mark.parametrize("surfaces", [("ASMA", "fiebre alta"), ("", ""), ("asma.", "fiebre, alta")])
def test_surfaces_may_differ_in_case_blanks_and_punctuation_or_be_missing(
    gold: str, surfaces: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [(label, start, end, own) for (label, start, end, _), own in zip(moved(0, 0), surfaces, strict=True)]
    code, report, _ = score(capsys, gold, tmp_path / "p.tsv", rows)
    assert (code, report["strict"]["f1"], report["converted_offsets"]) == (0, 1, {})


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (moved(0, 2), "a: surface_differs at 28 (1 of 2 spans, in 1 of 1 documents"),
        (moved(7, 3), "a: surface_differs at 18 (2 of 2 spans, in 1 of 1 documents"),
        ([("DISEASE", 400, 404, "asma")], "a: span_outside_text at 400 (1 of 1 spans"),
        ([("DISEASE", 400, 404, "")], "a: span_outside_text at 400 (1 of 1 spans"),
    ],
)
def test_spans_that_are_elsewhere_are_an_error_and_no_false_positives(
    gold: str, rows: list[Row], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = score(capsys, gold, tmp_path / "p.tsv", rows)
    assert code == 1
    assert message in err
    assert "asma" not in err


def test_a_gold_file_is_held_against_the_texts_of_the_predictions(
    gold: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "gold.tsv"
    score(capsys, gold, file, moved(1, 1))
    code = main(["score", "--params", PARAMS, "--json", "--gold", str(file), "--pred", gold])
    report = json.loads(capsys.readouterr().out)
    assert (code, report["strict"]["f1"], report["converted_offsets"]) == (0, 1, {"UTF-16 units": 1})


def test_without_texts_ends_that_are_included_are_an_error(
    gold: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "gold.tsv"
    assert score(capsys, gold, file, moved(0, 0))[0] == 0
    code, _, err = score(capsys, str(file), tmp_path / "p.tsv", moved(0, 0, last=-1))
    assert code == 1
    assert "p.tsv: surface_differs (all 2 surfaces are one longer than their spans" in err
    assert score(capsys, str(file), tmp_path / "p.tsv", [*moved(0, 0, last=-1), *moved(0, 0)])[0] == 0


def test_with_a_name_key_no_id_is_shown_but_the_file_that_was_named(
    gold: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENIGMA_NAME_KEY", "a secret of this hospital")
    shown = Names.of(load_settings()).shown("a")
    _, _, err = score(capsys, gold, tmp_path / "p.tsv", moved(0, 2))
    assert f"enigma score: {shown}: surface_differs" in err
    _, _, err = score(capsys, gold, tmp_path / "p.tsv", [("DRUG", 1, 2, "x")])
    assert "enigma score: p.tsv: label_unknown" in err
    score(capsys, gold, tmp_path / "p.tsv", moved(0, 0))
    main(["score", "--params", PARAMS, "--json", "--gold", gold, "--pred", str(tmp_path / "p.tsv"), "--by", "document"])
    assert [row["document"] for row in json.loads(capsys.readouterr().out)["by_document"]] == [shown]
