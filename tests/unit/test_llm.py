"""The LLM annotator, given answers: mentions are located, or dropped and counted; nothing is cut or half answered."""

from __future__ import annotations

import json
import traceback
import unicodedata
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enigma_tasks.documents import Document, EntityType
from enigma_tasks.errors import DataError, ServiceError
from enigma_tasks.members.llm import LlmAnnotator, answer_schema, locate, windows
from enigma_tasks.params.annotators import LlmMemberParams

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

PLANTED = "Zelenkova-4711"
NOTE = "Pacientka má horečku a bolest břicha. Diabetes mellitus, diabetes 2. typu.\nHOREČKU nemá; totos horečkuje."


def recipe(**changes: Any) -> LlmMemberParams:
    return LlmMemberParams.model_validate(
        {"kind": "llm", "model": "m", "language": "cs", "language_name": "Czech", **changes}
    )


def said(*mentions: tuple[str, str]) -> str:
    return json.dumps({"mentions": [{"text": text, "type": kind} for text, kind in mentions]}, ensure_ascii=False)


class Asked:
    """A stand-in for the endpoint: `answer` by the note's part; keeps what it was asked."""

    def __init__(self, answer: Callable[[str], str]) -> None:
        self.answer = answer
        self.messages: list[Sequence[Mapping[str, str]]] = []
        self.schemas: list[Any] = []

    def __call__(
        self, messages: Sequence[Mapping[str, str]], *, schema: Mapping[str, Any] | None = None, record: str
    ) -> str:
        self.messages.append(messages)
        self.schemas.append(schema)
        return self.answer(messages[-1]["content"])


def annotator(answer: Callable[[str], str], **changes: Any) -> LlmAnnotator:
    return LlmAnnotator(recipe(**changes), Asked(answer))


def found(answer: str, text: str = NOTE) -> list[tuple[str, str, int]]:
    (entities,) = annotator(lambda _: answer).predict([Document("n1", text)])
    assert all(e.text == text[e.char_start : e.char_end] for e in entities)
    return [(e.label, e.text, e.char_start) for e in entities]


def test_every_place_of_a_mention_is_found_as_whole_words() -> None:
    assert found(said(("horečku", "symptom")), "horečku, horečkuje; horečku") == [
        ("SYMPTOM", "horečku", 0),
        ("SYMPTOM", "horečku", 20),
    ]


def test_a_mention_in_another_case_is_found_where_it_is_not_there_as_written() -> None:
    assert [text for _, text, _ in found(said(("Bolest Břicha", "symptom")))] == ["bolest břicha"]


def test_white_space_and_letters_in_another_form_still_match() -> None:
    text = unicodedata.normalize("NFD", "Má bolest\n  břicha.")
    ((label, surface, start),) = found(said(("bolest břicha", "symptom")), text)
    assert (label, start) == ("SYMPTOM", text.index("bolest"))
    assert unicodedata.normalize("NFC", surface) == "bolest\n  břicha"


def test_of_nested_places_of_one_type_the_longer_stays() -> None:
    answer = said(("diabetes", "disease"), ("Diabetes mellitus", "disease"))
    assert [text for _, text, _ in found(answer)] == ["Diabetes mellitus", "diabetes"]


def test_places_of_two_types_may_overlap() -> None:
    answer = said(("bolest břicha", "symptom"), ("břicha", "disease"))
    assert {label for label, _, _ in found(answer)} == {"SYMPTOM", "DISEASE"}


def test_a_mention_that_the_note_does_not_hold_is_dropped_and_counted() -> None:
    llm = annotator(lambda _: said(("infarkt", "disease"), (" ", "disease"), ("", "symptom"), ("horečku", "symptom")))
    assert [len(entities) for entities in llm.predict([Document("n1", NOTE)])] == [1]
    assert dict(llm.counts) == {"windows": 1, "named": 4, "located": 1, "not_in_text": 3}


def test_the_same_mention_named_twice_is_one() -> None:
    assert len(found(said(("horečku", "symptom"), ("horečku", "symptom")))) == 1


def test_a_type_that_was_not_asked_for_is_dropped() -> None:
    llm = annotator(lambda _: said(("horečku", "symptom")), entity_types=["disease"])
    assert llm.entity_types == (EntityType.DISEASE,)
    assert llm.predict([Document("n1", NOTE)]) == [()]


def test_the_question_names_the_language_and_the_types_and_asks_for_structured_output() -> None:
    asked = Asked(lambda _: said())
    LlmAnnotator(recipe(), asked).predict([Document("n1", NOTE)])
    system, user = asked.messages[0]
    assert "Czech" in system["content"]
    assert all(t.value in system["content"] for t in EntityType)
    assert user == {"role": "user", "content": NOTE}
    assert asked.schemas == [answer_schema(list(EntityType))]


@pytest.mark.parametrize("bad", ["", "no JSON", "[]", "{}", '{"mentions": [{"text": 1}]}', said(("x", "drug"))])
def test_a_malformed_answer_is_an_error_of_its_document_and_costs_no_other(bad: str) -> None:
    llm = annotator(lambda note: bad if "druhá" in note else said(("horečku", "symptom")))
    documents = [Document("n1", NOTE), Document("n2", "To je druhá."), Document("n3", NOTE)]
    readings = llm.read(documents)
    assert [bool(r.entities) for r in readings] == [True, False, True]
    assert [str(r.error) for r in readings] == ["None", "n2: llm_answer_malformed", "None"]
    with pytest.raises(DataError, match="n2: llm_answer_malformed"):
        llm.predict(documents)


def test_a_refusal_of_one_window_leaves_no_half_answered_note() -> None:
    def answer(note: str) -> str:
        if "Konec" in note:
            raise DataError("n1", "llm_refused")
        return said(("horečku", "symptom"))

    text = "Má horečku. " * 40 + "Konec."
    (reading,) = annotator(answer, window_characters=200).read([Document("n1", text)])
    assert reading.entities == ()
    assert str(reading.error) == "n1: llm_refused"


def test_an_endpoint_that_cannot_be_reached_ends_it() -> None:
    def answer(_: str) -> str:
        raise ServiceError("LLM endpoint: n1: status 500")

    with pytest.raises(ServiceError):
        annotator(answer).predict([Document("n1", NOTE)])


def test_planted_text_is_in_no_exception() -> None:
    with pytest.raises(DataError) as caught:
        annotator(lambda _: json.dumps({"mentions": [{"text": PLANTED}]})).predict([Document("n1", PLANTED)])
    assert PLANTED not in "".join(traceback.format_exception(caught.value))


def test_mentions_at_both_ends_of_a_long_note_are_found() -> None:
    text = "Horečka dnes. " + "Jinak je stav dobrý a klidný. " * 400 + "Doma kašel."
    answer = said(("Horečka", "symptom"), ("kašel", "symptom"))
    llm = annotator(lambda _: answer, window_characters=1000)
    (entities,) = llm.predict([Document("n1", text)])
    assert [e.text for e in entities] == ["Horečka", "kašel"]
    assert llm.counts["windows"] > 10


def test_an_empty_note_asks_nobody() -> None:
    asked = Asked(lambda _: said())
    assert LlmAnnotator(recipe(), asked).predict([Document("n1", " \n")]) == [()]
    assert not asked.messages


@given(st.text(alphabet="ab .\nčC😀", max_size=900), st.integers(200, 400))
def test_windows_hold_every_character_but_white_space_and_none_is_too_long(text: str, size: int) -> None:
    ranges = windows(text, recipe(window_characters=size))
    held = {i for a, b in ranges for i in range(a, b)}
    assert {i for i, c in enumerate(text) if not c.isspace()} <= held
    assert all(0 < b - a <= size for a, b in ranges)


@given(st.text(alphabet="ab (+.č", min_size=1, max_size=6), st.text(alphabet="ab (+.č\n", max_size=30))
def test_an_occurrence_is_the_mention_but_for_white_space_and_case(mention: str, text: str) -> None:
    for start, end in locate(mention, text):
        assert "".join(text[start:end].split()).lower() == "".join(mention.split()).lower()
        assert not text[start].isspace()
