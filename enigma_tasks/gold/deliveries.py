"""A delivery and its objects' bytes -> its documents, and which of them go to quarantine."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from enigma_tasks.errors import DataError
from enigma_tasks.file_names import FileKind, kind_of
from enigma_tasks.formats.corpora import CorpusReport, read_corpus
from enigma_tasks.formats.corpus_files import ALL_TYPES
from enigma_tasks.formats.imports import read_export
from enigma_tasks.formats.imports.inception import export_name
from enigma_tasks.formats.imports.inception_zip import TYPE_SYSTEM
from enigma_tasks.formats.packed import packed_records
from enigma_tasks.gold.ingestion import ANY_TYPE, PACKED, PAIR, Refusal
from enigma_tasks.languages.rules import canonical_code

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from enigma_tasks.documents import Document
    from enigma_tasks.gold.ingestion import Delivery, ManifestEntry

DUPLICATE_HINT = "another document has this id; a newer version of one is dropped under the name of the older"
_PACKED_FILE = "packed.jsonl.gz"


@dataclass
class ReadDelivery:
    """One delivery after it was read."""

    delivery: Delivery
    digest: str = ""
    read: int = 1
    """Documents in it; a file that cannot be read at all counts one."""
    documents: list[Document] = field(default_factory=list, repr=False)
    refusals: list[Refusal] = field(default_factory=list)
    known: ManifestEntry | None = None
    """Its content is what was taken in before: it was not read again."""

    def refuse(self, document_id: str | None, defects: Sequence[DataError]) -> None:
        """Note why a document, or all of the delivery (None), goes to quarantine."""
        self.refusals.append(refusal(self.delivery, document_id, defects))


def refusal(delivery: Delivery, document_id: str | None, defects: Sequence[DataError]) -> Refusal:
    """The row of a document, by the first of its defects."""
    first = defects[0]
    return Refusal(delivery.record, document_id, first.rule, first.offset, len(defects) - 1, first.hint)


def read_delivery(delivery: Delivery, data: Mapping[str, bytes], scratch: Path) -> ReadDelivery:
    """Read one delivery; whatever is wrong with a document is a refusal of that document.

    Args:
        delivery: one that has no `rule`.
        data: path of each of its objects -> its bytes.
        scratch: an absent folder that may be filled.
    """
    reading = ReadDelivery(delivery)
    if delivery.kind == PAIR:
        _read_pair(reading, data, scratch)
        return reading
    if delivery.kind == PACKED:
        _read_packed(reading, data[delivery.record], scratch)
    else:
        _read_export(reading, data)
    _refuse_duplicates(reading)
    if not reading.read:
        reading.read = 1
        reading.refuse(None, [DataError(delivery.record, "no_documents")])
    return reading


def _read_pair(reading: ReadDelivery, data: Mapping[str, bytes], scratch: Path) -> None:
    """Through the reader of corpora, in a folder whose name tells it the type; the id was found safe by `arrange`."""
    delivery = reading.delivery
    types = delivery.types
    corpus = scratch / (ANY_TYPE if types == ALL_TYPES else min(types).value)
    document_id = PurePosixPath(delivery.record).stem
    for kind in ("txt", "ann"):
        (corpus / kind).mkdir(parents=True)
    for path, content in data.items():
        kind = "txt" if kind_of(PurePosixPath(path).name)[0] is FileKind.TEXT else "ann"
        (corpus / kind / f"{document_id}.{kind}").write_bytes(content)
    report = CorpusReport()
    documents = read_corpus(corpus, delivery.language, None, report)
    if report.defects:
        reading.refuse(document_id, report.defects)
    else:
        reading.documents += documents


def _read_packed(reading: ReadDelivery, content: bytes, scratch: Path) -> None:
    delivery = reading.delivery
    name = PurePosixPath(delivery.record).name
    scratch.mkdir()
    path = scratch / _PACKED_FILE
    path.write_bytes(content)
    records = packed_records(path)
    reading.read = len(records)
    for record in records:
        d = record.document
        if d is None or record.defects:
            reading.refuse(record.defects[0].record.replace(_PACKED_FILE, name, 1), record.defects)
        elif d.language and canonical_code(d.language) != delivery.language:
            reading.refuse(d.id, [DataError(d.id, "place_differs")])
        elif not d.annotated <= delivery.types:
            reading.refuse(d.id, [DataError(d.id, "label_unexpected")])
        else:
            reading.documents.append(replace(d, language=delivery.language))


def _read_export(reading: ReadDelivery, data: Mapping[str, bytes]) -> None:
    delivery = reading.delivery
    name = export_name(delivery.record.split("/"))
    system = next((data[p] for p in data if p.lower().endswith(TYPE_SYSTEM.lower())), None)
    found = read_export(name, data[delivery.record], delivery.language, delivery.types, system)
    reading.read = len(found)
    for one in found:
        if one.document is None:
            reading.refuse(one.document_id or one.defects[0].record, one.defects)
        else:
            reading.documents.append(one.document)


def _refuse_duplicates(reading: ReadDelivery) -> None:
    """Of one id in one file, none is kept: nothing tells which is meant."""
    times = Counter(d.id for d in reading.documents)
    for d in reading.documents:
        if times[d.id] > 1:
            reading.refuse(d.id, [DataError(d.id, "id_duplicate", hint=DUPLICATE_HINT)])
    reading.documents = [d for d in reading.documents if times[d.id] == 1]
