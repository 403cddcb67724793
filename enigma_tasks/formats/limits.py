"""Limits of annotated documents, wherever they are read: what has more is no work of an annotator, or is to be divided.

They are fixed, so that a document that was taken in can be read again by every command. docs/gold.md lists them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from enigma_tasks.errors import DataError
from enigma_tasks.notes.references import check_subwords
from enigma_tasks.params.limits import RecordLimits, Unpacked

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from enigma_tasks.formats.offset_units import Fragments

TEXTS = RecordLimits(
    max_bytes=5_000_000,
    max_subwords=5_000_000,
    max_records=1_000_000,
    unpacked=Unpacked(max_bytes=2_000_000_000, max_ratio=100),
)
"""Of texts, and of files of notes on this machine."""
MAX_RECORDS = 100_000
"""Documents, rows or lines of one file of annotations."""
UNPACKED = Unpacked(max_bytes=300_000_000, max_ratio=100)
"""Of one zip, and of a packed file that was dropped."""
MAX_UNPACKED = 1_000_000_000
"""Bytes of a zip with all zips in it, which are unpacked one after the other."""
MAX_FILES = 20_000
"""Of one zip."""
MAX_VALUES = 5_000_000
"""JSON values, cells of tables, or attributes and words of XML, of one export: about 60 MB of Label Studio's JSON."""
MAX_DEPTH = 100
"""Of JSON values in one another."""
MAX_ANNOTATIONS = 300_000
"""Of one CAS: elements, those of text structure too."""
MAX_VIEWS = 20
MAX_CAS_TEXT = 2_000_000
"""Of one CAS; bytes of text in all its views, as `cassis` takes 200 bytes for each character."""
MAX_SPANS = 20_000
"""Of one document, each fragment counted."""
MAX_FRAGMENTS = 100
"""Of one span."""
MAX_MARKED = 10_000_000
"""Characters in all spans of one document together ..."""
TIMES_MARKED = 5
"""... and as a multiple of its text's, beyond the first `FEW_MARKED`: each span's text is kept."""
FEW_MARKED = 10_000


@dataclass
class Budget:
    """What one export may still hold, all files in it together."""

    unpacked: int = MAX_UNPACKED
    values: int = MAX_VALUES

    def take_values(self, name: str, count: int) -> None:
        """Raise DataError `too_many_values`, on the file, where it has more than is left."""
        if count > self.values:
            hint = f"at least {count - self.values} more than the {MAX_VALUES} of one export: export fewer documents"
            raise DataError(name, "too_many_values", hint=hint)
        self.values -= count

    def take_unpacked(self, name: str, packed: int, unpacked: int) -> None:
        """Raise DataError `unpacked_too_large` or `unpacked_ratio`, on the zip."""
        rule = "unpacked_too_large" if unpacked > self.unpacked else UNPACKED.broken(packed, unpacked)
        if rule:
            raise DataError(name, rule, hint=f"{unpacked} bytes in a zip of {packed}")
        self.unpacked -= unpacked


def check_records(name: str, count: int) -> None:
    """Raise DataError `too_many_records`, on the file."""
    if count > MAX_RECORDS:
        raise DataError(name, "too_many_records", hint=f"{count}, at most {MAX_RECORDS}")


def check_depth(name: str, value: Any, offset: int | None = None) -> None:
    """Raise DataError `too_deep`, on the file, for JSON values too far in one another."""
    level = [value]
    for _ in range(MAX_DEPTH):
        inner = [part for own in level for part in (own.values() if isinstance(own, dict) else own)]
        level = [part for part in inner if isinstance(part, dict | list)]
        if not level:
            return
    raise DataError(name, "too_deep", offset, f"more than {MAX_DEPTH} values in one another")


def check_text_size(record: str, text: str) -> None:
    """Raise DataError `too_large` or `too_many_subwords`, on the document."""
    if len(text) > TEXTS.max_bytes // 4 and len(text.encode("utf-8", "surrogatepass")) > TEXTS.max_bytes:
        raise DataError(record, "too_large", hint=f"more than {TEXTS.max_bytes} bytes of text")
    check_subwords(record, text, TEXTS.max_subwords)


def check_count(record: str, count: int) -> None:
    """Raise DataError `too_many_spans`, on the document."""
    if count > MAX_SPANS:
        raise DataError(record, "too_many_spans", hint=f"{count}, at most {MAX_SPANS}")


def check_spans(record: str, length: int, spans: Sequence[Fragments]) -> None:
    """Refuse a document with more than an annotator marks.

    Args:
        record: names the document.
        length: of its text.
        spans: in whatever unit their tool counts; of offsets that are no integers nothing is said.

    Raises:
        DataError: `too_many_spans`, `too_many_fragments` (offset: the span's start), `too_much_marked`.
    """
    check_count(record, sum(map(len, spans)))
    most = min(MAX_MARKED, max(FEW_MARKED, TIMES_MARKED * length))
    marked = 0
    for fragments in spans:
        if len(fragments) > MAX_FRAGMENTS:
            hint = f"{len(fragments)} of one span, at most {MAX_FRAGMENTS}"
            raise DataError(record, "too_many_fragments", fragments[0][0], hint)
        marked += _marked(fragments, length)
    if marked > most:
        hint = f"{marked} characters in all spans together, at most {most}"
        raise DataError(record, "too_much_marked", hint=hint)


def _marked(fragments: Iterable[tuple[Any, Any]], length: int) -> int:
    """Characters of all fragments, and of what is between them where there are several."""
    pairs = [(start, end) for start, end in fragments if isinstance(start, int) and isinstance(end, int)]
    if len(pairs) > 1:
        pairs.append((min(start for start, _ in pairs), max(end for _, end in pairs)))
    return sum(min(length, max(0, end - start)) for start, end in pairs)


def check_ann(record: str, ann: str) -> None:
    """Refuse a BRAT file before anything is kept of its lines.

    Raises:
        DataError: `too_many_records` (lines of any kind), `too_many_spans`, `too_many_fragments` (offset: the line).
    """
    check_records(record, ann.count("\n"))
    check_count(record, ann.count("\nT"))
    if ann.count(";") < MAX_FRAGMENTS:
        return
    total = 0
    for number, line in enumerate(ann.split("\n"), start=1):
        count = "".join(line.split("\t", 2)[1:2]).count(";") + 1 if line.startswith("T") else 0
        if count > MAX_FRAGMENTS:
            hint = f"{count} of one span, at most {MAX_FRAGMENTS}"
            raise DataError(record, "too_many_fragments", number, hint)
        total += count
    check_count(record, total)
