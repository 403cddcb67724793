"""Copies of documents in which rare terms are replaced by others of their family (paper, section 3.2)."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from enigma_tasks.augmentation.replacement import Edit, boundaries_of, cuts_a_mention, edited, styled
from enigma_tasks.gold.augmented import Augmented, augmented_id

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from enigma_tasks.augmentation.dictionary import Dictionary, DictionaryEntry
    from enigma_tasks.documents import Document
    from enigma_tasks.params.augment import MorphologyParams

DRAWS = 20
"""Draws for a copy that differs from the earlier ones."""


@dataclass(frozen=True, slots=True)
class ReplaceableForm:
    """A form of the dictionary in a rare mention of a document."""

    char_start: int
    char_end: int
    options: tuple[DictionaryEntry, ...]
    """Possible replacements."""
    texts: tuple[str, ...] = field(repr=False)
    """Each replacement in the letter case of the original."""


def augment_by_morphology(
    documents: Sequence[Document], dictionary: Dictionary, rule: MorphologyParams, seed: int
) -> Iterator[Augmented]:
    """Up to `rule.copies` different copies of each document with a rare mention in the dictionary.

    A surface form is rare if it is a mention in `documents`, in any letter case, at most `rule.rare` times.
    Deterministic.
    """
    counts = surface_counts(documents)
    for document in documents:
        replaceable = replaceable_forms(document, dictionary, counts, rule)
        rng = random.Random(f"enigma morphology {seed} {document.language} {document.id}")
        for number, edits in enumerate(_choices(replaceable, rule, rng), start=1):
            new_id = augmented_id(document.id, "morphology", number)
            yield Augmented(edited(document, new_id, edits), (document.id,), "morphology", len(edits))


def surface_counts(documents: Sequence[Document]) -> Counter[str]:
    """Surface in lower case -> number of mentions."""
    return Counter(e.text.lower() for d in documents for e in d.entities)


def replaceable_forms(
    document: Document, dictionary: Dictionary, counts: Counter[str], rule: MorphologyParams
) -> list[ReplaceableForm]:
    """The replaceable forms of rare mentions, in order; none overlaps another or the boundary of a mention."""
    boundaries = boundaries_of(document)
    found: list[ReplaceableForm] = []
    for e in document.entities:
        if counts[e.text.lower()] > rule.rare:
            continue
        for start, end in dictionary.find_forms(e.text):
            char_start, char_end = e.char_start + start, e.char_start + end
            if (found and char_start < found[-1].char_end) or cuts_a_mention(boundaries, char_start, char_end):
                continue
            pairs = replacements(dictionary, e.text[start:end], keep_case=rule.keep_case)
            if pairs:
                options, texts = zip(*pairs, strict=True)
                found.append(ReplaceableForm(char_start, char_end, options, texts))
    return found


def replacements(dictionary: Dictionary, form: str, *, keep_case: bool) -> list[tuple[DictionaryEntry, str]]:
    """The forms that may replace `form`, each with its text in the letter case of `form`; sorted, each text once.

    With `keep_case`, a replacement must have every case and number of `form`, or else one of them, and the same gender
    if there are such. Where the grammar of either is unknown, any form of the family may replace it.
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
    """The entries of a family that agree best with `known`."""
    others = [e for e in family if e.form != known.form]
    if not known.grammar:
        return others
    cases = {_case(tag) for tag in known.grammar}
    same_case = [e for e in others if cases <= {_case(tag) for tag in e.grammar}]
    same_case = same_case or [e for e in others if cases & {_case(tag) for tag in e.grammar}]
    genders = {tag.partition(".")[0] for tag in known.grammar}
    same_gender = [e for e in same_case if genders & {tag.partition(".")[0] for tag in e.grammar}]
    return same_gender or same_case or [e for e in others if not e.grammar]


def _case(tag: str) -> str:
    """`f.sg.gen` -> `sg.gen`."""
    return tag.partition(".")[2]


def _choices(
    replaceable: Sequence[ReplaceableForm], rule: MorphologyParams, rng: random.Random
) -> Iterator[list[Edit]]:
    """Up to `rule.copies` different sets of edits, none empty."""
    earlier: set[tuple[int, ...]] = set()
    for _ in range(rule.copies if replaceable else 0):
        for _ in range(DRAWS):
            chosen = tuple(
                -1 if rng.random() < rule.kept_share else int(rng.random() * len(form.options)) for form in replaceable
            )
            if max(chosen) >= 0 and chosen not in earlier:
                break
        else:
            return
        earlier.add(chosen)
        yield [
            Edit(form.char_start, form.char_end, form.texts[index])
            for form, index in zip(replaceable, chosen, strict=True)
            if index >= 0
        ]
