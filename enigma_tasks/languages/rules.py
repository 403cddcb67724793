"""{code}.yaml -> LanguageRules; common.yaml explains each key."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BeforeValidator, Field, model_validator

from enigma_tasks.frozen import Frozen

FOLDER = Path(__file__).parent
COMMON = "common"


def _split(words: Any) -> Any:
    return words.split() if isinstance(words, str) else words


Words = Annotated[frozenset[str], BeforeValidator(_split)]
Endings = Annotated[tuple[str, ...], BeforeValidator(_split)]


class SentenceRules(Frozen):
    """Word lists and rules of the sentence splitter."""

    never_end: Words = frozenset()
    before_digit: Words = frozenset()
    may_end: Words = frozenset()
    starters: Words = frozenset()
    letter_nouns: Words = frozenset()
    function_words: Words = frozenset()
    ordinals: bool = False


class Declension(Frozen):
    """Endings in the order of the cases; `_` is an empty ending, `-` an unknown one."""

    singular: Endings
    plural: Endings

    def slots(self, cases: tuple[str, ...]) -> dict[tuple[str, str], str]:
        """(number, case) -> ending, without the unknown ones."""
        rows = (("sg", self.singular), ("pl", self.plural))
        known = ((number, case, ending) for number, row in rows for case, ending in zip(cases, row, strict=True))
        return {(number, case): ending.replace("_", "") for number, case, ending in known if ending != "-"}


class NounClass(Declension):
    """A class of nouns."""

    gender: str


class AdjectiveClass(Frozen):
    """A class of adjectives."""

    dictionary: str
    """The gender of the form that dictionaries list."""
    genders: dict[str, Declension]


class Inflection(Frozen):
    """Inflection of a language's nouns, and of the adjectives that agree with them."""

    cases: Endings = Field(min_length=2)
    """The first is the dictionary form's. A word is a noun if its forms of the first, second and last case exist, an
    adjective if those of the first and second do."""
    nouns: tuple[NounClass, ...]
    adjective_only: str
    """A word with this ending in some form is not a noun."""
    adjectives: tuple[AdjectiveClass, ...]

    @model_validator(mode="after")
    def _check_endings(self) -> Inflection:
        declensions = [*self.nouns, *(d for a in self.adjectives for d in a.genders.values())]
        if any({len(d.singular), len(d.plural)} != {len(self.cases)} for d in declensions):
            raise ValueError("inflection: one ending for each case")
        genders = {n.gender for n in self.nouns}
        if any(not {a.dictionary, *genders} <= a.genders.keys() for a in self.adjectives):
            raise ValueError("inflection: an adjective agrees with nouns of every gender")
        return self


class LanguageRules(Frozen):
    """The rules of one language."""

    aliases: tuple[str, ...] = ()
    neighbours: tuple[str, ...] = ()
    stop_words: Words = frozenset()
    inflection: Inflection | None = None
    sentences: SentenceRules = SentenceRules()


def language_rules(code: str) -> LanguageRules:
    """The language's rules combined with the common ones; the common ones for a language without a file."""
    return _rules(code if code in _codes() else COMMON)


@cache
def _rules(code: str) -> LanguageRules:
    common, own = _tree(COMMON), _tree(code) if code != COMMON else {}
    sentences = {**common["sentences"], **own.get("sentences", {})}
    for key, words in common["sentences"].items():
        sentences[key] = f"{words} {own.get('sentences', {}).get(key, '')}"
    return LanguageRules.model_validate({**common, **own, "sentences": sentences})


def canonical_code(code: str) -> str:
    """The code that this one is an alias of (`cz` -> `cs`), or itself."""
    return _aliases().get(code, code)


@cache
def _aliases() -> dict[str, str]:
    """Alias -> the first code that it is an alias of."""
    return {alias: code for code in reversed(_codes()) for alias in language_rules(code).aliases}


@cache
def _codes() -> tuple[str, ...]:
    return tuple(sorted(path.stem for path in FOLDER.glob("*.yaml") if path.stem != COMMON))


def _tree(name: str) -> dict[str, Any]:
    tree: dict[str, Any] = yaml.safe_load((FOLDER / f"{name}.yaml").read_text("utf-8"))
    return tree
