"""The figures of one night, for summary.json and the morning page: counts and ids, no text."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pydantic import Field, TypeAdapter

from enigma_tasks.estimates import EstimatedF1  # noqa: TC001 - pydantic reads it
from enigma_tasks.frozen import Frozen, json_bytes, read_record
from enigma_tasks.monitoring.moments import Moments  # noqa: TC001 - pydantic reads it

SCORE_BINS = 20
"""Equal bins of a mention's score in [0, 1]."""


class LanguageFigures(Frozen):
    """Figures of one language in one night."""

    annotated: int = 0
    quarantined: int = 0
    entities: dict[str, int] = Field(default_factory=dict)
    """Mentions by label."""
    characters: int = 0
    """Code points of the annotated notes."""
    characters_read: int = 0
    """Of these, how many the models read."""
    garbled: int = 0
    """Annotated notes with a share of garbled characters above `monitor.garbled_share`."""
    measures: dict[str, Moments] = Field(default_factory=dict)
    """By measure (`monitoring.measures`): sums over the annotated notes; empty in a record of an earlier version."""
    found_by: dict[str, int] = Field(default_factory=dict)
    """Member digest -> spans that it found, if it is in an ensemble of the language."""


class ModelFigures(Frozen):
    """A pinned champion."""

    name: str
    version: str
    digest: str = ""


class AliasFigures(Frozen):
    """A registered model whose alias `champion` said otherwise than the journal when the night was planned."""

    name: str
    alias: str
    """The version that it named; empty if there was no alias."""
    champion: str
    """The champion's version; empty if the journal has none."""


class NightFigures(Frozen):
    """Figures of one night. If `published` is False, the counts are those of the finished shards so far."""

    batch_id: str
    planned_at: str
    """ISO 8601, from the plan."""
    published: bool
    listed: int = 0
    done: int = 0
    planned: int = 0
    annotated: int = 0
    quarantined: int = 0
    waiting: dict[str, int] = Field(default_factory=dict)
    """Notes by language, for languages without a champion; they are planned once there is one."""
    deferred: dict[str, int] = Field(default_factory=dict)
    """Notes by language (empty where it is not known) that were more than `plan.max_notes`; the next night has them."""
    rules: dict[str, int] = Field(default_factory=dict)
    """Quarantined notes by rule."""
    languages: dict[str, LanguageFigures] = Field(default_factory=dict)
    scores: dict[str, tuple[int, ...]] = Field(default_factory=dict)
    """By label: mentions in each of SCORE_BINS bins of the model's score."""
    seconds: dict[str, float] = Field(default_factory=dict)
    """By phase, summed over the shards."""
    shards: int = 0
    missing_shards: tuple[str, ...] = ()
    models: dict[str, dict[str, ModelFigures]] = Field(default_factory=dict)
    """language -> entity type -> champion."""
    aliases: tuple[AliasFigures, ...] = ()
    estimated: dict[str, dict[str, EstimatedF1]] = Field(default_factory=dict)
    """language -> label -> estimated strict F1; without those whose champion has no calibration."""

    @property
    def entities(self) -> dict[str, int]:
        """Mentions by label, all languages."""
        totals: dict[str, int] = {}
        for figures in self.languages.values():
            for label, count in figures.entities.items():
                totals[label] = totals.get(label, 0) + count
        return totals

    @property
    def labels(self) -> list[str]:
        """The labels with mentions, sorted."""
        return sorted(self.entities)

    @property
    def entities_total(self) -> int:
        """Mentions of all labels and languages."""
        return sum(self.entities.values())

    @property
    def waiting_total(self) -> int:
        """Notes that wait for a champion."""
        return sum(self.waiting.values())

    @property
    def deferred_total(self) -> int:
        """Notes that wait for the next night."""
        return sum(self.deferred.values())

    @property
    def elsewhere(self) -> int:
        """Planned notes that another night published before this one did."""
        return self.planned - self.annotated - self.quarantined if self.published else 0

    @property
    def seconds_total(self) -> float:
        """Seconds of work, summed over shards and phases: with several workers, more than the elapsed time."""
        return math.fsum(self.seconds.values())

    @property
    def completeness(self) -> float | None:
        """Characters read / characters of the annotated notes; None if there are none."""
        characters = sum(f.characters for f in self.languages.values())
        return ratio(sum(f.characters_read for f in self.languages.values()), characters)

    @property
    def quarantine_share(self) -> float | None:
        """Quarantined notes / notes with an outcome; None if there are none."""
        return ratio(self.quarantined, self.annotated + self.quarantined)

    @property
    def notes_per_second(self) -> float | None:
        """Notes per second of work."""
        return ratio(self.annotated + self.quarantined, self.seconds_total)

    def per_note(self, label: str, language: str | None = None) -> float | None:
        """Mentions of a label per annotated note, in one language or in all; None without notes."""
        chosen = [f for code, f in self.languages.items() if language in (None, code)]
        return ratio(sum(f.entities.get(label, 0) for f in chosen), sum(f.annotated for f in chosen))

    def mean_score(self, label: str) -> float | None:
        """Mean score of a label's mentions, from the centres of the bins; None without mentions."""
        bins = self.scores.get(label, ())
        return ratio(math.fsum(n * (i + 0.5) / SCORE_BINS for i, n in enumerate(bins)), sum(bins))


@dataclass(frozen=True, slots=True)
class ShardTiming:
    """One finished shard."""

    id: str
    language: str
    notes: int
    seconds: dict[str, float]

    @property
    def total(self) -> float:
        """Seconds, all phases."""
        return math.fsum(self.seconds.values())


@dataclass(frozen=True, slots=True)
class QuarantinedNote:
    """A note that broke a rule; the offset's unit is the rule's (see errors.DataError)."""

    record_id: str
    rule: str
    offset: int | None
    language: str | None = None


class Flag(Frozen):
    """Something that the operator should know about a night, with its rule."""

    rule: str
    subject: str
    reason: str
    value: float | None = None
    low: float | None = None
    high: float | None = None


class NightRecord(Frozen):
    """The content of summary.json."""

    figures: NightFigures
    flags: tuple[Flag, ...] = ()
    alerted: tuple[tuple[str, str], ...] = ()
    """(rule, subject) of the flags that were alerted about; later nights pause those (`monitor.alert_pause_nights`)."""


_NIGHT_RECORD = TypeAdapter(NightRecord)


def night_record_bytes(record: NightRecord) -> bytes:
    """`summary.json`."""
    return json_bytes(record.model_dump(mode="json"))


def read_night_record(name: str, data: bytes) -> NightRecord:
    """Back from `night_record_bytes`. Raises DataError as `read_record` does."""
    return read_record(_NIGHT_RECORD, name, data)


def ratio(part: float, whole: float) -> float | None:
    """part / whole, or None if whole is 0."""
    return part / whole if whole else None
