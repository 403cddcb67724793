"""URIs of decisions on challengers; see docs/promotion.md."""

from __future__ import annotations

import re
from dataclasses import dataclass

from enigma_tasks.errors import UsageError

_CHALLENGER = re.compile(r"([^/]+)/challengers/(\d+)")
_DECISION = re.compile(r"([^/]+)/(\d{8})\.json")


@dataclass(frozen=True)
class DecisionPlaces:
    """URIs under `decisions/`."""

    root: str

    def challenger(self, name: str, version: str) -> str:
        """Names a registered version to a task; nothing is stored there."""
        return f"{self.root}/{name}/challengers/{version}"

    def of_challenger(self, uri: str) -> tuple[str, str]:
        """The name and version of a `challenger`. Raises UsageError."""
        found = _CHALLENGER.fullmatch(uri.removeprefix(f"{self.root}/"))
        if not found:
            raise UsageError(f"a challenger is {self.challenger('NAME', 'VERSION')}")
        return found[1], found[2]

    def decision(self, name: str, n: int) -> str:
        """The decision of line `n` of a journal."""
        return f"{self.root}/{name}/{n:08}.json"

    def page(self, name: str, n: int) -> str:
        """The same for people."""
        return f"{self.root}/{name}/{n:08}.html"

    def of_decision(self, uri: str) -> tuple[str, int]:
        """The name and line of a `decision`. Raises UsageError."""
        found = _DECISION.fullmatch(uri.removeprefix(f"{self.root}/"))
        if not found:
            raise UsageError(f"a decision is {self.root}/NAME/LINE.json")
        return found[1], int(found[2])
