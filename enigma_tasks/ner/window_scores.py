"""Scores of windows that this machine computed before, in other shards and nights: a file of bounded size, no text.

A patient's notes repeat each other: what was copied forward is read once. A window is known by a keyed hash of the
model's digest, the number format and the window's sub-words; its scores are stored with a hash of their own under the
same key, so what was changed in the file is computed again. The file is a help only: if it fails, nothing is kept.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import sqlite3
import time
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

log = logging.getLogger(__name__)

Scores = NDArray[np.float32]

FILE = "window-scores.sqlite"
_MIB = 1 << 20
_DAY = 24 * 60 * 60
_HASH_BYTES = 16
_AT_ONCE = 500
"""Windows that one statement asks for; SQLite takes 999 values at least."""
_KEPT_SHARE = 0.8
"""Of the limit, what is kept when the file has grown beyond it."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS scores (window BLOB PRIMARY KEY, used INTEGER NOT NULL, scores BLOB NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS scores_by_use ON scores (used);
"""


class WindowScores:
    """Word scores by model and window; the least recently used are deleted first."""

    def __init__(self, folder: Path, key: bytes, limit_mib: int) -> None:
        """`folder` is made if it is missing, for this user only. `key`: secret; without it nothing can be looked up."""
        self._key, self._limit = key, limit_mib * _MIB
        self._today = int(time.time() // _DAY)
        self._file: sqlite3.Connection | None = None
        self.found = self.asked = 0
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(folder / FILE, os.O_CREAT | os.O_RDWR, 0o600))
            self._file = sqlite3.connect(folder / FILE, timeout=10, isolation_level=None)
            self._file.execute("PRAGMA journal_mode=WAL")
            self._file.execute("PRAGMA synchronous=OFF")
            self._file.executescript(_SCHEMA)
        except (sqlite3.Error, OSError) as error:
            self._without(error)

    def get(self, model: str, precision: str, windows: Sequence[bytes], values: Sequence[int]) -> dict[bytes, Scores]:
        """The known ones of these windows (`Window.key`): flat scores; `values`: how many each has."""
        self.asked += len(windows)
        found: dict[bytes, Scores] = {}
        names = {self._name(model, precision, window): (window, n) for window, n in zip(windows, values, strict=True)}
        for part in _parts(list(names)):
            for name, stored in self._read(part):
                window, expected = names[name]
                scores = self._opened(name, stored)
                if scores is not None and len(scores) == expected:
                    found[window] = scores
        self.found += len(found)
        return found

    def put(self, model: str, precision: str, scores: Mapping[bytes, Scores]) -> None:
        """Keep scores by window; their shape is not kept."""
        rows = []
        for window, values in scores.items():
            name = self._name(model, precision, window)
            stored = np.ascontiguousarray(values, dtype="<f4").tobytes()
            rows.append((name, self._today, self._seal(name, stored) + stored))
        if self._file is None or not rows:
            return
        try:
            self._file.execute("BEGIN IMMEDIATE")
            self._file.executemany("INSERT OR REPLACE INTO scores VALUES (?, ?, ?)", rows)
            self._shrink()
            self._file.execute("COMMIT")
        except sqlite3.Error as error:
            self._without(error)

    def _read(self, names: Sequence[bytes]) -> list[tuple[bytes, bytes]]:
        if self._file is None:
            return []
        marks = ",".join("?" * len(names))
        try:
            rows = self._file.execute(f"SELECT window, scores, used FROM scores WHERE window IN ({marks})", names)  # noqa: S608 - question marks
            found = rows.fetchall()
            if old := [name for name, _, used in found if used != self._today]:
                marks = ",".join("?" * len(old))
                self._file.execute(f"UPDATE scores SET used = ? WHERE window IN ({marks})", (self._today, *old))  # noqa: S608
        except sqlite3.Error as error:
            self._without(error)
            return []
        return [(name, stored) for name, stored, _ in found]

    def _shrink(self) -> None:
        """Delete the least recently used scores where the file has more than its limit."""
        assert self._file is not None
        (pages,), (free,), (size,) = (
            self._file.execute(f"PRAGMA {name}").fetchone() for name in ("page_count", "freelist_count", "page_size")
        )
        used = (pages - free) * size
        if used <= self._limit:
            return
        (rows,) = self._file.execute("SELECT count(*) FROM scores").fetchone()
        surplus = rows - int(rows * _KEPT_SHARE * self._limit / used)
        self._file.execute(
            "DELETE FROM scores WHERE window IN (SELECT window FROM scores ORDER BY used, window LIMIT ?)", (surplus,)
        )

    def _name(self, model: str, precision: str, window: bytes) -> bytes:
        return self._seal(f"{model}\n{precision}\n".encode(), window)

    def _seal(self, name: bytes, stored: bytes) -> bytes:
        """Keyed hash of two parts."""
        code = hashlib.blake2b(len(name).to_bytes(8, "little") + name, digest_size=_HASH_BYTES, key=self._key)
        code.update(stored)
        return code.digest()

    def _opened(self, name: bytes, stored: bytes) -> Scores | None:
        seal, values = stored[:_HASH_BYTES], stored[_HASH_BYTES:]
        if not hmac.compare_digest(seal, self._seal(name, values)):
            return None
        return np.frombuffer(values, dtype="<f4").astype(np.float32)

    def _without(self, error: Exception) -> None:
        log.warning("scores of windows are not kept: %s", type(error).__name__)
        self._file = None


def _parts(names: Sequence[bytes]) -> list[Sequence[bytes]]:
    return [names[i : i + _AT_ONCE] for i in range(0, len(names), _AT_ONCE)]
