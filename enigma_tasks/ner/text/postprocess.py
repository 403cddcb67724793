"""Post-processing of predicted mentions (paper, section 3.4 and the post-filter of section 3.2); deterministic."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from functools import cache, partial
from typing import TYPE_CHECKING

from enigma_tasks.documents import Entity, Language, sorted_entities
from enigma_tasks.errors import DataError
from enigma_tasks.languages.rules import language_rules
from enigma_tasks.ner.text.brackets import MARKS, Brackets
from enigma_tasks.ner.text.invisible import VisibleText
from enigma_tasks.params.postprocess import PostprocessRules  # noqa: TC001 - callers take it from here

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_PUNCTUATION = ".,;:!?…¿¡·•*|\\/-‐‑‒–—_"
_CONNECTORS = "-‐‑‒–—−/"
_DOTTED = re.compile(r"(?:[^\W\d_]{1,4}\.){2,}")
_LAST_LETTER = re.compile(r"[^\W\d_]\.")
_WORD = re.compile(r"[^\W_]+")


def postprocess(
    document_id: str, text: str, entities: Iterable[Entity], language: Language, rules: PostprocessRules
) -> tuple[tuple[Entity, ...], Counter[str]]:
    """One document's mentions after the rules, sorted; and the number of mentions that each rule changed.

    The rules run in the order of their fields until nothing changes, so the result is idempotent; it does not depend on
    the order of `entities`. A merged mention has the lowest score of its parts. The rules see the text without
    invisible characters (`ner.text.invisible`).

    Raises:
        DataError: `span_outside_text`, if `clip` is off.
    """
    counts: Counter[str] = Counter()
    visible = VisibleText.of(text)
    clipped = map(_clipper(document_id, len(text), visible, rules, counts), entities)
    current = [e for e in clipped if e is not None]
    while True:
        cleaned = _one_pass(visible.text, current, language, rules, counts)
        if cleaned == current:
            return tuple(_as_stored(visible, text, e) for e in cleaned), +counts
        current = cleaned


def _one_pass(
    text: str, entities: list[Entity], language: Language, rules: PostprocessRules, counts: Counter[str]
) -> list[Entity]:
    """Run every rule once. The number of mentions or their total length decreases, or nothing changes."""
    trimmed = [_trimmed(text, e, rules, counts) for e in entities]
    kept = [e for e in trimmed if e.char_end > e.char_start]
    unique = _without_duplicates(kept, rules, counts)
    merged = _merged(text, unique, rules, counts)
    return [e for e in merged if not _dropped(e.text, language, rules, counts)]


def _clipper(
    document_id: str, length: int, visible: VisibleText, rules: PostprocessRules, counts: Counter[str]
) -> Callable[[Entity], Entity | None]:
    """A function from a mention of the text as stored, of `length` characters, to one of the visible text, or None."""

    def clipped(entity: Entity) -> Entity | None:
        start, end = entity.span
        if rules.clip:
            start, end = visible.visible_span(max(start, 0), min(end, length))
            start, end = _without_space(visible.text, start, end)
            counts["clip"] += (visible.stored_span(start, end) if start < end else (start, end)) != entity.span
        elif not 0 <= start < end <= length:
            raise DataError(document_id, "span_outside_text", start)
        else:
            start, end = visible.visible_span(start, end)
        return _at(visible.text, entity, start, end) if start < end else None

    return clipped


def _as_stored(visible: VisibleText, text: str, entity: Entity) -> Entity:
    return entity if visible.stored is None else _at(text, entity, *visible.stored_span(*entity.span))


def _at(text: str, entity: Entity, start: int, end: int) -> Entity:
    return replace(entity, char_start=start, char_end=end, text=text[start:end])


def _without_space(text: str, start: int, end: int) -> tuple[int, int]:
    while start < end and text[start].isspace():
        start += 1
    while start < end and text[end - 1].isspace():
        end -= 1
    return start, end


def _trimmed(text: str, entity: Entity, rules: PostprocessRules, counts: Counter[str]) -> Entity:
    surface = text[entity.char_start : entity.char_end]
    if not surface or (surface[0] not in MARKS and surface[-1] not in MARKS and surface[-1] not in _PUNCTUATION):
        return entity
    brackets = Brackets(surface) if rules.trim_brackets else None
    is_abbreviation = cache(partial(_is_abbreviation, surface))  # of one end it is asked for each bracket that goes
    start, end = 0, len(surface)
    touched = set()
    while start < end:
        before = start, end
        if rules.trim_punctuation and surface[end - 1] in _PUNCTUATION and not is_abbreviation(end):
            end -= 1
            touched.add("trim_punctuation")
        elif brackets:
            start, end = brackets.without_lone(start, end)
            touched |= {"trim_brackets"} if (start, end) != before else set()
        if (start, end) == before:
            break
        start, end = _without_space(surface, start, end)
    counts.update(touched)
    return _at(text, entity, entity.char_start + start, entity.char_start + end) if touched else entity


def _is_abbreviation(surface: str, end: int) -> bool:
    """Whether the full stop before `end` is the last of a dotted abbreviation, `T.A.C.`.

    What is trimmed at the start of a surface is no part of it: brackets, quotation marks and white space.
    """
    if not _LAST_LETTER.match(surface, end - 2, end):
        return False
    start = end
    while start and (surface[start - 1] in "._" or surface[start - 1].isalnum()):
        start -= 1
    return _DOTTED.fullmatch(surface, start, end) is not None


def _certainty(entity: Entity) -> float:
    return -1.0 if entity.score is None else entity.score


def _without_duplicates(entities: list[Entity], rules: PostprocessRules, counts: Counter[str]) -> list[Entity]:
    # highest score first among equals, so that the result does not depend on the input's order
    ordered = list(sorted_entities(sorted(entities, key=_certainty, reverse=True)))
    if not rules.drop_duplicates:
        return ordered
    unique = [e for i, e in enumerate(ordered) if i == 0 or e != ordered[i - 1]]
    counts["drop_duplicates"] += len(ordered) - len(unique)
    return unique


def _merged(text: str, entities: list[Entity], rules: PostprocessRules, counts: Counter[str]) -> list[Entity]:
    """`entities` sorted -> sorted, with neighbours of one label joined."""
    parts: list[list[Entity]] = []
    ends: list[int] = []
    last: dict[str, int] = {}  # label -> index in `parts`
    for entity in entities:
        index = last.get(entity.label)
        rule = None if index is None else _merge_rule(text, ends[index], entity, rules)
        if index is None or rule is None:
            last[entity.label] = len(parts)
            parts.append([entity])
            ends.append(entity.char_end)
            continue
        counts[rule] += 1
        parts[index].append(entity)
        ends[index] = max(ends[index], entity.char_end)
    if len(parts) == len(entities):
        return entities
    return list(sorted_entities(_union(text, own, end) for own, end in zip(parts, ends, strict=True)))


def _union(text: str, parts: list[Entity], end: int) -> Entity:
    if len(parts) == 1:
        return parts[0]
    scores = [e.score for e in parts if e.score is not None]
    return replace(_at(text, parts[0], parts[0].char_start, end), score=min(scores, default=None))


def _merge_rule(text: str, end: int, after: Entity, rules: PostprocessRules) -> str | None:
    """The rule by which a mention is merged with one of its label that begins before it and ends at `end`."""
    if after.char_start < end:
        return "merge_overlapping" if rules.merge_overlapping else None
    gap = text[end : after.char_start]
    joins = rules.merge_adjacent and not set(gap) & set("\n\r\x0b\x0c\x85\u2028\u2029")
    connector = gap.strip()
    return "merge_adjacent" if joins and (not connector or connector in _CONNECTORS) else None


def _dropped(surface: str, language: Language, rules: PostprocessRules, counts: Counter[str]) -> bool:
    words = _WORD.findall(surface)
    rule = None
    if rules.drop_punctuation_only and not words:
        rule = "drop_punctuation_only"
    elif rules.stop_words and words and _only_stop_words(words, language_rules(language).stop_words):
        rule = "stop_words"
    elif len(surface) < rules.min_characters:
        rule = "min_characters"
    elif rules.short_upper_case and len(surface) == 2 and not surface.isupper():
        rule = "short_upper_case"
    if rule:
        counts[rule] += 1
    return rule is not None


def _only_stop_words(words: list[str], stop_words: frozenset[str]) -> bool:
    """Whether all words are stop-words or numbers; False for a language without stop-words."""
    # words in capitals are abbreviations, in Dutch MEN, TE, AL
    ignorable = (w.isnumeric() or (w.lower() in stop_words and not (len(w) > 1 and w.isupper())) for w in words)
    return bool(stop_words) and all(ignorable)
