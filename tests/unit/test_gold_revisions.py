"""Which commits of gold stand for rewritten ones: chains, what a killed rewriting left, and damaged records."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from enigma_tasks.adapters.gold_revisions import GoldRevisions, Rewriting, read_gold_revisions, write_rewriting
from enigma_tasks.config import load_settings
from enigma_tasks.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator

SETTINGS = load_settings({"ENIGMA_S3_ROOT": "s3://ward"})
A, B, C, D = (letter * 40 for letter in "abcd")


class Objects:
    """A store of objects in memory."""

    def __init__(self) -> None:
        self.held: dict[str, bytes] = {}

    def put_if_absent(self, uri: str, data: bytes) -> bool:
        return self.held.setdefault(uri, data) is data

    def list(self, prefix: str) -> Iterator[Any]:
        return (SimpleNamespace(uri=uri) for uri in sorted(self.held) if uri.startswith(prefix))

    def get(self, uri: str) -> bytes:
        return self.held[uri]


def test_a_commit_is_followed_through_every_rewriting_also_one_that_was_killed() -> None:
    store: Any = Objects()
    written = [
        write_rewriting(store, SETTINGS, Rewriting(commits=commits, data=(md5 * 32,)))
        for commits, md5 in (({A: B}, "1"), ({A: C}, "2"), ({C: D}, "3"), ({A: B}, "1"))
    ]
    assert written[0] == written[3]
    assert len(store.held) == 3
    assert all(uri.startswith("s3://ward/journal/gold-revisions/") for uri in store.held)
    found = read_gold_revisions(store, SETTINGS)
    assert list(found.standing_for(A)) == [A, B, C, D]
    assert list(found.standing_for(D)) == [D]
    assert found.data == {"1" * 32, "2" * 32, "3" * 32}


def test_a_circle_ends() -> None:
    assert list(GoldRevisions({A: {B}, B: {A}}).standing_for(A)) == [A, B]


@pytest.mark.parametrize("content", [b"{", b'{"commits": {"--upload-pack=x": "y"}}', b'{"data": ["../x"]}'])
def test_a_record_that_is_none_is_refused_and_not_quoted(content: bytes) -> None:
    store: Any = Objects()
    store.held["s3://ward/journal/gold-revisions/x.json"] = content
    with pytest.raises(DataError) as caught:
        read_gold_revisions(store, SETTINGS)
    assert caught.value.record == "gold-revisions"
    assert "upload" not in str(caught.value)
