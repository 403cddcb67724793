"""Flags for what is wrong or unusual in a night, compared with past nights."""

from __future__ import annotations

import itertools
import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from enigma_tasks.pages.figures import Flag, LanguageFigures, NightFigures, ratio
from enigma_tasks.pages.verdict import NOTICES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from enigma_tasks.params.monitor import MonitorParams

MAD_TO_SIGMA = 1.4826
"""Median absolute deviation -> standard deviation of a normal distribution."""


@dataclass(frozen=True, slots=True)
class Measure:
    """A figure that is compared between nights. `floor`: the least half-width of its usual range, in its unit."""

    key: str
    subject: str
    unit: str
    value: float | None
    past: tuple[float, ...]
    floor: float = 0.0


def measures(night: NightFigures, history: Sequence[NightFigures], params: MonitorParams) -> list[Measure]:
    """The figures that are compared between nights; past nights without one, or with too few notes, are left out."""
    enough = [n for n in history if n.annotated >= params.notes_needed]
    here = night.annotated >= params.notes_needed
    return [
        Measure("notes", "notes", "", night.planned, tuple(n.planned for n in history if n.planned), 1),
        Measure(
            "quarantine_share",
            "share in quarantine",
            "%",
            _percent(night.quarantine_share) if here else None,
            _known(_percent(n.quarantine_share) for n in enough),
            1.0,
        ),
        Measure(
            "seconds_per_note",
            "seconds of work per note",
            "s",
            ratio(night.seconds_total, night.annotated) if here else None,
            _known(ratio(n.seconds_total, n.annotated) for n in enough if n.seconds_total),
            0.0,
        ),
    ]


def usual_range(past: Sequence[float], floor: float, params: MonitorParams) -> tuple[float, float] | None:
    """Median of past nights, plus or minus the largest of their spread, a share of the median, and `floor`.

    The spread is `unusual_deviations` times the scaled median absolute deviation, which is robust against single
    unusual nights. None with fewer than `nights_needed` nights.
    """
    if len(past) < params.nights_needed:
        return None
    middle = statistics.median(past)
    spread = MAD_TO_SIGMA * statistics.median(abs(v - middle) for v in past)
    width = max(params.unusual_deviations * spread, params.unusual_share * abs(middle), floor)
    return max(0.0, middle - width), middle + width


def usual_ranges(
    night: NightFigures, history: Sequence[NightFigures], params: MonitorParams
) -> dict[str, tuple[float, float]]:
    """The usual range of each measure that has one."""
    ranges = {m.key: usual_range(m.past, m.floor, params) for m in measures(night, history, params)}
    return {key: found for key, found in ranges.items() if found is not None}


def flags(
    night: NightFigures, history: Sequence[NightFigures], params: MonitorParams, findings: Iterable[Flag] = ()
) -> tuple[Flag, ...]:
    """All flags of a night: errors first, then `findings` and unusual figures, then notices.

    `findings`: of drift (`pages.drift`) and of reviewed notes (`pages.quality`).
    """
    found = (*_absolute(night, history, params), *findings, *_compared(night, history, params))
    return tuple(sorted(found, key=lambda flag: flag.rule in NOTICES))


def _absolute(night: NightFigures, history: Sequence[NightFigures], params: MonitorParams) -> Iterator[Flag]:
    yield from _moved_aliases(night)
    if not night.published:
        missing = len(night.missing_shards)
        left = f"{missing} of {night.shards} shards have no result" if missing else "every shard is annotated"
        yield Flag(rule="not_published", subject="night", reason=f"The night is not published: {left}.", value=missing)
        return
    for language, figures in sorted(night.languages.items()):
        unread = figures.characters - figures.characters_read
        if unread > 0:
            yield Flag(
                rule="text_not_read",
                subject=language,
                value=unread,
                reason=f"{unread:,} of {figures.characters:,} characters in {language} were not read by the models.",
            )
        if figures.garbled:
            yield Flag(
                rule="text_garbled",
                subject=language,
                value=figures.garbled,
                reason=f"{figures.garbled:,} of {figures.annotated:,} notes in {language} have more than"
                f" {100 * params.garbled_share:g} % garbled characters: U+FFFD, or UTF-8 that was read in another"
                " encoding. They were annotated as they are; the system that exports them needs a look.",
            )
        for entity_type in sorted(night.models.get(language, {})):
            if figures.annotated >= params.notes_needed and not figures.entities.get(entity_type.upper(), 0):
                yield Flag(
                    rule="type_absent",
                    subject=f"{language} {entity_type.upper()}",
                    value=0,
                    reason=f"No {entity_type.upper()} in {figures.annotated:,} notes in {language},"
                    " although a champion looked for it.",
                )
        yield from _silent_members(language, figures, params)
    for language, count in sorted(night.waiting.items()):
        if count:
            notes = "1 note waits" if count == 1 else f"{count:,} notes wait"
            reason = f"{notes} in {language}: no champion is registered for that language."
            yield Flag(rule="waiting", subject=language, reason=reason, value=count)
    if night.deferred_total:
        notes = "1 note was" if night.deferred_total == 1 else f"{night.deferred_total:,} notes were"
        reason = (
            f"{notes} deferred to the next night: more were dropped than plan.max_notes, which sites share equally."
            " The drops need a look if this goes on."
        )
        yield Flag(rule="deferred", subject="notes", reason=reason, value=night.deferred_total)
    yield from _changed_models(night, history)


def _silent_members(language: str, figures: LanguageFigures, params: MonitorParams) -> Iterator[Flag]:
    """A member that finds nothing where others find something is dead, however good the vote still looks."""
    if figures.annotated < params.notes_needed or not any(figures.found_by.values()):
        return
    for digest in sorted(d for d, spans in figures.found_by.items() if not spans):
        reason = (
            f"The member {digest[:12]} found nothing in {figures.annotated:,} notes in {language}, where other members"
            " found entities: its model or its endpoint does not work."
        )
        yield Flag(rule="member_silent", subject=f"{language} {digest[:12]}", value=0, reason=reason)


def _moved_aliases(night: NightFigures) -> Iterator[Flag]:
    """The journal says which version is champion; the registry's alias is a copy that any user may move."""
    for item in night.aliases:
        found = f"version {item.alias}" if item.alias else "no version"
        if item.champion:
            rule = "alias_moved"
            reason = (
                f"The alias champion of {item.name} named {found} and not {item.champion}, which the journal names and"
                " this night used. Either a promotion was interrupted, or a user moved the alias:"
                " `enigma registry history` has the lines."
            )
        else:
            rule = "no_journal"
            reason = (
                f"The alias champion of {item.name} names {found}, but its journal has no champion, so it is not used:"
                " `enigma register --first` of that version's ensemble makes it one."
            )
        yield Flag(rule=rule, subject=item.name, reason=reason)


def _changed_models(night: NightFigures, history: Sequence[NightFigures]) -> Iterator[Flag]:
    """A flag for each language with other champions than in the last night with that language and type."""
    for language, changes in itertools.groupby(changed_models(night, history), key=lambda change: change[0]):
        versions = [f"{kind} {before} to {night.models[language][kind].version}" for _, kind, before in changes]
        reason = f"Other champions in {language} than the last time, by version: {', '.join(versions)}."
        yield Flag(rule="model_changed", subject=language, reason=reason)


def changed_models(night: NightFigures, history: Sequence[NightFigures]) -> Iterator[tuple[str, str, str]]:
    """(language, entity type, earlier version) of each champion that differs from the last one used."""
    for language, models in sorted(night.models.items()):
        for entity_type, model in sorted(models.items()):
            before = next(
                (
                    n.models[language][entity_type]
                    for n in reversed(history)
                    if entity_type in n.models.get(language, {})
                ),
                None,
            )
            if before is not None and before != model:
                yield language, entity_type, before.version


def _compared(night: NightFigures, history: Sequence[NightFigures], params: MonitorParams) -> Iterator[Flag]:
    if not night.published:
        return
    for measure in measures(night, history, params):
        usual = usual_range(measure.past, measure.floor, params)
        if usual is None or measure.value is None or usual[0] <= measure.value <= usual[1]:
            continue
        low, high = (_short(v) for v in usual)
        side = "more" if measure.value > usual[1] else "less"
        reason = (
            f"{measure.subject}: {_short(measure.value)}{measure.unit}, {side} than usual; "
            f"the last {len(measure.past)} nights make {low} to {high}{measure.unit} usual."
        )
        yield Flag(
            rule=measure.key.partition(".")[0],
            subject=measure.subject,
            reason=reason[0].upper() + reason[1:],
            value=round(measure.value, 6),
            low=round(usual[0], 6),
            high=round(usual[1], 6),
        )


def _short(value: float) -> str:
    """Three significant digits, thousands with commas."""
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.{max(0, 2 - math.floor(math.log10(abs(value))))}f}"


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share


def _known(values: Iterator[float | None] | Sequence[float | None]) -> tuple[float, ...]:
    return tuple(v for v in values if v is not None)
