"""`enigma sample` end to end: corpus folders, the same on S3, and drops; equal seeds give equal bytes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from enigma_tasks.adapters.object_store import ObjectStore
from enigma_tasks.cli import main
from enigma_tasks.formats.corpora import read_corpus
from enigma_tasks.synthetic.generator import generate_note, languages

PARAMS = str(Path(__file__).parents[2] / "params.yaml")


def sampled(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, object]:
    code = main(["sample", "--params", PARAMS, "--quiet", "--json", *arguments])
    output = capsys.readouterr().out
    assert code == 0
    report: dict[str, object] = json.loads(output)
    return report


def files_under(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def objects_under(root: str) -> dict[str, bytes]:
    store = ObjectStore()
    return {o.uri.removeprefix(f"{root}/"): store.get(o.uri) for o in store.list(f"{root}/")}


def test_a_folder_is_a_corpus_a_language_with_the_gold_of_the_generator(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = sampled(capsys, "--notes", "70", "--language", "all", "--seed", "5", "--out", str(tmp_path))
    assert report["notes"] == 70
    assert report["files"] == 140
    spans = 0
    for language in languages():
        documents = {d.id: d for d in read_corpus(tmp_path / language)}
        assert len(documents) == 10
        for index in range(10):
            expected = generate_note(language, index, 5)
            found = documents[expected.id]
            assert found.text == expected.text
            assert found.entities == expected.entities
            spans += len(found.entities)
    assert sum(report["spans"].values()) == spans  # type: ignore[attr-defined]


def test_a_bucket_receives_the_same_keys_and_bytes_as_a_folder(
    s3_root: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    same = ["--notes", "21", "--language", "cs", "ro", "en", "--seed", "8"]
    local = sampled(capsys, *same, "--out", str(tmp_path))
    remote = sampled(capsys, *same, "--out", f"{s3_root}/gold/")
    assert remote["digest"] == local["digest"]
    assert objects_under(f"{s3_root}/gold") == files_under(tmp_path)
    assert len(files_under(tmp_path)) == 42


def test_drops_are_texts_only_in_dated_wards(s3_root: str, capsys: pytest.CaptureFixture[str]) -> None:
    report = sampled(
        capsys, "--notes", "30", "--language", "sv", "it", "--drop-date", "2026-06-11", "--out", f"{s3_root}/drops"
    )
    drops = objects_under(f"{s3_root}/drops")
    assert report["files"] == len(drops) == 30
    for key, data in drops.items():
        language, day, ward, name = key.split("/")
        assert (language in {"sv", "it"}, day, ward[:5]) == (True, "2026-06-11", "ward-")
        index = int(name.removesuffix(".txt").rpartition("-")[2])
        assert data.decode() == generate_note(language, index, 20260611).text
    assert len({key.split("/")[2] for key in drops}) == 12


def test_two_processes_with_other_hash_seeds_agree_and_another_seed_does_not(tmp_path: Path) -> None:
    def digest(hash_seed: str, seed: str) -> str:
        asked = ["--notes", "14", "--language", "all", "--seed", seed, "--out", str(tmp_path / hash_seed)]
        done = subprocess.run(
            [sys.executable, "-m", "enigma_tasks", "sample", *asked, "--params", PARAMS, "--json"],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            check=True,
        )
        return str(json.loads(done.stdout)["digest"])

    first = digest("1", "3")
    assert first == digest("2", "3")
    assert files_under(tmp_path / "1") == files_under(tmp_path / "2")
    assert first != digest("3", "4")


@pytest.mark.parametrize(
    "wrong",
    [
        ["--notes", "0", "--language", "es"],
        ["--notes", "3", "--language", "tlh"],
        ["--notes", "3", "--language", "es", "--drop-date", "11.06.2026"],
    ],
)
def test_wrong_arguments_are_usage_errors_and_write_nothing(
    wrong: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sample", "--params", PARAMS, *wrong, "--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().out == ""
    assert not (tmp_path / "out").exists()


def test_the_release_code_of_czech_is_understood(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = sampled(capsys, "--notes", "2", "--language", "cz", "cs", "--out", str(tmp_path))
    assert [row["language"] for row in report["languages"]] == ["cs"]  # type: ignore[attr-defined]
    assert (tmp_path / "cs").is_dir()
