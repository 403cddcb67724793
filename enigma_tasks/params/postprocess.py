"""Post-processing rules of a member (params.yaml, `members.NAME.postprocess`); `text.postprocess` runs them."""

from __future__ import annotations

from pydantic import Field

from enigma_tasks.frozen import Frozen


class PostprocessRules(Frozen):
    """Which rules run. Each is counted under its own name."""

    clip: bool = True
    """Cut a span to the text and trim white space; drop it when nothing is left. Off: a span outside is an error."""
    trim_punctuation: bool = True
    """Trim trailing punctuation, but for the last stop of a dotted abbreviation (`T.A.C.`)."""
    trim_brackets: bool = True
    """Trim a bracket, or double quotation mark, at either end that has no partner inside the span."""
    drop_duplicates: bool = True
    """Of equal spans keep one, the surest."""
    merge_overlapping: bool = True
    """Overlapping spans of one label become their union."""
    merge_adjacent: bool = False
    """So do those with nothing between but white space (no line break) and at most one hyphen, dash or slash. Off: it
    loses on dev (`benchmarks/postprocess_on_dev.py`), and 6 % of the English gold spans are such neighbours."""
    drop_punctuation_only: bool = True
    """Drop a span without a letter or digit."""
    stop_words: bool = True
    """Drop a span that holds nothing but stop-words and numbers, in a language that has stop-words (languages/)."""
    min_characters: int = Field(2, ge=1)
    """Drop a span of fewer characters."""
    short_upper_case: bool = True
    """Drop a span of two characters unless it is upper case (`DM`, `M0`)."""
