"""The section `monitor` of params.yaml: the morning page, drift, the control chart, alerts."""

from __future__ import annotations

from pydantic import Field

from enigma_tasks.frozen import Frozen


class DriftParams(Frozen):
    """Tests of a night's figures against those of past nights; see monitoring/drift.py."""

    false_discoveries: float = Field(gt=0, lt=1)
    """Controlled share of false findings among a night's findings; on a quiet night, the probability of any."""
    least_variation: float = Field(gt=0, lt=1)
    """Least standard deviation of a figure between nights, as a share of it: smaller changes are not looked for."""


class ReviewedParams(Frozen):
    """Strict F1 on reviewed notes."""

    level: float = Field(gt=0, lt=1)
    """Of the intervals."""
    weeks: int = Field(gt=0)
    """Shown on the pages."""
    notes_needed: int = Field(gt=1)
    """Reviewed notes that an interval or a judgement by the floor needs."""
    floor: float = Field(gt=0, lt=1)
    """Strict F1 of a language and type: retraining is asked for when the whole interval is below."""
    floor_weeks: int = Field(gt=0)
    """Weeks whose notes are judged by the floor."""


class ChartParams(Frozen):
    """The control chart (CUSUM) of strict F1 on reviewed notes."""

    false_alarm_nights: int = Field(ge=200)
    """Mean number of quiet nights between two false alarms, over all charts together."""
    fall: float = Field(gt=0, lt=1)
    """The fall of strict F1 for which the chart is made."""
    notes: int = Field(gt=0)
    """Reviewed notes a night, for which the delay is stated."""
    reference_notes: int = Field(gt=1)
    """Reviewed notes that say what is usual, before the chart begins."""
    found_share: float = Field(gt=0, lt=1)
    """Share of such falls that are found within the stated delay."""


class MonitorParams(Frozen):
    """The morning page and what is watched."""

    nights_compared: int = Field(gt=0)
    nights_needed: int = Field(gt=1)
    """Past nights needed before a figure can be flagged as unusual."""
    notes_needed: int = Field(gt=1)
    """Annotated notes of a night, or of a language in it, needed before its figures are compared."""
    unusual_deviations: float = Field(gt=0)
    """Half-width of the usual range around the past nights' median, in scaled median absolute deviations."""
    unusual_share: float = Field(ge=0)
    """Least half-width of that range, as a share of the median."""
    nights_listed: int = Field(gt=0)
    """Newest nights on the page that lists them; the pages of older nights stay."""
    garbled_share: float = Field(gt=0, le=1)
    """A note with a larger share of garbled characters (U+FFFD, UTF-8 read in another encoding) is flagged."""
    alert_pause_nights: int = Field(ge=0)
    """After an alert, nights in which the same rule does not alert again about the same subject."""
    drift: DriftParams
    reviewed: ReviewedParams
    chart: ChartParams
