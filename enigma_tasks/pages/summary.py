"""The content of the morning page."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from enigma_tasks.pages.quality import Quality

if TYPE_CHECKING:
    from collections.abc import Mapping

    from enigma_tasks.monitoring.drift import DriftTest
    from enigma_tasks.pages.figures import Flag, NightFigures, QuarantinedNote, ShardTiming


@dataclass(frozen=True, slots=True)
class NightSummary:
    """A night, and the past nights and reviewed notes that it is compared with."""

    figures: NightFigures
    flags: tuple[Flag, ...] = ()
    usual: dict[str, tuple[float, float]] = field(default_factory=dict)
    """By measure: the usual range in past nights."""
    history: tuple[NightFigures, ...] = ()
    """The past nights for comparison, oldest first."""
    nights_needed: int = 5
    """Past nights needed before a figure is flagged as unusual."""
    shards: tuple[ShardTiming, ...] = ()
    quarantine: tuple[QuarantinedNote, ...] = ()
    quarantine_uri: str = ""
    drift: tuple[DriftTest, ...] = ()
    drift_level: float = 0.01
    """Controlled share of false findings."""
    quality: Quality = field(default_factory=Quality)
    cards: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """(registered model, version) -> a link to its card."""
