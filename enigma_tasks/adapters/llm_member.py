"""Settings -> a function that opens the endpoint of a language model member; nothing is opened before it is called."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from enigma_tasks.adapters.llm_endpoint import LlmEndpoint
    from enigma_tasks.annotators.llm import Complete
    from enigma_tasks.config import Settings
    from enigma_tasks.params.annotators import LlmMemberParams


class Asker:
    """An `Ask` for `annotators.ensemble` that knows what its endpoints cost together."""

    def __init__(self, settings: Settings) -> None:
        """Opens nothing, and raises nothing where no endpoint is set."""
        self._settings = settings
        self._opened: list[LlmEndpoint] = []

    def __call__(self, recipe: LlmMemberParams) -> Complete:
        """Open a member's endpoint. Raises UsageError: none is set, or text may not go there."""
        from enigma_tasks.adapters.llm_endpoint import LlmEndpoint

        prices = {"prompt_price": recipe.prompt_price, "completion_price": recipe.completion_price}
        endpoint = LlmEndpoint(self._settings, recipe.model, **prices)
        self._opened.append(endpoint)
        return endpoint.complete

    def report(self) -> dict[str, Any]:
        """`llm`: the sums of the endpoints' `Usage`, for a stage's report; empty where no language model was asked."""
        if not self._opened:
            return {}
        used = [endpoint.usage for endpoint in self._opened]
        return {"llm": {f.name: sum(getattr(u, f.name) for u in used) for f in fields(used[0])}}
