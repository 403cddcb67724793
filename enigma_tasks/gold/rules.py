"""Checks documents by the rules for gold: tables of booleans, without text.

A table has a row for each document or span and a column for each rule, so that Great Expectations gets columns of
booleans only.
"""

from __future__ import annotations

import hashlib
import statistics
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING

from enigma_tasks.documents import EntityType
from enigma_tasks.errors import DataError
from enigma_tasks.params.gold import RuleParams
from enigma_tasks.unforeseen import UNREADABLE, refused_if_unforeseen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from enigma_tasks.documents import Document, Entity, Language
    from enigma_tasks.params.gold import DensityRuleParams, RulesParams, ValidationParams

    _Places = list[tuple[str | None, int]]
    """Documents, as fold and index in it; those of a fold follow each other."""
    _OfLanguage = tuple[Language | None, _Places]

HARD_RULES = (
    "not_utf8",
    "annotation_without_text",
    "text_without_annotation",
    "ann_line_malformed",
    "span_outside_text",
    "span_inverted",
    "surface_differs",
    "label_unknown",
    "label_unexpected",
    "id_unsafe",
    "id_duplicate",
    "augmented_document",  # in dev or test
)
"""Rules of the readers (`formats.corpora`, `formats.standoff`, `gold.folds`); no tolerance, not in params.yaml."""
HARD = RuleParams(severity="error")
MAD_TO_DEVIATION = 1.4826
"""A normal distribution's standard deviation, in median absolute deviations."""


@dataclass(frozen=True, slots=True)
class Row:
    """The document or span of one row of a table."""

    document: str
    """Its id, or the file's name if it could not be read."""
    fold: str | None
    offset: int | None = None
    """Start of the span; for a hard rule `DataError.offset`."""
    place: tuple[int, int] | None = None
    """Index of the document in its fold, and of the span in it (-1: the document itself)."""


@dataclass
class Table:
    """Rows of one kind, and whether they pass each rule (`sound`)."""

    name: str
    language: Language | None
    rows: list[Row] = field(default_factory=list)
    sound: dict[str, list[bool]] = field(default_factory=dict)
    rules: dict[str, RuleParams] = field(default_factory=dict)

    def breaches(self, rule: str) -> Iterator[Row]:
        """The rows that break `rule`, in order."""
        return (row for row, sound in zip(self.rows, self.sound[rule], strict=True) if not sound)


@dataclass(frozen=True)
class Fold:
    """The documents that could be read, and the defects of the others."""

    documents: Sequence[Document]
    defects: Sequence[DataError]


def tables(
    folds: Mapping[str | None, Fold],
    params: ValidationParams,
    detect: Callable[[str], str | None],
    several_folds: Mapping[str | None, set[int]],
) -> list[Table]:
    """The tables of a corpus that are not empty: `reading`, `documents-LANGUAGE` and `spans-LANGUAGE-TYPE`.

    Args:
        folds: one named None, or train, dev and test.
        params: which rules are checked, by language.
        detect: text -> language code, or None if it cannot be detected.
        several_folds: for each fold the indices of documents whose case is also in another fold.
    """
    found = [_reading(folds)]
    places: dict[Language, _Places] = {}
    for name, fold in folds.items():
        for i, document in enumerate(fold.documents):
            places.setdefault(document.language or "", []).append((name, i))
    for code, own in sorted(places.items()):
        rules = params.of(code or None)
        found.append(_documents_table(folds, (code or None, own), rules, detect, several_folds))
        found += [_spans_table(folds, (code or None, own), entity, rules) for entity in EntityType]
    return [table for table in found if table.rows]


def span_breaches(entities: Sequence[Entity], rules: RulesParams) -> dict[str, list[bool]]:
    """For each span rule, whether each of `entities` passes it.

    Args:
        entities: of one document and one label, sorted by offset, surfaces as in the text.
        rules: of the document's language.
    """
    seen: set[tuple[int, int]] = set()
    furthest = -1
    rows = []
    for e in entities:
        stripped = e.text.strip()
        duplicate = e.span in seen
        rows.append(
            {
                "span_blank": bool(stripped),
                "span_edge_white_space": not stripped or stripped == e.text,
                "span_punctuation_only": not stripped or any(c.isalnum() for c in stripped),
                "span_too_long": len(stripped.split()) <= rules.span_too_long.words,
                "span_duplicate": not duplicate,
                "span_overlap": duplicate or e.char_start >= furthest,
            }
        )
        seen.add(e.span)
        furthest = max(furthest, e.char_end)
    return {rule: [row[rule] for row in rows] for rule in SPAN_RULES}


SPAN_RULES = (
    "span_blank",
    "span_edge_white_space",
    "span_punctuation_only",
    "span_too_long",
    "span_duplicate",
    "span_overlap",
)


def far_densities(documents: Sequence[Document], entity: EntityType, rule: DensityRuleParams) -> set[int]:
    """Indices of documents whose number of spans is far from that expected for their length.

    The residual is Pearson's, (spans - expected) / sqrt(expected), under the corpus's mean of spans per character. The
    threshold is in scaled median absolute deviations, but at least in the deviation of a Poisson distribution, 1.
    """
    counts = {i: len(d.of_type(entity)) for i, d in enumerate(documents) if entity in d.annotated and d.text.strip()}
    total = sum(counts.values())
    if len(counts) < rule.documents or not total:
        return set()
    rate = total / sum(len(documents[i].text) for i in counts)
    residuals = {
        i: (n - rate * len(documents[i].text)) / (rate * len(documents[i].text)) ** 0.5 for i, n in counts.items()
    }
    middle = statistics.median(residuals.values())
    spread = MAD_TO_DEVIATION * statistics.median(abs(r - middle) for r in residuals.values())
    return {i for i, r in residuals.items() if abs(r - middle) > rule.deviations * max(spread, 1.0)}


def _reading(folds: Mapping[str | None, Fold]) -> Table:
    """A row for each document that was read, and for each defect in reading."""
    table = Table("reading", None)
    broken: list[str | None] = []
    for name, fold in folds.items():
        table.rows += [Row(d.id, name) for d in fold.documents]
        broken += [None] * len(fold.documents)
        table.rows += [Row(e.record, name, e.offset) for e in fold.defects]
        broken += [e.rule for e in fold.defects]
    for rule in dict.fromkeys([*HARD_RULES, *(b for b in broken if b)]):
        table.rules[rule] = HARD
        table.sound[rule] = [b != rule for b in broken]
    return table


def _documents_table(
    folds: Mapping[str | None, Fold],
    of_language: _OfLanguage,
    rules: RulesParams,
    detect: Callable[[str], str | None],
    several_folds: Mapping[str | None, set[int]],
) -> Table:
    language, places = of_language
    table = Table(f"documents-{language or 'undeclared'}", language)
    checked = [r for r in ("document_too_short", "document_copy", "density_far") if rules.rule(r).severity != "off"]
    checked += ["language_differs"] if language and rules.language_differs.severity != "off" else []
    checked += ["case_in_two_folds"] if len(folds) > 1 and rules.case_in_two_folds.severity != "off" else []
    table.rules = {rule: rules.rule(rule) for rule in checked}
    table.sound = {rule: [] for rule in checked}
    unreadable: set[int] = set()
    for name, group in groupby(places, key=lambda place: place[0]):
        fold, chosen = folds[name], [i for _, i in group]
        documents = [fold.documents[i] for i in chosen]
        far = {chosen[j] for t in EntityType for j in far_densities(documents, t, rules.density_far)}
        seen: set[tuple[bytes, EntityType | None]] = set()
        for i, document in zip(chosen, documents, strict=True):
            digest = hashlib.sha256(document.text.encode()).digest()
            keys = {(digest, t) for t in document.annotated or {None}}
            passed = {
                "document_too_short": len(document.text.strip()) >= rules.document_too_short.characters,
                "document_copy": not keys & seen,
                "density_far": i not in far,
                "case_in_two_folds": i not in several_folds.get(name, set()),
            }
            try:
                with refused_if_unforeseen(document.id):
                    detected = detect(document.text) if _is_detected(document, checked, rules) else None
            except DataError:
                detected = None
                unreadable.add(len(table.rows))
            passed["language_differs"] = detected in (language, None)
            seen |= keys
            table.rows.append(Row(document.id, name, None, (i, -1)))
            for rule in checked:
                table.sound[rule].append(passed[rule])
    if unreadable:
        table.rules[UNREADABLE] = HARD
        table.sound[UNREADABLE] = [i not in unreadable for i in range(len(table.rows))]
    return table


def _is_detected(document: Document, checked: Sequence[str], rules: RulesParams) -> bool:
    return "language_differs" in checked and len(document.text) >= rules.language_differs.characters


def _spans_table(
    folds: Mapping[str | None, Fold], of_language: _OfLanguage, entity: EntityType, rules: RulesParams
) -> Table:
    language, places = of_language
    table = Table(f"spans-{language or 'undeclared'}-{entity.value}", language)
    checked = [r for r in SPAN_RULES if rules.rule(r).severity != "off"]
    table.rules = {rule: rules.rule(rule) for rule in checked}
    table.sound = {rule: [] for rule in checked}
    for name, i in places:
        document = folds[name].documents[i]
        own = [k for k, e in enumerate(document.entities) if e.label == entity.label]
        entities = [document.entities[k] for k in own]
        table.rows += [Row(document.id, name, e.char_start, (i, k)) for k, e in zip(own, entities, strict=True)]
        found = span_breaches(entities, rules)
        for rule in checked:
            table.sound[rule] += found[rule]
    return table
