"""What the documentation and the docstrings name is there."""

from __future__ import annotations

import re
import subprocess
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from enigma_tasks.config import load_params

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "enigma_tasks"
TRACKED = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
TEXTS = [f for f in TRACKED if f.endswith((".py", ".md", ".yaml", ".toml")) and f != "tests/contracts/test_docs.py"]
TOP = {f.split("/")[0] for f in TRACKED if "/" in f}
EXTENSIONS = {"ann", "csv", "gz", "json", "lock", "py", "toml", "tsv", "txt", "yaml", "md"}


@cache
def modules() -> dict[str, list[Path]]:
    """The package's modules and folders by their last name."""
    found: dict[str, list[Path]] = {}
    for path in PACKAGE.rglob("*"):
        if path.suffix == ".py" or (path.is_dir() and path.name != "__pycache__"):
            found.setdefault(path.stem, []).append(path)
    return found


@cache
def params_keys() -> set[str]:
    """`section.key` of params.yaml, at every depth."""

    def below(tree: object, prefix: str) -> Iterator[str]:
        if isinstance(tree, dict):
            for key, value in tree.items():
                yield f"{prefix}{key}"
                yield from below(value, f"{prefix}{key}.")

    return set(below(yaml.safe_load((ROOT / "params.yaml").read_bytes()), ""))


def holds(place: Path, name: str) -> bool:
    """Whether a module's source has the name, or a folder such a module or folder."""
    if place.is_file():
        return re.search(rf"\b{re.escape(name)}\b", place.read_text()) is not None
    return (place / f"{name}.py").is_file() or (place / name).is_dir() or holds(place / "__init__.py", name)


def dead_imports(text: str) -> Iterator[str]:
    """`enigma_tasks.room.module.Name` of which some part is not there."""
    for match in re.finditer(r"\benigma_tasks((?:\.[A-Za-z_]\w*)+)", text):
        place = PACKAGE
        for name in match[1].removeprefix(".").split("."):
            if not holds(place, name):
                yield match[0]
                break
            if place.is_file():
                break
            place = place / name if (place / name).is_dir() else place / f"{name}.py"
            if not place.exists():
                break


def dead_short_names(text: str) -> Iterator[str]:
    """In backticks: `module.name` where the package has the module, or folder, but not the name in it."""
    for match in re.finditer(r"`([a-z_]+)\.([A-Za-z_]\w*)[\w.]*`", text):
        first, second = match[1], match[2]
        if first not in modules() or second in EXTENSIONS or f"{first}.{second}" in params_keys():
            continue
        is_column = first in {"notes", "spans"} and holds(PACKAGE / "adapters/night_table.py", second)
        if not is_column and second != "NAME" and not any(holds(place, second) for place in modules()[first]):
            yield match[0]


def dead_paths(text: str) -> Iterator[str]:
    """In backticks: paths below a top-level folder, and Python files by name alone."""
    for match in re.finditer(r"`([\w./*-]+)`", text):
        path = match[1]
        if "/" in path:
            if path.split("/")[0] in TOP and not any(ROOT.glob(path.rstrip("/"))):
                yield match[0]
        elif path.endswith(".py") and not any(f.rsplit("/", 1)[-1] == path for f in TRACKED):
            yield match[0]


def dead_links(text: str, folder: Path) -> Iterator[str]:
    """Relative links of Markdown."""
    for match in re.finditer(r"\]\(([\w./-]+)(?:#[\w-]*)?\)", text):
        if not (folder / match[1]).exists():
            yield match[0]


def dead(text: str, page: Path) -> list[str]:
    """Every reference of the text that leads nowhere."""
    links = dead_links(text, page.parent) if page.suffix == ".md" else ()
    return [*dead_imports(text), *dead_short_names(text), *dead_paths(text), *links]


@pytest.mark.parametrize("name", TEXTS)
def test_what_a_text_names_is_there(name: str) -> None:
    assert dead((ROOT / name).read_text(), ROOT / name) == []


@pytest.mark.parametrize(
    "text",
    [
        "see enigma_tasks.validation.HARD_RULES",
        "see enigma_tasks.gold.rules.SOFT_RULES",
        "`ner.standoff`",
        "`standoff.parse_everything`",
        "`tests/unit/test_nothing.py`",
        "`dags/nothing/`",
        "`nothing_at_all.py`",
        "[a page](docs/nothing.md)",
    ],
)
def test_a_planted_dead_reference_is_found(text: str) -> None:
    assert dead(text, ROOT / "README.md")


def test_the_page_of_members_has_every_members_base_model() -> None:
    rows = re.findall(r"^\| (`[^|]+`) \| `([^`|]+)` \|", (ROOT / "docs/members.md").read_text(), re.MULTILINE)
    named = {}
    for members, base in rows:
        first, *others = re.findall(r"`([^`]+)`", members)
        prefix = first.rsplit("-", 1)[0]
        for name in (first, *(f"{prefix}{o}" if o.startswith("-") else o for o in others)):
            named[name] = base
    members = load_params(ROOT / "params.yaml").members
    encoders = {n: m.base for n, m in members.items() if m.kind == "encoder" and m.base != "scratch"}
    assert {n: named.get(n) for n in encoders} == encoders
    assert encoders["xlmr-cs"] == "FacebookAI/xlm-roberta-base"  # the authors' model card of "XLM-R + CRF"
