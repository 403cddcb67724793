"""A folder on this machine is read as the same files are when they are dropped."""

from __future__ import annotations

from pathlib import Path

import pytest

from enigma_tasks.formats.corpora import CorpusReport, read_corpus
from enigma_tasks.formats.corpus_files import corpus_files
from enigma_tasks.gold.ingestion import EXPORT, GoldObject, arrange

LABEL_STUDIO_TSV = (
    "text\tid\tlabel\tannotator\tannotation_id\n"
    'Tiene asma.\t7\t"[{""start"": 6, ""end"": 10, ""text"": ""asma"", ""labels"": [""DISEASE""]}]"\t1\t4\n'
)


@pytest.mark.parametrize(
    ("table", "beside", "read"),
    [
        ("project-9.tsv", (), 1),
        ("ward/x.TSV", ("other/a.txt", "other/a.ann"), 1),
        ("tsv/x.tsv", (), 0),
        ("x.tsv", ("a.txt", "a.ann"), 0),
        ("x.tsv", ("txt/a.txt", "ann/a.ann"), 0),
    ],
)
def test_a_table_is_an_export_for_validate_where_it_is_one_for_ingest(
    table: str, beside: tuple[str, ...], read: int, tmp_path: Path
) -> None:
    files = {table: LABEL_STUDIO_TSV} | {name: "Sin tos." if name.endswith(".txt") else "" for name in beside}
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    found = corpus_files(tmp_path)
    assert [w.path.name for w in found.whole] == [Path(table).name] * read
    assert found.ignored == ({} if read else {".tsv": 1})
    objects = [GoldObject(f"es/all/{name}", "e", len(content), "2026-06-11") for name, content in files.items()]
    deliveries, ignored = arrange(objects, lambda _: "es", 10_000)
    assert [d.record for d in deliveries if d.kind == EXPORT] == [f"es/all/{table}"] * read
    assert ignored == 1 - read


def test_a_table_above_a_corpus_that_is_no_export_is_left_out_and_counted(tmp_path: Path) -> None:
    (tmp_path / "counts.tsv").write_text("filename\tgold\na\t7\n")
    alone = CorpusReport()
    assert read_corpus(tmp_path, "es", None, alone) == []
    assert [d.rule for d in alone.defects] == ["export_unknown"]
    (tmp_path / "disease").mkdir()
    (tmp_path / "disease" / "a.txt").write_text("Sin tos.")
    (tmp_path / "disease" / "a.ann").write_text("")
    (tmp_path / "project.tsv").write_text(LABEL_STUDIO_TSV)
    report = CorpusReport()
    assert [d.id for d in read_corpus(tmp_path, "es", None, report)] == ["a", "labelstudio-7"]
    assert (report.defects, report.ignored) == ([], {".tsv": 1})
