"""Augmentation's core: edits, oversampling, dictionaries, morphology, provenance; offsets under every text."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enigma_tasks.augmentation.dictionary import (
    Dictionary,
    DictionaryEntry,
    builtin_dictionary,
    dictionary_of,
    format_dictionary,
    parse_dictionary,
)
from enigma_tasks.augmentation.morphology import augment_by_morphology, replaceable_forms, replacements, surface_counts
from enigma_tasks.augmentation.oversampling import oversample, sentences_with_mentions
from enigma_tasks.augmentation.replacement import Edit, boundaries_of, cuts_a_mention, edited, styled
from enigma_tasks.documents import Document, Entity, entity_at, sorted_entities
from enigma_tasks.errors import DataError
from enigma_tasks.gold.augmented import (
    Provenance,
    augmented_id,
    format_provenance,
    is_augmented,
    parse_provenance,
    refuse_augmented,
)
from enigma_tasks.ner.text.sentences import split_sentences
from enigma_tasks.params.augment import MorphologyParams, OversampleParams
from enigma_tasks.synthetic.generator import generate_note
from tests.unit.strategies import annotated_texts

RULE = MorphologyParams(rare=5, copies=3, keep_case=True)


def note(text: str, *mentions: tuple[str, str], document_id: str = "n", language: str = "cs") -> Document:
    """Mentions are (label, surface), each at the first place that is not taken yet."""
    taken: Counter[str] = Counter()
    entities = []
    for label, surface in mentions:
        start = text.index(surface, taken[surface])
        taken[surface] = start + 1
        entities.append(entity_at(document_id, text, label, start, start + len(surface)))
    return Document(document_id, text, sorted_entities(entities), language)


def sound(document: Document) -> bool:
    return all(
        0 <= e.char_start < e.char_end and e.text == document.text[e.char_start : e.char_end] for e in document.entities
    )


# --- edits


def test_a_mention_grows_with_its_edit_and_those_behind_it_move() -> None:
    before = note("Má AH a kašel.", ("DISEASE", "AH"), ("SYMPTOM", "kašel"))
    after = edited(before, "m", [Edit(3, 5, "vysoký tlak")])
    assert after.text == "Má vysoký tlak a kašel."
    assert [(e.label, e.text, e.char_start) for e in after.entities] == [
        ("DISEASE", "vysoký tlak", 3),
        ("SYMPTOM", "kašel", 17),
    ]


@given(annotated_texts(), st.data())
@settings(max_examples=150)
def test_after_any_edits_every_mention_has_its_surface_and_text_outside_edits_is_kept(
    sample: tuple[str, tuple[Entity, ...]], data: st.DataObject
) -> None:
    text, entities = sample
    document = Document("n", text, entities)
    edits: list[Edit] = []
    for _ in range(data.draw(st.integers(0, 4))):
        start = data.draw(st.integers(0, len(text) - 1))
        end = data.draw(st.integers(start + 1, len(text)))
        if not cuts_a_mention(boundaries_of(document), start, end) and not any(
            e.char_start < end and start < e.char_end for e in edits
        ):
            edits.append(Edit(start, end, data.draw(st.text(min_size=1, max_size=6))))
    after = edited(document, "m", edits)
    assert sound(after)
    assert len(after.entities) == len(entities)
    for old, new in zip(entities, sorted_like(document, after, edits), strict=True):
        inside = [e for e in edits if old.char_start <= e.char_start and e.char_end <= old.char_end]
        around = [e for e in edits if e.char_start <= old.char_start and old.char_end <= e.char_end]
        if not inside and not around:
            assert new.text == old.text
    kept = "".join(c for i, c in enumerate(text) if not any(e.char_start <= i < e.char_end for e in edits))
    assert Counter(after.text) == Counter(kept) + Counter("".join(e.text for e in edits))


def sorted_like(before: Document, after: Document, edits: list[Edit]) -> list[Entity]:
    """`after`'s mentions in the order of `before`'s: offsets moved by hand."""

    def moved(offset: int) -> int:
        return offset + sum(len(e.text) - (e.char_end - e.char_start) for e in edits if e.char_end <= offset)

    return [entity_at("m", after.text, e.label, moved(e.char_start), moved(e.char_end)) for e in before.entities]


@pytest.mark.parametrize(
    ("edits", "rule"),
    [
        ([Edit(4, 99, "x")], "edit_outside_text"),
        ([Edit(0, 2, "x"), Edit(1, 3, "y")], "edits_overlap"),
        ([Edit(2, 4, "x")], "edit_cuts_mention"),
        ([Edit(3, 5, "")], "edit_empties_mention"),
    ],
)
def test_an_edit_that_leaves_no_true_offset_is_refused_by_rule(edits: list[Edit], rule: str) -> None:
    document = note("Má AH a kašel.", ("DISEASE", "AH"))
    with pytest.raises(DataError) as refused:
        edited(document, "m", edits)
    assert refused.value.rule == rule
    assert "AH" not in str(refused.value)


@pytest.mark.parametrize(
    ("new", "old", "known", "written"),
    [
        ("vysoký tlak", "hypertenze", "hypertenze", "vysoký tlak"),
        ("vysoký tlak", "Hypertenze", "hypertenze", "Vysoký tlak"),
        ("vysoký tlak", "HYPERTENZE", "hypertenze", "VYSOKÝ TLAK"),
        ("vysoký tlak", "AH", "AH", "vysoký tlak"),
        ("AH", "hypertenze", "hypertenze", "AH"),
        ("demencí s Lewyho tělísky", "Nemoc", "nemoc", "Demencí s Lewyho tělísky"),
    ],
)
def test_upper_and_lower_case_is_kept_as_it_was_written(new: str, old: str, known: str, written: str) -> None:
    assert styled(new, old, known) == written


# --- oversampling


def test_oversampling_takes_the_sentences_with_mentions_in_order() -> None:
    document = note("Kašel trvá. Nic víc. Má horečku.", ("SYMPTOM", "Kašel"), ("SYMPTOM", "horečku"))
    first, second = oversample([document, note("Bez nálezu.")], OversampleParams(times=2))
    assert first.document.text == second.document.text == "Kašel trvá.\nMá horečku."
    assert [e.text for e in first.document.entities] == ["Kašel", "horečku"]
    assert [a.document.id for a in (first, second)] == ["n--oversample-1", "n--oversample-2"]
    assert first.parents == ("n",)
    assert first.changes == 2


def test_a_mention_that_runs_through_a_boundary_keeps_both_sentences() -> None:
    document = note("Kašel. Horečka trvá. Nic.", ("SYMPTOM", "Kašel. Horečka"))
    assert sentences_with_mentions(document) == [(0, 20)]


@given(annotated_texts(), st.sampled_from(["cs", "es", "xx"]))
@settings(max_examples=200)
def test_oversampling_keeps_every_mention_whole_whatever_the_text(
    sample: tuple[str, tuple[Entity, ...]], language: str
) -> None:
    text, entities = sample
    document = Document("n", text, entities, language)
    made = list(oversample([document], OversampleParams(times=1)))
    assert len(made) == bool(entities)
    for one in made:
        assert sound(one.document)
        assert Counter((e.label, e.text) for e in one.document.entities) == Counter((e.label, e.text) for e in entities)
    parts = sentences_with_mentions(document)
    assert parts == sorted(parts)
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(parts))
    covered = {i for start, end in parts for i in range(start, end)}
    for start, end in split_sentences(text, language):  # no sentence is taken without need, none in part
        needed = any(e.char_start < end and e.char_end > start for e in entities)
        assert needed == bool(covered.intersection(range(start, end)))
        assert not needed or covered.issuperset(range(start, end))


# --- dictionaries

SMALL = dictionary_of(
    [
        ("H", "hypertenze", "hypertenze", "f.sg.nom"),
        ("H", "hypertenze", "hypertenze", "f.sg.gen"),
        ("H", "hypertenzi", "hypertenze", "f.sg.acc"),
        ("H", "vysoký tlak", "vysoký tlak", "m.sg.nom"),
        ("H", "vysokého tlaku", "vysoký tlak", "m.sg.gen"),
        ("H", "vysoký tlak", "vysoký tlak", "m.sg.acc"),
        ("H", "hypertenzní nemoc", "hypertenzní nemoc", "f.sg.nom"),
        ("H", "hypertenzní nemoc", "hypertenzní nemoc", "f.sg.acc"),
        ("H", "hypertenzní nemoci", "hypertenzní nemoc", "f.sg.gen"),
        ("K", "kašel", "kašel", ""),
        ("K", "tussis", "tussis", ""),
    ]
)


def test_the_longest_form_is_found_as_whole_words_only() -> None:
    text = "HYPERTENZNÍ nemoc, hypertenzemi, Kašel"
    assert [text[a:b] for a, b in SMALL.find_forms(text)] == ["HYPERTENZNÍ nemoc", "Kašel"]


def test_case_and_number_are_kept_where_the_dictionary_tells_and_gender_where_it_can_be() -> None:
    def written(form: str, *, keep: bool = True) -> list[str]:
        return [text for _, text in replacements(SMALL, form, keep_case=keep)]

    assert written("hypertenzi") == ["hypertenzní nemoc"]  # accusative, and of the same gender
    assert written("vysokého tlaku") == ["hypertenze", "hypertenzní nemoci"]
    assert written("Kašel") == ["Tussis"]
    assert "hypertenzi" in written("vysokého tlaku", keep=False)
    assert written("horečka") == []


def test_a_dictionary_file_says_what_it_was_written_from() -> None:
    assert parse_dictionary(format_dictionary(SMALL), "d").entries == SMALL.entries


@pytest.mark.parametrize(
    ("text", "rule", "line"),
    [
        ("", "dictionary_header", 1),
        ("form\tfamily\n", "dictionary_header", 1),
        ("family\tform\tlemma\tgrammar\nH\ta\tb\t\nH\ta\n", "dictionary_line", 3),
        ("family\tform\tlemma\tgrammar\nH\t \tb\t\n", "dictionary_line", 2),
    ],
)
def test_a_malformed_dictionary_is_refused_by_line(text: str, rule: str, line: int) -> None:
    with pytest.raises(DataError) as refused:
        parse_dictionary(text, "d")
    assert (refused.value.rule, refused.value.offset) == (rule, line)


@pytest.mark.parametrize("language", ["cs", "nl", "en", "it", "ro", "es", "sv"])
def test_every_language_has_a_dictionary_of_its_own_with_families_to_choose_from(language: str) -> None:
    own = builtin_dictionary(language)
    several = {e.family for e in own.entries if len({m.form for m in own.family(e.family)}) > 1}
    assert len(several) >= 12
    for entry in own.entries:
        assert entry.form == entry.form.strip() != ""
        assert entry.grammar


def test_every_czech_synonym_stands_with_a_term_of_the_lexicon_in_all_its_cases() -> None:
    own = builtin_dictionary("cs")
    for family in {e.family for e in own.entries}:
        lemmas = {e.lemma for e in own.family(family)}
        cases = {
            lemma: {tag.rpartition(".")[2] for e in own.family(family) if e.lemma == lemma for tag in e.grammar}
            for lemma in lemmas
        }
        assert all(c in ({"nom"}, {"nom", "gen", "acc", "ins"}) for c in cases.values()), family


def test_a_language_without_a_lexicon_is_refused() -> None:
    with pytest.raises(DataError, match="lexicon_missing"):
        builtin_dictionary("fr")


# --- morphology


def test_a_rare_mention_is_replaced_and_every_other_one_moves() -> None:
    document = note("Hypertenze, kašel, otok. Kašel.", ("DISEASE", "Hypertenze"), ("SYMPTOM", "otok"))
    made = list(augment_by_morphology([document], SMALL, RULE, 1))
    # nominative or genitive: the only form that is one of them and of its gender, in two cases of letters
    assert {a.document.text.partition(",")[0] for a in made} <= {"Hypertenzní nemoc", "Hypertenzní nemoci"}
    for one in made:
        assert sound(one.document)
        assert one.document.entities[1].text == "otok"
        assert one.document.text.endswith("kašel, otok. Kašel.")  # what is no mention stays
    assert [a.document.id for a in made] == [f"n--morphology-{i}" for i in range(1, len(made) + 1)]


def test_a_frequent_surface_is_left_alone_whatever_its_case() -> None:
    words = ["kašel", "Kašel", "KAŠEL", "kašel", "kašel", "kašel"]
    common = [note(f"Má {word}.", ("SYMPTOM", word), document_id=str(i)) for i, word in enumerate(words)]
    assert list(augment_by_morphology(common, SMALL, RULE, 1)) == []
    assert len(list(augment_by_morphology(common[:5], SMALL, RULE, 1))) == 5


def test_a_place_that_another_mention_begins_in_is_left_alone() -> None:
    document = note("vysoký tlak krve", ("DISEASE", "vysoký tlak"), ("SYMPTOM", "tlak krve"))
    assert replaceable_forms(document, SMALL, surface_counts([document]), RULE) == []


def test_copies_of_a_document_differ_from_it_and_from_each_other_and_are_the_same_every_time() -> None:
    documents = [generate_note("cs", i, 5) for i in range(6)]
    rule = RULE.model_copy(update={"copies": 4})
    made = list(augment_by_morphology(documents, builtin_dictionary("cs"), rule, 7))
    texts = [d.text for d in documents] + [a.document.text for a in made]
    assert len(set(texts)) == len(texts)
    assert len(texts) >= 3 * len(documents)
    assert made == list(augment_by_morphology(documents, builtin_dictionary("cs"), rule, 7))
    assert made != list(augment_by_morphology(documents, builtin_dictionary("cs"), rule, 8))
    assert all(sound(a.document) for a in made)


@given(annotated_texts(), st.data())
@settings(max_examples=150)
def test_morphology_keeps_offsets_right_whatever_the_text_and_the_dictionary(
    sample: tuple[str, tuple[Entity, ...]], data: st.DataObject
) -> None:
    text, entities = sample
    forms = [e.text.strip() for e in entities if e.text.strip()] + ["tos", "dolor"]
    entries = tuple(
        DictionaryEntry("F", f, f) for f in [*data.draw(st.lists(st.sampled_from(forms), max_size=4)), "náhrada"]
    )
    document = Document("n", text, entities, "cs")
    for one in augment_by_morphology([document], Dictionary(entries), RULE, 3):
        assert sound(one.document)
        assert one.document.text != text
        assert [e.label for e in one.document.entities] == [e.label for e in entities]


# --- provenance


def test_an_augmented_document_is_told_by_its_id_even_where_the_release_adds_its_type() -> None:
    name = augmented_id("case-7~disease", "morphology", 2)
    assert name == "case-7~disease--morphology-2"
    assert is_augmented(name)
    assert is_augmented(name + "~disease+symptom")
    assert not is_augmented("case-7--morphology")
    assert not is_augmented("--morphology-2")


def test_augmented_documents_are_refused_where_something_is_measured() -> None:
    refuse_augmented([note("a", document_id="case-7")], "dev")
    with pytest.raises(DataError) as refused:
        refuse_augmented([note("a"), note("b", document_id="case-7--oversample-1")], "dev")
    assert (refused.value.record, refused.value.rule) == ("case-7--oversample-1", "augmented_document")


def test_provenance_is_read_as_it_was_written_and_a_broken_line_is_named() -> None:
    rows = [Provenance(f"n--oversample-{i}", ("n",), "oversample", i, "cs") for i in (1, 2)]
    text = format_provenance(rows[::-1])
    assert parse_provenance(text, "p") == rows
    with pytest.raises(DataError) as refused:
        parse_provenance(text + "{}\n", "p")
    assert (refused.value.rule, refused.value.offset) == ("provenance_malformed", 3)
