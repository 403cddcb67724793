"""A list of terms + hunspell affix rules -> a dictionary of their inflected forms.

hunspell knows which forms a word has, not which case each is. For a language whose inflection `languages/` describes,
a form is proposed for each case and number, and only what hunspell confirms is taken: real words, with their case. For
others a term of one word gets the forms that hunspell has, and nobody can tell their grammar.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from spylls.hunspell import Dictionary as Hunspell

from enigma_tasks.augmentation.dictionary import Dictionary, gathered
from enigma_tasks.errors import DataError, UsageError
from enigma_tasks.languages.rules import language_rules

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from enigma_tasks.languages.rules import Inflection

TERMS_HEADER = ["concept", "term"]
Slot = tuple[str, str]
"""(number, case)."""


class Affixes:
    """One language's hunspell dictionary."""

    def __init__(self, folder: Path, language: str) -> None:
        """Reads `{language}*.aff` and `.dic`, the first by name. Takes seconds.

        Raises:
            UsageError: the folder has none of this language.
        """
        found = sorted(p for p in folder.glob(f"{language}*.aff") if p.with_suffix(".dic").is_file())
        if not found:
            raise UsageError(f"{folder} has no hunspell dictionary {language}*.aff with its .dic")
        self._hunspell = Hunspell.from_files(str(found[0].with_suffix("")))
        self.forms = lru_cache(maxsize=100_000)(self._forms)

    @property
    def lemmas(self) -> list[str]:
        """Every word that the dictionary lists, sorted."""
        return sorted(self._hunspell.dic.index)

    def known(self, word: str) -> bool:
        """Whether hunspell takes it for a word."""
        return bool(self._hunspell.lookup(word))

    def _forms(self, lemma: str) -> frozenset[str]:
        """What one suffix makes of a dictionary word, and itself; nothing for a word that the dictionary has not."""
        forms: set[str] = set()
        for word in self._hunspell.dic.index.get(lemma, ()):
            forms.add(word.stem)
            for flag in word.flags or ():
                for suffix in self._hunspell.aff.SFX.get(flag, ()):
                    if suffix.cond_regexp.search(word.stem) and word.stem.endswith(suffix.strip):
                        forms.add(word.stem[: len(word.stem) - len(suffix.strip)] + suffix.add)
        return frozenset(forms)


def read_terms(text: str, record: str) -> list[tuple[str, str]]:
    """A term list, tab-separated: a header that begins `concept`, `term`; other columns are not looked at.

    Raises:
        DataError: `terms_header` or `terms_line`, with the line (from 1).
    """
    lines = text.splitlines()
    if not lines or lines[0].split("\t")[:2] != TERMS_HEADER:
        raise DataError(record, "terms_header", 1, "concept, term, tab-separated")
    terms = []
    for number, line in enumerate(lines[1:], start=2):
        columns = [c.strip() for c in line.split("\t")]
        if len(columns) < 2 or not all(columns[:2]):
            raise DataError(record, "terms_line", number)
        terms.append((columns[0], columns[1]))
    return terms


def build_dictionary(terms: Iterable[tuple[str, str]], affixes: Affixes, language: str) -> Dictionary:
    """(concept, term) -> families of the concepts' inflected terms; a family of one form is left out."""
    rows: list[tuple[str, str, str, str]] = []
    grammar = language_rules(language).inflection
    for concept, written in terms:
        term = _uncapitalised(written)
        inflected = _untold(term, affixes) if grammar is None else _declined(term, affixes, grammar)
        rows += [(concept, form, term, tag) for form, tag in inflected]
    forms: dict[str, set[str]] = {}
    for concept, form, _, _ in rows:
        forms.setdefault(concept, set()).add(form.lower())
    return gathered(row for row in rows if len(forms[row[0]]) > 1)


def _uncapitalised(term: str) -> str:
    """Term lists begin a term with a capital; one followed by more capitals or digits is the word's own."""
    first = term.split(maxsplit=1)[0]
    return term[0].lower() + term[1:] if first[1:].islower() and len(first) > 1 else term


def _untold(term: str, affixes: Affixes) -> list[tuple[str, str]]:
    """The term, and for one word what hunspell makes of it."""
    forms = {f for f in affixes.forms(term) if f.isalpha()} if term.isalpha() else set()
    return [(form, "") for form in sorted(forms | {term})]


def _declined(term: str, affixes: Affixes, grammar: Inflection) -> list[tuple[str, str]]:
    """(form, `gender.number.case`) of adjectives + noun + a tail that stays, as a genitive; else the nominative alone.

    The noun is the first word that is one in the nominative and that the adjectives before it agree with.
    """
    words = term.split(" ")
    for position, word in enumerate(words):
        for gender, number, noun in _nouns(word, affixes, grammar):
            before = [_adjective(w, gender, number, affixes, grammar) for w in words[:position]]
            tail = words[position + 1 :]
            behind = _adjective(tail[0], gender, number, affixes, grammar) if len(tail) == 1 else None
            if not all(before) or (
                len(tail) > 1 and any(_adjective(w, gender, number, affixes, grammar) for w in tail)
            ):
                continue  # whether an adjective within the tail belongs to our noun cannot be told
            changing = [*filter(None, before), noun, *filter(None, [behind])]
            fixed = [] if behind else tail
            return [
                (" ".join([*(w[slot] for w in changing), *fixed]), f"{gender}.{slot[0]}.{slot[1]}")
                for slot in noun
                if all(slot in w for w in changing)
            ]
    return [(term, f".{number}.{grammar.cases[0]}") for number in ("sg", "pl")]


def _nouns(word: str, affixes: Affixes, grammar: Inflection) -> Iterator[tuple[str, str, dict[Slot, str]]]:
    """(gender, number, forms) for each way that a word is a noun in the nominative; a plural has plural forms only."""
    plain, telling = grammar.cases[:2]
    for noun_class in grammar.nouns:
        slots = noun_class.slots(grammar.cases)
        for number in ("sg", "pl"):
            ending = slots.get((number, plain))
            if ending is None or not word.endswith(ending):
                continue
            stem = word[: len(word) - len(ending)]
            confirmed = affixes.forms(stem + slots["sg", plain])
            if stem + grammar.adjective_only in confirmed:
                continue
            forms = {slot: stem + e for slot, e in slots.items() if stem + e in confirmed}
            needed = {("sg", plain), ("sg", telling), ("sg", grammar.cases[-1]), (number, plain)}
            if needed <= forms.keys():
                yield noun_class.gender, number, {s: f for s, f in forms.items() if number == "sg" or s[0] == "pl"}


def _adjective(word: str, gender: str, number: str, affixes: Affixes, grammar: Inflection) -> dict[Slot, str] | None:
    """The forms of an adjective that agrees with a nominative; None when it is none or does not."""
    plain, telling = grammar.cases[:2]
    for adjective in grammar.adjectives:
        endings = adjective.genders[gender].slots(grammar.cases)
        nominative = endings[number, plain]
        if not word.endswith(nominative):
            continue
        stem = word[: len(word) - len(nominative)]
        lemma = adjective.genders[adjective.dictionary].slots(grammar.cases)
        confirmed = affixes.forms(stem + lemma["sg", plain])
        if stem + lemma["sg", telling] in confirmed:
            return {slot: stem + e for slot, e in endings.items() if stem + e in confirmed}
    return None
