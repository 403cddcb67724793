"""`enigma validate --suspects`: errors planted in sample gold are found by models that were trained on other folds."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from enigma_tasks.cli import main
from enigma_tasks.formats.corpora import read_corpus, write_corpus
from enigma_tasks.synthetic.generator import notes

if TYPE_CHECKING:
    from pathlib import Path

    from enigma_tasks.documents import Document

pytestmark = pytest.mark.training
FEW, MANY, PLANTED = 30, 200, 20
CHANCE = PLANTED / MANY


def with_error(document: Document, kind: int) -> Document:
    """The last mention is dropped, loses its first word's end, or gets the label of another type."""
    *kept, last = document.entities
    if kind == 0:
        return replace(document, entities=tuple(kept))
    if kind == 1 and " " in last.text:
        start = last.char_start + last.text.index(" ") + 1
        return replace(
            document, entities=(*kept, replace(last, char_start=start, text=last.text[start - last.char_start :]))
        )
    label = "SYMPTOM" if last.label == "DISEASE" else "DISEASE"
    return replace(document, entities=(*kept, replace(last, label=label)))


def corpus_with_errors(folder: Path, notes_in_all: int, planted: int) -> set[str]:
    """Writes sample gold with errors; returns the ids of the documents that have one."""
    documents = list(notes(notes_in_all, ["es"], 11))
    chosen = set(random.Random(1).sample([d.id for d in documents if d.entities], planted))
    write_corpus([with_error(d, i % 3) if d.id in chosen else d for i, d in enumerate(documents)], folder)
    return chosen


def suspects(corpus: Path, out: Path, folds: int, epochs: int) -> list[dict[str, Any]]:
    command = ["validate", str(corpus), "--language", "es", "--suspects", str(out), "--member", "tiny", "--json"]
    few = ["--set", f"validate.suspects.folds={folds}", "--set", f"members.tiny.epochs={epochs}"]
    assert main([*command, "--brat", str(out / "brat"), *few]) == 0
    return [json.loads(line) for line in (out / "suspects.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gold") / "corpus"
    corpus_with_errors(folder, FEW, 3)
    return folder


@pytest.fixture(scope="module")
def found(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    out = tmp_path_factory.mktemp("suspects")
    return out, suspects(corpus, out, 3, 2)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_planted_errors_rank_far_above_their_share(tmp_path: Path) -> None:
    planted = corpus_with_errors(tmp_path / "corpus", MANY, PLANTED)
    rows = suspects(tmp_path / "corpus", tmp_path / "out", 4, 12)
    first = list(dict.fromkeys(row["document"] for row in rows))[: 2 * PLANTED]
    assert sum(name in planted for name in first) >= 2 * CHANCE * len(first)


def test_places_lie_inside_their_text_and_nothing_of_it_is_shown(corpus: Path, found: Any) -> None:
    texts = {d.id: d.text for d in read_corpus(corpus)}
    out, rows = found
    page = (out / "index.html").read_text()
    for row in rows:
        assert row["document"] in page
        for place in row["places"]:
            assert 0 <= place["char_start"] < place["char_end"] <= len(texts[row["document"]])
            assert set(place) == {"char_start", "char_end", "doubt"}
    surfaces = {e.text for d in read_corpus(corpus) for e in d.entities if len(e.text) > 8}
    assert not any(surface in page for surface in surfaces)


def test_the_folder_for_brat_holds_the_text_its_gold_and_the_doubts(found: Any) -> None:
    out, rows = found
    ann = next((out / "brat").glob(f"0001-{rows[0]['document']}.ann")).read_text()
    assert f"{rows[0]['places'][0]['doubt'].upper()}_{rows[0]['entity'].upper()} " in ann
    assert "MISSED_DISEASE" in (out / "brat/annotation.conf").read_text()


@pytest.mark.parametrize("options", [["--suspects", "x"], ["--member", "tiny"], ["--brat", "x"]])
def test_the_options_need_each_other(corpus: Path, options: list[str]) -> None:
    assert main(["validate", str(corpus), "--language", "es", *options]) == 2
