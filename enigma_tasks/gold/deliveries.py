"""A delivery and its objects' bytes -> its documents, and which of them go to quarantine."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from enigma_tasks.errors import DataError
from enigma_tasks.formats.corpora import ALL_TYPES, CorpusReport, read_corpus
from enigma_tasks.formats.packed import read_packed
from enigma_tasks.gold.imports import read_export
from enigma_tasks.gold.imports.inception import TYPE_SYSTEM
from enigma_tasks.gold.ingestion import ANY_TYPE, PACKED, PAIR, Refusal
from enigma_tasks.languages.rules import canonical_code

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from enigma_tasks.documents import Document
    from enigma_tasks.gold.ingestion import Delivery

_PACKED_FILE = "packed.jsonl.gz"


@dataclass
class ReadDelivery:
    """One delivery after it was read."""

    delivery: Delivery
    digest: str = ""
    documents: list[Document] = field(default_factory=list, repr=False)
    refusals: list[Refusal] = field(default_factory=list)

    def refuse(self, document_id: str | None, defects: Sequence[DataError]) -> None:
        """Note why a document, or all of the delivery (None), goes to quarantine."""
        first = defects[0]
        self.refusals.append(Refusal(self.delivery.record, document_id, first.rule, first.offset, len(defects) - 1))


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
    elif delivery.kind == PACKED:
        _read_packed(reading, data[delivery.record], scratch)
    else:
        _read_export(reading, data)
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
        kind = path[-3:].lower()
        (corpus / kind / f"{document_id}.{kind}").write_bytes(content)
    report = CorpusReport()
    documents = read_corpus(corpus, delivery.language, None, report)
    if report.defects:
        reading.refuse(document_id, report.defects)
    else:
        reading.documents += documents


def _read_packed(reading: ReadDelivery, content: bytes, scratch: Path) -> None:
    delivery = reading.delivery
    scratch.mkdir()
    path = scratch / _PACKED_FILE
    path.write_bytes(content)
    defects: list[DataError] = []
    documents = read_packed(path, defects)
    wrong: dict[str, list[DataError]] = {}
    for error in defects:
        wrong.setdefault(error.record, []).append(error)
    for d in documents:
        if d.language and canonical_code(d.language) != delivery.language:
            wrong.setdefault(d.id, []).append(DataError(d.id, "place_differs"))
        elif not d.annotated <= delivery.types:
            wrong.setdefault(d.id, []).append(DataError(d.id, "label_unexpected"))
    for record, errors in wrong.items():
        reading.refuse(record.replace(_PACKED_FILE, PurePosixPath(delivery.record).name, 1), errors)
    for d in documents:
        if d.id not in wrong:
            reading.documents.append(replace(d, language=delivery.language))


def _read_export(reading: ReadDelivery, data: Mapping[str, bytes]) -> None:
    delivery = reading.delivery
    name = PurePosixPath(delivery.record).name
    system = next((data[p] for p in data if p.endswith(TYPE_SYSTEM)), None)
    seen: set[str] = set()
    for found in read_export(name, data[delivery.record], delivery.language, delivery.types, system):
        if found.document is None:
            reading.refuse(found.document_id or found.defects[0].record, found.defects)
        elif found.document.id in seen:
            reading.refuse(found.document.id, [DataError(found.document.id, "id_duplicate")])
        else:
            seen.add(found.document.id)
            reading.documents.append(found.document)
