"""Terms + affix rules -> dictionary, on a small hunspell dictionary of our own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from enigma_tasks.augmentation.inflection import Affixes, build_dictionary, read_terms
from enigma_tasks.errors import DataError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from enigma_tasks.augmentation.dictionary import Dictionary

AFF = """SET UTF-8
FLAG UTF-8

SFX Z Y 6
SFX Z a y a
SFX Z a u a
SFX Z a ou a
SFX Z a ami a
SFX Z a ách a
SFX Z a ám a

SFX H Y 4
SFX H 0 u .
SFX H 0 em .
SFX H 0 y .
SFX H 0 ů .

SFX Y Y 5
SFX Y ý á ý
SFX Y ý é ý
SFX Y ý ou ý
SFX Y ý ého ý
SFX Y ý ým ý

SFX J Y 3
SFX J 0 ho .
SFX J 0 mu .
SFX J 0 m .
"""
DIC = """6
sasanka/Z
kohout/H
plachý/Y
ranní/J
rosa/Z
hbitý/Y
"""


@pytest.fixture(scope="module")
def affixes(tmp_path_factory: pytest.TempPathFactory) -> Affixes:
    folder = tmp_path_factory.mktemp("hunspell")
    (folder / "cs_XX.aff").write_text(AFF, encoding="utf-8")
    (folder / "cs_XX.dic").write_text(DIC, encoding="utf-8")
    return Affixes.load(folder, "cs")


def forms(dictionary: Dictionary) -> dict[str, set[str]]:
    return {e.form: set(e.grammar) for e in dictionary.entries}


def test_a_noun_gets_the_forms_that_hunspell_confirms_with_their_case(affixes: Affixes) -> None:
    found = forms(build_dictionary([("C1", "Sasanka")], affixes, "cs"))
    assert found["sasanka"] == {"f.sg.nom"}
    assert found["sasanky"] == {"f.sg.gen", "f.pl.nom", "f.pl.acc"}
    assert found["sasankou"] == {"f.sg.ins"}
    assert "sasance" not in found  # this small dictionary has no such form


def test_adjectives_agree_with_their_noun_and_a_tail_stays(affixes: Affixes) -> None:
    found = forms(build_dictionary([("C1", "Plachá ranní sasanka rosy")], affixes, "cs"))
    assert found["plachou ranní sasanku rosy"] == {"f.sg.acc"}
    assert found["plaché ranní sasanky rosy"] >= {"f.sg.gen"}


def test_an_adjective_behind_its_noun_agrees_too(affixes: Affixes) -> None:
    found = forms(build_dictionary([("C1", "kohout plachý")], affixes, "cs"))
    assert found["kohouta plachého" if "kohouta plachého" in found else "kohoutu plachého"] == {"m.sg.gen"}


@pytest.mark.parametrize("term", ["Sasanka plachá hbitá", "plachý sasanka", "neznámka"])
def test_a_term_whose_grammar_cannot_be_told_stays_in_the_nominative(affixes: Affixes, term: str) -> None:
    built = build_dictionary([("C1", term), ("C1", "jiné slovo")], affixes, "cs")
    own = [e for e in built.entries if e.lemma.lower() == term.lower()]
    assert [set(e.grammar) for e in own] == [{".sg.nom", ".pl.nom"}]


def test_synonyms_are_one_family_and_a_family_of_one_form_is_left_out(affixes: Affixes) -> None:
    built = build_dictionary([("C1", "Neznámka"), ("C2", "Xyz"), ("C2", "XYZ nemoc")], affixes, "cs")
    assert {e.family for e in built.entries} == {"C2"}
    assert {e.form for e in built.entries} == {"xyz", "XYZ nemoc"}


def test_another_language_gets_forms_without_grammar(affixes: Affixes) -> None:
    found = forms(build_dictionary([("C1", "sasanka"), ("C1", "ranní rosa")], affixes, "xx"))
    assert found["sasankou"] == set()
    assert "ranní rosou" not in found


def test_a_folder_without_the_language_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no hunspell dictionary cs"):
        Affixes.load(tmp_path, "cs")


@pytest.mark.parametrize(
    ("text", "rule", "line"),
    [("", "terms_header", 1), ("term\tconcept\n", "terms_header", 1), ("concept\tterm\nC1\ta\nC2\n", "terms_line", 3)],
)
def test_a_malformed_term_list_is_refused_by_line(text: str, rule: str, line: int) -> None:
    with pytest.raises(DataError) as refused:
        read_terms(text, "t")
    assert (refused.value.rule, refused.value.offset) == (rule, line)
