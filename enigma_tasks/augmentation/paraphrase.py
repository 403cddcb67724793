"""Sentences with mentions -> the same, rewritten by a language model, every mention verified (paper, section 3.2).

A mention is kept by its surface: it must be in the answer as whole words, exactly as often as in the sentence, and then
is where it is found. So a sentence in which one surface is a mention here and none there is not asked about.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from enigma_tasks.augmentation.oversampling import sentences_with_mentions
from enigma_tasks.documents import Document, Entity, entity_at, sorted_entities
from enigma_tasks.errors import DataError
from enigma_tasks.gold.augmented import Augmented, augmented_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

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


class Complete(Protocol):
    """A language model: messages in, an answer that obeys `schema` out; DataError for one that is no use."""

    def __call__(
        self, messages: Sequence[Mapping[str, str]], *, schema: Mapping[str, Any] | None = None, record: str
    ) -> str:
        """See `adapters.llm_endpoint.LlmEndpoint.complete`."""


@dataclass(slots=True)
class ParaphraseCounts:
    """What became of the sentences with mentions."""

    accepted: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    """By rule: why an answer was not taken, or the sentence not asked about."""


def paraphrase(
    documents: Iterable[Document],
    complete: Complete,
    counts: ParaphraseCounts,
    longest: float,
    run: Callable[..., Iterable[Any]] = map,
) -> Iterator[Augmented]:
    """A new document for each of which at least one sentence was rewritten; the rest of it stays as it is.

    Args:
        documents: their text goes to `complete`.
        complete: asked once a sentence; its DataErrors cost that sentence only.
        counts: filled.
        longest: of an answer, as a multiple of its sentence's length.
        run: `map`, or one that works on threads and keeps the order.
    """
    for document, rewritten in run(lambda d: (d, _rewritten(d, complete, longest)), documents):
        parts = []
        for span, answer in rewritten:
            if isinstance(answer, DataError):
                counts.dropped[answer.rule] += 1
            else:
                counts.accepted += 1
                parts.append((span, answer))
        if parts:
            new_id = augmented_id(document.id, "paraphrase", 1)
            yield Augmented(_assembled(document, new_id, parts), (document.id,), "paraphrase", len(parts))


def _rewritten(
    document: Document, complete: Complete, longest: float
) -> list[tuple[tuple[int, int], Document | DataError]]:
    """Each sentence with mentions -> a document of the answer alone, or why there is none."""
    found: list[tuple[tuple[int, int], Document | DataError]] = []
    for start, end in sentences_with_mentions(document):
        own = tuple(
            Entity(e.label, e.char_start - start, e.char_end - start, e.text)
            for e in document.entities
            if start <= e.char_start and e.char_end <= end
        )
        sentence = Document(document.id, document.text[start:end], own, document.language, document.annotated)
        try:
            labels = _labels(sentence, start)
            answer = complete(messages_for(sentence), schema=SCHEMA, record=document.id)
            others = {e.text for e in document.entities} - labels.keys()
            found.append(((start, end), verified(sentence, labels, others, answer, offset=start, longest=longest)))
        except DataError as error:
            found.append(((start, end), error))
    return found


def messages_for(sentence: Document) -> list[dict[str, str]]:
    """What is asked: the task, then the sentence and its terms as JSON."""
    terms = [e.text for e in sentence.entities]
    question = json.dumps({"sentence": sentence.text, "terms": terms}, ensure_ascii=False)
    task = _TASK.format(language=sentence.language or "the same")
    return [{"role": "system", "content": task}, {"role": "user", "content": question}]


def _labels(sentence: Document, offset: int) -> dict[str, tuple[str, ...]]:
    """Surface -> the labels that it has wherever it stands. Raises DataError `mention_ambiguous`."""
    by_span: dict[tuple[int, int], list[str]] = {}
    for e in sentence.entities:
        by_span.setdefault(e.span, []).append(e.label)
    labels: dict[str, tuple[str, ...]] = {}
    for surface in {e.text for e in sentence.entities}:
        there = {tuple(sorted(by_span.get(span, ()))) for span in occurrences(sentence.text, surface)}
        if len(there) != 1 or () in there:
            raise DataError(sentence.id, "mention_ambiguous", offset)
        (labels[surface],) = there
    return labels


def occurrences(text: str, surface: str) -> list[tuple[int, int]]:
    """Where a surface stands in a text as whole words; the case of letters counts."""
    before = r"(?<!\w)" if re.match(r"\w", surface) else ""
    behind = r"(?!\w)" if re.search(r"\w\Z", surface) else ""
    return [m.span() for m in re.finditer(before + re.escape(surface) + behind, text)]


def verified(
    sentence: Document,
    labels: Mapping[str, Sequence[str]],
    others: Iterable[str],
    answer: str,
    *,
    offset: int,
    longest: float,
) -> Document:
    """The answer with the sentence's mentions at their new places.

    Args:
        sentence: what was asked about.
        labels: surface -> labels of its mentions.
        others: the document's other surfaces, which the answer may not bring in.
        answer: JSON after `SCHEMA`.
        offset: of the sentence in its document, for errors.
        longest: of the answer, as a multiple of the sentence's length.

    Raises:
        DataError: `answer_malformed`, `answer_empty`, `answer_unchanged`, `answer_too_long`, `mention_lost`,
            `mention_added`.
    """
    try:
        text = json.loads(answer)["paraphrase"].strip()
    except (ValueError, KeyError, TypeError, AttributeError):
        raise DataError(sentence.id, "answer_malformed", offset) from None
    if not text:
        raise DataError(sentence.id, "answer_empty", offset)
    if text == sentence.text:
        raise DataError(sentence.id, "answer_unchanged", offset)
    if len(text) > longest * len(sentence.text):
        raise DataError(sentence.id, "answer_too_long", offset)
    entities = []
    for surface, own in labels.items():
        there, due = occurrences(text, surface), len(occurrences(sentence.text, surface))
        if len(there) != due:
            raise DataError(sentence.id, "mention_lost" if len(there) < due else "mention_added", offset)
        entities += [entity_at(sentence.id, text, label, *span) for span in there for label in own]
    held = sentence.text
    if any(occurrences(text, other) and not occurrences(held, other) for other in others):
        raise DataError(sentence.id, "mention_added", offset)
    return Document(sentence.id, text, sorted_entities(entities), sentence.language, sentence.annotated)


def _assembled(document: Document, new_id: str, parts: Sequence[tuple[tuple[int, int], Document]]) -> Document:
    """The document with some sentences replaced; no mention runs through the ends of one."""
    pieces: list[str] = []
    entities: list[Entity] = []
    begin = position = 0
    stay = [*parts, ((len(document.text), len(document.text)), Document("", ""))]
    for (start, end), rewritten in stay:
        shift = begin - position
        between = [e for e in document.entities if position <= e.char_start and e.char_end <= start]
        entities += [Entity(e.label, e.char_start + shift, e.char_end + shift, e.text) for e in between]
        begin += start - position
        entities += [Entity(e.label, e.char_start + begin, e.char_end + begin, e.text) for e in rewritten.entities]
        begin += len(rewritten.text)
        pieces += [document.text[position:start], rewritten.text]
        position = end
    return Document(new_id, "".join(pieces), sorted_entities(entities), document.language, document.annotated)
