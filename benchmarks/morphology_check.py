"""Random replacements of `enigma augment --method morphology`, checked with hunspell and simplemma.

    python -m benchmarks.morphology_check --affixes /usr/share/hunspell
    python -m benchmarks.morphology_check --affixes /usr/share/hunspell --terms ../shared/terms/hpo-cs-synonyms.tsv

A replacement is correct if
- it is of the original form's family, and of its case and number if the dictionary has these;
- hunspell has each of its words; or, if hunspell does not have the term's word either (it is no medical dictionary),
  the word is inflected like the hunspell word with the longest common ending: those are counted separately;
- the lemma of each word, if simplemma has one, is that of a word of the term.
Prints counts, and the incorrect forms, which are the dictionary's, not a note's.
"""

from __future__ import annotations

import argparse
import itertools
import random
import re
from bisect import bisect_left
from collections import Counter
from pathlib import Path

import simplemma

from enigma_tasks.augmentation.dictionary import Dictionary, DictionaryEntry, builtin_dictionary
from enigma_tasks.augmentation.inflection import Affixes, build_dictionary, read_terms
from enigma_tasks.augmentation.morphology import replaceable_forms, surface_counts
from enigma_tasks.params.augment import MorphologyParams
from enigma_tasks.synthetic.generator import notes

RULE = MorphologyParams(rare=5, copies=1, keep_case=True)
STEM = 3
"""Letters that a form and its lemma must have in common."""
MODELS = 200
"""Hunspell words of one ending that are looked at."""
_WORD = re.compile(r"[^\W\d_]+")


def replacements(dictionary: Dictionary, language: str, documents: int, seed: int) -> list[tuple[str, DictionaryEntry]]:
    """Distinct pairs (form, replacement) of the rare mentions of sample gold."""
    gold = list(notes(documents, [language], seed))
    counts = surface_counts(gold)
    found: dict[tuple[str, str, str], tuple[str, DictionaryEntry]] = {}
    for document in gold:
        for site in replaceable_forms(document, dictionary, counts, RULE):
            old = document.text[site.char_start : site.char_end]
            for entry in site.options:
                found.setdefault((old.lower(), entry.form, entry.lemma), (old, entry))
    return list(found.values())


class Words:
    """Judges single words by hunspell."""

    def __init__(self, affixes: Affixes) -> None:
        self.affixes = affixes
        self.reversed = sorted(lemma[::-1] for lemma in affixes.lemmas)

    def known(self, word: str) -> bool:
        """Whether hunspell accepts the word; abbreviations are not checked."""
        return word.isupper() or self.affixes.known(word) or self.affixes.known(word.capitalize())

    def as_another(self, word: str, lemma: str) -> bool:
        """Whether `word` is inflected like a form of the lemma with the longest common ending."""
        same = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(word, lemma, strict=False)))
        if self.known(lemma) or same < STEM:
            return False  # hunspell should have the word, or the two have no common stem
        for size in range(len(lemma), len(lemma) - same + 1, -1):
            for model in self.ending_in(lemma[-size:]):
                if model[: len(model) - len(lemma) + same] + word[same:] in self.affixes.forms(model):
                    return True
        return False

    def ending_in(self, ending: str) -> list[str]:
        """Hunspell's words with this ending, MODELS of them at most."""
        first = bisect_left(self.reversed, ending[::-1])
        return [r[::-1] for r in self.reversed[first : first + MODELS] if r.startswith(ending[::-1])]


def defects(
    old: str, entry: DictionaryEntry, dictionary: Dictionary, words_of: Words, language: str
) -> tuple[list[str], bool]:
    """The error of one replacement, empty if it is correct; and whether a word was checked by another word's forms."""
    wrong = []
    known = [e for e in dictionary.of_form(old) if e.family == entry.family]
    if not known:
        wrong.append("not of the family")
    told = {tag.partition(".")[2] for e in known for tag in e.grammar}
    if told and entry.grammar and not told & {tag.partition(".")[2] for tag in entry.grammar}:
        wrong.append("another case or number")
    words = _WORD.findall(entry.form)
    unknown = [w for w in words if not words_of.known(w)]
    if not all(any(words_of.as_another(w, own) for own in _WORD.findall(entry.lemma)) for w in unknown):
        wrong.append("a word that hunspell does not know, nor one like it")
    lemmas = {form for w in _WORD.findall(entry.lemma) for form in (w.lower(), _lemma(w, language))}
    for word in words:
        if simplemma.is_known(word, lang=language) and not {word.lower(), _lemma(word, language)} & lemmas:
            wrong.append("another lemma by simplemma")
            break
    return wrong, bool(unknown)


def _lemma(word: str, language: str) -> str:
    return simplemma.lemmatize(word, lang=language).lower()


def main() -> None:
    """Print the counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--language", default="cs")
    parser.add_argument("--affixes", type=Path, required=True, help="folder of hunspell dictionaries")
    parser.add_argument("--terms", type=Path, help="check the dictionary built of this list, not our own")
    parser.add_argument("--sample", type=int, default=200)
    parser.add_argument("--documents", type=int, default=200, help="sample notes that the replacements are made in")
    parser.add_argument("--seed", type=int, default=20260611)
    arguments = parser.parse_args()
    affixes = Affixes.load(arguments.affixes, arguments.language)
    if arguments.terms:
        terms = read_terms(arguments.terms.read_text("utf-8"), arguments.terms.name)
        dictionary = build_dictionary(terms, affixes, arguments.language)
    else:
        dictionary = builtin_dictionary(arguments.language)
    print(f"dictionary: {len(dictionary.entries)} entries, {dictionary.families} families")
    found = replacements(dictionary, arguments.language, arguments.documents, arguments.seed)
    chosen = random.Random(arguments.seed).sample(found, min(arguments.sample, len(found)))
    words_of = Words(affixes)
    counts: Counter[str] = Counter()
    for old, entry in chosen:
        wrong, by_another = defects(old, entry, dictionary, words_of, arguments.language)
        counts["in order, a word of them judged by another word's forms"] += by_another and not wrong
        counts["not in order"] += bool(wrong)
        counts.update(wrong)
        if wrong:
            print(f"  {old.lower()} -> {entry.form} ({', '.join(wrong)})")
    print(
        f"replacements: {len(found)} different ones, {len(chosen)} checked, {counts.pop('not in order')} not in order"
    )
    for name, count in counts.most_common():
        print(f"  {name}: {count}")


if __name__ == "__main__":
    main()
