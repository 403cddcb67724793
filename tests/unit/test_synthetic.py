"""Synthetic notes: the lexicons are sound, the gold is exact, and the generator is seeded and constant in memory."""

from __future__ import annotations

import gc
import itertools
import tracemalloc
import unicodedata
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enigma_tasks.documents import LABELS, Document, EntityType
from enigma_tasks.synthetic.generator import generate_note, languages, load_templates, notes
from enigma_tasks.synthetic.lexicon import load_lexicon
from enigma_tasks.synthetic.templates import compile_line

ALL = ("cs", "en", "es", "it", "nl", "ro", "sv")
OWN_LETTERS = {"cs": "ěščřžů", "en": "", "es": "ñáéó", "it": "àèò", "nl": "ëï", "ro": "ășțâî", "sv": "åäö"}
SEED = 4711


def sample(language: str, count: int, seed: int = SEED) -> list[Document]:
    return [generate_note(language, index, seed) for index in range(count)]


def test_all_seven_languages_are_there() -> None:
    assert languages() == ALL


@pytest.mark.parametrize("language", ALL)
def test_a_lexicon_has_forty_terms_a_type_and_no_form_with_two_meanings(language: str) -> None:
    lexicon = load_lexicon(language)
    assert set(lexicon.terms) == {*LABELS, "test", "act"}
    meanings: dict[str, tuple[str, str]] = {}
    for label in LABELS:
        assert len({term.lemma for term in lexicon.terms[label]}) >= 40, label
        for term in lexicon.terms[label]:
            assert len(term.forms) == len(lexicon.forms)
            assert meanings.setdefault(term.lemma, (label, term.lemma)) == (label, term.lemma)
            for form in term.forms:
                assert meanings.setdefault(form, (label, term.lemma)) == (label, term.lemma), form


@pytest.mark.parametrize("language", ALL)
def test_a_lexicon_has_no_stray_spaces_empty_forms_or_decomposed_letters(language: str) -> None:
    lexicon = load_lexicon(language)
    terms = [term for label in LABELS for term in lexicon.terms[label]]
    pairs = itertools.chain.from_iterable(pair for label in LABELS for pair in lexicon.pairs[label])
    for text in itertools.chain(pairs, *(term.forms for term in terms), *(term.endings for term in terms)):
        assert text
        assert text == " ".join(text.split())
        assert unicodedata.is_normalized("NFC", text)
        assert not set("{}|;#") & set(text)
    assert not {"ş", "ţ"} & set("".join(f for t in terms for f in t.forms)), "Romanian letters have a comma below"


@pytest.mark.parametrize("language", ALL)
def test_words_that_agree_with_a_term_are_given_for_every_class(language: str) -> None:
    lexicon = load_lexicon(language)
    kinds = {term.kind for label in LABELS for term in lexicon.terms[label]}
    for name, words in lexicon.before.items():
        assert set(words) == kinds, name


@pytest.mark.parametrize("language", ALL)
def test_every_template_compiles_and_the_sections_are_varied(language: str) -> None:
    book = load_templates(language)
    source = load_lexicon(language).sections
    assert len(book.sections) >= 10
    assert len({h for s in book.sections for h in s.headings}) >= 40
    for kind, section in source.items():
        assert len(set(section.lines)) == len(section.lines) >= 12, kind
        assert sum("{" in line for line in section.lines) == len(section.lines), kind
    assert min(len(book.header), len(book.footer), len(book.capitals), len(book.copied)) >= 4


@pytest.mark.parametrize("language", ALL)
def test_every_list_of_a_lexicon_is_used(language: str) -> None:
    lexicon = load_lexicon(language)
    templates = [*lexicon.header, *lexicon.footer, *lexicon.capitals, *lexicon.copied]
    templates += [line for section in lexicon.sections.values() for line in section.lines]
    templates += [item for items in lexicon.lists.values() for item in items]
    text = "\n".join(templates)
    assert not [name for name in lexicon.lists if f"{{{name}}}" not in text]
    assert not [name for name in lexicon.before if f":{name}" not in text]


@pytest.mark.parametrize("template", ["{diseases}", "{disease:nowhere}", "{disease?}", "{~one}", "{n:1}"])
def test_a_template_with_an_unknown_slot_is_refused(template: str) -> None:
    with pytest.raises(ValueError, match="es:"):
        compile_line(template, "es")


@given(st.sampled_from(ALL), st.integers(0, 10**6), st.integers(0, 2**40))
def test_every_span_is_its_slice_in_order_and_without_overlap(language: str, index: int, seed: int) -> None:
    note = generate_note(language, index, seed)
    assert note.language == language
    assert note.id == f"sample-{language}-{seed}-{index:06d}"
    end = 0
    for entity in note.entities:
        assert entity.label in LABELS
        assert end <= entity.char_start < entity.char_end
        assert note.text[entity.char_start : entity.char_end] == entity.text == entity.text.strip()
        end = entity.char_end
    assert note.text.encode().decode() == note.text
    assert "{" not in note.text
    assert "}" not in note.text


@given(st.sampled_from(ALL), st.integers(0, 1000), st.integers(0, 1000))
def test_a_note_depends_on_seed_language_and_index_alone(language: str, index: int, seed: int) -> None:
    alone = generate_note(language, index, seed)
    generate_note(language, index + 1, seed)
    assert generate_note(language, index, seed) == alone
    assert generate_note(language, index, seed + 1).text != alone.text


@pytest.mark.parametrize("language", ALL)
def test_notes_are_distinct_long_enough_and_full_of_mentions(language: str) -> None:
    batch = sample(language, 500)
    assert len({note.text for note in batch}) == 500
    lengths = sorted(len(note.text) for note in batch)
    assert lengths[0] > 300
    assert lengths[50] > 600
    assert lengths[450] < 4000
    assert lengths[450] > 2 * lengths[50]
    assert sum(len(note.entities) for note in batch) / 500 >= 8
    counts = Counter(entity.label for note in batch for entity in note.entities)
    assert min(counts[label] for label in LABELS) > 0.15 * counts.total()


@pytest.mark.parametrize("language", ALL)
def test_every_term_occurs_marked_and_many_occur_unmarked(language: str) -> None:
    batch = sample(language, 700)
    marked = Counter(entity.text.casefold() for note in batch for entity in note.entities)
    for label in LABELS:
        missing = [t.lemma for t in load_lexicon(language).terms[label] if not _seen(t.forms, marked)]
        assert not missing, label
    diseases = [t for t in load_lexicon(language).terms["DISEASE"] if len(t.lemma) > 6]
    unmarked = "\n".join(_without_mentions(note) for note in batch).casefold()
    assert sum(any(f.casefold() in unmarked for f in t.forms) for t in diseases) >= 0.8 * len(diseases)


def _seen(forms: tuple[str, ...], surfaces: Counter[str]) -> bool:
    return any(surface.startswith(form.casefold()) for form in forms for surface in surfaces)


def _without_mentions(note: Document) -> str:
    cuts = [0, *itertools.chain.from_iterable(e.span for e in note.entities), len(note.text)]
    return "".join(note.text[a:b] for a, b in zip(cuts[::2], cuts[1::2], strict=True))


@pytest.mark.parametrize("language", ALL)
def test_a_language_is_written_with_its_own_letters(language: str) -> None:
    text = "".join(note.text for note in sample(language, 60))
    assert set(OWN_LETTERS[language]) <= set(text)
    if language == "ro":
        assert not set("şţŞŢ") & set(text)


def test_odd_files_occur_and_stay_rare() -> None:
    batch = [note.text for language in ALL for note in sample(language, 200)]
    crlf = [text for text in batch if "\r" in text]
    assert 0.01 < len(crlf) / len(batch) < 0.09
    assert all("\n" not in text.replace("\r\n", "") for text in crlf)
    assert 0.01 < sum("\u00a0" in text for text in batch) / len(batch) < 0.09
    assert 0.005 < sum(not unicodedata.is_normalized("NFC", text) for text in batch) / len(batch) < 0.06


def test_mentions_appear_in_capitals_side_by_side_and_at_both_ends_of_a_line() -> None:
    batch = sample("es", 300)
    entities = [(note, entity) for note in batch for entity in note.entities]
    assert any(e.text.isupper() and len(e.text) > 12 for _, e in entities)
    assert any(n.text[e.char_end : e.char_end + 2] == " (" and e.text != n.text for n, e in entities)
    assert any(n.text[e.char_start - 1] == "\n" for n, e in entities)
    assert any(n.text[e.char_end : e.char_end + 1] in "\r\n" for n, e in entities)
    neighbours = [(n, a, b) for n in batch for a, b in itertools.pairwise(n.entities) if a.label == b.label]
    assert any(n.text[a.char_end : b.char_start] in {" y ", " e "} for n, a, b in neighbours)


def test_spanish_y_becomes_e_before_the_sound_i() -> None:
    text = "\n".join(note.text.casefold() for note in sample("es", 400))
    assert " y insomnio" not in text
    assert " e insomnio" in text


@pytest.mark.parametrize("language", ALL)
def test_some_notes_copy_a_paragraph_forward_with_its_gold(language: str) -> None:
    repeated = 0
    for note in sample(language, 150):
        paragraphs = [line for line in note.text.replace("\r\n", "\n").split("\n") if len(line) > 60]
        twice = [line for line, count in Counter(paragraphs).items() if count > 1]
        for line in twice:
            starts = [i for i in range(len(note.text)) if note.text.startswith(line, i)]
            spans = [
                [(e.char_start - at, e.label) for e in note.entities if at <= e.char_start < at + len(line)]
                for at in starts
            ]
            assert all(found == spans[0] for found in spans)
            repeated += bool(spans[0])
    assert repeated >= 5


def test_notes_share_evenly_and_take_turns() -> None:
    batch = list(notes(7, ["es", "cs"], SEED))
    assert [note.id for note in batch[:3]] == [
        "sample-es-4711-000000",
        "sample-cs-4711-000000",
        "sample-es-4711-000001",
    ]
    assert Counter(note.language for note in batch) == {"es": 4, "cs": 3}
    assert batch[2] == generate_note("es", 1, SEED)


def test_two_seeds_share_neither_ids_nor_texts() -> None:
    one, other = sample("it", 200, seed=101), sample("it", 200, seed=202)
    assert not {note.id for note in one} & {note.id for note in other}
    assert not {note.text for note in one} & {note.text for note in other}


def test_memory_does_not_grow_with_the_number_of_notes() -> None:
    stream = notes(1200, list(ALL), SEED)
    for _ in itertools.islice(stream, 200):
        pass
    gc.collect()
    gc.freeze()
    tracemalloc.start()
    peaks = []
    for _ in range(2):
        tracemalloc.reset_peak()
        for _ in itertools.islice(stream, 500):
            pass
        gc.collect()
        peaks.append(tracemalloc.get_traced_memory()[1])
    tracemalloc.stop()
    gc.unfreeze()
    assert next(stream, None) is None
    assert peaks[1] < peaks[0] + 200_000


def test_every_type_is_annotated() -> None:
    assert generate_note("nl", 0, SEED).annotated == frozenset(EntityType)
