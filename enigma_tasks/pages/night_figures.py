"""A night's plan, commits and publication -> its figures."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from enigma_tasks.pages.figures import AliasFigures, LanguageFigures, ModelFigures, NightFigures

if TYPE_CHECKING:
    from collections.abc import Mapping

    from enigma_tasks.notes.commits import Published, ShardCommit
    from enigma_tasks.notes.plans import Plan


def night_figures(
    plan: Plan,
    commits: Mapping[str, ShardCommit | None],
    published: Published | None,
    counts: Mapping[str, Any] | None,
) -> NightFigures:
    """`commits`: by shard. `counts`: from the tables (`adapters.night_counts`), if the night is published."""
    done = [c for c in commits.values() if c is not None]
    seconds: Counter[str] = Counter()
    for commit in done:
        seconds.update({f"annotate: {phase}": spent for phase, spent in commit.seconds.items()})
    stages = {"plan": plan.seconds, **seconds}
    known: dict[str, Any] = {
        "annotated": sum(c.counts.annotated for c in done),
        "quarantined": plan.quarantined + sum(c.counts.quarantined for c in done),
    }
    if published is not None and counts is not None:
        found_by = _found_by(plan, done)
        languages = {
            language: LanguageFigures(**figures, found_by=found_by.get(language, {}))
            for language, figures in counts["languages"].items()
        }
        known = {**counts, "languages": languages}
        stages["publish"] = published.seconds
    return NightFigures(
        batch_id=plan.batch_id,
        planned_at=plan.planned_at,
        published=published is not None,
        listed=plan.counts.listed,
        done=plan.counts.done,
        planned=plan.counts.planned + plan.counts.quarantined,
        waiting=plan.waiting,
        deferred=plan.deferred,
        seconds=stages,
        shards=len(plan.shards),
        missing_shards=tuple(s.id for s in plan.shards if commits[s.id] is None),
        models={
            language: {
                kind: ModelFigures(name=pin.name, version=pin.version, digest=pin.digest)
                for kind, pin in sorted(pins.items())
            }
            for language, pins in sorted(plan.models.items())
        },
        aliases=tuple(AliasFigures(**item.model_dump()) for item in plan.aliases),
        **known,
    )


def _found_by(plan: Plan, commits: list[ShardCommit]) -> dict[str, dict[str, int]]:
    """Language -> member digest -> spans that it found."""
    languages = {shard.id: shard.language for shard in plan.shards}
    found: dict[str, dict[str, int]] = {}
    for commit in commits:
        counts = found.setdefault(languages[commit.shard], {})
        for digest, spans in (commit.found_by or {}).items():
            counts[digest] = counts.get(digest, 0) + spans
    return found
