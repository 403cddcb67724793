"""Worst cases of what counts before anything is read, of lines within lines, and of what is taken out of gold."""

from __future__ import annotations

from functools import partial

from enigma_tasks.documents import Document, EntityType
from enigma_tasks.formats.inner_mentions import MentionsInText, holds_another
from enigma_tasks.formats.limits import check_ann, check_spans
from enigma_tasks.formats.packed import pack
from enigma_tasks.gold.removal import packed_without
from tests.unit.budget_formats import WORDS, attempt, spans
from tests.unit.budgets import Call, case


@case(check_spans, 500)
def fragments_of_many_spans(n: int) -> Call:
    found = [((i, i + 1), (i + 2, i + 3)) for i in range(n)]
    return lambda: attempt(partial(check_spans, "d", 10 * n, found))


@case(check_ann, 500)
def lines_with_fragments(n: int) -> Call:
    ann = "".join(f"T{i}\tDISEASE 0 1;2 3\tx\n" for i in range(n)) + "0 1;" * n
    return lambda: attempt(partial(check_ann, "d", ann))


@case(holds_another, 300)
def mentions_in_one_line(n: int) -> Call:
    inner = " T1\tDISEASE 0 1"
    text = MentionsInText(inner * n)
    return lambda: holds_another(f"T1\tDISEASE 0 1\ta{inner * n}", text)


@case(packed_without, 100)
def a_packed_file_without_half_of_it(n: int) -> Call:
    documents = [Document(f"d{i}", WORDS, tuple(spans(1)), "es", frozenset(EntityType)) for i in range(n)]
    data = pack(documents)
    removed = {("es", f"d{i}") for i in range(0, n, 2)}
    return lambda: packed_without("disease.jsonl.gz", "es", data, removed)
