"""Which languages are to be trained again: those whose gold no registered version was trained on.

Computed from the gold repository and the registry alone: how often, or whether, an event told of a version makes no
difference.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from enigma_tasks.frozen import Frozen

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class TrainingWork(Frozen):
    """The retraining of one language: everything that decides its result."""

    language: str
    commit: str
    """Of the training project: parameters, stages and code."""
    revision: str
    """Of the gold repository."""
    gold: dict[str, str]
    """Entity type -> digest of its documents in that revision."""
    members: tuple[str, ...]

    @property
    def run(self) -> str:
        """A name for this work: the same commits are the same run, however often it is asked for."""
        return f"{self.commit[:12]}-{self.revision[:12]}"


@dataclass(frozen=True, slots=True)
class TrainedVersion:
    """A registered version, and the gold that it was trained on."""

    language: str
    entity: str
    gold: Mapping[str, str]
    """As `TrainingWork.gold`."""
    registered_with: tuple[str, ...]
    """The types that its retraining registers, its own included."""


def outdated(gold: Mapping[str, Mapping[str, str]], versions: Iterable[TrainedVersion]) -> dict[str, tuple[str, ...]]:
    """Language -> the types whose gold is new; languages whose newest gold was trained on are left out.

    A language is done when all versions of one retraining on this gold are registered. If it was killed between two
    of them, the language is not done, although no type's gold is new.

    Args:
        gold: language -> entity type -> digest, of the newest version.
        versions: in any order, of any age.
    """
    trained: dict[str, list[TrainedVersion]] = defaultdict(list)
    for version in versions:
        trained[version.language].append(version)
    found: dict[str, tuple[str, ...]] = {}
    for language, digests in sorted(gold.items()):
        own = trained[language]
        if digests and not _is_done(digests, own):
            known = {(v.entity, v.gold.get(v.entity)) for v in own}
            found[language] = tuple(t for t, digest in sorted(digests.items()) if (t, digest) not in known)
    return found


def _is_done(digests: Mapping[str, str], versions: Iterable[TrainedVersion]) -> bool:
    same = [v for v in versions if dict(v.gold) == dict(digests)]
    registered = {v.entity for v in same}
    return any(registered.issuperset(v.registered_with) for v in same)
