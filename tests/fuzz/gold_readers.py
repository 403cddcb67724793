"""Readers of what people drop: notes, files of records, annotated documents, exports, predictions, params.yaml."""

from __future__ import annotations

import gzip
import io
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from enigma_tasks.config import load_params
from enigma_tasks.documents import Document, EntityType, entity_at
from enigma_tasks.errors import DataError
from enigma_tasks.file_names import is_type_system
from enigma_tasks.formats.corpora import CorpusReport, read_corpus
from enigma_tasks.formats.packed import pack
from enigma_tasks.formats.predictions import check_ends, placed, read_member
from enigma_tasks.gold.deliveries import leave_out_superseded, read_delivery, unread
from enigma_tasks.gold.ingestion import GoldObject, arrange
from enigma_tasks.gold.rules import Fold, tables
from enigma_tasks.notes.done import Done
from enigma_tasks.notes.planning import scan_listing
from enigma_tasks.notes.record_planning import Judgement, scan
from enigma_tasks.notes.records import texts
from enigma_tasks.notes.references import NoteRef, Refused, text_of_bytes
from tests.fuzz.reader import MAX_BYTES, PARAMS, PARAMS_FILE, Files, Reader, detector
from tests.unit.import_builders import TEXT
from tests.unit.import_cases import LABEL_STUDIO
from tests.unit.import_cases_brat import BRAT
from tests.unit.import_cases_doccano import DOCCANO
from tests.unit.import_cases_inception import INCEPTION

if TYPE_CHECKING:
    from pathlib import Path


def check(documents: list[Document]) -> None:
    """What was taken in is what every later step expects of it."""
    for document in documents:
        for e in document.entities:
            assert document.text[e.char_start : e.char_end] == e.text
        if document.annotated:
            pack([document])
    found = tables({None: Fold(documents, ())}, PARAMS.validation, detector().detect, {})
    assert not [t for t in found if "unreadable" in t.rules], "the detector of languages failed"


def read_gold(files: Files, folder: Path) -> list[DataError]:
    """As `ingest` does."""
    data = {f"es/all/{name}": content for name, content in files.items()}
    objects = [GoldObject(path, "e", len(content), "2026-06-11T00:00:00") for path, content in data.items()]
    deliveries, _ = arrange(objects, PARAMS.language, MAX_BYTES)
    readings = []
    for number, delivery in enumerate(deliveries):
        if delivery.rule:
            readings.append(unread(delivery))
            continue
        reading = read_delivery(delivery, {o.path: data[o.path] for o in delivery.objects}, folder / str(number))
        assert reading.read == len(reading.documents) + len(reading.refusals), "what goes in comes out"
        readings.append(reading)
    leave_out_superseded(readings)
    check([d for reading in readings for d in reading.documents])
    return [DataError(r.record, r.rule, r.offset, r.hint) for reading in readings for r in reading.refusals]


def read_folder(files: Files, folder: Path) -> list[DataError]:
    """As `validate` does."""
    for name, content in files.items():
        path = folder / "corpus" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    report = CorpusReport()
    check(read_corpus(folder / "corpus", "es", None, report))
    return report.defects


def read_note(files: Files, _: Path) -> list[DataError]:
    """As `plan` and `annotate` do."""
    ((name, data),) = files.items()
    detector().detect(text_of_bytes(name, data, MAX_BYTES))
    return []


def read_records(files: Files, _: Path) -> list[DataError]:
    """As `plan` does, and then `annotate`."""
    ((name, data),) = files.items()
    file = NoteRef("b", name, "e", "e", "d", language="", language_source="detected", drop_date="", size=len(data))
    judgement = Judgement(PARAMS.notes, PARAMS.language, detector().detect, is_done=lambda _: False)
    found = list(scan(file, io.BytesIO(data), judgement))
    ready = {note.version for note in found if isinstance(note, NoteRef)}
    again = dict(texts(io.BytesIO(data), name, ready, PARAMS.notes))
    assert again.keys() == ready, "what is planned is found again"
    assert not [text for text in again.values() if isinstance(text, DataError)]
    return [DataError(r.note.record, r.rule, r.offset) for r in found if isinstance(r, Refused)]


@dataclass(frozen=True)
class Listed:
    """An entry of a store's listing."""

    key: str
    bucket: str = "b"
    etag: str = "e"
    size: int = 9


def read_listing(files: Files, _: Path) -> list[DataError]:
    """Keys, as `plan` and `ingest` list them."""
    keys = list(dict.fromkeys(k.decode("utf-8", "replace") for k in files["keys.tsv"].split(b"\n") if k))
    listed = [Listed(f"drops/{key}") for key in keys]
    scanned = list(scan_listing(listed, "drops/", Done(), max_bytes=MAX_BYTES, language_of=PARAMS.language))
    assert len(scanned) == len(keys), "none is empty, as a marker of a folder is"
    objects = [GoldObject(key, "e", 9, "2026-06-11T00:00:00") for key in keys]
    deliveries, ignored = arrange(objects, PARAMS.language, MAX_BYTES)
    found = sum(not is_type_system(o.path) for d in deliveries for o in d.objects)
    assert found + ignored == len(objects)
    return [DataError(r.note.record, r.rule) for r in scanned if isinstance(r, Refused)]


def read_predictions(files: Files, folder: Path) -> list[DataError]:
    """As `vote` and `score` do."""
    path = folder / "member.tsv"
    path.write_bytes(files["member.tsv"])
    spans = read_member(path)
    check_ends("member", spans)
    placed(spans, {"x": TEXT})
    return []


def read_params(files: Files, folder: Path) -> list[DataError]:
    """As every command does."""
    path = folder / "params.yaml"
    path.write_bytes(files["params.yaml"])
    load_params(path, ["seed=7"])
    return []


def _records() -> list[bytes]:
    rows = [{"id": n, "text": f"{TEXT} {n}", "language": language} for n, language in enumerate(("es", None, "auto"))]
    return [
        b"".join(json.dumps(row).encode() + b"\n" for row in rows),
        json.dumps(rows[0], ensure_ascii=False).encode(),
    ]


def _packed() -> bytes:
    entities = (entity_at("n1", TEXT, "DISEASE", 6, 10), entity_at("n1", TEXT, "SYMPTOM", 30, 36))
    types = frozenset(EntityType)
    return pack([Document("n1", TEXT, entities, "es", types), Document("n2", "Sin novedades.", (), None, types)])


def _brat() -> list[Files]:
    cases = [case.files for case in BRAT.values() if not case.drops_only]
    return [{name: c if isinstance(c, bytes) else c.encode() for name, c in files.items()} for files in cases]


def _inception(*suffixes: str) -> list[Files]:
    cases = [case for case in INCEPTION.values() if case.name.endswith(suffixes)]
    return [{c.name: c.data} | ({"TypeSystem.xml": c.type_system} if c.type_system else {}) for c in cases]


DROPS = "es/2026-06-11/ward/n1.txt\nauto/2026-06-11/n2.jsonl\nspa/2026-06-11/x.jsonl.gz\nes/2026-06-11/"
GOLD = (
    "es/disease/x.ann\nes/disease/x.txt\nes/all/txt/a.txt\nes/all/ann/a.ann\nes/all/june/\nes/all/README.txt\n"
    "es/all/TypeSystem.xml\nes/all/c.xmi\nes/all/curation/a.txt/CURATION_USER.json\n"
    "es/all/annotation/a.txt/ana.json\ncz/all/MultiClinNER-cz/a.tsv"
)
PREDICTED = (
    'filename\tlabel\tstart_span\tend_span\ttext\nx\tDISEASE\t6\t10\tasma\nx.txt\tSYMPTOM\t30\t36\t"fiebre"\n'
    "y\tENFERMEDAD\t0\t4\tasma\n"
)
GOLD_READERS: dict[str, Reader] = {
    "note": Reader(
        lambda: [{"n.txt": f"{TEXT}\r\n{TEXT}".encode()}, {"n.txt": b"\xef\xbb\xbf" + TEXT.encode()}], read_note, 2
    ),
    "records": Reader(lambda: [{"d.jsonl": data} for data in _records()], read_records),
    "records_gz": Reader(
        lambda: [{"d.jsonl.gz": gzip.compress(data, mtime=0)} for data in _records()], read_records, 3
    ),
    "keys": Reader(lambda: [{"keys.tsv": keys.encode()} for keys in (DROPS, GOLD)], read_listing, 2),
    "brat": Reader(_brat, read_gold),
    "folder": Reader(lambda: [*_brat(), *({"d.jsonl": data} for data in _records())], read_folder),
    "label_studio": Reader(lambda: [{case.name: case.data} for case in LABEL_STUDIO.values()], read_gold, 8),
    "doccano": Reader(lambda: [{case.name: case.data} for case in DOCCANO.values()], read_gold, 6),
    "uima_json": Reader(lambda: _inception(".json"), read_gold),
    "uima_xmi": Reader(lambda: _inception(".xmi"), read_gold),
    "zip": Reader(lambda: [f for f in (*_inception(".zip"), *_zipped()) if f], read_gold),
    "packed": Reader(lambda: [{"p.jsonl.gz": _packed()}], read_gold, 3),
    "predictions": Reader(lambda: [{"member.tsv": PREDICTED.encode()}], read_predictions, 2),
    "params": Reader(lambda: [{"params.yaml": PARAMS_FILE.read_bytes()}], read_params, 0.3),
}


def _zipped() -> list[Files]:
    return [{c.name: c.data} for c in (*LABEL_STUDIO.values(), *DOCCANO.values()) if c.name.endswith(".zip")]
