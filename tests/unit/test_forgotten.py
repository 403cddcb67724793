"""Tombstones: what they cover; what is left of JSON and pages without a note."""

from __future__ import annotations

import pytest

from enigma_tasks.notes.forgetting import Traces
from enigma_tasks.notes.forgotten import Kind, Target, Tombstones, keyed_digest, text_digest

SECRET, KEY = "f" * 32, "drops/es/2026-06-11/n1.txt"


def stones(*targets: Target, texts: tuple[str, ...] = ()) -> Tombstones:
    found = {t.tombstone(SECRET) for t in targets} | {(Kind.TEXT, text_digest(SECRET, t)) for t in texts}
    return Tombstones(SECRET, frozenset(found))


@pytest.mark.parametrize(
    ("target", "note", "covered"),
    [
        (Target("b", KEY), ("b", KEY, None), True),
        (Target("b", KEY), ("c", KEY, None), False),
        (Target("b", KEY), ("b", f"{KEY}.txt", None), False),
        (Target("b", "r.jsonl"), ("b", "r.jsonl", "7"), True),
        (Target("b", "r.jsonl", "7"), ("b", "r.jsonl", "7"), True),
        (Target("b", "r.jsonl", "7"), ("b", "r.jsonl", "77"), False),
        (Target("b", "r.jsonl", "7"), ("b", "r.jsonl", None), False),
        (Target("b", "drops/es/"), ("b", KEY, None), True),
        (Target("b", "drops/e/"), ("b", KEY, None), False),
    ],
)
def test_a_tombstone_covers_what_its_target_covers(
    target: Target, note: tuple[str, str, str | None], covered: bool
) -> None:
    assert target.covers(*note) is covered
    assert stones(target).has(*note) is covered
    assert not Tombstones(SECRET).has(*note)


def test_texts_and_kinds_are_apart_and_another_key_gives_another_digest() -> None:
    own = stones(texts=("a text\ud800",))
    assert own.has_text("a text\ud800")
    assert not own.has_text("a text")
    assert keyed_digest(SECRET, "note", "a", "b") != keyed_digest(SECRET, "note", "a\0b")
    assert keyed_digest(SECRET, "note", "a") != keyed_digest("g" * 32, "note", "a")
    assert SECRET not in repr(own)


def test_items_that_name_the_note_are_cut_out_of_json() -> None:
    traces = Traces(Target("b", KEY), stones(texts=("the text",)), {"task-1", "es/2026-06-11/n1.ann"})
    tree = {
        "tasks": [{"bucket": "b", "key": KEY, "record_id": None}, {"bucket": "b", "key": f"{KEY}2", "record_id": None}],
        "data": [{"data": {"text": "the text"}, "all": [1]}, {"data": {"text": "another"}}],
        "drops": [{"record": "ana/task-1.txt", "state": [["ana/task-1.txt", "e"]]}, {"record": "ana/task-10.txt"}],
        "names": [KEY, f"s3://b/{KEY}", f"{KEY}x", "task-1", "es/2026-06-11/n1.ann"],
    }
    assert traces.in_tree(tree)
    rest = traces.without(tree)
    assert rest == {
        "tasks": [{"bucket": "b", "key": f"{KEY}2", "record_id": None}],
        "data": [{"data": {"text": "another"}}],
        "drops": [{"record": "ana/task-10.txt"}],
        "names": [f"{KEY}x"],
    }
    assert not traces.in_tree(rest)


@pytest.mark.parametrize(
    ("page", "found"),
    [(f"<td>{KEY}</td>", True), (f"<td>{KEY}x</td>", False), ("task&#45;1", True), ("task-11", False), ("", False)],
)
def test_a_page_is_searched_for_whole_names(page: str, found: bool) -> None:
    assert Traces(Target("b", KEY), stones(), {"task-1"}).in_page(page) is found


def test_one_record_is_told_from_the_others_of_its_file() -> None:
    traces = Traces(Target("b", "r.jsonl", "7"), stones())
    rows = [{"bucket": "b", "key": "r.jsonl", "record_id": i} for i in ("7", "8")]
    assert traces.without(rows) == rows[1:]
    assert traces.without(["r.jsonl", "r.jsonl#7", "r.jsonl#77"]) == ["r.jsonl", "r.jsonl#77"]
