"""Documents + a dictionary -> copies in which rare terms are other members of their family (paper, section 3.2)."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from enigma_tasks.augmentation.replacement import Edit, cuts_a_mention, edited, styled
from enigma_tasks.gold.augmented import Augmented, augmented_id

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from enigma_tasks.augmentation.dictionary import Dictionary, DictionaryEntry
    from enigma_tasks.documents import Document
    from enigma_tasks.params.augment import MorphologyParams

DRAWS = 20
"""Tries for a copy unlike those before, before there are taken to be no more."""


@dataclass(frozen=True, slots=True)
class Site:
    """A place in a document where a rare mention holds a form of the dictionary."""

    char_start: int
    char_end: int
    options: tuple[DictionaryEntry, ...]
    """Members that may stand there, the form itself left out."""
    texts: tuple[str, ...] = field(repr=False)
    """What each would be written as there."""


def augment_by_morphology(
    documents: Sequence[Document], dictionary: Dictionary, rule: MorphologyParams, seed: int
) -> Iterator[Augmented]:
    """Up to `rule.copies` documents, each unlike the others, for each one that has a rare mention in the dictionary.

    A surface form is rare when it is a mention of `documents`, whatever its case, `rule.rare` times or less. The same
    arguments give the same documents.
    """
    counts = surface_counts(documents)
    for document in documents:
        sites = sites_of(document, dictionary, counts, rule)
        rng = random.Random(f"enigma morphology {seed} {document.language} {document.id}")
        for number, edits in enumerate(_choices(sites, rule, rng), start=1):
            new_id = augmented_id(document.id, "morphology", number)
            yield Augmented(edited(document, new_id, edits), (document.id,), "morphology", len(edits))


def surface_counts(documents: Sequence[Document]) -> Counter[str]:
    """Surface in lower case -> mentions."""
    return Counter(e.text.lower() for d in documents for e in d.entities)


def sites_of(document: Document, dictionary: Dictionary, counts: Counter[str], rule: MorphologyParams) -> list[Site]:
    """Where a rare mention can be changed, in order, none overlapping, none cutting another mention."""
    sites: list[Site] = []
    for e in document.entities:
        if counts[e.text.lower()] > rule.rare:
            continue
        for start, end in dictionary.occurrences(e.text):
            char_start, char_end = e.char_start + start, e.char_start + end
            if (sites and char_start < sites[-1].char_end) or cuts_a_mention(document, char_start, char_end):
                continue
            found = members(dictionary, e.text[start:end], keep_case=rule.keep_case)
            if found:
                options, texts = zip(*found, strict=True)
                sites.append(Site(char_start, char_end, options, texts))
    return sites


def members(dictionary: Dictionary, form: str, *, keep_case: bool) -> list[tuple[DictionaryEntry, str]]:
    """What may stand for `form`, each with how it is written there; sorted, no writing twice.

    With `keep_case`, a member must be able to be every case and number that `form` can be; failing such, one of them;
    of the same gender where there are any. Where the dictionary does not tell of either, it may be anything.
    """
    found: dict[str, tuple[DictionaryEntry, DictionaryEntry]] = {}
    for known in dictionary.of_form(form):
        for entry in (
            _agreeing(known, dictionary.family(known.family)) if keep_case else dictionary.family(known.family)
        ):
            text = styled(entry.form, form, known.form)
            if text.lower() != form.lower():
                found.setdefault(text, (entry, known))
    return [(entry, text) for text, (entry, _) in sorted(found.items())]


def _agreeing(known: DictionaryEntry, family: Sequence[DictionaryEntry]) -> list[DictionaryEntry]:
    """The members of a family that agree with one of them, the best kind of agreement that there is."""
    others = [e for e in family if e.form != known.form]
    if not known.grammar:
        return others
    wanted = {_case(tag) for tag in known.grammar}
    able = [e for e in others if wanted <= {_case(tag) for tag in e.grammar}]
    able = able or [e for e in others if wanted & {_case(tag) for tag in e.grammar}]
    genders = {tag.partition(".")[0] for tag in known.grammar}
    alike = [e for e in able if genders & {tag.partition(".")[0] for tag in e.grammar}]
    return alike or able or [e for e in others if not e.grammar]


def _case(tag: str) -> str:
    """`f.sg.gen` -> `sg.gen`."""
    return tag.partition(".")[2]


def _choices(sites: Sequence[Site], rule: MorphologyParams, rng: random.Random) -> Iterator[list[Edit]]:
    """Up to `rule.copies` sets of edits, none twice, none empty."""
    made: set[tuple[int, ...]] = set()
    for _ in range(rule.copies if sites else 0):
        for _ in range(DRAWS):
            chosen = tuple(
                -1 if rng.random() < rule.kept_share else int(rng.random() * len(site.options)) for site in sites
            )
            if max(chosen) >= 0 and chosen not in made:
                break
        else:
            return
        made.add(chosen)
        yield [
            Edit(site.char_start, site.char_end, site.texts[index])
            for site, index in zip(sites, chosen, strict=True)
            if index >= 0
        ]
