"""Worst cases of what divides texts into words, sub-words, sentences and windows."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from enigma_tasks.documents import Document
from enigma_tasks.members.llm import windows
from enigma_tasks.ner.text.alignment import align, split_words
from enigma_tasks.ner.text.brackets import Brackets
from enigma_tasks.ner.text.invisible import VisibleText, visible_document
from enigma_tasks.ner.text.sentences import pack_sentences, split_sentences
from enigma_tasks.ner.text.tokenizer import TextTokenizer, learn_tokenizer
from enigma_tasks.ner.text.windows import cut_windows, packed_ranges, pool, sliding_ranges
from enigma_tasks.ner.window_scores import WindowScores
from enigma_tasks.params.annotators import LlmMemberParams
from tests.unit.budget_formats import WORDS, spans
from tests.unit.budgets import Call, case, pieces
from tests.unit.ner_builders import KINDS, tokenizer

NOTE = "Tiene asma. "

pieces(
    split_sentences, 300,
    ".", ". ", "a. ", "a.b. ", "A. ", "1. ", "(", "(a. ", ")", "[", "()", "\n", "- \n", "-", " ", "a\n", "a:\n", "!? ",
    '."', "« ", "Dr. ", "\r\n\r\n", "\u2028", "\u00ad. ", "1.1.1. ", "a-", "'", "…", "(" + "a" * 299, "•", "a)\n",
    language="es",
)  # fmt: skip
pieces(split_words, 1000, "a", "a ", "\u0301", ".\u0301", "1,", "\x1c", "🇪🇸")
pieces(Brackets, 500, "(", ")", "()", '"', "(]", "«")
pieces(VisibleText.of, 1000, "\u00ad", "a\u00ad", "\u00ad ", "é")


def sub_words(kind: str, size: int, *shapes: str) -> None:
    for shape in shapes:

        def text_of(n: int, shape: str = shape) -> Call:
            text = shape * n
            return lambda: list(tokenizer(kind).encode([text]))

        text_of.__name__ = f"{kind}_of_{ascii(shape)[1:-1]}"
        case(TextTokenizer.encode, size)(text_of)


for one in KINDS:
    sub_words(one, 300, "a", "tos ", "\u0301", "ﷺ", "\x10", "😀", "a-")


@case(learn_tokenizer, 30)
def notes_of_other_words(n: int) -> Call:
    return lambda: learn_tokenizer([(str(i), f"palabra{i} tos") for i in range(n)], 200, 1)


@case(align, 500)
def sub_words_that_overlap(n: int) -> Call:
    offsets = np.array([(i // 2, i // 2 + 3) for i in range(n)], dtype=np.int64).reshape(-1, 2)
    return lambda: align(WORDS * n, offsets)


@case(visible_document, 500)
def a_document_with_soft_hyphens(n: int) -> Call:
    return lambda: visible_document(Document("d", "to\u00ads" * n, tuple(spans(n))))


@case(pack_sentences, 1000)
def short_sentences(n: int) -> Call:
    return lambda: pack_sentences([(i, i + 1) for i in range(n)], [1] * n, n)


@case(sliding_ranges, 500)
def words_that_fit_no_window(n: int) -> Call:
    starts = np.arange(n) % 40 == 0
    return lambda: [sliding_ranges(starts, 16, 15), packed_ranges(starts, range(n), 16, 8)]


@case(cut_windows, 300)
def windows_of_many_words(n: int) -> Call:
    (text,) = tokenizer("wordpiece").encode([NOTE * n])
    sentences = split_sentences(NOTE * n, "es")
    found = cut_windows(text, 16, 8)
    scores = [np.zeros((len(w.words), 1, 3), dtype=np.float32) for w in found]
    return lambda: [
        cut_windows(text, 16, 8, sentences=sentences, first_only=True, context=2),
        pool(found, scores, len(text.alignment.words)),
    ]


@case(windows, 300)
def windows_for_a_language_model(n: int) -> Call:
    recipe = LlmMemberParams(kind="llm", model="m", language="es")
    return lambda: [windows("a" * 40 * n, recipe), windows(NOTE * n, recipe), windows("a " * 20 * n, recipe)]


@case(WindowScores.put, 300)
def windows_that_fill_the_file(n: int) -> Call:
    scores = {str(i).encode(): np.zeros(900, dtype=np.float32) for i in range(n)}

    def call() -> None:
        with TemporaryDirectory() as folder:
            kept = WindowScores(Path(folder), b"k" * 32, 1)
            kept.put("m", "cpu fp32", scores)
            kept.get("m", "cpu fp32", list(scores), [900] * n)

    return call
