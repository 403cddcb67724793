"""Any mixture of drops: the counts of an ingestion add up and are what its version holds. No git, DVC or store."""

from __future__ import annotations

import gzip
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, cast

from hypothesis import given, settings
from hypothesis import strategies as st

from enigma_tasks.config import load_params
from enigma_tasks.documents import EntityType
from enigma_tasks.errors import DataError
from enigma_tasks.formats.packed import read_packed
from enigma_tasks.gold.deliveries import ReadDelivery, read_delivery
from enigma_tasks.gold.ingestion import GoldObject, arrange, content_digest, news
from enigma_tasks.gold.manifest import Manifest, documents_of, unpack_manifest
from enigma_tasks.gold.summaries import PlaceCounts
from enigma_tasks.stages.ingest import INGESTED, Version, _version

if TYPE_CHECKING:
    from enigma_tasks.adapters.gold_repository import GoldRepository

PARAMS = load_params(Path(__file__).parents[2] / "params.yaml")
TEXTS = [f"Refiere asma y tos {word}." for word in ("seca", "húmeda")]
GOOD, BAD = "T1\tDISEASE 8 12\tasma\n", "T1\tDISEASE 9 13\tasma\n"


class Folder:
    """Stands for a workspace: its files are those of the newest version."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, name: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def fetch(self, names: list[str]) -> None:
        pass


def doccano(*rows: tuple[int, str, bool]) -> bytes:
    lines = [{"id": n, "text": text, "label": [[8, 12 if sound else 99, "DISEASE"]]} for n, text, sound in rows]
    return "\n".join(map(json.dumps, lines)).encode()


def packed(*rows: tuple[int, str, bool]) -> bytes:
    lines = [
        {"id": f"p{number}", "text": text, "language": "es", "annotated": ["disease"] if sound else [], "entities": []}
        for number, text, sound in rows
    ]
    return gzip.compress("\n".join(map(json.dumps, lines)).encode())


rows = st.lists(st.tuples(st.integers(1, 3), st.sampled_from(TEXTS), st.booleans()), max_size=4)
wards = st.sampled_from(["es/disease/w1", "es/disease/w2/june", "es/all/w3"])
names = st.sampled_from(["0001", "0002"])
pairs = st.tuples(wards, names, st.sampled_from(TEXTS), st.sampled_from([GOOD, BAD, None])).map(
    lambda t: {f"{t[0]}/{t[1]}.txt": t[2].encode()} | ({} if t[3] is None else {f"{t[0]}/{t[1]}.ANN": t[3].encode()})
)
files = st.one_of(
    pairs,
    st.tuples(wards, rows).map(lambda t: {f"{t[0]}/x.jsonl": doccano(*t[1])}),
    st.tuples(wards, rows).map(lambda t: {f"{t[0]}/x.jsonl.gz": packed(*t[1])}),
    st.sampled_from(
        [
            {"es/disease/.DS_Store": b"x"},
            {"es/disease/scan.pdf": b"x"},
            {"fr/disease/a.txt": b"x"},
            {"es/disease/w1/project.zip": b"PK"},
            {"es/disease/w1/README.txt": b"x"},
        ]
    ),
)
drops = st.lists(st.lists(files, min_size=1, max_size=4), min_size=1, max_size=4)


def ingest(bucket: dict[str, bytes], repository: Folder, scratch: Path) -> tuple[Version, int]:
    """One ingestion of everything that lies in the bucket; the version and how many objects were ignored."""
    ledger = repository.path(INGESTED)
    manifest: Manifest = unpack_manifest(ledger.read_bytes()) if ledger.exists() else {}
    # a tag that changes with every writing, as the ETag of an object in several parts does
    objects = [GoldObject(p, f"{hash(p)}-{len(scratch.name)}", len(d), "2026") for p, d in bucket.items()]
    deliveries, ignored = arrange(objects, PARAMS.language, 10_000)
    readings = []
    for number, delivery in enumerate(news(deliveries, manifest)):
        if delivery.rule:
            readings.append(ReadDelivery(delivery))
            readings[-1].refuse(None, [DataError(delivery.record, delivery.rule)])
            continue
        data = {path: bucket[path] for path, _ in delivery.state}
        digest, entry = content_digest(delivery, data), manifest.get(delivery.record)
        if entry and entry.digest == digest:
            reading = ReadDelivery(delivery, read=documents_of(entry) + entry.refused, known=entry)
        else:
            reading = read_delivery(delivery, data, scratch / str(number))
        reading.digest = digest
        readings.append(reading)
    return _version(cast("GoldRepository", repository), manifest, readings, ignored), ignored


def held(repository: Folder) -> dict[str, int]:
    return {
        t.value: len(read_packed(path))
        for t in EntityType
        if (path := repository.path(f"es/{t.value}.jsonl.gz")).exists()
    }


@settings(max_examples=40, deadline=None)
@given(drops)
def test_for_any_drops_the_counts_add_up_and_the_version_holds_what_they_say(
    sequence: list[list[dict[str, bytes]]],
) -> None:
    bucket: dict[str, bytes] = {}
    with tempfile.TemporaryDirectory() as folder:
        repository = Folder(Path(folder) / "gold")
        for number, drop in enumerate(sequence):
            for more in drop:
                bucket |= more
            before = held(repository)
            scratch = Path(folder) / ("x" * (number + 1))
            scratch.mkdir()
            version, ignored = ingest(bucket, repository, scratch)
            counts = version.counts  # IngestCounts has checked that they add up
            assert counts.quarantined == len(version.refusals)
            assert counts.ignored >= ignored
            after = held(repository)
            for t in EntityType:
                place = version.places.get(f"es/{t.value}", PlaceCounts(added=0, replaced=0))
                assert after.get(t.value, 0) == before.get(t.value, 0) + place.added
            assert (counts.added + counts.replaced > 0) == bool(version.files)
