"""Strict F1 over word tags by seqeval beside our own count."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from enigma_tasks.documents import Document, EntityType
from enigma_tasks.ner.scoring import Counts
from enigma_tasks.ner.text.alignment import TAGS, tagged_words
from enigma_tasks.ner.training import tag_check
from enigma_tasks.ner.training.loop import dev_scores
from enigma_tasks.ner.training.tag_check import seqeval_f1
from tests.unit.ner_builders import notes, trained

if TYPE_CHECKING:
    import random


def test_both_counts_agree_and_an_able_model_scores_well(caplog: pytest.LogCaptureFixture) -> None:
    dev = notes(9, 100)
    model = trained(able=True)
    scores = dev_scores(model, dev).values()
    found = seqeval_f1(model, dev, 2048)
    assert found > 0.8
    assert found == pytest.approx(sum(s.strict_f1 * s.gold for s in scores) / sum(s.gold for s in scores), abs=0.1)
    # training itself logs its progress where another test of this process left the level at INFO
    assert [
        r.getMessage() for r in caplog.records if r.name.startswith("enigma") and r.levelno >= logging.WARNING
    ] == []


def test_a_type_that_dev_is_not_annotated_for_counts_for_nothing() -> None:
    dev = notes(9, 100)
    model = trained(able=True)
    bare = [replace(d, entities=d.of_type(EntityType.SYMPTOM), annotated=frozenset({EntityType.SYMPTOM})) for d in dev]
    assert seqeval_f1(model, bare, 2048) > 0.8
    silenced = [replace(d, entities=()) for d in dev]
    assert seqeval_f1(model, silenced, 2048) == 0


def legal(draw: random.Random, length: int) -> list[int]:
    """Tags of words, without an inside that nothing begins."""
    tags: list[int] = []
    for _ in range(length):
        tags.append(draw.choice((0, 1, 2) if tags and tags[-1] else (0, 1)))
    return tags


ROWS = st.lists(st.tuples(st.integers(1, 30), st.sampled_from([t.label for t in EntityType])), min_size=1)


@given(ROWS, st.randoms())
def test_seqeval_counts_any_legal_tags_as_we_do(rows: list[tuple[int, str]], draw: random.Random) -> None:
    counts = Counts()
    named: tuple[list[list[str]], list[list[str]]] = ([], [])
    for length, label in rows:
        gold = legal(draw, length)
        pair = [gold, gold if draw.random() < 0.5 else legal(draw, length)]
        wanted, given_ = (set(tagged_words(np.array(tags, np.int8))) for tags in pair)
        counts += Counts(len(wanted), len(given_), len(wanted & given_))
        for side, tags in zip(named, pair, strict=True):
            side.append([f"{TAGS[t]}-{label}" if t else TAGS[t] for t in tags])
    assert tag_check._seqeval(*named) == pytest.approx(counts.strict.f1)


@pytest.mark.parametrize("text", ["", "   \n", "123"])
def test_nothing_found_and_nothing_to_find_is_zero(text: str) -> None:
    assert seqeval_f1(trained(able=True), [Document("n", text, (), "es")], 2048) == 0


def test_counts_that_differ_are_an_error_in_the_log(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tag_check, "_seqeval", lambda *_: 0.123)
    assert seqeval_f1(trained(able=True), notes(3, 100), 2048) == 0.123
    assert "by seqeval" in caplog.text
