"""Garbled characters: UTF-8 that was read in another encoding."""

from __future__ import annotations

import re


def _garbled_pairs() -> str:
    """A pattern of the letters and marks of these languages whose UTF-8 was read in an older encoding."""
    marks = "\u00a0\u2009\u202f\u2010\u2011\u2012\u2013\u2014\u2018\u2019\u201a\u201c\u201d\u201e\u2022\u2026\u2030"
    marks += "\u20ac\u2122\u2190\u2192\u2264\u2265\ufeff"
    letters = "".join(map(chr, range(0xA1, 0x180))) + "\u0218\u0219\u021a\u021b\u0301\u03b1\u03b2\u03b3\u03bc" + marks
    followers: dict[str, set[str]] = {}
    for letter in letters:
        for encoding in ("cp1252", "latin-1", "cp1250", "cp437", "cp850", "mac_roman"):
            try:
                garbled = letter.encode().decode(encoding)
            except UnicodeDecodeError:
                continue
            followers.setdefault(garbled[0], set()).add(garbled[1:])
    return "|".join(
        f"{re.escape(first)}(?:{'|'.join(map(re.escape, sorted(rest)))})" for first, rest in sorted(followers.items())
    )


_GARBLED = re.compile(f"\ufffd|{_garbled_pairs()}")


def garbled_characters(text: str) -> int:
    """Number of garbled characters: U+FFFD, and UTF-8 that was read in another encoding (`Ã³`)."""
    return 0 if text.isascii() else sum(len(m.group()) for m in _GARBLED.finditer(text))
