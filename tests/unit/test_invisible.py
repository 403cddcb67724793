"""Invisible characters belong to the word around them: whatever reads a text, it finds what it finds without them."""

from __future__ import annotations

import itertools
import unicodedata
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enigma_tasks.documents import Document, Entity, EntityType
from enigma_tasks.ensembles.learned_voting import LearnedWeights
from enigma_tasks.ensembles.voting import vote
from enigma_tasks.ensembles.voting_rule import VotingRule
from enigma_tasks.ner.batching import examples
from enigma_tasks.ner.engine import Engine
from enigma_tasks.ner.text.invisible import VisibleText, visible_document, without_invisible
from enigma_tasks.ner.text.postprocess import PostprocessRules, postprocess
from enigma_tasks.ner.text.sentences import split_sentences
from tests.unit.ner_builders import KINDS, SENTENCES, notes, tokenizer, trained
from tests.unit.strategies import texts

if TYPE_CHECKING:
    from collections.abc import Sequence

INVISIBLE = "\u00ad\u200b\u200c\u200d\u2060\ufeff\u200e\u200f\u202a\u202e\u2066\u2069\u061c\u180e\U000e0041"
NOTE = " ".join(SENTENCES[:3])


@st.composite
def disturbed(draw: st.DrawFn, clean: str | None = None, *, anywhere: bool = False) -> tuple[str, str, list[int]]:
    """(text without, the same with invisible characters inside words, where each character of the first stands)."""
    text = draw(texts | st.just(NOTE)) if clean is None else clean
    text = "".join(c for c in text if unicodedata.category(c) != "Cf") or "a"
    inside = [i for i in range(1, len(text)) if anywhere or (text[i - 1].isalnum() and text[i].isalnum())]
    chosen = (
        draw(st.dictionaries(st.sampled_from(inside), st.text(INVISIBLE, min_size=1, max_size=3))) if inside else {}
    )
    pieces, stored, at = [], [], 0
    for i, character in enumerate(text):
        more = chosen.get(i, "")
        stored.append(at + len(more))
        pieces += [more, character]
        at += len(more) + 1
    return text, "".join(pieces), stored


def moved(entities: Sequence[Entity], text: str, stored: list[int]) -> list[Entity]:
    found = []
    for e in entities:
        start, end = stored[e.char_start], stored[e.char_end - 1] + 1
        found.append(replace(e, char_start=start, char_end=end, text=text[start:end]))
    return found


def told(entities: Sequence[Entity]) -> list[tuple[str, int, int, str, float | None]]:
    return [(e.label, *e.span, e.text, e.score) for e in entities]


@given(disturbed(anywhere=True))
def test_the_visible_text_is_the_clean_one_and_every_offset_leads_back(case: tuple[str, str, list[int]]) -> None:
    clean, text, stored = case
    visible = VisibleText.of(text)
    assert visible.text == without_invisible(text) == clean
    assert [visible.stored_offset(i) for i in range(len(clean))] == stored
    assert visible.stored_offset(len(clean)) == len(text)
    for start in range(len(clean)):
        assert visible.stored_span(start, start + 1) == (stored[start], stored[start] + 1)
        assert visible.visible_span(stored[start], stored[start] + 1) == (start, start + 1)


def test_a_text_without_invisible_characters_is_not_copied() -> None:
    assert VisibleText.of(NOTE).text is NOTE
    assert VisibleText.of(NOTE).stored is None
    document = Document("n", NOTE)
    assert visible_document(document).document is document


@pytest.mark.parametrize("kind", KINDS)
@given(case=disturbed(anywhere=True))
def test_sub_words_are_those_of_the_clean_text_and_words_lead_back(kind: str, case: tuple[str, str, list[int]]) -> None:
    clean, text, stored = case
    (expected,) = tokenizer(kind).encode([clean])
    (found,) = tokenizer(kind).encode([text])
    assert found.ids.tolist() == expected.ids.tolist()
    assert found.alignment.word_of.tolist() == expected.alignment.word_of.tolist()
    assert found.alignment.scored.tolist() == expected.alignment.scored.tolist()
    words = [(stored[a], stored[b - 1] + 1) for a, b in expected.alignment.words.tolist()]
    assert [tuple(w) for w in found.alignment.words.tolist()] == words
    assert (found.length, found.unread_from) == (len(text), len(text))


@given(disturbed(anywhere=True), st.sampled_from(["es", "cs", "xx"]))
def test_sentences_are_those_of_the_clean_text(case: tuple[str, str, list[int]], language: str) -> None:
    clean, text, _ = case
    found = split_sentences(text, language)
    assert [without_invisible(text[a:b]) for a, b in found] == [clean[a:b] for a, b in split_sentences(clean, language)]
    assert all(a < b <= c for (a, b), (c, _) in itertools.pairwise(found))


@settings(max_examples=40, deadline=None)  # the first example trains
@given(st.lists(st.sampled_from([*SENTENCES, "Nota 3."]), min_size=1, max_size=5).map(" ".join).flatmap(disturbed))
def test_models_find_in_a_disturbed_text_what_they_find_in_the_clean_one(case: tuple[str, str, list[int]]) -> None:
    clean, text, stored = case
    engine = Engine([trained(able=True), trained((EntityType.SYMPTOM,), seed=2, able=True)], 200, "fp32")
    (expected,) = engine.read([Document("n", clean, language="es")], (0,))
    (found,) = engine.read([Document("n", text, language="es")], (0,))
    assert found.characters_read == len(text)
    for mine, theirs in zip(found.entities, expected.entities, strict=True):
        assert told(mine) == told(moved(theirs, text, stored))
    assert np.array_equal(found.word_probabilities[0].values, expected.word_probabilities[0].values)


@given(st.data())
def test_rules_clean_a_disturbed_text_as_the_clean_one(data: st.DataObject) -> None:
    clean, text, stored = data.draw(disturbed(anywhere=True))
    rules = PostprocessRules(merge_adjacent=data.draw(st.booleans()), min_characters=data.draw(st.integers(1, 4)))
    spans = data.draw(st.sets(st.tuples(st.integers(0, len(clean) - 1), st.integers(1, 9)), max_size=5))
    mentions = [Entity("SYMPTOM", a, min(a + n, len(clean)), clean[a : a + n]) for a, n in sorted(spans)]
    expected, _ = postprocess("n", clean, mentions, "es", rules)
    found, _ = postprocess("n", text, moved(mentions, text, stored), "es", rules)
    assert told(found) == told(moved(expected, text, stored))


LEARNED = LearnedWeights(intercept=-0.2, votes=(0.3, 0.4), same_start=0.2, same_end=0.1, overlapping=0.1, rival=-0.4,
                         length=0.3)  # fmt: skip
RULES = [
    VotingRule("union"),
    VotingRule("majority", 1),
    VotingRule("agreement", 1),
    VotingRule("weighted", weights=(0.4, 0.6), threshold=0.3),
    VotingRule("learned", threshold=0.4, learned=LEARNED),
]


@given(st.data(), st.sampled_from(RULES))
def test_a_vote_does_not_count_invisible_characters_as_length(data: st.DataObject, rule: VotingRule) -> None:
    clean, text, stored = data.draw(disturbed(NOTE, anywhere=True))
    one = st.tuples(st.integers(0, 30), st.integers(1, 12)).map(
        lambda s: Entity("DISEASE", s[0], s[0] + s[1], clean[s[0] : s[0] + s[1]], 0.5)
    )
    members = [data.draw(st.lists(one, max_size=4)) for _ in range(2)]
    expected = vote(members, rule)
    found = vote([moved(m, text, stored) for m in members], rule)
    assert told(found) == told(moved(expected, text, stored))


@settings(deadline=None)
@given(st.data())
def test_training_sees_the_clean_text_and_the_same_tags(data: st.DataObject) -> None:
    (document,) = notes(1, data.draw(st.integers(0, 20)))
    clean, text, stored = data.draw(disturbed(document.text))
    assert clean == document.text
    with_them = replace(document, text=text, entities=tuple(moved(document.entities, text, stored)))
    expected, found = (examples(trained(), [d]) for d in (document, with_them))
    assert (found.misaligned, found.lost) == (expected.misaligned, expected.lost) == (0, 0)
    for mine, theirs in zip(found.windows, expected.windows, strict=True):
        assert mine.window.key == theirs.window.key
        assert np.array_equal(mine.tags, theirs.tags)


@given(st.data())
def test_a_document_is_led_to_its_visible_text_and_back(data: st.DataObject) -> None:
    (document,) = notes(1, data.draw(st.integers(0, 20)))
    _, text, stored = data.draw(disturbed(document.text))
    with_them = replace(document, text=text, entities=tuple(moved(document.entities, text, stored)))
    visible = visible_document(with_them)
    assert visible.document == document
    assert told(visible.as_stored(visible.document.entities)) == told(with_them.entities)


def test_a_mention_of_invisible_characters_only_is_none() -> None:
    text = "tos \u200b\u200b fiebre"
    blank = Entity("SYMPTOM", 4, 6, text[4:6])
    assert visible_document(Document("n", text, (blank,))).document.entities == ()
    assert postprocess("n", text, [blank], "es", PostprocessRules())[0] == ()
