"""lexicons/{language}.yaml -> Lexicon: the words, grammar and templates of one language.

Format of a lexicon file:
- lists are separated by `; `, templates by line breaks;
- `terms.<type>.<class>` are terms of one grammatical class (the gender and number that articles agree with);
  a second word in the key also makes them a pool of that name (`test`, `act`: procedures that examine, that treat);
  a term is `form | form | ...` in the order of `forms`, or one form for all; a following `#name` allows an ending;
- `endings.<name>` are qualifiers that are part of the mention (`grade II`, `left`);
- `before.<name>.<class>` are words that agree with the class and are not part of the mention (articles, adjectives);
- `euphony` changes the words before a term by its first letters (Spanish `y` -> `e`);
- templates are explained in templates.py.
"""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from enigma_tasks.documents import EntityType

FOLDER = Path(__file__).parent / "lexicons"


@dataclass(frozen=True, slots=True)
class Term:
    """One disease, procedure, ..."""

    label: str
    kind: str
    """The grammatical class, a key of `before.<name>`."""
    pool: str
    """A subset that templates may draw from, or empty."""
    forms: tuple[str, ...]
    endings: tuple[str, ...] = ()

    @property
    def lemma(self) -> str:
        """The first form, which names the term."""
        return self.forms[0]


@dataclass(frozen=True, slots=True)
class SectionSource:
    """A kind of section: its possible headings and its templates."""

    headings: tuple[str, ...]
    lines: tuple[str, ...]
    itemised: bool
    """A list with one template per item, instead of a paragraph."""


@dataclass(frozen=True, slots=True)
class Lexicon:
    """The content of lexicons/{language}.yaml."""

    language: str
    decimal: str
    months: tuple[str, ...]
    dates: tuple[str, ...]
    forms: tuple[str, ...]
    terms: dict[str, tuple[Term, ...]]
    """Label or pool -> terms, the frequent ones first."""
    pairs: dict[str, tuple[tuple[str, str], ...]]
    """Label -> (long form, abbreviation)."""
    types: tuple[EntityType, ...]
    """The types with terms in the lexicon; other types are not marked in its notes."""
    before: dict[str, dict[str, str]]
    euphony: tuple[tuple[str, str, tuple[str, ...], tuple[str, ...]], ...]
    """(word, replacement, first letters before which it is replaced, exceptions)."""
    lists: dict[str, tuple[str, ...]]
    sections: dict[str, SectionSource]
    header: tuple[str, ...]
    footer: tuple[str, ...]
    capitals: tuple[str, ...]
    """Lines in capitals that contain a mention."""
    copied: tuple[str, ...]
    """Introductions of a repeated paragraph."""


def languages() -> tuple[str, ...]:
    """The languages that have a lexicon, sorted."""
    return tuple(sorted(p.stem for p in FOLDER.glob("*.yaml")))


@functools.cache
def load_lexicon(language: str) -> Lexicon:
    """Read one lexicon file. Raises FileNotFoundError, KeyError or ValueError if it is missing or malformed."""
    tree: dict[str, Any] = yaml.safe_load((FOLDER / f"{language}.yaml").read_text(encoding="utf-8"))
    types = tuple(t for t in EntityType if t.value in tree["terms"])
    forms = _items(tree.get("forms", "plain"))
    endings = {name: _items(text) for name, text in tree["endings"].items()}
    return Lexicon(
        language=language,
        decimal=tree["decimal"],
        months=_items(tree["months"]),
        dates=_lines(tree["dates"]),
        forms=forms,
        terms=_pools({t.label: _terms(t.label, tree["terms"][t.value], len(forms), endings) for t in types}),
        pairs={t.label: _pairs(tree["pairs"][t.value]) for t in types},
        types=types,
        before=tree["before"],
        euphony=tuple(
            (written, rule["as"], tuple(rule["before"].split()), tuple(rule.get("except", "").split()))
            for written, rule in tree.get("euphony", {}).items()
        ),
        lists={name: _items(text) for name, text in tree["lists"].items()},
        sections={
            kind: SectionSource(_items(s["headings"]), _lines(s["lines"]), bool(s.get("itemised", False)))
            for kind, s in tree["sections"].items()
        },
        header=_lines(tree["header"]),
        footer=_lines(tree["footer"]),
        capitals=_lines(tree["capitals"]),
        copied=_lines(tree["copied"]),
    )


def _terms(
    label: str, classes: dict[str, str], form_count: int, endings: dict[str, tuple[str, ...]]
) -> list[list[Term]]:
    """The terms of one type, class by class."""
    by_class = []
    for key, text in classes.items():
        kind, _, pool = key.partition(" ")
        terms = []
        for item in _items(text):
            words, _, ending = item.partition(" #")
            forms = tuple(f.strip() for f in words.split("|"))
            if len(forms) not in {1, form_count}:
                raise ValueError(f"{forms[0]}: {len(forms)} forms instead of 1 or {form_count}")
            forms = forms if len(forms) == form_count else forms * form_count
            terms.append(Term(label, kind, pool, forms, endings[ending] if ending else ()))
        by_class.append(terms)
    return by_class


def _pools(terms: dict[str, list[list[Term]]]) -> dict[str, tuple[Term, ...]]:
    """Label or pool name -> terms; the classes alternate, as the generator prefers the first terms."""
    pools: dict[str, list[Term]] = {}
    for label, by_class in terms.items():
        for nth in itertools.zip_longest(*by_class):
            for term in filter(None, nth):
                for name in filter(None, (label, term.pool)):
                    pools.setdefault(name, []).append(term)
    return {name: tuple(pool) for name, pool in pools.items()}


def _pairs(text: str) -> tuple[tuple[str, str], ...]:
    pairs = (item.split(" = ") for item in _items(text))
    return tuple((long, short) for long, short in pairs)


def _items(text: str) -> tuple[str, ...]:
    return tuple(" ".join(item.split()) for item in text.split(";") if item.strip())


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.splitlines() if line.strip())
