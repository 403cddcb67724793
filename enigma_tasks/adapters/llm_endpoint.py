"""Messages -> a language model's answer, from an OpenAI-compatible endpoint, or from the cache on this machine's disk.

Note text goes into the messages and comes back in the answers: neither is logged or quoted by an error, and nothing is
sent to a host that is not the hospital's own unless the settings say that text may leave the house.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import ssl
import threading
import uuid
from collections import defaultdict
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from enigma_tasks.artifacts import LLM_CACHE
from enigma_tasks.errors import DataError, ServiceError, UsageError
from enigma_tasks.notes.commits import LlmUsage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from enigma_tasks.config import Settings
    from enigma_tasks.members.llm import Complete
    from enigma_tasks.params.annotators import LlmMemberParams
    from enigma_tasks.params.llm import LlmSettings

LOOPBACK = {"localhost", "127.0.0.1", "::1"}
SDK_LOGGERS = ("openai", "httpx2", "httpcore2")
"""At DEBUG they write whole requests."""
ASKED_AGAIN = 2
"""How often an answer that breaks the schema is asked for anew."""

REJECTED = {400, 413, 422}
"""What an endpoint says of one request, too long a note for instance; the next may be good."""


@dataclass(slots=True)
class Usage:
    """What the answers of one endpoint cost, cached ones apart."""

    asked: int = 0
    """Questions that the cache had no answer to."""
    cached: int = 0
    """Questions that it had one to."""
    requests: int = 0
    """More than `asked` where the endpoint was busy, slow or broken, or broke the schema."""
    malformed: int = 0
    """Answers that broke the schema."""
    refused: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0
    """In the currency of the prices."""


class LlmEndpoint:
    """One endpoint and model. Threads may share it: at most `settings.llm.concurrency` requests are under way."""

    def __init__(
        self, settings: Settings, model: str, *, prompt_price: float = 0.0, completion_price: float = 0.0
    ) -> None:
        """`model` is used where `ENIGMA_LLM_MODEL` is not set; prices are per million tokens. No connection is made.

        Raises:
            UsageError: no endpoint or model is set, or text may not go to its host.
        """
        import httpx2
        import openai

        llm = settings.llm
        check_host(llm)
        self.model = llm.model or model
        if not self.model:
            raise UsageError("set ENIGMA_LLM_MODEL or a member's `model`")
        for name in SDK_LOGGERS:
            logging.getLogger(name).setLevel(logging.CRITICAL)
        self.usage = Usage()
        self._base_url = llm.base_url.rstrip("/")
        self._prices = prompt_price / 1e6, completion_price / 1e6
        self._cache = settings.cache / LLM_CACHE
        self._slots = threading.Semaphore(llm.concurrency)
        self._lock = threading.Lock()
        self._asking: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._client = openai.OpenAI(
            base_url=self._base_url,
            api_key=llm.api_key.get_secret_value() or "none",
            max_retries=llm.attempts - 1,
            timeout=llm.timeout,
            # A redirect, or a proxy from the environment, would carry text to a host that nobody has allowed.
            http_client=httpx2.Client(
                follow_redirects=False,
                trust_env=not is_own(llm),
                verify=ssl.create_default_context(),
                event_hooks={"request": [lambda _: self._count(requests=1)]},
            ),
        )

    def complete(
        self, messages: Sequence[Mapping[str, str]], *, schema: Mapping[str, Any] | None = None, record: str
    ) -> str:
        """The answer to chat messages (`role`, `content`); with `schema`, JSON that obeys it.

        Only good answers are cached. `record` names the note in errors.

        Raises:
            DataError: `llm_request_rejected`, `llm_refused`, `llm_answer_cut`, or, asked `ASKED_AGAIN` times more,
                `llm_answer_malformed`.
            ServiceError: the endpoint cannot be reached, or its answer was an error after all attempts.
        """
        body = {"model": self.model, "messages": [dict(m) for m in messages], "temperature": 0.0}
        if schema is not None:
            shape = {"name": "answer", "strict": True, "schema": schema}
            body["response_format"] = {"type": "json_schema", "json_schema": shape}
        digest = hashlib.sha256(json.dumps([self._base_url, body], sort_keys=True).encode()).hexdigest()
        with self._lock:
            asking = self._asking[digest]
        with asking:  # the same question twice at once is one request
            answer = self._cached(digest)
            if answer is not None:
                self._count(cached=1)
                return answer
            self._count(asked=1)
            for _ in range(ASKED_AGAIN + 1):
                answer = self._ask(body, record)
                if answer is not None and (schema is None or _obeys(answer, schema)):
                    self._keep(digest, answer)
                    return answer
                self._count(malformed=1)
        raise DataError(record, "llm_answer_malformed")

    def _ask(self, body: dict[str, Any], record: str) -> str | None:
        """One answer's text; None when there is none in what came back."""
        import openai

        with self._slots:
            try:
                parsed: Any = self._client.chat.completions.create(**body)
            except openai.APIStatusError as error:
                if error.status_code in REJECTED:
                    raise DataError(record, "llm_request_rejected") from None
                raise ServiceError(f"LLM endpoint: {record}: status {error.status_code}") from None
            except openai.APIConnectionError as error:
                raise ServiceError(f"LLM endpoint: {record}: {type(error).__name__}") from None
            except (openai.OpenAIError, ValueError):  # 200, and no JSON
                return None
        if usage := getattr(parsed, "usage", None):
            sent, received = int(usage.prompt_tokens or 0), int(usage.completion_tokens or 0)
            cost = sent * self._prices[0] + received * self._prices[1]
            self._count(prompt_tokens=sent, completion_tokens=received, cost=cost)
        choices = getattr(parsed, "choices", None)
        if not choices:
            return None
        choice = choices[0]
        if getattr(choice.message, "refusal", None) or choice.finish_reason == "content_filter":
            self._count(refused=1)
            raise DataError(record, "llm_refused")
        if choice.finish_reason == "length":
            raise DataError(record, "llm_answer_cut")
        return choice.message.content or None

    def _count(self, **counts: float) -> None:
        with self._lock:
            for name, value in counts.items():
                setattr(self.usage, name, getattr(self.usage, name) + value)

    def _file(self, digest: str) -> Path:
        return self._cache / digest[:2] / f"{digest}.json"

    def _cached(self, digest: str) -> str | None:
        try:
            answer = json.loads(self._file(digest).read_bytes())["answer"]
        except (OSError, ValueError, KeyError, TypeError):  # none, or half of one: ask
            return None
        return answer if isinstance(answer, str) else None

    def _keep(self, digest: str, answer: str) -> None:
        """Whole or not at all, readable by this user only: an answer quotes the note."""
        path = self._file(digest)
        for folder in (self._cache, path.parent):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        part = path.with_name(f"{uuid.uuid4().hex}.part")
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            json.dump({"model": self.model, "answer": answer}, file)
        part.replace(path)


class LlmEndpoints:
    """Opens the endpoint of each language model member that asks for one, and sums what they cost."""

    def __init__(self, settings: Settings) -> None:
        """Opens nothing, and raises nothing where no endpoint is set."""
        self._settings = settings
        self._opened: list[LlmEndpoint] = []

    def __call__(self, recipe: LlmMemberParams) -> Complete:
        """Open a member's endpoint. Raises UsageError: none is set, or text may not go there."""
        prices = {"prompt_price": recipe.prompt_price, "completion_price": recipe.completion_price}
        endpoint = LlmEndpoint(self._settings, recipe.model, **prices)
        self._opened.append(endpoint)
        return endpoint.complete

    def report(self) -> dict[str, Any]:
        """`llm`: the sums of the endpoints' `Usage`, for a stage's report; empty where no language model was asked."""
        usage = self.usage()
        return {} if usage is None else {"llm": usage.model_dump()}

    def usage(self) -> LlmUsage | None:
        """The sums of the endpoints' `Usage`; None where no language model was asked."""
        if not self._opened:
            return None
        used = [endpoint.usage for endpoint in self._opened]
        return LlmUsage(**{f.name: sum(getattr(u, f.name) for u in used) for f in fields(Usage)})


def is_own(llm: LlmSettings) -> bool:
    """Whether the endpoint's host is one of the hospital's own."""
    return (urlsplit(llm.base_url).hostname or "").rstrip(".") in llm.allowed_hosts


def check_host(llm: LlmSettings) -> None:
    """Refuse an endpoint that text may not go to, before any connection.

    Raises:
        UsageError: no endpoint is set; its host is neither on `ENIGMA_LLM_ALLOWED_HOSTS` nor allowed by
            `ENIGMA_ALLOW_EXTERNAL_LLM=1`; or the text would leave the house unencrypted.
    """
    try:
        url = urlsplit(llm.base_url)
        host, _ = url.hostname, url.port
    except ValueError:
        raise UsageError("ENIGMA_LLM_BASE_URL is no http:// or https:// URL") from None
    if not llm.base_url:
        raise UsageError("set ENIGMA_LLM_BASE_URL to an OpenAI-compatible endpoint")
    if url.scheme not in {"http", "https"} or not host:
        raise UsageError("ENIGMA_LLM_BASE_URL is no http:// or https:// URL")
    if is_own(llm):
        return
    if not llm.allow_external:
        raise UsageError(
            f"note text may not go to {host}: put it on ENIGMA_LLM_ALLOWED_HOSTS if it is the hospital's own, "
            "or set ENIGMA_ALLOW_EXTERNAL_LLM=1"
        )
    if url.scheme == "http" and host not in LOOPBACK:
        raise UsageError(f"text for {host} would leave the house unencrypted: ENIGMA_LLM_BASE_URL must be https://")


def _obeys(answer: str, schema: Mapping[str, Any]) -> bool:
    import jsonschema

    try:
        jsonschema.validate(json.loads(answer), dict(schema))
    except (ValueError, RecursionError, jsonschema.ValidationError):
        return False
    return True
