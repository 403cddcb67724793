"""HTML as a browser shows it -> the text that was annotated.

Label Studio's `globalOffsets` count the characters of the text nodes, and a `<br>` as one: in code points (version
1.23; the unit is found as for any other span), and without white space at the head of the page, which browsers drop.
Between two blocks nothing is counted; a line end is inserted there, so that the last word of one and the first of the
next stay two.
"""

from __future__ import annotations

import re
from html import unescape
from html.parser import HTMLParser

from enigma_tasks.formats.offset_units import Content

_BLOCKS = frozenset(
    {
        *("address", "article", "aside", "blockquote", "body", "dd", "div", "dl", "dt", "fieldset", "footer", "form"),
        *("h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "li", "main", "nav", "ol", "p", "pre", "section"),
        *("table", "td", "th", "tr", "ul"),
    }
)
_UNSEEN = frozenset({"script", "style", "head", "title", "template", "noscript"})
_MOST_BROKEN = 100
"""Tags without an end."""
_ELEMENT = re.compile(
    r"</?(?:html|body|head|style|script|p|div|span|br|hr|b|i|u|em|strong|font|table|tr|td|th|ul|ol|li|h[1-6]|pre|a|sup|sub)\b[^<>]*>",
    re.IGNORECASE,
)


def has_markup(text: str) -> bool:
    """The text holds an element of HTML; `TA <90` does not."""
    return bool(_ELEMENT.search(text))


def shown(html: str, *, body_only: bool = False) -> Content:
    """The text of `html` as a browser shows it.

    Args:
        html: a document or a piece of one.
        body_only: leave out what stands outside `<body>`.
    """
    reader = _Reader(body_only=body_only)
    reader.read(html)
    return Content("".join(reader.parts), frozenset(reader.inserted))


class _Reader(HTMLParser):
    def __init__(self, *, body_only: bool) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self.inserted: list[int] = []
        self._length = 0
        self._break = False
        self._unseen = 0
        self._outside = body_only

    def read(self, html: str) -> None:
        """All of the text, once. As HTMLParser does at the end of a text, a tag that does not end is text itself.

        For each such tag it would read all that follows, so after many of them the rest is not read as markup.
        """
        self.feed(html)
        for _ in range(_MOST_BROKEN):
            tail = self.rawdata
            if not tail.startswith("<"):
                break
            cut = tail.find(">", 1) + 1 or max(tail.find("<", 1), 1)
            self.rawdata = ""
            self.handle_data(unescape(tail[:cut]))
            self.feed(tail[cut:])
        if self.rawdata.startswith("<"):
            self.handle_data(self.rawdata)
            self.rawdata = ""
        self.close()

    def parse_marked_section(self, i: int, report: bool = True) -> int:
        """`<![if ...]>` and the like; HTMLParser raises AssertionError for what is none of those that it knows."""
        try:
            return super().parse_marked_section(i, report)
        except AssertionError:
            return self.parse_bogus_comment(i)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002 - the base's
        if tag == "body":
            self._outside = False
        if tag in _UNSEEN:
            self._unseen += 1
        elif tag == "br" and not self._hidden:
            self._add("\n")
        self._break = self._break or tag in _BLOCKS

    def handle_endtag(self, tag: str) -> None:
        if tag in _UNSEEN and self._unseen:
            self._unseen -= 1
        self._break = self._break or tag in _BLOCKS

    def handle_data(self, data: str) -> None:
        if self._hidden:
            return
        apart = not self.parts or self.parts[-1][-1:].isspace() or data[:1].isspace()
        if self._break and not apart:
            self.inserted.append(self._length)
            self._add("\n")
        self._break = False
        self._add(data)

    @property
    def _hidden(self) -> bool:
        return bool(self._unseen or self._outside)

    def _add(self, text: str) -> None:
        self.parts.append(text)
        self._length += len(text)
