"""Which commits of the gold repository stand for those that `enigma forget --gold` rewrote.

One object below `journal/gold-revisions/` for each rewriting, created and never replaced, called after its content.
Registered models name the commit that they were trained on; it is found again through these.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, StringConstraints, TypeAdapter

from enigma_tasks.adapters.journal_store import GOLD_REVISIONS
from enigma_tasks.frozen import Frozen, read_record

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from enigma_tasks.adapters.object_store import ObjectStore
    from enigma_tasks.config import Settings

_Commit = Annotated[str, StringConstraints(pattern="^[0-9a-f]{40,64}$")]
_Md5 = Annotated[str, StringConstraints(pattern="^[0-9a-f]{32}$")]


class Rewriting(Frozen):
    """One rewriting; commit ids and digests only."""

    schema_version: Literal[1] = 1
    commits: dict[_Commit, _Commit] = Field(default_factory=dict)
    """Commit -> the one that stands for it."""
    data: tuple[_Md5, ...] = ()
    """MD5 of the data files that hold what was forgotten, and that no rewritten commit names; sorted."""


_REWRITING = TypeAdapter(Rewriting)


@dataclass(frozen=True)
class GoldRevisions:
    """All rewritings."""

    commits: Mapping[str, Collection[str]] = field(default_factory=dict)
    """Commit -> those that may stand for it: a rewriting that was killed may have been followed by another."""
    data: frozenset[str] = frozenset()

    def standing_for(self, revision: str) -> Iterator[str]:
        """The commit itself, then every one that may stand for it, the last rewritings' last."""
        seen, waiting = set(), [revision]
        while waiting:
            commit = waiting.pop(0)
            if commit not in seen:
                seen.add(commit)
                yield commit
                waiting += sorted(self.commits.get(commit, ()))


def read_gold_revisions(store: ObjectStore, settings: Settings) -> GoldRevisions:
    """All that were written; none where there is no place `journal`.

    Raises:
        DataError: an object there is no rewriting. ServiceError: as `ObjectStore` does.
    """
    commits: dict[str, set[str]] = {}
    data: set[str] = set()
    for item in store.list(f"{settings.journal}/{GOLD_REVISIONS}/") if settings.journal else ():
        rewriting = read_record(_REWRITING, GOLD_REVISIONS, store.get(item.uri))
        data |= set(rewriting.data)
        for old, new in rewriting.commits.items():
            commits.setdefault(old, set()).add(new)
    return GoldRevisions(commits, frozenset(data))


def write_rewriting(store: ObjectStore, settings: Settings, rewriting: Rewriting) -> str:
    """Write down a rewriting, before it is published; written again, it is the same object. Returns its URI."""
    content = json.dumps(rewriting.model_dump(mode="json"), sort_keys=True).encode()
    name = hashlib.sha256(content).hexdigest()[:32]
    uri = f"{settings.require('journal')}/{GOLD_REVISIONS}/{name}.json"
    store.put_if_absent(uri, content)
    return uri
