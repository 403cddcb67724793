"""Sentences with mentions rewritten by a language model, with every mention verified (paper, section 3.2).

Mentions are found by their surface: it must occur in the reply as whole words, exactly as often as in the sentence. So
a sentence in which a surface is a mention in one place only is not rewritten.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from enigma_tasks.augmentation.oversampling import sentences_with_mentions
from enigma_tasks.documents import Document, Entity, entity_at, sorted_entities
from enigma_tasks.errors import DataError
from enigma_tasks.gold.augmented import Augmented, augmented_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from enigma_tasks.params.llm import Complete

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"paraphrase": {"type": "string"}},
    "required": ["paraphrase"],
    "additionalProperties": False,
}
_TASK = (
    "You rewrite one sentence of a clinical note in other words, in the language named {language!r}. Keep its meaning, "
    "numbers and negations; add no finding. Copy each of the listed terms letter by letter, as often as it is listed, "
    'and write it nowhere else. Answer with a JSON object: {{"paraphrase": "..."}}.'
)


@dataclass(slots=True)
class ParaphraseCounts:
    """Outcomes of the sentences with mentions."""

    accepted: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    """By the rule that the reply or the sentence broke."""


def paraphrase(
    documents: Iterable[Document],
    complete: Complete,
    counts: ParaphraseCounts,
    longest: float,
    run: Callable[..., Iterable[Any]] = map,
) -> Iterator[Augmented]:
    """A new document for each document of which at least one sentence was rewritten; the rest of it is unchanged.

    Args:
        documents: their text is passed to `complete`.
        complete: called once for each sentence; its DataErrors drop that sentence only.
        counts: is updated.
        longest: largest length of a reply, as a multiple of its sentence's.
        run: `map`, or an equivalent that runs on threads.
    """
    for document, results in run(lambda d: (d, _rewritten(d, complete, longest)), documents):
        parts = []
        for span, result in results:
            if isinstance(result, DataError):
                counts.dropped[result.rule] += 1
            else:
                counts.accepted += 1
                parts.append((span, result))
        if parts:
            new_id = augmented_id(document.id, "paraphrase", 1)
            yield Augmented(_assembled(document, new_id, parts), (document.id,), "paraphrase", len(parts))


def _rewritten(
    document: Document, complete: Complete, longest: float
) -> list[tuple[tuple[int, int], Document | DataError]]:
    """Each sentence with mentions, with a document of its paraphrase or an error."""
    found: list[tuple[tuple[int, int], Document | DataError]] = []
    for start, end in sentences_with_mentions(document):
        mentions = tuple(
            Entity(e.label, e.char_start - start, e.char_end - start, e.text)
            for e in document.entities
            if start <= e.char_start and e.char_end <= end
        )
        sentence = Document(document.id, document.text[start:end], mentions, document.language, document.annotated)
        try:
            labels = _labels(sentence, start)
            reply = complete(messages_for(sentence), schema=SCHEMA, record=document.id)
            others = {e.text for e in document.entities} - labels.keys()
            found.append(((start, end), verified(sentence, labels, others, reply, offset=start, longest=longest)))
        except DataError as error:
            found.append(((start, end), error))
    return found


def messages_for(sentence: Document) -> list[dict[str, str]]:
    """The chat messages: the task, then the sentence and its terms as JSON."""
    terms = [e.text for e in sentence.entities]
    request = json.dumps({"sentence": sentence.text, "terms": terms}, ensure_ascii=False)
    task = _TASK.format(language=sentence.language or "the same")
    return [{"role": "system", "content": task}, {"role": "user", "content": request}]


def _labels(sentence: Document, offset: int) -> dict[str, tuple[str, ...]]:
    """Surface -> its labels, the same at every occurrence. Raises DataError `mention_ambiguous`."""
    by_span: dict[tuple[int, int], list[str]] = {}
    for e in sentence.entities:
        by_span.setdefault(e.span, []).append(e.label)
    labels: dict[str, tuple[str, ...]] = {}
    for surface in {e.text for e in sentence.entities}:
        found = {tuple(sorted(by_span.get(span, ()))) for span in occurrences(sentence.text, surface)}
        if len(found) != 1 or () in found:
            raise DataError(sentence.id, "mention_ambiguous", offset)
        (labels[surface],) = found
    return labels


def occurrences(text: str, surface: str) -> list[tuple[int, int]]:
    """Spans of a surface in a text, as whole words, in the same letter case."""
    before = r"(?<!\w)" if re.match(r"\w", surface) else ""
    behind = r"(?!\w)" if re.search(r"\w\Z", surface) else ""
    return [m.span() for m in re.finditer(before + re.escape(surface) + behind, text)]


def verified(
    sentence: Document,
    labels: Mapping[str, Sequence[str]],
    others: Iterable[str],
    reply: str,
    *,
    offset: int,
    longest: float,
) -> Document:
    """The paraphrase with the sentence's mentions at their new offsets.

    Args:
        sentence: the original.
        labels: surface -> labels of its mentions.
        others: the document's other surfaces, which the paraphrase must not add.
        reply: JSON by `SCHEMA`.
        offset: of the sentence in its document, for errors.
        longest: largest length of the paraphrase, as a multiple of the sentence's.

    Raises:
        DataError: `answer_malformed`, `answer_empty`, `answer_unchanged`, `answer_too_long`, `mention_lost`,
            `mention_added`.
    """
    try:
        text = json.loads(reply)["paraphrase"].strip()
    except (ValueError, KeyError, TypeError, AttributeError):
        raise DataError(sentence.id, "answer_malformed", offset) from None
    if not text:
        raise DataError(sentence.id, "answer_empty", offset)
    if text == sentence.text:
        raise DataError(sentence.id, "answer_unchanged", offset)
    if len(text) > longest * len(sentence.text):
        raise DataError(sentence.id, "answer_too_long", offset)
    entities = []
    for surface, surface_labels in labels.items():
        spans, expected = occurrences(text, surface), len(occurrences(sentence.text, surface))
        if len(spans) != expected:
            raise DataError(sentence.id, "mention_lost" if len(spans) < expected else "mention_added", offset)
        entities += [entity_at(sentence.id, text, label, *span) for span in spans for label in surface_labels]
    if any(occurrences(text, other) and not occurrences(sentence.text, other) for other in others):
        raise DataError(sentence.id, "mention_added", offset)
    return Document(sentence.id, text, sorted_entities(entities), sentence.language, sentence.annotated)


def _assembled(document: Document, new_id: str, parts: Sequence[tuple[tuple[int, int], Document]]) -> Document:
    """The document with some sentences replaced; no mention crosses the boundary of one."""
    pieces: list[str] = []
    entities: list[Entity] = []
    begin = position = 0
    end_of_text = (len(document.text), len(document.text))
    for (start, end), rewritten in [*parts, (end_of_text, Document("", ""))]:
        shift = begin - position
        between = [e for e in document.entities if position <= e.char_start and e.char_end <= start]
        entities += [Entity(e.label, e.char_start + shift, e.char_end + shift, e.text) for e in between]
        begin += start - position
        entities += [Entity(e.label, e.char_start + begin, e.char_end + begin, e.text) for e in rewritten.entities]
        begin += len(rewritten.text)
        pieces += [document.text[position:start], rewritten.text]
        position = end
    return Document(new_id, "".join(pieces), sorted_entities(entities), document.language, document.annotated)
