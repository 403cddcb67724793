"""A training project of one's own: this project's training path on imported gold, in a bare git repository."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("enigma_tasks", "frozen", ".dvc", ".dvcignore", ".gitignore", "dvc.yaml", "models.lock", "params.yaml")
WHO = ("-c", "user.name=Enigma", "-c", "user.email=enigma@localhost")


def make(
    repository: Path, languages: Iterable[str] | None = None, edit: Callable[[dict[str, Any]], None] | None = None
) -> str:
    """Create the repository with one commit; returns the commit.

    `languages`: those that are trained, by default all. `edit`: changes the tree of params.yaml.
    """
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(repository)], check=True)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "project"
        _copy(folder)
        _on_gold(folder / "dvc.yaml")
        _of_languages(folder / "params.yaml", languages, edit)
        git(folder, "init", "-q", "-b", "main")
        git(folder, "add", "--all")
        git(folder, "commit", "-q", "-m", "The training path, on gold")
        git(folder, "push", "-q", str(repository), "main")
        return git(folder, "rev-parse", "HEAD").strip()


def change(repository: Path, edit: Callable[[Path], None], subject: str) -> str:
    """Commit a change to the project, as a person would; returns the commit. `edit`: changes files of a clone."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "project"
        git(Path(scratch), "clone", "-q", str(repository), str(folder))
        edit(folder)
        git(folder, "add", "--all")
        git(folder, "commit", "-q", "-m", subject)
        git(folder, "push", "-q", "origin", "main")
        return git(folder, "rev-parse", "HEAD").strip()


def git(folder: Path, *words: str) -> str:
    """Run git in a folder; returns its standard output."""
    return subprocess.run(["git", *WHO, *words], cwd=folder, check=True, capture_output=True, text=True).stdout


def _copy(folder: Path) -> None:
    folder.mkdir()
    leave_out = shutil.ignore_patterns("__pycache__", "*.pyc", "cache", "tmp", "config.local")
    for name in PARTS:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=leave_out)
        else:
            shutil.copyfile(source, folder / name)


def _on_gold(path: Path) -> None:
    tree = yaml.safe_load(path.read_bytes())
    tree["vars"][0]["gold"] = "gold"
    path.write_text(yaml.safe_dump(tree, sort_keys=False))


def _of_languages(path: Path, wanted: Iterable[str] | None, edit: Callable[[dict[str, Any]], None] | None) -> None:
    tree = yaml.safe_load(path.read_bytes())
    languages = list(tree["languages"] if wanted is None else wanted)
    tree["languages"] = {code: tree["languages"][code] for code in languages}
    tree["training"] = {k: v for k, v in tree["training"].items() if v["language"] in languages}
    tree["ensembles"] = {code: tree["ensembles"][code] for code in languages}
    tree["validate"]["languages"] = {k: v for k, v in tree["validate"]["languages"].items() if k in languages}
    if edit:
        edit(tree)
    path.write_text(yaml.safe_dump(tree, sort_keys=False))
