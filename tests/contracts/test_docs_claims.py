"""What pages say of the code is so: commands, anchors, tables, citations, licences, words."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from enigma_tasks import __version__
from enigma_tasks.cli import COMMANDS, build_parser
from enigma_tasks.licences import licence_of
from tests.pages import PAGES, ROOT, anchors, blocks, headings, links, prose, quoted, rows, section

ARCHITECTURE = ROOT / "docs/architecture.md"
GLOSSARY = ROOT / "docs/glossary.md"
LICENCES = ROOT / "docs/licences.md"
REFERENCES = ROOT / "docs/references.md"
MAKEFILE = ROOT / "Makefile"
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_bytes())
SOURCES = sorted([*ROOT.glob("enigma_tasks/**/*.py"), *ROOT.glob("dags/**/*.py"), *ROOT.glob("infra/**/*.py")])
DATED = {"experiments.md"}
"""Entries keep the names of their day."""
FEW_FILES = 3
LARGE = {"spans to PostgreSQL too", "Azure Blob"}
"""Change requests that may touch more files."""


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z][a-z-]*):", MAKEFILE.read_text(), re.MULTILINE))


def parses(words: list[str]) -> bool:
    try:
        build_parser().parse_args(words)
    except SystemExit as stop:
        return stop.code == 0  # --help, --version
    return True


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_command_of_a_page_parses_and_every_target_is_there(page: Path) -> None:
    for block in blocks(page):
        for program, *words in block.commands():
            if program == "make":
                assert {w for w in words if "=" not in w} <= make_targets(), words
                continue
            assert parses(words), f"enigma {' '.join(words)}"
    for word in re.findall(r"`enigma ([a-z]+)", prose(page)):
        assert word in COMMANDS
    assert set(re.findall(r"`make ([a-z-]+)`", prose(page))) <= make_targets()


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_python_blocks_compile(page: Path) -> None:
    for block in blocks(page):
        if block.language == "python":
            compile(block.body, name(page), "exec")


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_with_an_anchor_leads_to_a_heading(page: Path) -> None:
    for target in links(page):
        path, _, anchor = target.partition("#")
        if anchor and not re.match(r"[a-z]+:", target):
            assert anchor in anchors((page.parent / path).resolve() if path else page), target


def test_a_docstring_that_points_to_the_architecture_names_a_heading() -> None:
    pointed = set()
    files = [*SOURCES, *ROOT.glob("tests/**/*.py"), ROOT / "pyproject.toml", ROOT / "params.yaml"]
    for path in files:
        text = path.read_text("utf-8")
        pointed |= set(re.findall(r'docs/architecture\.md,\s+"([^"\n]+)"', text))
        assert not re.search(r"\bdesign,? section", text) or path == Path(__file__), f"{path} points to no page"
    assert pointed
    assert pointed <= set(headings(ARCHITECTURE))


def test_the_tables_are_those_of_the_code() -> None:
    from enigma_tasks.adapters.night_schema import NOTES, SCHEMAS, SPANS

    said: dict[str, set[str]] = {NOTES: set(), SPANS: set()}
    for columns, of_notes, of_spans, _ in rows(section(ARCHITECTURE, "Tables")):
        for table, holds in ((NOTES, of_notes), (SPANS, of_spans)):
            if holds:
                said[table] |= set(quoted(columns))
    assert said == {table: set(SCHEMAS[table].names) for table in said}


def test_commands_and_exit_codes_are_those_of_the_code() -> None:
    from enigma_tasks import errors

    assert {quoted(row[0])[0] for row in rows(section(ARCHITECTURE, "Command line"))} == set(COMMANDS)
    said = {word: int(code) for code, _, words in rows(section(ARCHITECTURE, "Exit codes")) for word in quoted(words)}
    assert said == {word: getattr(errors, word).exit_code for word in said}
    assert {"DataError", "ModelError", "IncompleteError", "UsageError", "ServiceError"} == set(said)


def test_the_rooms_are_those_of_the_package() -> None:
    said = {quoted(row[0])[0].rstrip("/") for row in rows(section(ARCHITECTURE, "Rooms and layers"))}
    assert said == {p.parent.name for p in (ROOT / "enigma_tasks").glob("*/__init__.py")}


def test_ten_change_requests_and_most_of_them_in_few_files() -> None:
    requests = rows(section(ARCHITECTURE, "Ten change requests"))
    assert len(requests) == 10
    for request, files, _ in requests:
        assert quoted(files)
        assert len(re.split("[,;]", files)) <= FEW_FILES or request in LARGE, request


def test_every_base_model_has_its_licence_and_restricted_ensembles_are_named() -> None:
    used = {}
    for member, recipe in PARAMS["members"].items():
        for key in ("base", "backbone"):
            if "/" in recipe.get(key, ""):
                used.setdefault(recipe[key], set()).add(member)
    table = {quoted(row[0])[0]: row for row in rows(section(LICENCES, "Every base model of params.yaml"))}
    assert set(table) == set(used)
    refused = {hub_id for hub_id, row in table.items() if row[2] == "**no**"}
    for hub_id, row in table.items():
        known = licence_of(hub_id)
        assert (row[1], row[2].strip("*").split()[0].rstrip(",")) == (known.licence, known.commercial)
    top, _, _ = section(LICENCES, "Licences").partition("## Every base model")
    assert {hub_id for row in rows(top) for hub_id in quoted(row[1])} == refused
    members = {m for hub_id in refused for m in used[hub_id]}
    assert {m for row in rows(top) for m in quoted(row[0])} == members
    said = re.search(r"most restricted member: (.*?) have one", top, re.DOTALL)
    assert said
    ensembles = {name for name, body in PARAMS["ensembles"].items() if members & set(body["members"])}
    assert set(quoted(said[1])) == ensembles
    unsure = {m for hub_id, row in table.items() if row[2].startswith("unknown") for m in used[hub_id]}
    warned = re.search(r"read the licence on the model's card: (.*?)\.", top, re.DOTALL)
    assert warned
    assert set(quoted(warned[1])) == unsure


def test_every_citation_resolves() -> None:
    lines = REFERENCES.read_text("utf-8").splitlines()
    paper = section(REFERENCES, "The paper")
    for path in [*SOURCES, ROOT / "params.yaml"]:
        text = path.read_text("utf-8")
        for author, year in re.findall(r"\b([A-Z][a-z]+)(?: and (?:others|[A-Z][a-z]+))?,? ((?:19|20)\d\d)\b", text):
            if author not in {"MultiClinNER", "January", "March"}:
                assert any(author in line and year in line for line in lines), f"{path}: {author} {year}"
        for place in re.findall(r"paper, (?:section )?(\d(?:\.\d)?)", text):
            assert re.search(rf"sections? [\d., ]*{re.escape(place)}\b", paper), f"{path}: paper, section {place}"
        for place in re.findall(r"paper, (Table \d)", text):
            assert place in paper
        for standard in re.findall(r"RFC \d+", text):
            assert any(standard in line for line in lines), standard


def not_used() -> dict[str, str]:
    return {w.strip(): row[1] for row in rows(section(GLOSSARY, "Words that are not used")) for w in row[0].split(",")}


@pytest.mark.parametrize("word", sorted(not_used()))
def test_a_word_that_was_replaced_does_not_come_back(word: str) -> None:
    pattern = re.compile(rf"\b{re.escape(word).replace(' ', r'[ ]')}\b", re.IGNORECASE)
    pages = [p for p in PAGES if p.name not in DATED and "benchmarks" not in p.parts and p != GLOSSARY]
    others = [ROOT / "params.yaml", ROOT / "dvc.yaml", MAKEFILE]
    found = []
    for path in [*SOURCES, *pages, *others]:
        for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1):
            if pattern.search(line):
                found.append(f"{name(path)}:{number}")
    assert not found, f"say {not_used()[word]}"


def test_terms_of_the_glossary_are_in_order_and_once() -> None:
    terms = [re.findall(r"\*\*(.+?)\*\*", row[0])[0] for row in rows(GLOSSARY.read_text("utf-8")) if "**" in row[0]]
    assert terms == sorted(set(terms), key=str.lower)


def test_the_version_has_one_source(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        build_parser().parse_args(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"enigma {__version__}\n"
    assert yaml.safe_load((ROOT / "CITATION.cff").read_bytes())["version"] == __version__
    written = subprocess.run(
        ["git", "grep", "-nE", r"^version = \"", "--", "pyproject.toml"], cwd=ROOT, capture_output=True, check=False
    )
    assert not written.stdout


def test_every_page_of_docs_is_in_the_index() -> None:
    index = ROOT / "docs/index.md"
    reached = {(index.parent / t.partition("#")[0]).resolve() for t in links(index)}
    assert {p for p in (ROOT / "docs").glob("*.md") if p != index} <= reached
