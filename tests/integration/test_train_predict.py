"""`enigma train` and `enigma predict` from the command line, on disk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from enigma_tasks.cli import main
from enigma_tasks.documents import Document, EntityType
from enigma_tasks.formats.corpora import read_corpus, write_corpus
from tests.unit.ner_builders import notes

SMALL = (
    "members.small={base: scratch, scratch: {vocabulary: 150, hidden: 16, layers: 1, heads: 2}, window_tokens: 32, "
    "overlap_tokens: 8, learning_rate: 0.02, batch_size: 4, epochs: 14}"
)
COMMON = ["--params", str(Path(__file__).parents[2] / "params.yaml"), "--quiet", "--set", SMALL]
COMMON += ["--set", "split.similarity=0.95"]  # the invented notes share their sentences


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("place")
    write_corpus(notes(24), root / "train")
    write_corpus(notes(6, 100), root / "dev")
    write_corpus(notes(5, 200), root / "test")
    return root


def enigma(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> Any:
    assert main([words[0], *COMMON, "--json", *words[1:]]) == code
    out = capsys.readouterr()
    return json.loads(out.out) if code == 0 else out.err


def train_words(place: Path, out: str, entity: str = "all", **changes: str) -> list[str]:
    given = {"language": "es", "member": "small", "train": str(place / "train"), "dev": str(place / "dev"), **changes}
    options = [word for name, value in given.items() for word in (f"--{name}", value)]
    return ["train", "--entity", entity, *options, "--out", str(place / out)]


@pytest.fixture(scope="module")
def models(place: Path) -> list[str]:
    for out, entity in (("all", "all"), ("symptom", "symptom")):
        assert main([*train_words(place, out, entity), *COMMON]) == 0
    return ["--model", str(place / "all"), "--model", str(place / "symptom")]


def test_training_reports_scores_with_their_sample(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = enigma(capsys, *train_words(place, "again"))
    assert report["documents"] == {"train": 24, "dev": 6}
    assert {row["entity"] for row in report["dev"]} == {t.value for t in EntityType}
    assert all(row["strict_f1"] > 0.8 and row["documents"] == 6 and row["gold"] for row in report["dev"])
    assert report["digest"] == enigma(capsys, *train_words(place, "once-more"))["digest"]


def test_predictions_are_a_corpus_that_reads_back(
    place: Path, models: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    report = enigma(capsys, "predict", *models[:2], "--in", str(place / "test"), "--out", str(place / "brat"))
    gold, predicted = read_corpus(place / "test"), read_corpus(place / "brat")
    assert [d.text for d in predicted] == [d.text for d in gold]
    assert sum(report["entities"].values()) == sum(len(d.entities) for d in predicted) > 0
    assert report["characters_read"] == report["characters"] == sum(len(d.text) for d in gold)


@pytest.mark.parametrize("strategy", ["majority", "union", "weighted", "agreement"])
def test_several_models_vote_on_the_types_they_share(
    place: Path, models: list[str], strategy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = place / f"{strategy}.tsv"
    report = enigma(capsys, "predict", *models, "--vote", strategy, "--in", str(place / "test"), "--out", str(out))
    lines = out.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "filename\tlabel\tstart_span\tend_span\ttext"
    assert len(lines) - 1 == sum(report["entities"].values()) > 0


def test_the_same_prediction_twice_gives_the_same_bytes(
    place: Path, models: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("one.tsv", "two.tsv"):
        enigma(capsys, "predict", *models, "--in", str(place / "test"), "--out", str(place / name))
    assert (place / "one.tsv").read_bytes() == (place / "two.tsv").read_bytes()


def test_languages_can_be_trained_together_and_named_per_corpus(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_corpus(notes(4, 500), place / "more")
    words = train_words(place, "both", language="all", dev=f"es={place / 'dev'}")
    at = words.index("--train")
    words[at + 1 : at + 2] = [f"es={place / 'train'}", f"sv={place / 'more'}"]
    report = enigma(capsys, *words, "--set", "members.small.max_steps=1")
    assert (report["steps"], report["documents"]) == (1, {"train": 28, "dev": 6})
    card = json.loads((place / "both" / "enigma.json").read_bytes())
    assert card["languages"] == ["es", "sv"]


def test_a_note_that_is_nearly_one_of_the_training_notes_is_refused_in_dev(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = " ".join(f"palabra{i} corta" for i in range(40))
    write_corpus([Document("visit-1", f"{told}.", (), "es")], place / "with")
    write_corpus([Document("visit-2", f"{told}, y alta.", (), "es")], place / "copied")
    changes = {"train": str(place / "with"), "dev": str(place / "copied")}
    words = [*train_words(place, "never", **changes), "--set", "split.similarity=0.7"]
    error = enigma(capsys, *words, code=1)
    assert "dev_in_train" in error
    assert "visit-2" in error
    assert "visit-1" in error
    assert "palabra" not in error
    assert not (place / "never").exists()


@pytest.mark.parametrize(
    ("changes", "code", "message"),
    [
        ({"dev": "train"}, 1, "dev_in_train"),
        ({"member": "unheard"}, 2, "no member"),
        ({"language": "xx"}, 2, "no language"),
        ({"language": "all"}, 2, "LANG=CORPUS"),
        ({"train": "bare"}, 1, "no_entities"),
    ],
)
def test_bad_input_is_one_clear_line(
    place: Path, changes: dict[str, str], code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_corpus([d for d in notes(9, 300) if not d.entities], place / "bare")
    located = {k: str(place / v) if k in ("train", "dev") else v for k, v in changes.items()}
    error = enigma(capsys, *train_words(place, "never", **located), code=code)
    assert message in error
    assert len(error.strip().splitlines()) == 1
    assert not (place / "never").exists()


def test_a_damaged_model_stops_prediction_with_exit_code_1(
    place: Path, models: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "symptom" / "tokenizer.json").write_text("{}")
    error = enigma(capsys, "predict", *models, "--in", str(place / "test"), "--out", str(place / "never.tsv"), code=1)
    assert "tokenizer.json is damaged" in error
    assert not (place / "never.tsv").exists()


def test_a_folder_of_texts_alone_is_annotated(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = place / "texts"
    folder.mkdir()
    (folder / "crlf.txt").write_bytes("\ufeffRefiere fiebre alta.\r\n\r\nCon tos seca.".encode())
    report = enigma(capsys, "predict", "--model", str(place / "all"), "--in", str(folder), "--out", str(place / "c"))
    assert (report["documents"], report["characters_read"]) == (1, report["characters"])
    (document,) = read_corpus(place / "c")
    assert all(e.text == document.text[e.char_start : e.char_end] for e in document.entities)
