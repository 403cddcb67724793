"""Sentence splitting and packing of sentences (paper, section 3.1), by rules and each language's word lists.

A sentence that is too long does no harm, but an entity that is split is lost. So a full stop ends a sentence only if no
rule is against it. All offsets are code points of the text, half-open.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import TYPE_CHECKING

from enigma_tasks.languages.rules import language_rules
from enigma_tasks.ner.text.invisible import VisibleText

if TYPE_CHECKING:
    from collections.abc import Sequence

    from enigma_tasks.languages.rules import SentenceRules

_BREAKS = "\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"
_TERMINATORS = ".!?…"
_CLOSERS = "\"'”’»)]}"
_OPENERS = "\"'“‘«‹„([{¿¡"
# possessive quantifiers: linear time on any input
_CANDIDATE = re.compile(
    rf"(?<![{_TERMINATORS}])[{_TERMINATORS}]++[{re.escape(_CLOSERS)}]*+(?=\s)|(?P<line>[{_BREAKS}]\s*+)"
)
_GAP = re.compile(r"\s*+")
_LINE_BREAK = re.compile(rf"\r\n|[{_BREAKS}]")
_BRACKETED = re.compile(rf"\([^(){_BREAKS}]{{0,300}}+\)|\[[^\[\]{_BREAKS}]{{0,300}}+\]")
_LIST_ITEM = re.compile(r"(?:[-–—•*·●▪■○◦►▶✓+>]|\d{1,2}[.)]-?|\d{1,2}\.-|[a-zA-Z]\))\s*(?=[^\W_])|[•●▪■○◦►▶✓]")
_WORD = re.compile(r"[^\W_]+(?:['’‑-][^\W_]+)*")
_NUMBER = re.compile(r"[-+<>≥≤~±]?\d+(?:[.,/:]\d+)*")
_ROMAN = re.compile(r"[IVX]{1,5}")
_DOTTED = re.compile(r"[^\W\d_]{1,4}(?:\.[^\W\d_]{1,4})+")
_LOOK_BACK = 48  # characters read before a full stop: its token and the one before
_WRAPPED_LINE = 60  # a line of this length without a full stop may have been wrapped


def split_sentences(text: str, language: str) -> list[tuple[int, int]]:
    """Spans of the sentences of `text`, in order, trimmed, none empty; they cover every character but white space.

    A language without word lists uses the common ones. Linear time. Invisible characters have no influence
    (`ner.text.invisible`).
    """
    visible = VisibleText.of(text)
    return visible.with_neighbours(_split_visible(visible.text, language))


def _split_visible(text: str, language: str) -> list[tuple[int, int]]:
    rules = language_rules(language).sentences
    pairs = [m.span() for m in _BRACKETED.finditer(text)]
    opened = [start for start, _ in pairs]
    spans: list[tuple[int, int]] = []
    start = line_start = 0
    for match in _CANDIDATE.finditer(text):
        if match["line"] is not None:
            end, following = match.start(), match.end()
            ends = _ends_at_line_break(text, line_start, end, following, rules)
            line_start = following
        else:
            end, following = match.end(), _end_of_gap(text, match.end())
            if following == len(text) or _LINE_BREAK.search(text, end, following):
                continue  # the end of the text, or the line break that follows decides
            here = bisect_right(opened, end) - 1
            ends = not (here >= 0 and end < pairs[here][1]) and _ends_at_stop(
                text, start, match.span(), following, rules
            )
        if ends:
            _append(spans, text, start, end)
            start = following
    _append(spans, text, start, len(text))
    return spans


def pack_sentences(sentences: Sequence[tuple[int, int]], lengths: Sequence[int], budget: int) -> list[tuple[int, int]]:
    """Character spans of chunks: neighbouring sentences joined greedily while their lengths (sub-words) fit `budget`.

    A sentence longer than the budget is a chunk by itself.

    Raises:
        ValueError: not one length per sentence.
    """
    chunks: list[tuple[int, int]] = []
    used = 0
    for (start, end), length in zip(sentences, lengths, strict=True):
        if chunks and used + length <= budget:
            chunks[-1] = (chunks[-1][0], end)
            used += length
        else:
            chunks.append((start, end))
            used = length
    return chunks


def _append(spans: list[tuple[int, int]], text: str, start: int, end: int) -> None:
    piece = text[start:end]
    stripped = piece.lstrip()
    if stripped:
        spans.append((start + len(piece) - len(stripped), start + len(piece.rstrip())))


def _end_of_gap(text: str, position: int) -> int:
    match = _GAP.match(text, position)
    return match.end() if match else position


def _ends_at_line_break(text: str, line_start: int, end: int, following: int, rules: SentenceRules) -> bool:
    """Whether the line text[line_start:end] ends a sentence, the next one beginning at `following`."""
    gap, line = text[end:following], text[line_start:end].rstrip()
    if following == len(text) or not line:
        return False
    if (gap != "\n" and len(_LINE_BREAK.findall(gap)) > 1) or _LIST_ITEM.match(text, following):
        return True
    continued = _first_letter(text, following).islower()
    body = line.rstrip(_CLOSERS)
    if body and body[-1] in _TERMINATORS:
        token, before = _tokens_before(text, line_start, line_start + len(body.rstrip(_TERMINATORS)))
        abbreviated = continued and _may_be_abbreviated(token, before, rules)
        return not abbreviated and not _listed(token, rules.never_end)
    return line[-1] in ":;" or not (continued or _runs_on(line, text[following], rules))


def _runs_on(line: str, first: str, rules: SentenceRules) -> bool:
    """Whether a line without a full stop continues in the next one, which begins with `first`, no small letter."""
    return (
        first in ",.;:)]}%"
        or line[-1] in ",([{/-–—+=<>"
        or line[-12:].rsplit(maxsplit=1)[-1].lower() in rules.function_words
        or (first.isdecimal() and len(line) >= _WRAPPED_LINE)
    )


def _ends_at_stop(text: str, start: int, stop: tuple[int, int], following: int, rules: SentenceRules) -> bool:
    """Whether the stop ends the sentence begun at `start`; the next token of the line begins at `following`."""
    first = _first_letter(text, following)
    if first.islower() and not _mixed_case(text, following):
        return False
    if not (first.isalnum() or text[following] in "-–—•*"):
        return False
    mark, (token, before) = text[slice(*stop)], _tokens_before(text, start, stop[0])
    if mark != ".":
        # "?", "!", "..." or a full stop with closers; "(?)" does not end a sentence
        return not (mark[0] in "?!" and token in _OPENERS) and not _listed(token, rules.never_end)
    word = _WORD.search(text, following, following + _LOOK_BACK)
    opens = word is not None and word.group()[0].isupper() and word.group().lower() in rules.starters
    if _listed(token, rules.never_end) or (first.isdecimal() and _listed(token, rules.before_digit)):
        return False
    return not token or _ends_after(token, before, opens, first, rules)


def _ends_after(token: str, before: str, opens: bool, first: str, rules: SentenceRules) -> bool:
    """Whether "token." ends a sentence; `opens`: a known first word follows, which begins with `first`."""
    if _NUMBER.fullmatch(token):
        return _ends_after_number(token, before, opens, first, rules)
    if len(token) == 1 and token.isalpha() and token.isupper():  # an initial, "S. Aureus", or "hepatitis C."
        return opens or (first.isupper() and (before.lower() in rules.letter_nouns or before[-1:] in ("º", "°")))
    if _listed(token, rules.may_end) or (len(token) == 1 and token.isalpha()):
        return first.isupper()
    if _DOTTED.fullmatch(token) or (rules.ordinals and _ROMAN.fullmatch(token)):
        return opens
    return True


def _ends_after_number(token: str, before: str, opens: bool, first: str, rules: SentenceRules) -> bool:
    whole = token.isdecimal() and len(token) <= 2
    if whole and not before:
        return False  # the number of a list item or a heading
    if first.isdecimal():
        return not whole and len(token) > 2  # dates and amounts with spaces: "3. 5. 2021", "7. 5 cm"
    return opens if whole and rules.ordinals else True


def _listed(token: str, words: frozenset[str]) -> bool:
    """Whether the token is in a list; a token in capitals (ST, MR) is an acronym, unless listed in capitals."""
    return token in words or (not token.isupper() and token.lower() in words)


def _may_be_abbreviated(token: str, before: str, rules: SentenceRules) -> bool:
    """Whether a full stop after `token` may be part of it, where a small letter follows on the next line."""
    return (
        _listed(token, rules.may_end)
        or len(token) == 1
        or _DOTTED.fullmatch(token) is not None
        or (_NUMBER.fullmatch(token) is not None and (rules.ordinals or not before))
    )


def _tokens_before(text: str, start: int, stop: int) -> tuple[str, str]:
    """The token that ends at `stop` and the one before it, without opening brackets and quotes; "" if there is none."""
    piece = text[max(start, stop - _LOOK_BACK) : stop]
    if not piece or piece[-1].isspace():
        return "", ""
    *rest, token = piece.rsplit(None, 2)
    return token.lstrip(_OPENERS) or token, rest[-1].lstrip(_OPENERS) if rest else ""


def _first_letter(text: str, position: int) -> str:
    """The first character from `position` on that is no opening bracket or quote."""
    piece = text[position : position + 4].lstrip(_OPENERS)
    return piece[0] if piece else text[position]


def _mixed_case(text: str, position: int) -> bool:
    """Whether a word such as pH, mRNA or iPTH begins here, which may begin a sentence."""
    return any(c.isupper() for c in text[position + 1 : position + 3])
