"""The LLM endpoint: its settings from `ENIGMA_LLM_*` variables, which `config` reads, and its interface."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from pydantic import Field, SecretStr

from enigma_tasks.frozen import Frozen

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Complete(Protocol):
    """A function that requests a completion from a language model."""

    def __call__(
        self, messages: Sequence[Mapping[str, str]], *, schema: Mapping[str, Any] | None = None, record: str
    ) -> str:
        """The reply to chat messages; see `adapters.llm_endpoint.LlmEndpoint.complete`."""


class LlmSettings(Frozen):
    """One OpenAI-compatible endpoint, and whether note text may be sent to it."""

    base_url: str = ""
    """e.g. `https://llm.hospital.example/v1`; empty: no endpoint."""
    api_key: SecretStr = SecretStr("")
    model: str = ""
    """The endpoint's name for the model (a deployment); empty: the member's."""
    allow_external: bool = False
    """Text may leave the hospital: `ENIGMA_ALLOW_EXTERNAL_LLM=1`."""
    allowed_hosts: tuple[str, ...] = ()
    """The hospital's own hosts, to which text may be sent in any case."""
    timeout: float = Field(60.0, gt=0)
    """Seconds per request."""
    attempts: int = Field(5, ge=1, le=20)
    """Requests for one reply, the first included."""
    concurrency: int = Field(4, ge=1)
    """Requests at a time."""

    @classmethod
    def tree(cls, environment: Mapping[str, str]) -> dict[str, object]:
        """Values of the variables, for `model_validate`; an empty variable counts as not set."""
        names = ("base_url", "api_key", "model", "timeout", "attempts", "concurrency")
        found: dict[str, object] = {n: v for n in names if (v := environment.get(f"ENIGMA_LLM_{n.upper()}", ""))}
        hosts = environment.get("ENIGMA_LLM_ALLOWED_HOSTS", "").replace(",", " ").split()
        found["allowed_hosts"] = tuple(h.lower().rstrip(".") for h in hosts)
        found["allow_external"] = environment.get("ENIGMA_ALLOW_EXTERNAL_LLM", "") == "1"
        return found
