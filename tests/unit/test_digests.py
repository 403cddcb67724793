"""Files' digests: read once, and anew whenever the file has changed, whatever its time stamp says."""

from __future__ import annotations

import hashlib
import os
import time
from typing import TYPE_CHECKING

import pytest

from enigma_tasks.ner import digests
from enigma_tasks.ner.digests import file_digest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that were read, one by one; no digest is known yet."""
    seen: list[Path] = []
    monkeypatch.setattr(digests, "_known", {})
    original = digests._read_digest
    monkeypatch.setattr(digests, "_read_digest", lambda path: (seen.append(path), original(path))[1])
    return seen


def hours_later(monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 7200)


def test_a_file_is_read_once_by_whatever_name(
    tmp_path: Path, read: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    hours_later(monkeypatch)
    (tmp_path / "one").write_bytes(b"weights")
    os.link(tmp_path / "one", tmp_path / "other")
    found = {file_digest(tmp_path / name) for name in ("one", "other", "one")}
    assert found == {hashlib.sha256(b"weights").hexdigest()}
    assert len(read) == 1


def test_a_file_that_has_just_been_written_is_read_each_time(tmp_path: Path, read: list[Path]) -> None:
    path = tmp_path / "one"
    for content in (b"%04d" % i for i in range(200)):
        path.write_bytes(content)
        assert file_digest(path) == hashlib.sha256(content).hexdigest()
    assert len(read) == 200


def test_a_change_is_seen_though_size_and_time_stamp_are_set_back(
    tmp_path: Path, read: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    hours_later(monkeypatch)
    path = tmp_path / "one"
    path.write_bytes(b"weights")
    before = path.stat()
    first = file_digest(path)
    while path.stat().st_ctime_ns == before.st_ctime_ns:  # until the file system's clock has ticked
        path.write_bytes(b"damaged")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    assert file_digest(path) != first
    assert len(read) == 2
