"""Worst cases of what is done with spans: votes, post-processing, scores, tags of words."""

from __future__ import annotations

import json
import re
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from enigma_tasks.documents import Document, Entity, EntityType
from enigma_tasks.ensembles.agreement import agreement_of
from enigma_tasks.ensembles.counting import counted
from enigma_tasks.ensembles.learned_voting import LearnedWeights, correct_probabilities, evidence
from enigma_tasks.ensembles.mean_voting import mean_entities
from enigma_tasks.ensembles.span_evidence import span_evidence
from enigma_tasks.ensembles.voting import vote
from enigma_tasks.ensembles.voting_rule import VotingRule
from enigma_tasks.members.gliner_windows import WordWindow, labelled
from enigma_tasks.members.llm import LlmAnnotator, locate
from enigma_tasks.monitoring.review_matching import Subject, fates, subject_of
from enigma_tasks.monitoring.review_sample import Candidate, draw, most_useful
from enigma_tasks.monitoring.reviews import latest_reviews
from enigma_tasks.ner.best_overlap import best_overlaps
from enigma_tasks.ner.decoding import decode_probabilities
from enigma_tasks.ner.engine import WordProbabilities
from enigma_tasks.ner.scoring import by_document, by_label, count, count_documents, total
from enigma_tasks.ner.suspects import suspects
from enigma_tasks.ner.text.alignment import tag_words, tagged_words
from enigma_tasks.ner.text.overlaps import without_overlaps
from enigma_tasks.ner.text.postprocess import postprocess
from enigma_tasks.params.annotators import LlmMemberParams
from enigma_tasks.params.postprocess import PostprocessRules
from tests.unit.budgets import Call, case
from tests.unit.test_review_matching import NIGHT, TASK, review

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

RULES = PostprocessRules()
DISEASE = EntityType("disease")
WEIGHTS = LearnedWeights(0.0, (1.0, 1.0, 1.0), 0.1, 0.1, 0.1, 0.1, 0.1)


def mention(start: int, end: int) -> Entity:
    """With a surface of one letter, so that it costs nothing to hold thousands of long ones."""
    return Entity("DISEASE", start, end, "x")


def nested(n: int) -> list[Entity]:
    return [mention(i, 4 * n - i) for i in range(n)]


def apart(n: int) -> list[Entity]:
    return [mention(4 * i, 4 * i + 3) for i in range(n)]


def stairs(n: int) -> list[Entity]:
    """Each overlaps half of all."""
    return [mention(i, i + n) for i in range(n)]


@case(vote, 400)
def nested_spans_by_majority(n: int) -> Call:
    return lambda: vote([nested(n), nested(n), apart(n)], VotingRule("majority", k=1))


@case(vote, 400)
def nested_spans_of_one_member_each(n: int) -> Call:
    return lambda: vote([nested(n), stairs(n), apart(n)], VotingRule("majority", k=1))


@case(vote, 400)
def long_spans_by_union(n: int) -> Call:
    far = [mention(1000 * n * i, 1000 * n * (i + 1)) for i in range(n)]
    return lambda: vote([stairs(n), far, apart(n)], VotingRule("union"))


@case(vote, 300)
def spans_by_agreement(n: int) -> Call:
    return lambda: vote([stairs(n), nested(n), apart(n)], VotingRule("agreement", k=2))


@case(vote, 300)
def spans_by_learned_votes(n: int) -> Call:
    rule = VotingRule("learned", learned=WEIGHTS, threshold=0.1)
    return lambda: vote([stairs(n), nested(n), apart(n)], rule)


@case(evidence, 500)
def evidence_of_nested_spans(n: int) -> Call:
    spans = [e.span for e in nested(n)]
    return lambda: correct_probabilities(WEIGHTS, evidence(spans, [1 + i % 7 for i in range(n)], 3))


@case(without_overlaps, 1000)
def spans_that_do_not_overlap(n: int) -> Call:
    return lambda: without_overlaps([*apart(n), *nested(n)])


@case(span_evidence, 500)
def evidence_of_spans_and_words(n: int) -> Call:
    return lambda: span_evidence(apart(n), [probabilities(n), nested(n), apart(n)], DISEASE)


def probabilities(n: int) -> WordProbabilities:
    words = np.array([(4 * i, 4 * i + 3) for i in range(n)], dtype=np.int32).reshape(-1, 2)
    values = np.tile(np.array([0.2, 0.5, 0.3], dtype=np.float32), (n, 1, 1))
    return WordProbabilities((DISEASE,), words, values)


@case(mean_entities, 500)
def mean_of_many_words(n: int) -> Call:
    documents = [Document("d", "tos " * n)]
    return lambda: mean_entities(documents, [[probabilities(n), probabilities(n)]], DISEASE)


@case(decode_probabilities, 500)
def decoding_of_many_words(n: int) -> Call:
    documents = [Document(f"d{i}", "tos " * n) for i in range(3)]
    known = probabilities(n)
    return lambda: decode_probabilities([DISEASE], documents, [known.words] * 3, [known.values] * 3)


@case(suspects, 40)
def suspects_at_every_word(n: int) -> Call:
    documents = [Document("d", "tos " * n, tuple(apart(n // 2)))]
    return lambda: suspects(documents, [probabilities(n)])


@case(tag_words, 500)
def tags_of_nested_spans(n: int) -> Call:
    words = probabilities(n).words
    return lambda: tagged_words(tag_words(words, [e.span for e in [*nested(n), *apart(n)]]).tags)


@case(postprocess, 300)
def brackets_at_both_ends(n: int) -> Call:
    text = "(" * n + "[" * n + "a" + ")" * (n // 2) + "}" * n
    return lambda: postprocess("d", text, [Entity("DISEASE", 0, len(text), text)], "es", RULES)


@case(postprocess, 300)
def punctuation_at_the_end(n: int) -> Call:
    text = "(" * n + " a.b." + "c.d." * n + "1.!." + ". " * n + '"' * n
    return lambda: postprocess("d", text, [Entity("DISEASE", 0, len(text), text)], "es", RULES)


@case(postprocess, 300)
def an_abbreviation_behind_brackets(n: int) -> Call:
    text = "(" * n + " x " + "a.b." * n
    return lambda: postprocess("d", text, [Entity("DISEASE", 0, len(text), text)], "es", RULES)


@case(postprocess, 500)
def neighbours_that_are_merged(n: int) -> Call:
    text = "tos-" * n
    found = [Entity("DISEASE", 4 * i, 4 * i + 3, "tos", 0.5) for i in range(n)]
    return lambda: postprocess("d", text, found, "es", RULES.model_copy(update={"merge_adjacent": True}))


@case(postprocess, 200)
def nested_mentions_with_invisible_characters(n: int) -> Call:
    text = "\u00adtos" * n
    found = [Entity("DISEASE", i % 9, 4 * i + 4, "x") for i in range(n)]
    return lambda: postprocess("d", text, found, "es", RULES)


@case(count, 300)
def scores_of_nested_spans(n: int) -> Call:
    return lambda: count(nested(n), [mention(i, 4 * n - i - 1) for i in range(n)])


@case(count_documents, 80)
def scores_of_many_documents(n: int) -> Call:
    found = {f"d{i}": apart(2) for i in range(n)}
    return lambda: [f(count_documents(found, found)) for f in (by_document, by_label, total)]


@case(best_overlaps, 400)
def spans_between_spans(n: int) -> Call:
    return lambda: best_overlaps([(i, i + n + 1) for i in range(n)], [e.span for e in stairs(n)])


@case(best_overlaps, 400)
def spans_of_equal_overlap(n: int) -> Call:
    return lambda: best_overlaps([(n - i, n + 2 + i) for i in range(n)], [e.span for e in nested(n)])


@case(counted, 200)
def counts_of_many_documents(n: int) -> Call:
    documents = [Document(f"d{i}", "tos " * 2, tuple(apart(2))) for i in range(n)]
    return lambda: counted(documents, [d.entities for d in documents], list(EntityType))


@case(labelled, 200)
def gold_in_one_window(n: int) -> Call:
    words = tuple((4 * i, 4 * i + 3) for i in range(n))
    window = WordWindow(("tos",) * n, words, (0, 4 * n))
    return lambda: labelled([window], Document("d", "tos " * n, tuple(apart(n))), {"DISEASE": "disease"})


@case(LlmAnnotator.read, 40)
def a_reply_of_many_mentions(n: int) -> Call:
    words = [f"w{i}" for i in range(n)]

    def reply(messages: Sequence[Mapping[str, str]], *, schema: Mapping[str, object] | None = None, record: str) -> str:
        return json.dumps({"mentions": [{"text": w, "type": "disease"} for w in words]})

    recipe = LlmMemberParams(kind="llm", model="m", language="es", language_name="Spanish")
    annotator = LlmAnnotator(recipe, reply, threads=1)

    def read() -> object:
        re.purge()  # the cache of compiled patterns holds all of a short reply and none of a long one
        return annotator.read([Document("d", " ".join(words[:20]), (), "es")])

    return read


@case(locate, 200)
def a_mention_of_many_words(n: int) -> Call:
    return lambda: list(locate("e\u0301 " * n + "b", "a" * 4000))


@case(fates, 200)
def reviews_of_one_note(n: int) -> Call:
    some = [review(at=f"2026-06-12T10:00:{i % 60:02}+00:00", source=f"{i % 7}.json") for i in range(20)]
    arriving = [some[i % 20] for i in range(n)]
    return lambda: fates(arriving, arriving)


@case(latest_reviews, 80)
def reviews_of_many_notes(n: int) -> Call:
    one = review()
    reviews = [one.model_copy(update={"key": f"{i // 2}", "source": f"{i % 3}"}) for i in range(n)]
    return lambda: latest_reviews(reviews)


@case(draw, 200)
def notes_to_review(n: int) -> Call:
    notes = [Candidate(("b", f"{i}", "", "v"), "es", f"w{i}", 9, uncertainty=1.0) for i in range(n)]
    return lambda: [draw(notes, n // 2, ("language", "site"), "7"), most_useful(notes, n, "7")]


@case(agreement_of, 300)
def spans_of_two_members(n: int) -> Call:
    members = [SimpleNamespace(digest=digest) for digest in "ab"]
    ensemble: Any = SimpleNamespace(entity_type=DISEASE, members=members)
    return lambda: agreement_of([ensemble], {"a": [apart(n)], "b": [nested(n)]}, 0)


@case(subject_of, 300)
def notes_of_one_id(n: int) -> Call:
    subjects = [Subject(TASK, NIGHT, "tos " * 20 + str(i)) for i in range(n)]
    return lambda: subject_of(Document("d", subjects[-1].text or ""), subjects)
