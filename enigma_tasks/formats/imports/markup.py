"""HTML as a browser shows it -> the text that was annotated.

Label Studio's `globalOffsets` count the characters of the text nodes, and a `<br>` as one: in code points (version
1.23; the unit is found as for any other span), and without white space at the head of the page, which browsers drop.
Between two blocks nothing is counted; a line end is inserted there, so that the last word of one and the first of the
next stay two.
"""

from __future__ import annotations

import re
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
    reader.feed(html)
    reader.close()
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
