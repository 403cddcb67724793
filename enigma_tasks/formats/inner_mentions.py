"""Mentions within the line of another one, whose line end was lost."""

from __future__ import annotations

import re
from bisect import bisect_left

from enigma_tasks.documents import LABELS, canonical_label

# a mention whose line end was lost: what precedes it would be its line, and it a comment there
_INNER_MENTION = re.compile(r"T\w{1,20}([ \t]+)(\S+)[ \t]+-?[0-9]{1,12}[ \t]+-?[0-9]{1,12}(?![^\s;])")
# the same anywhere in a text, with as many digits as follow: a mention in a line may end before the last of them
_MENTION_IN_TEXT = re.compile(r"(?=(T\w{1,20}[ \t]+\S+[ \t]+-?[0-9]{1,12}[ \t]+-?[0-9]{1,12}))")


class MentionsInText:
    """What a text holds that looks like the beginning of a mention's line; found when it is first asked for."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._found: list[str] | None = None

    def __contains__(self, mention: str) -> bool:
        if self._found is None:
            self._found = sorted({match[1] for match in _MENTION_IN_TEXT.finditer(self._text)})
        place = bisect_left(self._found, mention)
        return place < len(self._found) and self._found[place].startswith(mention)


def holds_another(line: str, text: MentionsInText) -> bool:
    """Whether a mention follows within the line, unless the text itself reads so."""
    return any(
        ("\t" in m[1] or canonical_label(m[2]) in LABELS) and m[0] not in text for m in _INNER_MENTION.finditer(line, 1)
    )
