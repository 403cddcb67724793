"""The object store against a real server on loopback."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from enigma_tasks.adapters import object_store, ranged_reader
from enigma_tasks.adapters.object_store import ObjectStore, Wanted
from enigma_tasks.adapters.s3_client import forget_client
from enigma_tasks.errors import ObjectChanged, ObjectMissing, ServiceError, UsageError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def store(s3_root: str) -> ObjectStore:
    return ObjectStore()


@pytest.mark.parametrize(
    "key",
    [
        *("plain.txt", "a b/c%20d.txt", "quo'te\".txt", "přílohá/ž.txt", "q?x#y&z+=.txt", "emoji-\U0001fa7a.txt"),
        *("two//slashes.txt", "folder/", "100%.txt", "e\u0301 decomposed.txt", "~!*'(),:@$;[]{}|^`\\.txt", "n" * 900),
    ],
)
def test_any_key_is_written_listed_and_read_back(store: ObjectStore, s3_root: str, key: str) -> None:
    uri = f"{s3_root}/{key}"
    store.put(uri, b"bytes")
    assert store.get(uri) == b"bytes"
    (info,) = store.list(f"{s3_root}/")
    assert (info.uri, info.size) == (uri, 5)
    assert store.exists(uri)
    assert store.delete_many([uri]) == 1
    assert not store.exists(uri)


def test_a_missing_object_and_a_missing_bucket_are_typed(store: ObjectStore, s3_root: str) -> None:
    with pytest.raises(ObjectMissing):
        store.get(f"{s3_root}/nothing")
    with pytest.raises(ObjectMissing):
        list(store.list("s3://no-such-bucket-at-all/x"))
    with pytest.raises(ObjectMissing):
        store.open_stream(f"{s3_root}/nothing")
    with pytest.raises(UsageError):
        store.get("https://example.org/x")


def test_an_object_written_over_is_noticed(store: ObjectStore, s3_root: str) -> None:
    uri = f"{s3_root}/note"
    store.put(uri, b"one")
    (before,) = store.list(uri)
    assert store.get(uri, before.etag) == b"one"
    store.put(uri, b"two")
    with pytest.raises(ObjectChanged):
        store.get(uri, before.etag)
    with pytest.raises(ObjectChanged):
        store.open_stream(uri, before.etag)
    results = list(store.get_many([Wanted(uri, before.etag), Wanted(uri), Wanted(f"{s3_root}/none")]))
    assert [(r.data, type(r.error)) for r in results] == [
        (None, ObjectChanged),
        (b"two", type(None)),
        (None, ObjectMissing),
    ]


def test_only_the_first_of_two_different_writers_creates_the_object(store: ObjectStore, s3_root: str) -> None:
    uri = f"{s3_root}/commit.json"
    assert store.put_if_absent(uri, b"mine")
    assert not store.put_if_absent(uri, b"theirs")
    assert store.get(uri) == b"mine"


def test_the_own_object_met_after_a_lost_reply_counts_as_written(store: ObjectStore, s3_root: str) -> None:
    uri = f"{s3_root}/commit.json"
    store.put(uri, b"mine")  # as if the first request had been stored and its reply lost
    assert store.put_if_absent(uri, b"mine")


def test_a_listing_of_several_pages_is_whole_and_reading_many_keeps_the_order(store: ObjectStore, s3_root: str) -> None:
    uris = [f"{s3_root}/many/{n:04d}" for n in range(1100)]
    assert store.put_many((u, u.encode()) for u in uris) == 1100
    assert [i.uri for i in store.list(f"{s3_root}/many/")] == uris
    assert [f.data for f in store.get_many(Wanted(u) for u in uris[:300])] == [u.encode() for u in uris[:300]]


def test_a_stream_reads_across_its_chunks(store: ObjectStore, s3_root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranged_reader, "STREAM_CHUNK", 64)
    lines = [f"line {n}\n".encode() for n in range(200)]
    store.put(f"{s3_root}/lines", b"".join(lines))
    with store.open_stream(f"{s3_root}/lines") as stream:
        assert list(stream) == lines
    store.put(f"{s3_root}/empty", b"")
    with store.open_stream(f"{s3_root}/empty") as stream:
        assert stream.read() == b""


def test_a_file_in_several_parts_survives_the_way_there_and_back(
    store: ObjectStore, s3_root: str, tmp_path: Path
) -> None:
    (tmp_path / "big").write_bytes(b"0123456789abcdef" * (1 << 20))  # 16 MiB: above the multipart threshold
    store.upload(tmp_path / "big", f"{s3_root}/big")
    store.download(f"{s3_root}/big", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == (tmp_path / "big").read_bytes()


def test_an_unreachable_store_is_a_service_error_that_names_the_operation(
    s3_root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setattr(object_store, "ATTEMPTS", 1)
    forget_client()
    with pytest.raises(ServiceError, match="GetObject"):
        ObjectStore().get(f"{s3_root}/x")
    forget_client()
