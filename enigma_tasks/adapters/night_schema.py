"""The columns of the night tables. Apart from the tables: a shard writes such rows, and needs no Delta Lake for it."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

NOTES, SPANS = "notes", "spans"
IDENTITY = ("bucket", "key", "record_id", "version")
"""The columns of `NoteRef.identity`."""

_IDENTITY = [
    pa.field("batch_id", pa.string(), nullable=False),
    pa.field("bucket", pa.string(), nullable=False),
    pa.field("key", pa.string(), nullable=False),
    pa.field("record_id", pa.string()),
    pa.field("note_id", pa.string(), nullable=False),
    pa.field("version", pa.string(), nullable=False),
]
SCHEMAS: dict[str, Any] = {
    NOTES: pa.schema(
        [
            *_IDENTITY,
            pa.field("object_version", pa.string(), nullable=False),
            pa.field("object_whole", pa.bool_(), nullable=False),
            pa.field("line", pa.int64()),
            pa.field("language", pa.string()),
            pa.field("language_source", pa.string()),
            pa.field("drop_date", pa.date32()),
            pa.field("outcome", pa.string(), nullable=False),
            pa.field("rule", pa.string()),
            pa.field("rule_offset", pa.int64()),
            pa.field("size_bytes", pa.int64(), nullable=False),
            pa.field("characters", pa.int64()),
            pa.field("characters_read", pa.int64()),
            pa.field("characters_garbled", pa.int64()),
            pa.field("words", pa.int64()),
            pa.field("sub_words", pa.int64()),
            pa.field("sub_words_unknown", pa.int64()),
            pa.field("entities", pa.int64()),
            pa.field("member_spans", pa.int64()),
            pa.field("member_spans_agreed", pa.int64()),
            pa.field("models", pa.string()),
            pa.field("annotation", pa.string()),
            pa.field("missed", pa.map_(pa.string(), pa.float64())),
            pa.field("planned_at", pa.timestamp("us", tz="UTC"), nullable=False),
        ]
    ),
    SPANS: pa.schema(
        [
            *_IDENTITY,
            pa.field("language", pa.string(), nullable=False),
            pa.field("label", pa.string(), nullable=False),
            pa.field("char_start", pa.int64(), nullable=False),
            pa.field("char_end", pa.int64(), nullable=False),
            pa.field("text", pa.string(), nullable=False),
            pa.field("score", pa.float32()),
            pa.field("probability", pa.float32()),
            pa.field("model", pa.string(), nullable=False),
            pa.field("nlp_date", pa.date32(), nullable=False),
        ]
    ),
}


def identities(rows: Any) -> list[tuple[str, str, str, str]]:
    """`NoteRef.identity` of every row of a record batch or table."""
    columns = [rows.column(name).to_pylist() for name in IDENTITY]
    return [(b, k, r or "", v) for b, k, r, v in zip(*columns, strict=True)]
