"""A delivery and its objects' bytes -> its documents, and which of them go to quarantine."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from enigma_tasks.errors import DataError
from enigma_tasks.file_names import FileKind, is_type_system, kind_of
from enigma_tasks.formats.corpora import CorpusReport, read_corpus
from enigma_tasks.formats.corpus_files import ALL_TYPES
from enigma_tasks.formats.imports import read_export
from enigma_tasks.formats.imports.inception import export_name
from enigma_tasks.formats.imports.inception_versions import superseded_documents
from enigma_tasks.formats.imports.spans import Imported, refused, without_duplicates
from enigma_tasks.formats.packed import packed_records
from enigma_tasks.gold.ingestion import ANY_TYPE, PACKED, PAIR
from enigma_tasks.gold.refusals import Refusal, refusal
from enigma_tasks.languages.rules import canonical_code
from enigma_tasks.paths import below
from enigma_tasks.unforeseen import refused_if_unforeseen

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from enigma_tasks.documents import Document
    from enigma_tasks.gold.ingestion import Delivery
    from enigma_tasks.gold.manifest import ManifestEntry

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
    places: dict[str, str] = field(default_factory=dict)
    """Id of a document -> its place in the file; none where the file holds that document alone."""
    superseded: int = 0
    """Annotators' versions in it of documents that were curated, which count as ignored."""
    known: ManifestEntry | None = None
    """Its content is what was taken in before: it was not read again."""

    def refusal_of(self, document_id: str | None, defects: Sequence[DataError]) -> Refusal:
        """Why a document, or all of the delivery (None), goes to quarantine: by its place, not by its id."""
        place = None if document_id is None else self.places.get(document_id, "")
        return refusal(self.delivery, place, defects)

    def refuse(self, document_id: str | None, defects: Sequence[DataError]) -> None:
        """Note a `refusal_of`."""
        self.refusals.append(self.refusal_of(document_id, defects))


def unread(delivery: Delivery) -> ReadDelivery:
    """A delivery that cannot be read for its `rule`: one refusal."""
    reading = ReadDelivery(delivery)
    reading.refuse(None, [DataError(delivery.record, delivery.rule or "")])
    return reading


def read_delivery(delivery: Delivery, data: Mapping[str, bytes], scratch: Path) -> ReadDelivery:
    """Read one delivery; whatever is wrong with a document is a refusal of that document.

    An unforeseen exception outside of any document is a refusal of the delivery, `unreadable`: the next run would meet
    it again.

    Args:
        delivery: one that has no `rule`.
        data: path of each of its objects -> its bytes.
        scratch: an absent folder that may be filled.
    """
    try:
        with refused_if_unforeseen(delivery.record):
            return _read(delivery, data, scratch)
    except DataError as error:
        reading = ReadDelivery(delivery)
        reading.refuse(None, [error])
        return reading


def _read(delivery: Delivery, data: Mapping[str, bytes], scratch: Path) -> ReadDelivery:
    reading = ReadDelivery(delivery)
    if delivery.kind == PAIR:
        _read_pair(reading, data, scratch)
        return reading
    found = _packed(delivery, data[delivery.record], scratch) if delivery.kind == PACKED else _exported(delivery, data)
    reading.read = len(found)
    for number, one in enumerate(found, 1):
        place = one.place or _place(one, PurePosixPath(delivery.record).name, number)
        if one.document is None:
            reading.refusals.append(refusal(delivery, place, one.defects))
        else:
            reading.documents.append(one.document)
            reading.places[one.document.id] = place
    if not reading.read:
        reading.read = 1
        reading.refuse(None, [DataError(delivery.record, "no_documents")])
    return reading


def _place(one: Imported, file: str, number: int) -> str:
    """Of a document whose importer does not say it: by its defect (empty for the whole file), or its number."""
    for name in (defect.record for defect in one.defects[:1] if one.document_id is None):
        if name == file:
            return ""
        if name.startswith(f"{file}#") and name[len(file) + 1 :].isdecimal():
            return name[len(file) + 1 :]
    return str(number)


def leave_out_superseded(readings: Sequence[ReadDelivery]) -> int:
    """Take annotators' versions of curated documents out of `readings`, which they leave as ignored; how many."""
    owners = [(reading, document) for reading in readings for document in reading.documents]
    gone = superseded_documents([(reading.delivery.record, document) for reading, document in owners])
    for reading in readings:
        reading.documents = []
    for i, (reading, document) in enumerate(owners):
        if i in gone:
            reading.superseded += 1
        else:
            reading.documents.append(document)
    return len(gone)


def _read_pair(reading: ReadDelivery, data: Mapping[str, bytes], scratch: Path) -> None:
    """Through the reader of corpora, in a folder that is named after the type; the id was found safe by `arrange`."""
    delivery = reading.delivery
    types = delivery.types
    corpus = scratch / (ANY_TYPE if types == ALL_TYPES else min(types).value)
    document_id = PurePosixPath(delivery.record).stem
    for kind in ("txt", "ann"):
        (corpus / kind).mkdir(parents=True)
    for path, content in data.items():
        kind = "txt" if kind_of(PurePosixPath(path).name)[0] is FileKind.TEXT else "ann"
        below(corpus / kind, f"{document_id}.{kind}", delivery.record).write_bytes(content)
    report = CorpusReport()
    documents = read_corpus(corpus, delivery.language or None, None, report)
    if report.defects:
        reading.refuse(document_id, report.defects)
    else:
        reading.documents += documents


def _packed(delivery: Delivery, content: bytes, scratch: Path) -> list[Imported]:
    """The lines of a packed file; the documents of one id are of one language here, and are all refused."""
    name = PurePosixPath(delivery.record).name
    scratch.mkdir()
    path = scratch / _PACKED_FILE
    path.write_bytes(content)
    found = []
    for record in packed_records(path, dropped=True):
        d = record.document
        if d is None:
            defects = tuple(
                DataError(e.record.replace(_PACKED_FILE, name, 1), e.rule, e.offset, e.hint) for e in record.defects
            )
            found.append(Imported(None, None, defects))
        elif delivery.language and d.language and canonical_code(d.language) != delivery.language:
            found.append(refused(None, DataError(d.id, "place_differs")))  # of another language: no rival of its id
        elif not d.annotated <= delivery.types:
            found.append(refused(d.id, DataError(d.id, "label_unexpected")))
        else:
            found.append(Imported(d.id, replace(d, language=delivery.language or d.language)))
    return without_duplicates(found)


def _exported(delivery: Delivery, data: Mapping[str, bytes]) -> list[Imported]:
    name = export_name(delivery.record.split("/"))
    system = next((data[p] for p in data if is_type_system(p)), None)
    return read_export(name, data[delivery.record], delivery.language or None, delivery.types, system)
