"""Limits of annotated documents, wherever they are read: what has more is no work of an annotator, or is to be divided.

They are fixed, so that a document that was taken in can be read again by every command.
"""

from __future__ import annotations

from enigma_tasks.params.limits import RecordLimits, Unpacked

TEXTS = RecordLimits(
    max_bytes=5_000_000,
    max_subwords=5_000_000,
    max_records=1_000_000,
    unpacked=Unpacked(max_bytes=2_000_000_000, max_ratio=100),
)
"""Of texts, and of files of notes on this machine."""
