"""Builds a dictionary of inflected forms from a list of terms and hunspell affix rules.

hunspell has the forms of a word, not their cases. For a language with inflection rules in `languages/`, a form is
generated for each case and number, and kept if hunspell has it. For other languages a term of one word gets hunspell's
forms, without grammar.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from spylls.hunspell import Dictionary as Hunspell

from enigma_tasks.augmentation.dictionary import Dictionary, dictionary_of
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

    def __init__(self, hunspell: Hunspell) -> None:
        self._hunspell = hunspell
        self.forms = lru_cache(maxsize=100_000)(self._forms)

    @classmethod
    def load(cls, folder: Path, language: str) -> Affixes:
        """Read `{language}*.aff` and `.dic`, the first by name. Takes seconds.

        Raises:
            UsageError: the folder has none of this language.
        """
        found = sorted(p for p in folder.glob(f"{language}*.aff") if p.with_suffix(".dic").is_file())
        if not found:
            raise UsageError(f"{folder} has no hunspell dictionary {language}*.aff with its .dic")
        return cls(Hunspell.from_files(str(found[0].with_suffix(""))))

    @property
    def lemmas(self) -> list[str]:
        """Every word of the dictionary, sorted."""
        return sorted(self._hunspell.dic.index)

    def known(self, word: str) -> bool:
        """Whether hunspell accepts the word."""
        return bool(self._hunspell.lookup(word))

    def _forms(self, lemma: str) -> frozenset[str]:
        """A dictionary word and its forms with one suffix; empty for a word that is not in the dictionary."""
        forms: set[str] = set()
        for word in self._hunspell.dic.index.get(lemma, ()):
            forms.add(word.stem)
            for flag in word.flags or ():
                for suffix in self._hunspell.aff.SFX.get(flag, ()):
                    if suffix.cond_regexp.search(word.stem) and word.stem.endswith(suffix.strip):
                        forms.add(word.stem[: len(word.stem) - len(suffix.strip)] + suffix.add)
        return frozenset(forms)


def read_terms(text: str, record: str) -> list[tuple[str, str]]:
    """Parse a tab-separated term list; its header begins with `concept`, `term`; other columns are ignored.

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
    """(concept, term) -> a dictionary with a family for each concept; families of one form are left out."""
    rows: list[tuple[str, str, str, str]] = []
    grammar = language_rules(language).inflection
    for concept, written in terms:
        term = _uncapitalised(written)
        inflected = _without_grammar(term, affixes) if grammar is None else _declined(term, affixes, grammar)
        rows += [(concept, form, term, tag) for form, tag in inflected]
    forms: dict[str, set[str]] = {}
    for concept, form, _, _ in rows:
        forms.setdefault(concept, set()).add(form.lower())
    return dictionary_of(row for row in rows if len(forms[row[0]]) > 1)


def _uncapitalised(term: str) -> str:
    """The term without the capital that term lists begin with; acronyms and names with digits stay."""
    first = term.split(maxsplit=1)[0]
    return term[0].lower() + term[1:] if first[1:].islower() and len(first) > 1 else term


def _without_grammar(term: str, affixes: Affixes) -> list[tuple[str, str]]:
    """The term, and for a single word hunspell's forms."""
    forms = {f for f in affixes.forms(term) if f.isalpha()} if term.isalpha() else set()
    return [(form, "") for form in sorted(forms | {term})]


def _declined(term: str, affixes: Affixes, grammar: Inflection) -> list[tuple[str, str]]:
    """(form, `gender.number.case`) of adjectives + noun + an uninflected tail such as a genitive; else the nominative.

    The noun is the first word that is a noun in the nominative and agrees with the adjectives before it.
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
                continue  # an adjective in the tail may belong to this noun or to another
            changing = [*filter(None, before), noun, *filter(None, [behind])]
            fixed = [] if behind else tail
            return [
                (" ".join([*(w[slot] for w in changing), *fixed]), f"{gender}.{slot[0]}.{slot[1]}")
                for slot in noun
                if all(slot in w for w in changing)
            ]
    return [(term, f".{number}.{grammar.cases[0]}") for number in ("sg", "pl")]


def _nouns(word: str, affixes: Affixes, grammar: Inflection) -> Iterator[tuple[str, str, dict[Slot, str]]]:
    """(gender, number, forms) for each noun class of a nominative; for a plural the plural forms only."""
    nominative, genitive = grammar.cases[:2]
    for noun_class in grammar.nouns:
        slots = noun_class.slots(grammar.cases)
        for number in ("sg", "pl"):
            ending = slots.get((number, nominative))
            if ending is None or not word.endswith(ending):
                continue
            stem = word[: len(word) - len(ending)]
            confirmed = affixes.forms(stem + slots["sg", nominative])
            if stem + grammar.adjective_only in confirmed:
                continue
            forms = {slot: stem + e for slot, e in slots.items() if stem + e in confirmed}
            needed = {("sg", nominative), ("sg", genitive), ("sg", grammar.cases[-1]), (number, nominative)}
            if needed <= forms.keys():
                yield noun_class.gender, number, {s: f for s, f in forms.items() if number == "sg" or s[0] == "pl"}


def _adjective(word: str, gender: str, number: str, affixes: Affixes, grammar: Inflection) -> dict[Slot, str] | None:
    """The forms of an adjective that agrees with a nominative; None if the word is no such adjective."""
    nominative, genitive = grammar.cases[:2]
    for adjective in grammar.adjectives:
        endings = adjective.genders[gender].slots(grammar.cases)
        ending = endings[number, nominative]
        if not word.endswith(ending):
            continue
        stem = word[: len(word) - len(ending)]
        lemma = adjective.genders[adjective.dictionary].slots(grammar.cases)
        confirmed = affixes.forms(stem + lemma["sg", nominative])
        if stem + lemma["sg", genitive] in confirmed:
            return {slot: stem + e for slot, e in endings.items() if stem + e in confirmed}
    return None
