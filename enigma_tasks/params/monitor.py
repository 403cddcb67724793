"""The section `monitor` of params.yaml: the morning page."""

from __future__ import annotations

from pydantic import Field

from enigma_tasks.frozen import Frozen


class MonitorParams(Frozen):
    """The morning page."""

    nights_compared: int = Field(gt=0)
    nights_needed: int = Field(gt=1)
    """Past nights needed before a figure can be flagged as unusual."""
    notes_needed: int = Field(gt=0)
    """Annotated notes of a night, or of a language in it, needed before its figures per note are compared."""
    unusual_deviations: float = Field(gt=0)
    """Half-width of the usual range around the past nights' median, in scaled median absolute deviations."""
    unusual_share: float = Field(ge=0)
    """Least half-width of that range, as a share of the median."""
    nights_listed: int = Field(gt=0)
    """Newest nights on the page that lists them; the pages of older nights stay."""
    garbled_share: float = Field(gt=0, le=1)
    """A note with a larger share of garbled characters (U+FFFD, UTF-8 read in another encoding) is flagged."""
