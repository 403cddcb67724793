"""Worst cases of what makes further training documents of gold."""

from __future__ import annotations

from enigma_tasks.augmentation.dictionary import Dictionary, DictionaryEntry, format_dictionary, parse_dictionary
from enigma_tasks.augmentation.morphology import augment_by_morphology
from enigma_tasks.augmentation.oversampling import oversample
from enigma_tasks.augmentation.replacement import Edit, edited
from enigma_tasks.documents import Document, Entity
from enigma_tasks.params.augment import MorphologyParams, OversampleParams
from tests.unit.budget_formats import WORDS, spans
from tests.unit.budgets import Call, case

FORMS = Dictionary(tuple(DictionaryEntry("a", form, form) for form in ("tos", "asma grave")))


@case(Dictionary.find_forms, 100)
def a_mention_of_many_words_that_are_no_form(n: int) -> Call:
    return lambda: list(FORMS.find_forms("nada tos " * n))


@case(edited, 200)
def edits_of_a_text_of_many_mentions(n: int) -> Call:
    document = Document("d", WORDS * n, tuple(spans(n)), "es")
    return lambda: edited(document, "e", [Edit(4 * i, 4 * i + 3, "asma") for i in range(n)])


@case(oversample, 100)
def sentences_of_one_mention_each(n: int) -> Call:
    found = tuple(Entity("SYMPTOM", 10 * i, 10 * i + 3, "Tos") for i in range(n))
    document = Document("d", "Tos hoy.\n\n" * n, found, "es")
    return lambda: list(oversample([document], OversampleParams(times=1)))


@case(augment_by_morphology, 50)
def mentions_to_replace(n: int) -> Call:
    rule = MorphologyParams.model_validate({"copies": 1, "rare": 10**9, "keep_case": False})
    document = Document("d", WORDS * n, tuple(spans(n)), "es")
    return lambda: list(augment_by_morphology([document], FORMS, rule, 7))


@case(parse_dictionary, 200)
def a_dictionary_of_one_family(n: int) -> Call:
    made = Dictionary(tuple(DictionaryEntry("a", f"f{i}", f"f{i}") for i in range(n)))
    return lambda: parse_dictionary(format_dictionary(made), "d")
