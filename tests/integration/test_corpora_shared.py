"""The real corpora beside the repository: every span is its text's slice, and none is lost."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from enigma_tasks.documents import EntityType
from enigma_tasks.formats.corpora import CorpusReport, read_corpus, read_text, write_corpus
from enigma_tasks.formats.standoff import parse_tsv, verified

SHARED = Path(__file__).parents[3] / "shared" / "corpora"
pytestmark = pytest.mark.skipif(not SHARED.is_dir(), reason="the shared corpora do not lie beside the repository")

# notes; diseases, procedures, symptoms; types that a note is annotated for
CORPORA = {
    "e3c-en-layer1": (84, (1023, 0, 0), 1),
    "e3c-es-layer1": (81, (1345, 0, 0), 1),
    "e3c-fr-layer1": (81, (1327, 0, 0), 1),
    "e3c-it-layer1": (85, (845, 0, 0), 1),
    "mantra-nl-train": (140, (118, 58, 0), 2),
    "multiclinner-en-train": (1869, (4121, 3539, 4237), 1),
    "simonero-ro-train": (18, (649, 115, 0), 2),
    "spaccc-es-train": (750, (8065, 11065, 9091), 3),
    "swemedner-sv-train": (26, (351, 0, 0), 1),
}


@pytest.mark.parametrize("name", CORPORA)
def test_every_span_of_a_real_corpus_is_read_and_is_its_slice(name: str) -> None:
    report = CorpusReport()
    documents = read_corpus(SHARED / name, report=report)
    notes, spans, types = CORPORA[name]
    assert report.defects == []
    assert len({d.id for d in documents}) == len(documents) == notes
    assert tuple(sum(len(d.of_type(t)) for d in documents) for t in EntityType) == spans
    assert {len(d.annotated) for d in documents} == {types}
    for d in documents:
        assert all(e.text == d.text[e.char_start : e.char_end] for e in d.entities)


@pytest.mark.parametrize("name", CORPORA)
def test_the_tsv_of_a_real_corpus_says_the_same_as_its_ann_files(name: str) -> None:
    for folder in sorted(p for p in (SHARED / name).iterdir() if p.is_dir()):
        documents = read_corpus(folder)
        rows = parse_tsv(read_text(folder / f"{folder.name}.tsv"))
        assert set(rows) <= {d.id for d in documents}
        for d in documents:
            assert Counter(verified(d.id, d.text, rows.get(d.id, ()))) == Counter(d.entities)


def test_a_real_corpus_written_and_read_again_is_the_same(tmp_path: Path) -> None:
    documents = read_corpus(SHARED / "mantra-nl-train")
    write_corpus(documents, tmp_path, "by_entity")
    assert read_corpus(tmp_path) == documents
