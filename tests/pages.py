"""The project's pages for people, read as text: their code blocks, links, headings and tables."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("docs/decisions/*.md"), *ROOT.glob("*/README.md")]
)
_FENCE = re.compile(r"^(?P<indent> *)```(?P<info>[^\n`]*)\n(?P<body>.*?)^(?P=indent)```\s*$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(?<!`)\[[^\]]*\]\((?P<target>[^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} +(?P<text>.+?) *$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """One fenced block: its info string is a language, and perhaps a second word that says what a test does with it."""

    page: Path
    language: str
    mark: str
    body: str

    def commands(self) -> Iterator[list[str]]:
        """The words of each line that calls `enigma` or `make`, without comments; continued lines are joined."""
        for line in self.body.replace("\\\n", " ").splitlines():
            if re.match(r"(enigma|make)\s", line.strip()):
                yield shlex.split(line, comments=True)


def blocks(page: Path) -> list[Block]:
    """A page's fenced blocks, in order, their common indentation removed."""
    found = []
    for match in _FENCE.finditer(page.read_text("utf-8")):
        language, _, mark = match["info"].strip().partition(" ")
        indent = len(match["indent"])
        body = "".join(line[indent:] if line.strip() else line for line in match["body"].splitlines(keepends=True))
        found.append(Block(page, language, mark.strip(), body))
    return found


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return _FENCE.sub("", page.read_text("utf-8"))


def links(page: Path) -> list[str]:
    """The targets of a page's links."""
    return [m["target"] for m in _LINK.finditer(prose(page))]


def headings(page: Path) -> list[str]:
    """The texts of a page's headings."""
    return [m["text"] for m in _HEADING.finditer(prose(page))]


def anchors(page: Path) -> set[str]:
    """What a link may name after `#`: headings as GitHub turns them into anchors."""
    kept = (re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings(page))
    return set(kept)


def section(page: Path, heading: str) -> str:
    """The text from a heading to the next one of its level or above."""
    text = page.read_text("utf-8")
    start = re.search(rf"^(#+) {re.escape(heading)}\n", text, re.MULTILINE)
    assert start, f"{page.name} has no heading {heading!r}"
    end = re.search(rf"^#{{1,{len(start[1])}}} ", text[start.end() :], re.MULTILINE)
    return text[start.end() :] if end is None else text[start.end() : start.end() + end.start()]


def rows(text: str) -> list[list[str]]:
    """The cells of a Markdown table's rows, without its head."""
    lines = [line.strip() for line in text.splitlines() if line.strip().startswith("|")]
    cells = [[c.strip() for c in line.strip("|").split("|")] for line in lines]
    kept: list[list[str]] = []
    for i, row in enumerate(cells):
        rule = all(re.fullmatch(r":?-+:?", c) for c in row)
        head = i + 1 < len(cells) and all(re.fullmatch(r":?-+:?", c) for c in cells[i + 1])
        if not rule and not head:
            kept.append(row)
    return kept


def quoted(text: str) -> list[str]:
    """What stands in backticks."""
    return re.findall(r"`([^`\n]+)`", text)
