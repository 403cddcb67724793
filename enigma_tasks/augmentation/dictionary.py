"""A dictionary of medical terms in families, from a file or a lexicon (paper, section 3.2).

A family has the forms that may replace one another: the inflected forms of a term and of its synonyms. `grammar` is the
set of `gender.number.case` of a form (`f.sg.gen`), empty if it is unknown. In languages without cases, definite and
indefinite forms take their place.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property
from importlib.resources import files
from typing import TYPE_CHECKING

import yaml

from enigma_tasks.errors import DataError
from enigma_tasks.synthetic.lexicon import load_lexicon

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

HEADER = "family\tform\tlemma\tgrammar"
_WORD = re.compile(r"[^\W_]+(?:[-’'][^\W_]+)*")


@dataclass(frozen=True, slots=True)
class DictionaryEntry:
    """One form of one term."""

    family: str
    form: str
    lemma: str
    grammar: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Dictionary:
    """Entries, with indexes by form and by family."""

    entries: tuple[DictionaryEntry, ...]
    _by_form: dict[str, list[DictionaryEntry]] = field(
        init=False, repr=False, default_factory=lambda: defaultdict(list)
    )
    _by_family: dict[str, list[DictionaryEntry]] = field(
        init=False, repr=False, default_factory=lambda: defaultdict(list)
    )

    def __post_init__(self) -> None:
        for entry in self.entries:
            self._by_form[entry.form.lower()].append(entry)
            self._by_family[entry.family].append(entry)

    @property
    def families(self) -> int:
        """Number of families."""
        return len(self._by_family)

    @cached_property
    def _longest(self) -> int:
        """Characters of the longest form."""
        return max(map(len, self._by_form), default=0)

    def of_form(self, form: str) -> list[DictionaryEntry]:
        """The entries of a form, in any letter case."""
        return list(self._by_form.get(form.lower(), ()))

    def family(self, name: str) -> list[DictionaryEntry]:
        """The entries of a family."""
        return list(self._by_family.get(name, ()))

    def find_forms(self, text: str) -> Iterator[tuple[int, int]]:
        """Spans of forms in `text`: whole words, longest match from the left, none overlapping."""
        words = [m.span() for m in _WORD.finditer(text)]
        ends = [end for _, end in words]
        first = 0
        while first < len(words):
            start = words[first][0]
            farthest = bisect_right(ends, start + self._longest) - 1
            last = next(
                (i for i in range(farthest, first - 1, -1) if text[start : ends[i]].lower() in self._by_form),
                None,
            )
            if last is None:
                first += 1
                continue
            yield start, ends[last]
            first = last + 1


def dictionary_of(rows: Iterable[tuple[str, str, str, str]]) -> Dictionary:
    """(family, form, lemma, tag or "") -> a dictionary with one entry for each form of a lemma, in order."""
    tags: dict[tuple[str, str, str], set[str]] = {}
    for family, form, lemma, tag in rows:
        tags.setdefault((family, form, lemma), set()).update({tag} if tag else ())
    return Dictionary(tuple(DictionaryEntry(*key, frozenset(found)) for key, found in tags.items()))


def format_dictionary(dictionary: Dictionary) -> str:
    """The content of a dictionary file: tab-separated, tags joined by `|`."""
    lines = [f"{e.family}\t{e.form}\t{e.lemma}\t{'|'.join(sorted(e.grammar))}" for e in dictionary.entries]
    return "\n".join([HEADER, *lines, ""])


def parse_dictionary(text: str, record: str) -> Dictionary:
    """Parse a dictionary file. Raises DataError `dictionary_header` or `dictionary_line`, with the line (from 1)."""
    lines = text.splitlines()
    if not lines or lines[0] != HEADER:
        raise DataError(record, "dictionary_header", 1, "family, form, lemma, grammar, tab-separated")
    entries = []
    for number, line in enumerate(lines[1:], start=2):
        columns = line.split("\t")
        if len(columns) != 4 or not all(c.strip() for c in columns[:3]):
            raise DataError(record, "dictionary_line", number)
        family, form, lemma, grammar = columns
        entries.append(DictionaryEntry(family, form, lemma, frozenset(filter(None, grammar.split("|")))))
    return Dictionary(tuple(entries))


def builtin_dictionary(language: str) -> Dictionary:
    """The terms of the built-in lexicon, their abbreviations, and the synonyms in synonyms/{language}.yaml.

    Raises:
        DataError: `lexicon_missing` if there is no lexicon of that language.
    """
    try:
        lexicon = load_lexicon(language)
    except FileNotFoundError:
        raise DataError(language, "lexicon_missing") from None
    cases = lexicon.forms
    abbreviations = {short: long for pairs in lexicon.pairs.values() for long, short in pairs}
    rows: list[tuple[str, str, str, str]] = []
    for terms in lexicon.terms.values():
        for term in terms:
            family = abbreviations.get(term.lemma, term.lemma)
            rows += _inflected(family, term.kind, term.forms, cases)
    known = {form for _, form, _, _ in rows}
    for short, long in abbreviations.items():
        rows += _inflected(long, "", [short], cases) if short not in known else []
        rows += _inflected(long, "", [long], cases[:1]) if long not in known else []
    return dictionary_of([*rows, *_synonyms(language, cases)])


def _synonyms(language: str, cases: tuple[str, ...]) -> Iterator[tuple[str, str, str, str]]:
    """Rows of the synonyms file: lines `term = kind form | form | ...; kind form | ...`."""
    file = files(__package__) / "synonyms" / f"{language}.yaml"
    lines = yaml.safe_load(file.read_text("utf-8"))["families"].splitlines() if file.is_file() else []
    for line in lines:
        family, _, members = line.partition(" = ")
        for member in members.split(";"):
            kind, _, forms = member.strip().partition(" ")
            yield from _inflected(family.strip(), kind, [f.strip() for f in forms.split("|")], cases)


def _inflected(family: str, kind: str, forms: Iterable[str], cases: tuple[str, ...]) -> list[tuple[str, str, str, str]]:
    """The rows of one term; a single form is used for every case (abbreviations, indeclinable words)."""
    by_case = tuple(forms)
    if len(by_case) == 1:
        by_case *= len(cases)
    plural = kind in {"pl", "p", "mp", "fp", "np"}
    gender = "" if kind in {"pl", "p", "s"} else kind.removesuffix("p")
    number = "pl" if plural else "sg"
    return [(family, f, by_case[0], f"{gender}.{number}.{case}") for f, case in zip(by_case, cases, strict=True)]
