"""A Ceph gateway keeps what Enigma asks of a store: the tests against moto's server, and what those leave out."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from enigma_tasks.adapters.object_store import ObjectStore
from enigma_tasks.adapters.object_versions import open_version, purge, versions_below
from enigma_tasks.adapters.s3_client import s3_client
from enigma_tasks.s3_settings import load_s3_settings
from tests.integration.test_conditional_writes import *  # noqa: F403
from tests.integration.test_night_table import *  # noqa: F403
from tests.integration.test_object_store import *  # noqa: F403

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.ceph, pytest.mark.timeout(1800)]

PAGE = 1000
"""Keys of one page of a listing."""


@pytest.mark.parametrize("way", ["http"], indirect=True)
def test_a_listing_of_more_than_10_000_keys_is_whole_and_in_order(s3_root: str) -> None:
    store = ObjectStore()
    count = 10 * PAGE + 1
    keys = [f"{s3_root}/many/{hashlib.sha256(str(n).encode()).hexdigest()[:12]} ž{n}" for n in range(count)]
    assert store.put_many((uri, b"") for uri in keys) == count
    assert [info.uri for info in store.list(f"{s3_root}/many/")] == sorted(keys, key=str.encode)
    assert store.delete_many(keys[:PAGE]) == PAGE
    assert len(list(store.list(f"{s3_root}/many/"))) == count - PAGE


def test_every_version_is_listed_read_and_purged(s3_root: str) -> None:
    bucket = s3_root.split("/")[2]
    s3_client().put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    store, uri = ObjectStore(), f"{s3_root}/no te.txt"
    for text in (b"one", b"two", b"three"):
        store.put(uri, text)
    store.put(f"{uri}.other", b"stays")
    store.delete_many([uri])
    found = [v for v in versions_below(uri) if v.uri == uri]
    assert sorted(open_version(v).read() for v in found if not v.is_mark) == [b"one", b"three", b"two"]
    assert [v.latest for v in found if v.is_mark] == [True]
    assert purge(uri) == 4
    assert [v.uri for v in versions_below(uri)] == [f"{uri}.other"]


def test_no_checksum_is_sent_that_the_store_does_not_ask_for(s3_root: str, tmp_path: Path) -> None:
    """Over TLS boto3's default adds one behind a body of no stated length; Ceph 16 answers MissingContentLength."""
    assert load_s3_settings().checksums == "when_required"
    sent: list[dict[str, str]] = []
    s3_client().meta.events.register("before-send.s3", lambda request, **_: sent.append(dict(request.headers)))
    store = ObjectStore()
    (tmp_path / "big").write_bytes(b"0123456789abcdef" * (1 << 20))
    store.upload(tmp_path / "big", f"{s3_root}/big")
    store.put(f"{s3_root}/small", b"bytes")
    assert len(sent) > 3
    assert not [name for headers in sent for name in headers if "checksum" in name.lower() or "trailer" in name.lower()]
