"""Chat messages -> a language model's reply, from an OpenAI-compatible endpoint or from the cache on this machine.

Messages and replies contain note text: neither is logged or quoted in an error, and nothing is sent to a host outside
the hospital unless the settings allow it.
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
    from enigma_tasks.params.annotators import LlmMemberParams
    from enigma_tasks.params.llm import Complete, LlmSettings

LOOPBACK = {"localhost", "127.0.0.1", "::1"}
SDK_LOGGERS = ("openai", "httpx2", "httpcore2")
"""At DEBUG they log complete requests."""
SCHEMA_RETRIES = 2
"""Further requests after a reply that does not match the schema."""

REJECTED = {400, 413, 422}
"""Status codes about a single request, for instance too long a note; other requests may succeed."""
_MOST_TOKENS = 10**12


@dataclass(slots=True)
class Usage:
    """Requests to one endpoint, and their cost."""

    asked: int = 0
    """Completions that were not in the cache."""
    cached: int = 0
    """Completions from the cache."""
    requests: int = 0
    """HTTP requests: more than `asked` after retries of failed requests and of malformed replies."""
    malformed: int = 0
    """Replies that did not match the schema."""
    refused: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0
    """In the currency of the prices."""


class LlmEndpoint:
    """One endpoint and model. Thread-safe; at most `settings.llm.concurrency` requests at a time."""

    def __init__(
        self, settings: Settings, model: str, *, prompt_price: float = 0.0, completion_price: float = 0.0
    ) -> None:
        """`model` is used if `ENIGMA_LLM_MODEL` is not set; prices are per million tokens. No connection is made.

        Raises:
            UsageError: no endpoint or model is set, or text may not be sent to its host.
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
        self._in_progress: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._client = openai.OpenAI(
            base_url=self._base_url,
            api_key=llm.api_key.get_secret_value() or "none",
            max_retries=llm.attempts - 1,
            timeout=llm.timeout,
            # a redirect, or a proxy from the environment, would send text to a host that is not allowed
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
        """The reply to chat messages (`role`, `content`); with `schema`, JSON that matches it.

        Only valid replies are cached. `record` names the note in errors.

        Raises:
            DataError: `llm_request_rejected`, `llm_refused`, `llm_answer_cut`, or, after `SCHEMA_RETRIES`,
                `llm_answer_malformed`.
            ServiceError: the endpoint is unreachable or returned an error after all attempts.
        """
        body = {"model": self.model, "messages": [dict(m) for m in messages], "temperature": 0.0}
        if schema is not None:
            shape = {"name": "answer", "strict": True, "schema": schema}
            body["response_format"] = {"type": "json_schema", "json_schema": shape}
        digest = hashlib.sha256(json.dumps([self._base_url, body], sort_keys=True).encode()).hexdigest()
        with self._lock:
            in_progress = self._in_progress[digest]
        with in_progress:  # equal concurrent calls make one request
            reply = self._cached(digest)
            if reply is not None:
                self._count(cached=1)
                return reply
            self._count(asked=1)
            for _ in range(SCHEMA_RETRIES + 1):
                reply = self._request(body, record)
                if reply is not None and (schema is None or _matches(reply, schema)):
                    self._store(digest, reply)
                    return reply
                self._count(malformed=1)
        raise DataError(record, "llm_answer_malformed")

    def _request(self, body: dict[str, Any], record: str) -> str | None:
        """The text of one reply; None if it has no text."""
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
            except (openai.OpenAIError, ValueError, RecursionError):  # status 200 without JSON
                return None
        if usage := getattr(parsed, "usage", None):
            sent, received = (_tokens(usage, name) for name in ("prompt_tokens", "completion_tokens"))
            cost = sent * self._prices[0] + received * self._prices[1]
            self._count(prompt_tokens=sent, completion_tokens=received, cost=cost)
        choices = getattr(parsed, "choices", None)  # the client does not check what the endpoint sent
        if not isinstance(choices, list) or not choices:
            return None
        message, reason = (getattr(choices[0], name, None) for name in ("message", "finish_reason"))
        if getattr(message, "refusal", None) or reason == "content_filter":
            self._count(refused=1)
            raise DataError(record, "llm_refused")
        if reason == "length":
            raise DataError(record, "llm_answer_cut")
        content = getattr(message, "content", None)
        return content if isinstance(content, str) and content else None

    def _count(self, **counts: float) -> None:
        with self._lock:
            for name, value in counts.items():
                setattr(self.usage, name, getattr(self.usage, name) + value)

    def _file(self, digest: str) -> Path:
        return self._cache / digest[:2] / f"{digest}.json"

    def _cached(self, digest: str) -> str | None:
        try:
            answer = json.loads(self._file(digest).read_bytes())["answer"]
        except (OSError, ValueError, KeyError, TypeError, RecursionError):  # missing or incomplete
            return None
        return answer if isinstance(answer, str) else None

    def _store(self, digest: str, reply: str) -> None:
        """Cache a reply atomically, readable by this user only: it quotes the note."""
        path = self._file(digest)
        for folder in (self._cache, path.parent):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        part = path.with_name(f"{uuid.uuid4().hex}.part")
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            json.dump({"model": self.model, "answer": reply}, file)
        part.replace(path)


class LlmEndpoints:
    """Opens the endpoints of language model members, and sums their costs."""

    def __init__(self, settings: Settings) -> None:
        """Opens no endpoint, and does not raise if none is set."""
        self._settings = settings
        self._opened: list[LlmEndpoint] = []

    def __call__(self, recipe: LlmMemberParams) -> Complete:
        """Open a member's endpoint. Raises UsageError: none is set, or text may not be sent to it."""
        prices = {"prompt_price": recipe.prompt_price, "completion_price": recipe.completion_price}
        endpoint = LlmEndpoint(self._settings, recipe.model, **prices)
        self._opened.append(endpoint)
        return endpoint.complete

    def report(self) -> dict[str, Any]:
        """`llm`: the sums of the endpoints' `Usage`, for a stage's report; empty if no endpoint was opened."""
        usage = self.usage()
        return {} if usage is None else {"llm": usage.model_dump()}

    def usage(self) -> LlmUsage | None:
        """The sums of the endpoints' `Usage`; None if no endpoint was opened."""
        if not self._opened:
            return None
        used = [endpoint.usage for endpoint in self._opened]
        return LlmUsage(**{f.name: sum(getattr(u, f.name) for u in used) for f in fields(Usage)})


def _tokens(usage: Any, name: str) -> int:
    """A count of the reply; 0 where it is no whole number."""
    count = getattr(usage, name, None)
    return count if isinstance(count, int) and 0 <= count < _MOST_TOKENS else 0


def is_own(llm: LlmSettings) -> bool:
    """Whether the endpoint's host is one of the hospital's own."""
    return (urlsplit(llm.base_url).hostname or "").rstrip(".") in llm.allowed_hosts


def check_host(llm: LlmSettings) -> None:
    """Refuse an endpoint to which text may not be sent, before any connection.

    Raises:
        UsageError: no endpoint is set; its host is neither on `ENIGMA_LLM_ALLOWED_HOSTS` nor allowed by
            `ENIGMA_ALLOW_EXTERNAL_LLM=1`; or the text would leave the hospital unencrypted.
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
            f"note text may not be sent to {host}: add it to ENIGMA_LLM_ALLOWED_HOSTS if it is the hospital's own, "
            "or set ENIGMA_ALLOW_EXTERNAL_LLM=1"
        )
    if url.scheme == "http" and host not in LOOPBACK:
        raise UsageError(f"text for {host} would be sent unencrypted: ENIGMA_LLM_BASE_URL must be https://")


def _matches(reply: str, schema: Mapping[str, Any]) -> bool:
    import jsonschema

    try:
        jsonschema.validate(json.loads(reply), dict(schema))
    except (ValueError, RecursionError, jsonschema.ValidationError):
        return False
    return True
