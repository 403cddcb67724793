"""Documents are taken out of packed files and manifests; what stays keeps its bytes."""

from __future__ import annotations

import gzip

import pytest

from enigma_tasks.documents import Document, EntityType
from enigma_tasks.errors import DataError
from enigma_tasks.formats.packed import pack
from enigma_tasks.gold.manifest import ManifestEntry, pack_manifest, unpack_manifest
from enigma_tasks.gold.removal import manifest_without, packed_without, texts_in

NAME = "es/disease.jsonl.gz"


def document(name: str, text: str) -> Document:
    return Document(name, text, (), "es", frozenset({EntityType.DISEASE}))


A, B = document("a", "Uno."), document("b", "Dos.")


def test_documents_are_listed_with_their_texts() -> None:
    assert dict(texts_in(NAME, "es", pack([A, B]))) == {("es", "a"): "Uno.", ("es", "b"): "Dos."}


def test_a_packed_file_without_a_document_is_what_packing_the_others_gives() -> None:
    data = pack([A, B])
    assert packed_without(NAME, "es", data, {("es", "b")}) == pack([A])
    assert packed_without(NAME, "es", data, {("it", "b")}) is data
    assert packed_without(NAME, "es", data, {("es", "a"), ("es", "b")}) is None


def test_a_file_that_cannot_be_read_is_refused_by_name_and_line() -> None:
    for data, rule, line in (
        (b"no gzip", "packed_damaged", 1),
        (pack([A, B])[:-12], "packed_damaged", None),
        (gzip.compress(b'{"id": "a"}\n', mtime=0), "packed_line_malformed", 1),
        (gzip.compress(b'{"id": "a", "text": "b"}\n' + b"[" * 100_000, mtime=0), "packed_line_malformed", 2),
    ):
        with pytest.raises(DataError) as caught:
            list(texts_in(NAME, "es", data))
        assert (caught.value.record, caught.value.rule) == (NAME, rule)
        assert line in (None, caught.value.offset)


def test_a_manifest_loses_the_document_and_the_deliveries_that_hold_nothing_else() -> None:
    def entry(*documents: tuple[str, str, str]) -> ManifestEntry:
        return ManifestEntry((("a", "e"),), "d", 1, documents)

    manifest = {
        "es/all/one": entry(("es", "disease", "x"), ("es", "symptom", "x")),
        "es/all/export.json": entry(("es", "disease", "x"), ("es", "disease", "y")),
        "es/all/x.txt": entry(),
        "es/all/refused": entry(),
        "it/all/x2": entry(("it", "disease", "x")),
    }
    data = pack_manifest(manifest)
    after = unpack_manifest(manifest_without(data, {("es", "x")}))
    assert after == {
        "es/all/export.json": entry(("es", "disease", "y")),
        "es/all/refused": entry(),
        "it/all/x2": entry(("it", "disease", "x")),
    }
    assert manifest_without(data, {("es", "z")}) is data
