"""Settings -> a function that opens the endpoint of a language model member; nothing is opened before it is called."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from enigma_tasks.annotators.ensemble import Ask
    from enigma_tasks.annotators.llm import Complete
    from enigma_tasks.config import Settings
    from enigma_tasks.params.annotators import LlmMemberParams


def asker(settings: Settings) -> Ask:
    """For `annotators.ensemble`. The function raises UsageError: no endpoint is set, or text may not go there."""

    def ask(recipe: LlmMemberParams) -> Complete:
        from enigma_tasks.adapters.llm_endpoint import LlmEndpoint

        prices = {"prompt_price": recipe.prompt_price, "completion_price": recipe.completion_price}
        return LlmEndpoint(settings, recipe.model, **prices).complete

    return ask
