"""`enigma evaluate` from the command line: figures that agree with the scorer's, in the files that `dvc` reads."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from enigma_tasks.cli import main
from enigma_tasks.config import load_params
from enigma_tasks.documents import Document, EntityType, entity_at
from enigma_tasks.ensembles.folder import write_ensemble
from enigma_tasks.ensembles.voting_rule import VotingRule
from enigma_tasks.errors import UsageError
from enigma_tasks.formats.corpora import read_corpus, write_corpus
from enigma_tasks.ner.scoring import count
from enigma_tasks.stages.evaluate import by_length, metrics_of
from tests.unit.ner_builders import notes

PARAMS = Path(__file__).parents[2] / "params.yaml"
SMALL = (
    "members.small={base: scratch, scratch: {vocabulary: 150, hidden: 16, layers: 1, heads: 2}, window_tokens: 32, "
    "overlap_tokens: 8, learning_rate: 0.02, batch_size: 4, epochs: 8}"
)
COMMON = ["--params", str(PARAMS), "--quiet", "--json", "--set", SMALL, "--set", "split.similarity=0.95"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A split, a model trained on it, and an ensemble for each of two types."""
    root = tmp_path_factory.mktemp("place")
    for name, number, first in (("train", 24, 0), ("dev", 6, 100), ("test", 6, 200)):
        write_corpus(notes(number, first), root / "split" / name, "packed")
    (root / "split" / "split.json").write_text("{}")
    words = ["train", "--language", "es", "--entity", "all", "--member", "small", "--out", str(root / "model")]
    assert main([*words, "--train", str(root / "split/train"), "--dev", str(root / "split/dev"), *COMMON]) == 0
    for entity_type in (EntityType.DISEASE, EntityType.SYMPTOM):
        write_ensemble(
            root / "ensembles" / entity_type.value, "es", entity_type, [root / "model"], VotingRule("majority")
        )
    return root


def enigma(capsys: pytest.CaptureFixture[str], *words: object, code: int = 0) -> Any:
    assert main([*map(str, words), *COMMON]) == code
    out = capsys.readouterr()
    return json.loads(out.out) if code == 0 else out.err


def test_the_figures_are_those_of_predict_and_score(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gold = place / "split/test"
    report = enigma(capsys, "evaluate", "--model", place / "model", "--gold", gold, "--out", place / "m")
    enigma(capsys, "predict", "--model", place / "model", "--in", gold, "--out", place / "p.tsv")
    scored = enigma(capsys, "score", "--gold", gold, "--pred", place / "p.tsv")
    assert report["gold"] == scored["gold_spans"] > 0
    assert report["predicted"] == scored["predicted_spans"] > 0
    assert {k: scored["strict"][k] for k in ("f1", "precision", "recall", "tp")} == {
        k: report["strict"][k] for k in ("f1", "precision", "recall", "tp")
    }
    assert [report["strict"]["f1_low"], report["strict"]["f1_high"]] == list(scored["strict"]["f1_interval"].values())
    assert report["character"]["f1"] == scored["character"]["f1"]


def test_the_files_hold_what_is_reported_and_are_the_same_again(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["evaluate", "--model", place / "model", "--gold", place / "split/test", "--out"]
    report = enigma(capsys, *words, place / "once")
    enigma(capsys, *words, place / "twice")
    metrics = json.loads((place / "once/metrics.json").read_text())
    assert metrics == {k: v for k, v in report.items() if k not in ("out", "members", "language", "system", "slices")}
    with (place / "once/slices.csv").open(newline="") as table:
        assert list(csv.DictReader(table)) == [{k: str(v) for k, v in row.items()} for row in report["slices"]]
    for name in ("metrics.json", "slices.csv", "evaluated.json"):
        assert (place / "once" / name).read_bytes() == (place / "twice" / name).read_bytes()


def leaves(tree: Any) -> list[Any]:
    return [leaf for item in tree.values() for leaf in leaves(item)] if isinstance(tree, dict) else [tree]


def test_metrics_are_numbers_only_and_say_their_sample(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    enigma(capsys, "evaluate", "--model", place / "model", "--gold", place / "split/test", "--out", place / "n")
    metrics = json.loads((place / "n/metrics.json").read_text())
    assert all(isinstance(leaf, int | float) for leaf in leaves(metrics))
    assert list(metrics["by_entity"]) == [t.value for t in EntityType]
    for figures in (metrics, *metrics["by_entity"].values()):
        assert figures["documents"] == 6
        assert figures["strict"]["f1_low"] <= figures["strict"]["f1"] <= figures["strict"]["f1_high"]
        assert figures["strict"]["tp"] + figures["strict"]["fn"] == figures["gold"]


def test_ensembles_answer_for_their_types_only(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--gold", place / "split/test", "--out", place / "e"]
    report = enigma(capsys, "evaluate", "--ensemble", place / "ensembles", *words)
    assert list(report["by_entity"]) == ["disease", "symptom"]
    alone = enigma(capsys, "evaluate", "--ensemble", place / "ensembles/disease", *words)
    assert list(alone["by_entity"]) == ["disease"]
    assert alone["by_entity"]["disease"] == report["by_entity"]["disease"]
    single = enigma(capsys, "evaluate", "--model", place / "model", *words)
    assert single["by_entity"]["symptom"] == report["by_entity"]["symptom"]
    assert single["members"] == report["members"]


def test_nothing_is_measured_on_what_was_trained_on(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["evaluate", "--model", place / "model", "--out", place / "x", "--gold"]
    assert "is for training" in enigma(capsys, *words, place / "split/train", code=2)
    write_corpus(read_corpus(place / "split/train"), place / "copy")  # under another name, in another shape
    for d in read_corpus(place / "copy"):
        assert d.annotated == frozenset(EntityType)
    assert "trained on" in enigma(capsys, *words, place / "copy", code=2)
    assert not (place / "x").exists()


def test_augmented_documents_are_refused(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (first, *_) = read_corpus(place / "split/test")
    made = Document(f"{first.id}--oversample-1", first.text, first.entities, first.language)
    write_corpus([made], place / "augmented")
    words = ["evaluate", "--model", place / "model", "--out", place / "x", "--gold", place / "augmented"]
    assert "augmented_document" in enigma(capsys, *words, code=1)


@pytest.mark.parametrize("places", [["model"], ["ensembles", "ensembles/disease"]])
def test_folders_that_are_no_ensembles_or_answer_twice_are_wrong_usage(
    place: Path, capsys: pytest.CaptureFixture[str], places: list[str]
) -> None:
    words = [word for name in places for word in ("--ensemble", place / name)]
    enigma(capsys, "evaluate", *words, "--gold", place / "split/test", "--out", place / "x", code=2)


def judged(length: int, predicted_end: int) -> Any:
    text = "x" * length
    document = Document("n", text, (entity_at("n", text, "DISEASE", 0, 2),))
    found = [entity_at("n", text, "DISEASE", 0, predicted_end)]
    return document, {EntityType.DISEASE: count(document.entities, found)["DISEASE"]}


def test_slices_are_by_length_and_leave_out_what_holds_nothing() -> None:
    rows = by_length([judged(10, 2), judged(11, 1), judged(300, 1)], [10, 20, 30])
    assert [(r["slice"], r["documents"], r["strict_f1"], r["character_f1"]) for r in rows] == [
        ("disease, up to 10", 1, 1.0, 1.0),
        ("disease, up to 20", 1, 0.0, 0.6667),
        ("disease, over 30", 1, 0.0, 0.6667),
    ]
    assert [r["slice"] for r in by_length([judged(10, 2)], [])] == ["disease, all"]


def test_overall_figures_pool_the_spans_of_all_documents() -> None:
    metrics = metrics_of([judged(10, 2), judged(11, 1)], 1, 500)
    assert metrics["strict"]["f1"] == 0.5
    assert (metrics["gold"], metrics["predicted"], metrics["documents"], metrics["characters"]) == (2, 2, 2, 21)


def test_lengths_that_do_not_grow_are_refused() -> None:
    with pytest.raises(UsageError, match="greater"):
        load_params(PARAMS, ["evaluate.lengths=[1000, 1000]"])


def test_the_tables_of_the_paper_are_made_of_earlier_evaluations(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gold = ["--gold", place / "split/test"]
    report = enigma(capsys, "evaluate", "--model", place / "model", *gold, "--out", place / "t1")
    enigma(capsys, "evaluate", "--ensemble", place / "ensembles", *gold, "--out", place / "t2")
    tables = enigma(capsys, "evaluate", "--table", place / "t1", place / "t2")
    ours = [row for row in tables["table_1"] if row["language"] == "es" and row["system"] == "small"]
    strict = report["by_entity"]["symptom"]["strict"]
    interval = f"[{strict['f1_low']:.4f}, {strict['f1_high']:.4f}]"
    assert [row["symptom F1"] for row in ours] == [f"{strict['f1']:.4f} {interval} n=6"] * 2
    assert [row["procedure F1"] == "-" for row in ours] == [False, True]  # the ensembles have no procedures
    assert sum(row["system"] == "es small" for row in tables["table_2"]) == 5


@pytest.mark.parametrize(
    "words", [["--table", "{0}/model"], ["--table", "{0}/t1", "--out", "{0}/y"], ["--model", "{0}/model"]]
)
def test_tables_need_evaluations_and_evaluations_need_gold(
    place: Path, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    enigma(capsys, "evaluate", *[word.format(place) for word in words], code=2)
