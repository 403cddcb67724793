"""A folder on this machine is read as the same files are when they are dropped."""

from __future__ import annotations

from pathlib import Path

import pytest

from enigma_tasks.formats.corpora import CorpusReport, read_corpus
from enigma_tasks.formats.corpus_files import corpus_files
from enigma_tasks.gold.deliveries import leave_out_superseded, read_delivery
from enigma_tasks.gold.ingestion import EXPORT, GoldObject, arrange
from enigma_tasks.gold.settling import Arriving, settle

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


SYSTEM = (
    '<typeSystemDescription xmlns="http://uima.apache.org/resourceSpecifier"><types><typeDescription>'
    "<name>custom.Disease</name><description/><supertypeName>uima.tcas.Annotation</supertypeName>"
    "</typeDescription><typeDescription><name>de.tudarmstadt.ukp.dkpro.core.api.metadata.type.DocumentMetaData</name>"
    "<description/><supertypeName>uima.tcas.DocumentAnnotation</supertypeName><features><featureDescription>"
    "<name>documentTitle</name><description/><rangeTypeName>uima.cas.String</rangeTypeName></featureDescription>"
    "</features></typeDescription></types></typeSystemDescription>"
)


def xmi(text: str, *spans: tuple[int, int], title: str) -> str:
    inside = "".join(
        f'<c:Disease xmi:id="{n}" sofa="1" begin="{b}" end="{e}"/>' for n, (b, e) in enumerate(spans, start=10)
    )
    members = " ".join(str(n) for n in range(10, 10 + len(spans)))
    return (
        '<xmi:XMI xmlns:xmi="http://www.omg.org/XMI" xmlns:cas="http:///uima/cas.ecore" '
        'xmlns:c="http:///custom.ecore" xmlns:m="http:///de/tudarmstadt/ukp/dkpro/core/api/metadata/type.ecore" '
        f'xmi:version="2.0"><cas:NULL xmi:id="0"/>{inside}'
        f'<m:DocumentMetaData xmi:id="3" sofa="1" begin="0" end="{len(text)}" documentTitle="{title}"/>'
        f'<cas:Sofa xmi:id="1" sofaNum="1" sofaID="_InitialView" mimeType="text/plain" sofaString="{text}"/>'
        f'<cas:View sofa="1" members="{members} 3"/></xmi:XMI>'
    )


CURATED = xmi("Tiene asma.", (6, 10), title="n1")


@pytest.mark.parametrize(
    ("files", "ids", "ignored"),
    [
        ({"CURATION_USER.xmi": CURATED, "ana.xmi": xmi("Tiene asma.", title="n1")}, ["n1"], 1),
        ({"CURATION_USER.xmi": CURATED, "b.xmi": xmi("Tiene gota.", (6, 10), title="n2")}, ["n1", "n2"], 0),
        ({"CURATION_USER.xmi": CURATED, "b.xmi": xmi("Tiene gota.", (6, 10), title="n1")}, None, 0),
        ({"n1.txt/CURATION_USER.xmi": CURATED, "n1.txt/ana.xmi": xmi("Tiene asma.", title="n1")}, ["n1"], 1),
        (
            {
                "curation/n1.txt/CURATION_USER.xmi": CURATED,
                "annotation/n1.txt/ana.xmi": xmi("Tiene asma.", title="n1"),
                "annotation/n2.txt/ana.xmi": xmi("Tiene asma.", title="n2"),
                "annotation/n2.txt/INITIAL_CAS.xmi": xmi("Tiene asma.", title="n2"),
            },
            ["n1", "n2"],
            2,
        ),
    ],
)
def test_a_curated_version_supersedes_other_versions_of_the_same_document_only(
    files: dict[str, str], ids: list[str] | None, ignored: int, tmp_path: Path
) -> None:
    for folder in {str(Path(name).parent) for name in files}:
        files = files | {f"{folder}/TypeSystem.xml".removeprefix("./"): SYSTEM}
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    report = CorpusReport()
    documents = read_corpus(tmp_path, "es", None, report)
    objects = [GoldObject(f"es/all/{name}", "e", len(content), "2026-06-11") for name, content in files.items()]
    deliveries, left_out = arrange(objects, lambda _: "es", 10_000)
    readings = [
        read_delivery(d, {path: files[path.removeprefix("es/all/")].encode() for path, _ in d.state}, tmp_path)
        for d in deliveries
    ]
    superseded = leave_out_superseded(readings)
    fates = settle([Arriving(r.delivery.record, d) for r in readings for d in r.documents], {}, {}).fates
    assert not [refusal for reading in readings for refusal in reading.refusals]
    assert sum(r.read for r in readings) == len(fates) + superseded == len(deliveries)
    if ids is None:
        assert fates == ["refused", "refused"]
        assert (documents, {d.rule for d in report.defects}) == ([], {"id_duplicate"})
    else:
        assert sorted(d.id for d in documents) == ids == sorted(d.id for r in readings for d in r.documents)
        assert (report.defects, report.ignored.total()) == ([], ignored)
        assert left_out - sum(name.endswith("TypeSystem.xml") for name in files) + superseded == ignored
        assert set(fates) == {"added"}
