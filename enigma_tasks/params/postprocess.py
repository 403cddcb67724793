"""Post-processing rules of a member (params.yaml, `members.NAME.postprocess`), for `ner.text.postprocess`."""

from __future__ import annotations

from pydantic import Field

from enigma_tasks.frozen import Frozen


class PostprocessRules(Frozen):
    """Which rules run; their changes are counted by name."""

    clip: bool = True
    """Clip a span to the text and trim white space; drop an empty one. Off: a span outside the text is an error."""
    trim_punctuation: bool = True
    """Trim trailing punctuation, except the last full stop of a dotted abbreviation (`T.A.C.`)."""
    trim_brackets: bool = True
    """Trim an unbalanced bracket or double quotation mark at either end."""
    drop_duplicates: bool = True
    """Of equal spans keep the one with the highest score."""
    merge_overlapping: bool = True
    """Overlapping spans of one label become their union."""
    merge_adjacent: bool = False
    """Likewise spans with only white space (no line break) and at most one hyphen, dash or slash between. Off, as it
    lowers scores on dev (`benchmarks/postprocess_on_dev.py`): 6 % of the English gold spans are such neighbours."""
    drop_punctuation_only: bool = True
    """Drop a span without a letter or digit."""
    stop_words: bool = True
    """Drop a span of stop-words and numbers only, in languages with a list of stop-words (languages/)."""
    min_characters: int = Field(2, ge=1)
    """Drop a span of fewer characters."""
    short_upper_case: bool = True
    """Drop a span of two characters unless it is upper case (`DM`, `M0`)."""
