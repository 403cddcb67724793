"""A search for a planted string in every file of a stack and every object: XCom and Airflow's database among them."""

from __future__ import annotations

import gzip
import io
import json
import sqlite3
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.local.user import User

WITH_TEXT = ("drops/", "annotations/", "tables/spans/", "to-review/", "reviewed/", "gold/", "dvc/")
"""Places that hold text by docs/architecture.md; besides them the results of shards."""


def places_that_hold(user: User, needle: str) -> list[str]:
    """Every file of the stack and every object besides notes, annotations and gold in which the string is found."""
    sought = needle.encode()
    found = []
    for path in sorted(user.stack.folder.rglob("*")):
        try:
            data = path.read_bytes() if path.is_file() else b""
        except FileNotFoundError:  # the stack is running
            continue
        if any(sought in part for part in readable(data, path.name)):
            found.append(str(path))
        if path.suffix == ".db" and any(needle in line for line in sqlite3.connect(path, timeout=120).iterdump()):
            found.append(f"{path} (dump)")
    for key in user.objects():
        if key.startswith(WITH_TEXT) or key.endswith("/spans.parquet"):
            continue  # where a note's or a mention's own text belongs
        if needle in key or any(sought in part for part in readable(user.read(key), key)):
            found.append(key)
    return found


def readable(data: bytes, name: str) -> Iterator[bytes]:
    """The bytes, and what is inside when they are compressed."""
    yield data
    if name.endswith(".gz"):
        yield gzip.decompress(data)
    if name.endswith(".parquet"):
        table: pa.Table = pq.read_table(io.BytesIO(data))
        yield json.dumps(table.to_pylist(), default=str).encode()
