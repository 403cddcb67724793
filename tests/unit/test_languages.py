"""What is known of a language is found by its code; one without a file has what all have in common."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from enigma_tasks.config import load_params
from enigma_tasks.languages.rules import FOLDER, LanguageRules, canonical_code, language_rules

CASES = {"cases": "nom gen", "adjective_only": "x", "nouns": [], "adjectives": []}


@pytest.mark.parametrize("path", sorted(FOLDER.glob("??.yaml")), ids=lambda p: p.stem)
def test_every_file_is_well_formed_and_of_a_configured_language(path: object) -> None:
    code = str(getattr(path, "stem", ""))
    assert code in load_params().languages
    assert language_rules(code).sentences.never_end > language_rules("xx").sentences.never_end


def test_a_language_without_a_file_has_the_common_rules_and_nothing_else() -> None:
    rules = language_rules("xx")
    assert "etc" in rules.sentences.may_end
    assert rules == LanguageRules(sentences=rules.sentences)


def test_languages_that_only_a_file_names_are_kept_nowhere() -> None:
    assert language_rules("x" * 8) is language_rules("y" * 8)
    assert canonical_code("x" * 8) == "x" * 8


def test_an_alias_is_read_as_its_language_and_any_other_code_as_itself() -> None:
    assert [canonical_code(c) for c in ("cz", "cs", "xx", "common", "../cs")] == ["cs", "cs", "xx", "common", "../cs"]
    params = load_params()
    assert (params.language("CZ"), params.language("xx")) == ("cs", None)


@pytest.mark.parametrize(
    ("codes", "language"),
    [
        ("ces cze", "cs"),
        ("eng", "en"),
        ("spa", "es"),
        ("ita", "it"),
        ("nld dut", "nl"),
        ("ron rum", "ro"),
        ("swe", "sv"),
    ],
)
def test_the_codes_of_iso_639_2_are_accepted(codes: str, language: str) -> None:
    params = load_params()
    for code in codes.split():
        assert [params.language(written) for written in (code, code.upper(), f"{code}-XX")] == [language] * 3


@pytest.mark.parametrize(
    "tree",
    [
        {"stopwords": "a o"},
        {"inflection": {**CASES, "nouns": [{"gender": "f", "singular": "a", "plural": "y _"}]}},
        {
            "inflection": {
                **CASES,
                "nouns": [{"gender": "f", "singular": "a y", "plural": "y _"}],
                "adjectives": [{"dictionary": "m", "genders": {"m": {"singular": "ý ého", "plural": "é ých"}}}],
            }
        },
    ],
    ids=["misspelt key", "an ending too few", "a gender without adjectives"],
)
def test_malformed_rules_are_refused(tree: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        LanguageRules.model_validate(tree)


def test_the_endings_of_a_noun_are_known_by_number_and_case() -> None:
    inflection = language_rules("cs").inflection
    assert inflection is not None
    woman, medium = inflection.nouns[0].slots(inflection.cases), inflection.nouns[5].slots(inflection.cases)
    assert (woman["sg", "gen"], woman["pl", "gen"], woman["pl", "ins"]) == ("y", "", "ami")
    assert ("pl", "gen") not in medium
