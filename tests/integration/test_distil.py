"""`enigma train --teacher --unlabelled`: a student learns from models and ensembles what its own gold does not show."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from enigma_tasks.cli import main
from enigma_tasks.documents import EntityType
from enigma_tasks.ensembles.folder import write_ensemble
from enigma_tasks.ensembles.teachers import load_teachers
from enigma_tasks.ensembles.voting_rule import VotingRule
from enigma_tasks.formats.corpora import write_corpus
from enigma_tasks.ner.digests import data_digest
from enigma_tasks.ner.model_folder import model_digest
from tests.unit.ner_builders import model_folder, notes

TINY = (
    "base: scratch, scratch: {vocabulary: 150, hidden: 16, layers: 1, heads: 2}, window_tokens: 32, overlap_tokens: 8"
)
MEMBERS = [f"members.pupil={{{TINY}, learning_rate: 0.02, batch_size: 4, epochs: 12}}"]
COMMON = ["--params", str(Path(__file__).parents[2] / "params.yaml"), "--quiet", "--json"]
COMMON += [word for value in (*MEMBERS, "split.similarity=0.95") for word in ("--set", value)]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("school")
    write_corpus(notes(5), root / "train")
    write_corpus(notes(6, 100), root / "dev")
    (root / "texts").mkdir()
    for d in [*notes(20, 300), *notes(2, 100)]:
        (root / "texts" / f"u-{d.id}.txt").write_bytes(d.text.encode())
    records = [json.dumps({"id": f"r-{d.id}", "text": d.text}) for d in [*notes(10, 400), *notes(1, 300)]]
    records += ["no json", json.dumps({"id": "r-1", "text": "Visit.", "language": "klingon"})]
    records.append(json.dumps({"id": "r-2", "text": "Patienten mår bra i dag.", "language": "sv"}))
    (root / "records.jsonl").write_text("\n".join(records) + "\n", encoding="utf-8")
    for seed in (1, 2):
        model_folder(root / f"teacher-{seed}", seed=seed, able=True)
    for entity_type in EntityType:
        folders = [root / "teacher-1", root / "teacher-2"]
        write_ensemble(root / "ensembles" / entity_type.value, "es", entity_type, folders, VotingRule("union"))
    return root


def enigma(place: Path, out: str, *more: str, code: int = 0) -> None:
    data = ["--train", str(place / "train"), "--dev", str(place / "dev"), "--out", str(place / out)]
    words = ["train", "--language", "es", "--entity", "all", "--member", "pupil", *data, *COMMON, *more]
    assert main(words) == code


def taught(place: Path, out: str, capsys: pytest.CaptureFixture[str], *teachers: str) -> Any:
    texts = ["--unlabelled", str(place / "texts"), f"es={place / 'records.jsonl'}"]
    enigma(place, out, *[word for t in teachers for word in ("--teacher", str(place / t))], *texts)
    return json.loads(capsys.readouterr().out)


def test_a_student_of_two_teachers_beats_one_that_sees_its_own_few_notes_only(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = taught(place, "pupil", capsys, "teacher-1", "teacher-2")
    enigma(place, "alone")
    alone = json.loads(capsys.readouterr().out)
    assert "unlabelled" not in alone
    assert sum(row["strict_f1"] for row in report["dev"]) > sum(row["strict_f1"] for row in alone["dev"])
    assert report["windows"] > alone["windows"]
    assert report["documents"] == alone["documents"] == {"train": 5, "dev": 6}


def test_what_is_left_out_is_counted_and_the_card_names_teachers_and_texts(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = taught(place, "carded", capsys, "teacher-2", "teacher-1")
    digests = json.loads((place / "carded" / "enigma.json").read_bytes())["digests"]
    assert [digests["teacher.1"], digests["teacher.2"]] == [model_digest(place / f"teacher-{i}") for i in (2, 1)]
    assert len(digests["unlabelled"]) == len(data_digest([]))
    assert report["digest"] == taught(place, "carded-again", capsys, "teacher-2", "teacher-1")["digest"]
    assert report["unlabelled"] == {
        "documents": 30,
        "repeated": 1,
        "of_a_case_in_dev": 2,
        "refused": {"json_invalid": 1, "language_not_configured": 1, "other_language": 1},
        "teachers": 2,
        "teachers_of_other_kinds": 0,
    }


@pytest.mark.parametrize("folder", ["ensembles", "ensembles/disease"])
def test_the_members_of_an_ensemble_teach_each_once(place: Path, folder: str) -> None:
    teachers, others = load_teachers([place / folder, place / "teacher-2"])
    assert [t.digest for t in teachers] == [model_digest(place / f"teacher-{i}") for i in (1, 2)]
    assert others == 0


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ("--unlabelled {}/texts", 2, "need each other"),
        ("--teacher {}/teacher-1", 2, "need each other"),
        ("--teacher {}/teacher-1 --unlabelled {}/texts --member gliner-zero", 2, "no token classifier"),
        ("--teacher {}/texts --unlabelled {}/texts", 1, "enigma.json is missing"),
        ("--teacher {}/teacher-1 --unlabelled {}/dev", 2, "no unlabelled texts are left"),
        ("--teacher {}/teacher-1 --unlabelled {}/nowhere.jsonl", 2, "neither a folder"),
        ("--teacher {}/teacher-1 --unlabelled sv={}/records.jsonl", 2, "in sv"),
    ],
)
def test_what_cannot_be_taught_is_one_clear_line(
    place: Path, words: str, code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    enigma(place, "never", *words.replace("{}", str(place)).split(), code=code)
    error = capsys.readouterr().err
    assert message in error
    assert len(error.strip().splitlines()) == 1
    assert not (place / "never").exists()
