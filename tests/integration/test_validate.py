"""`enigma validate` through the command line: one planted defect for each rule, and no text in anything it says."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from enigma_tasks.adapters import expectations
from enigma_tasks.adapters.expectations import BrokenCheckError, results_of
from enigma_tasks.adapters.object_store import ObjectStore
from enigma_tasks.cli import main
from enigma_tasks.config import load_params, load_settings
from enigma_tasks.formats.corpora import read_corpus, write_corpus
from enigma_tasks.gold.rules import HARD_RULES, Row, Table
from enigma_tasks.notes.names import Names
from enigma_tasks.params.gold import RuleParams
from enigma_tasks.synthetic.generator import notes

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
PARAMS = ["--params", str(ROOT / "params.yaml")]
NOTES = 24
VICTIM = list(notes(4, ["es"], 7))[3].id
DUTCH_VICTIM = list(notes(4, ["nl"], 7))[3].id
SECRET = "Quetzalbrunnen"


def corpus(folder: Path, language: str = "es") -> Path:
    write_corpus(list(notes(NOTES, [language], 7)), folder)
    return folder


def add_span(folder: Path, label: str, start: int, end: int, surface: str | None = None, *, name: str = VICTIM) -> None:
    text = (folder / "txt" / f"{name}.txt").read_bytes().decode()
    written = text[start:end].translate({10: " ", 13: " "}) if surface is None else surface
    with (folder / "ann" / f"{name}.ann").open("a", encoding="utf-8", newline="") as ann:
        ann.write(f"T900\t{label} {start} {end}\t{written}\n")


def add_document(folder: Path, name: str, text: str) -> None:
    (folder / "txt" / f"{name}.txt").write_bytes(text.encode())
    (folder / "ann" / f"{name}.ann").write_bytes(b"")


def text_of(folder: Path, name: str = VICTIM) -> str:
    return (folder / "txt" / f"{name}.txt").read_bytes().decode()


def first_line(folder: Path) -> tuple[int, int]:
    """Start and end of the first disease of the victim."""
    first = next(e for d in read_corpus(folder) if d.id == VICTIM for e in d.entities if e.label == "DISEASE")
    return first.span


def validate(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    code = main(["validate", *map(str, arguments), "--json", "--quiet", *PARAMS])
    printed = capsys.readouterr()
    assert printed.out, printed.err
    report: dict[str, Any] = json.loads(printed.out)
    assert code == report["exit_code"]
    return report


def broken(report: dict[str, Any]) -> set[tuple[str, str]]:
    return {(d["document"], d["rule"]) for d in report["defects"]}


def plant_bad_bytes(folder: Path) -> None:
    path = folder / "txt" / f"{VICTIM}.txt"
    path.write_bytes(path.read_bytes() + b"\xff")


HARD_PLANTS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "not_utf8": (f"{VICTIM}.txt", plant_bad_bytes),
    "annotation_without_text": ("ghost", lambda f: (f / "ann" / "ghost.ann").write_bytes(b"")),
    "text_without_annotation": ("lone", lambda f: (f / "txt" / "lone.txt").write_bytes(b"Sin notas.")),
    "ann_line_malformed": (VICTIM, lambda f: (f / "ann" / f"{VICTIM}.ann").write_bytes(b"T1 DISEASE\n")),
    "span_outside_text": (VICTIM, lambda f: add_span(f, "DISEASE", 3, 900_000)),
    "span_inverted": (VICTIM, lambda f: add_span(f, "DISEASE", 9, 4)),
    "surface_differs": (VICTIM, lambda f: add_span(f, "DISEASE", 0, 4, "zzzz")),
    "label_unknown": (VICTIM, lambda f: add_span(f, "ANIMAL", 0, 4)),
    "id_unsafe": (r"'a\tb'", lambda f: add_document(f, "a\tb", "Alta.")),
}


@pytest.mark.parametrize("rule", HARD_PLANTS)
def test_one_breach_of_a_hard_rule_fails_the_corpus_whatever_the_parameters_say(
    rule: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document, plant = HARD_PLANTS[rule]
    plant(corpus(tmp_path))
    report = validate(capsys, tmp_path, "--language", "es")
    assert report["exit_code"] == 1
    assert broken(report) == {(document, rule)}
    assert report["defects"][0]["severity"] == "error"


@pytest.mark.parametrize(
    ("name", "content", "found"),
    [
        ("day.jsonl", '{"id": 2, "text": "Tos."}\n' * 2, ("day.jsonl#L2", "duplicate_id")),
        (
            "day.jsonl",
            '{"id": 1, "text": "<html><p>Tos</p></html>"}\n{"id": 2, "text": "Tos."}\n',
            ("day.jsonl#L1", "not_plain_text"),
        ),
        ("a.txt", r"{\rtf1\ansi Tos\par}", ("a.txt", "not_plain_text")),
    ],
)
def test_a_note_that_the_night_would_refuse_is_a_defect(
    name: str, content: str, found: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = corpus(tmp_path / "gold") if name == "a.txt" else tmp_path
    place = folder / "txt" if name == "a.txt" else folder
    (place / name).write_text(content)
    if name == "a.txt":
        (folder / "ann" / "a.ann").write_text("")
    report = validate(capsys, folder, "--language", "es")
    assert report["exit_code"] == 1
    assert found in broken(report)


@pytest.mark.parametrize(
    ("beside", "ignored"),
    [(None, {}), ("a.a1", {".a1": 1}), ("a.ann.gz", {".gz": 1}), ("a.xml", {".xml": 1}), ("a.tsv", {".tsv": 1})],
)
def test_texts_without_any_annotation_that_was_read_are_no_sound_gold(
    beside: str | None, ignored: dict[str, int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.txt").write_text("Refiere tos.")
    if beside:
        (tmp_path / beside).write_text("T1\tSYMPTOM 8 11\ttos\n")
    report = validate(capsys, tmp_path, "--language", "es")
    assert (report["exit_code"], report["passed"], report["documents"]) == (1, False, 0)
    assert broken(report) == {("a", "text_without_annotation")}
    assert report["ignored_files"] == ignored


def test_notes_of_a_language_or_fold_that_nobody_annotated_are_no_gold_beside_gold(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus(tmp_path / "languages" / "es")
    (tmp_path / "languages" / "nl").mkdir()
    (tmp_path / "languages" / "nl" / "b.txt").write_text("Hoest.")
    assert ("b", "text_without_annotation") in broken(validate(capsys, tmp_path / "languages"))
    corpus(tmp_path / "folds" / "train")
    (tmp_path / "folds" / "dev").mkdir()
    (tmp_path / "folds" / "dev" / "b.txt").write_text("Tos.")
    assert ("b", "text_without_annotation") in broken(validate(capsys, tmp_path / "folds", "--language", "es"))


def test_the_filter_leaves_out_a_text_that_nobody_annotated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    corpus(tmp_path / "gold" / "es")
    (tmp_path / "gold" / "nl").mkdir()
    (tmp_path / "gold" / "nl" / "b.txt").write_text("Hoest.")
    report = validate(capsys, tmp_path / "gold", "--filtered", tmp_path / "out")
    assert report["dropped"]["unreadable"] == {"text_without_annotation": 1}
    assert not list((tmp_path / "out").rglob("b.txt"))


def test_a_defect_is_named_with_its_offset(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add_span(corpus(tmp_path), "DISEASE", 7, 900_000)
    (defect,) = validate(capsys, tmp_path, "--language", "es")["defects"]
    assert defect == {"document": VICTIM, "rule": "span_outside_text", "offset": 7, "severity": "error"}


def test_with_a_name_key_defects_show_no_id_but_the_same_hash_everywhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENIGMA_NAME_KEY", "a secret of this hospital")
    add_span(corpus(tmp_path / "corpus"), "DISEASE", 4000, 4008)
    found = validate(capsys, tmp_path / "corpus", "--language", "es", "--report", tmp_path / "out")["defects"]
    shown = Names.of(load_settings()).shown(VICTIM)
    assert {d["document"] for d in found} == {shown}
    written = (tmp_path / "out" / "defects.jsonl").read_text()
    assert shown in written
    assert VICTIM not in written


def test_a_label_of_another_folder_and_an_id_twice_are_hard_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    documents = list(notes(NOTES, ["es"], 7))
    write_corpus(documents, tmp_path / "labels", "by_entity")
    add_span(tmp_path / "labels" / "disease", "SYMPTOM", 0, 4)
    assert broken(validate(capsys, tmp_path / "labels")) == {(VICTIM, "label_unexpected")}
    write_corpus(documents, tmp_path / "twice", "by_entity")
    write_corpus(documents[:1], tmp_path / "twice" / "es", "by_entity")
    found = broken(validate(capsys, tmp_path / "twice", "--language", "es"))
    assert found == {(documents[0].id, "id_duplicate")}


def test_every_hard_rule_has_a_planted_defect() -> None:
    assert {*HARD_PLANTS, "label_unexpected", "id_duplicate", "augmented_document"} == set(HARD_RULES)


def plant_blank(folder: Path) -> None:
    start = text_of(folder).index(" ")
    add_span(folder, "DISEASE", start, start + 1)


def plant_edge(folder: Path) -> None:
    start = text_of(folder).index(" ")
    add_span(folder, "DISEASE", start, start + 2)


def plant_punctuation(folder: Path) -> None:
    start = text_of(folder).index(".")
    add_span(folder, "DISEASE", start, start + 1)


def plant_overlap(folder: Path) -> None:
    start, end = first_line(folder)
    add_span(folder, "DISEASE", start, end - 1)


def plant_long(folder: Path) -> None:
    text = text_of(folder, DUTCH_VICTIM)
    words = text.split()[:11]
    add_span(folder, "SYMPTOM", 0, text.index(words[-1], len(" ".join(words[:-1]))) + len(words[-1]), name=DUTCH_VICTIM)


def plant_english(folder: Path) -> None:
    add_document(folder, "stray", next(iter(notes(1, ["en"], 7))).text)


def plant_dense(folder: Path) -> None:
    for start in range(400):
        add_span(folder, "DISEASE", start, start + 1)


SOFT_PLANTS: dict[str, tuple[str, str, Callable[[Path], object]]] = {
    "span_blank": ("es", VICTIM, plant_blank),
    "span_edge_white_space": ("es", VICTIM, plant_edge),
    "span_punctuation_only": ("es", VICTIM, plant_punctuation),
    "span_duplicate": ("es", VICTIM, lambda f: add_span(f, "DISEASE", *first_line(f))),
    "span_overlap": ("es", VICTIM, plant_overlap),
    "span_too_long": ("nl", DUTCH_VICTIM, plant_long),
    "document_too_short": ("nl", "short", lambda f: add_document(f, "short", "Patiënt is naar huis.")),
    "document_copy": ("es", "zz-copy", lambda f: add_document(f, "zz-copy", text_of(f))),
    "language_differs": ("es", "stray", plant_english),
    "density_far": ("es", VICTIM, plant_dense),
}


@pytest.mark.parametrize("rule", SOFT_PLANTS)
def test_one_breach_of_a_tunable_rule_is_named_and_fails_a_corpus_that_bears_none(
    rule: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    language, document, plant = SOFT_PLANTS[rule]
    folder = corpus(tmp_path, language)
    strict = ["--set", f"validate.rules.{rule}.severity=error", "--set", f"validate.rules.{rule}.tolerance=0"]
    if language == "nl":
        strict += ["--set", f"validate.languages.nl.{rule}.severity=error"]
    assert rule not in {r for _, r in broken(validate(capsys, folder, "--language", language, *strict))}
    plant(folder)
    report = validate(capsys, folder, "--language", language, *strict)
    assert (document, rule) in broken(report)
    assert report["exit_code"] == 1


def test_every_tunable_rule_has_a_planted_defect() -> None:
    rules = type(load_params(ROOT / "params.yaml").validation.rules)
    assert {*SOFT_PLANTS, "case_in_two_folds"} == set(rules.model_fields)


def test_an_edited_copy_of_a_training_case_in_dev_is_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    documents = list(notes(NOTES, ["es"], 7))
    write_corpus(documents[:20], tmp_path / "train")
    write_corpus(documents[20:], tmp_path / "dev")
    assert validate(capsys, tmp_path, "--language", "es")["exit_code"] == 0
    edited = documents[0].text.replace(".", ";", 1) + "\nFin."
    add_document(tmp_path / "dev", "renamed", edited)
    report = validate(capsys, tmp_path, "--language", "es")
    assert report["exit_code"] == 1
    found = {(d["document"], d["fold"]) for d in report["defects"] if d["rule"] == "case_in_two_folds"}
    assert found == {("renamed", "dev"), (documents[0].id, "train")}


def test_a_sound_corpus_passes_and_a_tolerated_share_does_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = corpus(tmp_path)
    report = validate(capsys, folder, "--language", "es")
    assert (report["exit_code"], report["defects"], report["documents"]) == (0, [], NOTES)
    plant_edge(folder)
    share = 1 / (report["spans"]["disease"] + 1)
    tolerance = "validate.rules.span_edge_white_space.tolerance"
    borne = validate(capsys, folder, "--language", "es", "--set", f"{tolerance}={share * 1.01}")
    assert borne["exit_code"] == 0
    assert broken(borne) == {(VICTIM, "span_edge_white_space")}
    too_many = validate(capsys, folder, "--language", "es", "--set", f"{tolerance}={share * 0.99}")
    assert too_many["exit_code"] == 1


def test_a_hard_rule_cannot_be_tuned(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    override = ["--set", "validate.rules.surface_differs.severity=off"]
    assert main(["validate", str(corpus(tmp_path)), *override, *PARAMS]) == 2
    assert "surface_differs" in capsys.readouterr().err


def test_no_text_reaches_the_report_the_pages_or_the_streams(tmp_path: Path) -> None:
    folder = corpus(tmp_path / "gold")
    long = " ".join([SECRET] * 40)
    sound = [f"T1\tDISEASE 0 {len(long)}\t{long}", f"T3\tDISEASE 0 {len(SECRET) + 1}\t{SECRET} "]
    wrong = [
        f"T2\tDISEASE 0 {len(SECRET)}\tnot {SECRET}",
        f"T4\t{SECRET} 0 4\t{SECRET[:4]}",
        f"{SECRET} is no line",
    ]
    for name, lines in (("planted", sound), ("unreadable", [*sound, *wrong])):
        add_document(folder, name, f"{long}. {SECRET}")
        (folder / "ann" / f"{name}.ann").write_text("\n".join(lines))
    done = subprocess.run(
        [sys.executable, "-m", "enigma_tasks", "validate", str(folder), "--language", "es", "--report",
         str(tmp_path / "report"), "--filtered", str(tmp_path / "filtered")],
        capture_output=True, text=True, cwd=ROOT,
    )  # fmt: skip
    assert "planted" in done.stdout
    assert SECRET not in done.stdout + done.stderr
    files = [p for p in (tmp_path / "report").rglob("*") if p.is_file()]
    assert any("planted" in p.read_text() for p in files if p.name == "defects.jsonl")
    assert not [p for p in files if SECRET.encode() in p.read_bytes()]
    pages = [p.read_text() for p in files if p.suffix == ".html"]
    assert any("1 of 25 break language_differs" in page for page in pages)
    assert not [page for page in pages if 'src="http' in page or '<link rel="stylesheet" href="http' in page]


def test_the_report_goes_to_the_object_store_as_pages(
    tmp_path: Path, s3_root: str, capsys: pytest.CaptureFixture[str]
) -> None:
    validate(capsys, corpus(tmp_path), "--language", "es", "--report", f"{s3_root}/reports/gold")
    assert b"<html" in ObjectStore().get(f"{s3_root}/reports/gold/data-docs/index.html")
    assert json.loads(ObjectStore().get(f"{s3_root}/reports/gold/report.json"))["passed"] is True


def test_a_broken_check_is_told_apart_from_bad_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = Table("reading", None, [Row("a", None)], {"rule": [False]}, {"rule": RuleParams(severity="error")})
    assert results_of([bad]) == {("reading", "rule"): False}
    whole = expectations._expectations
    monkeypatch.setattr(
        expectations, "_expectations", lambda table: whole(replace(table, sound={"gone": [True]}, rules={
            "gone": RuleParams(severity="error")}))
    )  # fmt: skip
    with pytest.raises(BrokenCheckError, match="gone could not be evaluated"):
        results_of([bad])
    assert main(["validate", str(corpus(tmp_path)), "--quiet", *PARAMS]) == 3
    assert "could not be evaluated" in capsys.readouterr().err


def test_the_paper_s_filter_drops_what_it_says_and_reports_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = corpus(tmp_path / "nl", "nl")
    clean = validate(capsys, folder, "--language", "nl")
    plant_long(folder)
    point = text_of(folder, DUTCH_VICTIM).index(".")
    add_span(folder, "DISEASE", point, point + 1, name=DUTCH_VICTIM)
    add_document(folder, "short", "Patiënt is naar huis.")
    add_document(folder, "unreadable", text_of(folder, DUTCH_VICTIM))
    add_span(folder, "DISEASE", 2, 900_000, name="unreadable")
    report = validate(capsys, folder, "--language", "nl", "--filtered", tmp_path / "out")
    assert report["dropped"] == {
        "unreadable": {"span_outside_text": 1},
        "documents": {"document_too_short": 1},
        "spans": {"span_punctuation_only": 1, "span_too_long": 1},
    }
    assert report["exit_code"] == 0
    kept = read_corpus(tmp_path / "out" / "nl")
    assert {d.id: [e.span for e in d.entities] for d in kept} == {
        d.id: [e.span for e in d.entities] for d in notes(NOTES, ["nl"], 7)
    }
    assert report["kept_spans"] == sum(clean["spans"].values())
    assert main(["validate", str(folder), "--filtered", str(tmp_path / "out"), *PARAMS]) == 2
