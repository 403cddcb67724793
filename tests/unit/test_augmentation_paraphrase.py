"""Paraphrases: an answer is taken only when every mention of its sentence is in it, and no other."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enigma_tasks.augmentation.paraphrase import ParaphraseCounts, occurrences, paraphrase
from enigma_tasks.documents import Document, Entity
from enigma_tasks.errors import DataError, ServiceError
from tests.unit.strategies import annotated_texts
from tests.unit.test_augmentation import note, sound

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TEXT = "Pacient má kašel a horečku. Nic dalšího. Užívá čaj pro kašel."
MENTIONS = (("SYMPTOM", "kašel"), ("SYMPTOM", "horečku"), ("SYMPTOM", "kašel"))


class Model:
    """Answers each sentence by a function of it."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.asked: list[dict[str, Any]] = []

    def __call__(
        self, messages: Sequence[Mapping[str, str]], *, schema: Mapping[str, Any] | None = None, record: str
    ) -> str:
        assert schema is not None
        assert record == "n"
        question = json.loads(messages[-1]["content"])
        self.asked.append(question)
        answer = self.answer(question["sentence"])
        return answer if answer.startswith("{") else json.dumps({"paraphrase": answer})


def made_by(answer: Any, document: Document | None = None) -> tuple[list[Document], ParaphraseCounts]:
    counts = ParaphraseCounts()
    made = [a.document for a in paraphrase([document or note(TEXT, *MENTIONS)], Model(answer), counts, 3.0)]
    return made, counts


def test_only_sentences_with_mentions_are_asked_about_and_the_rest_stays() -> None:
    model, counts = Model(lambda s: f"Nově: {s}"), ParaphraseCounts()
    (made,) = paraphrase([note(TEXT, *MENTIONS)], model, counts, 3.0)
    assert [q["sentence"] for q in model.asked] == ["Pacient má kašel a horečku.", "Užívá čaj pro kašel."]
    assert model.asked[0]["terms"] == ["kašel", "horečku"]
    assert made.document.text == "Nově: Pacient má kašel a horečku. Nic dalšího. Nově: Užívá čaj pro kašel."
    assert [e.text for e in made.document.entities] == ["kašel", "horečku", "kašel"]
    assert sound(made.document)
    assert (made.document.id, made.parents, made.changes, counts.accepted) == ("n--paraphrase-1", ("n",), 2, 2)


def test_mentions_may_change_their_order() -> None:
    (made,), _ = made_by(lambda s: "Horečku ne, ale horečku a kašel má." if "horečku" in s else s)
    assert [e.text for e in made.entities] == ["horečku", "kašel", "kašel"]
    assert sound(made)


@pytest.mark.parametrize(
    ("answer", "rule"),
    [
        (lambda s: s.replace("kašel", "obtíže"), "mention_lost"),
        (lambda s: s.replace("kašel", "Kašel"), "mention_lost"),
        (lambda s: s.replace("kašel", "kašelný"), "mention_lost"),
        (lambda s: s + " Trvá kašel.", "mention_added"),
        (lambda s: s, "answer_unchanged"),
        (lambda _: " ", "answer_empty"),
        (lambda s: s + " stále" * 40, "answer_too_long"),
        (lambda _: "{}", "answer_malformed"),
        (lambda _: '{"paraphrase": 7}', "answer_malformed"),
        (lambda _: "{not JSON", "answer_malformed"),
    ],
)
def test_an_answer_that_is_not_the_same_sentence_is_dropped_and_counted(answer: Any, rule: str) -> None:
    made, counts = made_by(answer)
    assert made == []
    assert counts.accepted == 0
    assert counts.dropped == Counter({rule: 2})


def test_an_answer_may_not_bring_in_a_mention_of_another_sentence() -> None:
    made, counts = made_by(lambda s: s + " Bez horečku." if "čaj" in s else s)
    assert made == []
    assert counts.dropped["mention_added"] == 1


def test_a_bad_answer_costs_its_sentence_only() -> None:
    (made,), counts = made_by(lambda s: "Má horečku." if "horečku" in s else "Pije čaj na kašel.")
    assert made.text == "Pacient má kašel a horečku. Nic dalšího. Pije čaj na kašel."
    assert counts.dropped == Counter({"mention_lost": 1})


def test_a_sentence_where_a_surface_is_a_mention_here_and_none_there_is_not_asked_about() -> None:
    model, counts = Model(lambda s: s + " ."), ParaphraseCounts()
    document = note("Má kašel, matka má kašel.", ("SYMPTOM", "kašel"))
    assert list(paraphrase([document], model, counts, 3.0)) == []
    assert model.asked == []
    assert counts.dropped == Counter({"mention_ambiguous": 1})


def test_an_endpoint_that_fails_stops_the_work_and_one_that_refuses_does_not() -> None:
    def refuse(_: str) -> str:
        raise DataError("n", "llm_refused")

    def fail(_: str) -> str:
        raise ServiceError("LLM endpoint: n: status 500")

    made, counts = made_by(refuse)
    assert (made, counts.dropped) == ([], Counter({"llm_refused": 2}))
    with pytest.raises(ServiceError):
        made_by(fail)


def test_a_surface_is_found_as_whole_words() -> None:
    assert occurrences("AH, AHA a (AH)", "AH") == [(0, 2), (11, 13)]
    assert occurrences("38 °C, 38 °Cx", "°C") == [(3, 5)]


@given(annotated_texts(), st.text(max_size=5), st.text(max_size=5))
@settings(max_examples=200)
def test_whatever_is_answered_every_mention_of_what_is_taken_has_its_surface(
    sample: tuple[str, tuple[Entity, ...]], before: str, behind: str
) -> None:
    text, entities = sample
    made, _ = made_by(lambda s: json.dumps({"paraphrase": before + s + behind}), Document("n", text, entities, "cs"))
    for document in made:
        assert sound(document)
        assert Counter((e.label, e.text) for e in document.entities) == Counter((e.label, e.text) for e in entities)
