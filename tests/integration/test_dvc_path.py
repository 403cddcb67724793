"""The training path under DVC: in a clean clone of the working tree, over git, with its remote on the S3 server."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from enigma_tasks.cli import build_parser
from enigma_tasks.config import load_params
from enigma_tasks.formats.corpora import read_corpus
from enigma_tasks.gold.augmented import METHODS
from enigma_tasks.gold.cases import cases_under

ROOT = Path(__file__).parents[2]
SMALL = {"vocabulary": 300, "hidden": 32, "layers": 1, "heads": 2}
WHO = ["-c", "user.name=tester", "-c", "user.email=tester@localhost"]


def git(folder: Path, *words: str) -> str:
    return subprocess.run(["git", *WHO, *words], cwd=folder, check=True, capture_output=True, text=True).stdout


def dvc(folder: Path, *words: str, code: int = 0) -> str:
    """What a DVC command says; `enigma` is found as in a shell with the environment switched on."""
    tools = str(Path(sys.executable).parent)
    places = {name: str(folder.parent / name.lower()) for name in ("DVC_SITE_CACHE_DIR", "DVC_GLOBAL_CONFIG_DIR")}
    env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    env |= {"PATH": f"{tools}{os.pathsep}{os.environ['PATH']}", "DVC_NO_ANALYTICS": "1", **places}
    done = subprocess.run([sys.executable, "-m", "dvc", *words], cwd=folder, env=env, capture_output=True, text=True)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def clean_clone(folder: Path) -> Path:
    """The working tree as it would be committed now."""
    names = git(ROOT, "ls-files", "-co", "--exclude-standard", "-z").split("\0")
    for name in filter(None, names):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
    git(folder, "init", "-q", "-b", "main")
    commit(folder)
    return folder


def commit(folder: Path) -> None:
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "--no-verify", "--allow-empty", "-m", "next")


def change(path: Path, edit: Any) -> None:
    tree = yaml.safe_load(path.read_bytes())
    edit(tree)
    path.write_text(yaml.safe_dump(tree, sort_keys=False))


def smaller(params: dict[str, Any], languages: tuple[str, ...]) -> None:
    """Few languages, and a member that takes seconds."""
    params["languages"] = {code: params["languages"][code] for code in languages}
    params["training"] = {k: v for k, v in params["training"].items() if v["language"] in params["languages"]}
    params["ensembles"] = {code: params["ensembles"][code] for code in params["languages"]}
    params["validate"]["languages"] = {}
    for member in {row["member"] for row in params["training"].values()}:
        params["members"][member] |= {"scratch": SMALL, "epochs": 3, "batch_size": 4}


def reproduced(folder: Path, *languages: str) -> Path:
    """A clone where `dvc repro` has run for these languages, committed."""
    clean_clone(folder)
    change(folder / "params.yaml", lambda tree: smaller(tree, languages))
    change(folder / "dvc.yaml", lambda tree: tree["vars"][0].update(sample_notes=24))
    dvc(folder, "repro")
    commit(folder)
    return folder


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return reproduced(tmp_path_factory.mktemp("path") / "clone", "es")


def stages() -> dict[str, dict[str, Any]]:
    return yaml.safe_load((ROOT / "dvc.yaml").read_bytes())["stages"]


def test_every_stage_runs_its_own_sub_command_with_words_that_the_parser_knows() -> None:
    parser = build_parser()
    filled = {
        "${sample_notes}": "3",
        "${item.augmentation}": METHODS[0],
        "$(printf -- '--model %s ' ": "--model '(",
        "$(test ! -e frozen/${key}.dvc || echo --frozen frozen/${key})": "--frozen frozen/es",
    }
    for word, stage in stages().items():
        commands = stage["do"]["cmd"]
        command = (commands if isinstance(commands, str) else commands[-1]).partition(" > ")[0]
        for left, right in filled.items():
            command = command.replace(left, right)
        program, *words = shlex.split(command.replace("members/*)", "members'"))
        assert program == "enigma"
        assert words[0] == word
        parser.parse_args(words)


def test_a_language_can_be_augmented_in_every_way_that_there_is() -> None:
    for method in METHODS:
        assert load_params(ROOT / "params.yaml", [f"languages.es.augmentation={method}"])


def test_the_path_trains_only_languages_and_members_that_there_are() -> None:
    params = load_params(ROOT / "params.yaml")
    for name, row in params.training.items():
        assert name == f"{row.language}-{row.member}"
        assert row.language in params.languages
        assert row.member in params.members
    assert {row.language for row in params.training.values()} == set(params.languages)
    wanted = {(code, member) for code in params.languages for member in params.ensemble_of(code).members}
    assert wanted == {(row.language, row.member) for row in params.training.values()}
    assert all(params.ensemble_of(code).language == code for code in params.languages)


def test_the_settings_that_are_shared_hold_no_remote_no_secret_and_no_phoning_home() -> None:
    settings = dvc(ROOT, "config", "--project", "--list").split()
    assert sorted(settings) == ["core.analytics=false", "core.autostage=false", "core.check_update=false"]


def test_the_path_runs_and_a_second_run_does_nothing(clone: Path) -> None:
    before = (clone / "dvc.lock").read_bytes()
    said = dvc(clone, "repro")
    assert "Running stage" not in said
    assert "Data and pipelines are up to date." in said
    assert (clone / "dvc.lock").read_bytes() == before
    assert dvc(clone, "status").strip() == "Data and pipelines are up to date."
    assert git(clone, "status", "--porcelain") == ""


def test_each_language_and_type_is_one_packed_file(clone: Path) -> None:
    found = sorted(p.relative_to(clone / "data/sample").as_posix() for p in (clone / "data/sample").rglob("*.*"))
    assert found == [f"es/{t}.jsonl.gz" for t in ("disease", "procedure", "symptom")]
    assert all(p.suffix in (".gz", ".json", ".jsonl") for p in (clone / "data").rglob("*") if p.is_file())


def test_what_is_measured_was_not_trained_on(clone: Path) -> None:
    params = load_params(clone / "params.yaml")
    folds = [read_corpus(clone / f"data/split/es/{name}") for name in ("train", "dev", "test")]
    places = [number for number, own in enumerate(folds) for _ in own]
    for case in cases_under([d for own in folds for d in own], params):
        assert len({places[i] for i in case}) == 1
    metrics = json.loads((clone / "metrics/es/metrics.json").read_text())
    assert metrics["documents"] == len(folds[2]) > 0


def test_dvc_reads_the_metrics_and_draws_the_plots(clone: Path) -> None:
    shown = json.loads(dvc(clone, "metrics", "show", "--json"))[""]["data"]
    assert list(shown) == ["metrics/es/metrics.json"]
    assert shown["metrics/es/metrics.json"]["data"]["by_entity"]["disease"]["strict"]["f1"] >= 0
    plots = dvc(clone, "plots", "show", "--json", "-o", str(clone.parent / "plots"))
    drawn = {name for name, own in json.loads(plots)["data"].items() if own}
    assert drawn == {"metrics/es/slices.csv", "metrics/es/es-tiny.json"}
    assert json.loads(plots).get("errors", []) == []


def files(folder: Path) -> dict[str, bytes]:
    roots = [folder / "data", folder / "models", folder / "metrics"]
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for r in roots for p in sorted(r.rglob("*")) if p.is_file()
    }


def test_what_one_clone_pushes_another_pulls_byte_for_byte(clone: Path, s3_root: str, tmp_path: Path) -> None:
    remote = ["remote", "add", "--local", "--default", "--force", "storage", f"{s3_root}/dvc"]
    dvc(clone, *remote)
    dvc(clone, "push")
    assert git(clone, "status", "--porcelain") == ""
    other = tmp_path / "other"
    git(tmp_path, "clone", "-q", str(clone), str(other))
    assert not (other / "data").exists()
    dvc(other, *remote)
    dvc(other, "pull")
    assert files(other) == files(clone)
    assert dvc(other, "status").strip() == "Data and pipelines are up to date."
    assert "Running stage" not in dvc(other, "repro")


@pytest.mark.slow
@pytest.mark.timeout(2700)
def test_a_change_in_one_language_runs_that_language_again_and_shows_in_the_metrics(tmp_path: Path) -> None:
    clone = reproduced(tmp_path / "clone", "es", "ro")

    def edit(params: dict[str, Any]) -> None:
        params["members"]["short"] = params["members"]["tiny"] | {"epochs": 1}
        params["training"]["ro-tiny"]["member"] = "short"
        params["ensembles"]["ro"]["members"] = ["short"]

    change(clone / "params.yaml", edit)
    shutil.rmtree(clone / "models/ro/members/tiny")  # DVC leaves it, `enigma ensemble` would refuse it
    said = dvc(clone, "repro")
    ran = {line.split("'")[1] for line in said.splitlines() if line.startswith("Running stage")}
    assert ran == {"train@ro-tiny", "ensemble@ro", "evaluate@ro"}
    difference = json.loads(dvc(clone, "metrics", "diff", "--json"))
    assert set(difference) == {"metrics/ro/metrics.json"}
    assert difference["metrics/ro/metrics.json"]["strict.f1"]["diff"]


@pytest.mark.slow
@pytest.mark.timeout(2700)
def test_all_languages_run_from_a_clean_clone(tmp_path: Path) -> None:
    folder = clean_clone(tmp_path / "clone")
    dvc(folder, "repro")
    assert dvc(folder, "status").strip() == "Data and pipelines are up to date."
    for code in load_params(folder / "params.yaml").languages:
        metrics = json.loads((folder / f"metrics/{code}/metrics.json").read_text())
        assert metrics["strict"]["f1"] > 0.5, code
