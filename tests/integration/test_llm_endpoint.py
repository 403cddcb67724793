"""The LLM endpoint's adapter against a server of our own, over HTTP: right, wrong, slow and refusing answers."""

from __future__ import annotations

import json
import logging
import stat
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from enigma_tasks.adapters.llm_endpoint import LlmEndpoint
from enigma_tasks.config import load_settings
from enigma_tasks.errors import DataError, ServiceError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PLANTED = "Zelenkova-4711"
SCHEMA = {
    "type": "object",
    "properties": {"found": {"type": "array", "items": {"type": "string"}}},
    "required": ["found"],
    "additionalProperties": False,
}
GOOD = json.dumps({"found": [PLANTED]})
MESSAGES = [{"role": "user", "content": f"Pacientka {PLANTED} má horečku."}]


def chat(content: str | None = GOOD, finish: str = "stop", **message: Any) -> dict[str, Any]:
    said = {"role": "assistant", "content": content, **message}
    return {
        "id": "a",
        "object": "chat.completion",
        "created": 0,
        "model": "served",
        "choices": [{"index": 0, "finish_reason": finish, "message": said}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120},
    }


class Endpoint(ThreadingHTTPServer):
    """Answers from a list of scripted (status, body), the last one for ever; `answer` overrides it by request."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.script: list[tuple[int, Any]] = [(200, chat())]
        self.answer: Callable[[dict[str, Any]], dict[str, Any]] | None = None
        self.seconds = 0.0
        self.headers: dict[str, str] = {"Retry-After": "0.01"}
        self.received: list[dict[str, Any]] = []
        self.authorised: list[str] = []
        self.busy = self.busiest = 0
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def handle_error(self, request: Any, client_address: Any) -> None:  # a client that no longer waits
        pass


class _Handler(BaseHTTPRequestHandler):
    server: Endpoint

    def do_POST(self) -> None:
        server = self.server
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with server.lock:
            server.received.append(body)
            server.authorised.append(self.headers.get("Authorization", ""))
            server.busy += 1
            server.busiest = max(server.busy, server.busiest)
            status, answer = server.script.pop(0) if len(server.script) > 1 else server.script[0]
        time.sleep(server.seconds)
        if server.answer is not None:
            answer = server.answer(body)
        content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        with server.lock:
            server.busy -= 1
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        for name, value in server.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Endpoint]:
    endpoint = Endpoint()
    thread = threading.Thread(target=endpoint.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield endpoint
    endpoint.shutdown()
    endpoint.server_close()


def endpoint(server: Endpoint, cache: Path, **variables: str) -> LlmEndpoint:
    environment = {
        "ENIGMA_LLM_BASE_URL": server.url,
        "ENIGMA_LLM_API_KEY": "s3cret-key",
        "ENIGMA_LLM_ALLOWED_HOSTS": "127.0.0.1",
        "ENIGMA_LLM_ATTEMPTS": "3",
        "ENIGMA_CACHE": str(cache),
        **variables,
    }
    return LlmEndpoint(load_settings(environment), "gpt-4.1-mini", prompt_price=0.40, completion_price=1.60)


def test_an_allow_listed_host_answers_and_tokens_and_cost_are_counted(server: Endpoint, tmp_path: Path) -> None:
    llm = endpoint(server, tmp_path)
    assert llm.complete(MESSAGES, schema=SCHEMA, record="n1") == GOOD
    assert (llm.usage.prompt_tokens, llm.usage.completion_tokens) == (100, 20)
    assert llm.usage.cost == pytest.approx((100 * 0.40 + 20 * 1.60) / 1e6)
    (body,) = server.received
    assert body["model"] == "gpt-4.1-mini"
    assert body["temperature"] == 0
    assert body["response_format"]["json_schema"] == {"name": "answer", "strict": True, "schema": SCHEMA}
    assert server.authorised == ["Bearer s3cret-key"]


def test_a_second_run_takes_every_answer_from_the_cache_and_connects_to_nobody(
    server: Endpoint, tmp_path: Path
) -> None:
    first = endpoint(server, tmp_path).complete(MESSAGES, schema=SCHEMA, record="n1")
    again = endpoint(server, tmp_path)
    assert again.complete(MESSAGES, schema=SCHEMA, record="n1") == first
    assert len(server.received) == 1
    assert (again.usage.asked, again.usage.cached, again.usage.requests, again.usage.cost) == (0, 1, 0, 0)


def test_another_question_model_or_schema_is_another_entry(server: Endpoint, tmp_path: Path) -> None:
    endpoint(server, tmp_path).complete(MESSAGES, schema=SCHEMA, record="n1")
    endpoint(server, tmp_path).complete(MESSAGES, record="n1")
    endpoint(server, tmp_path).complete([*MESSAGES, MESSAGES[0]], schema=SCHEMA, record="n1")
    endpoint(server, tmp_path, ENIGMA_LLM_MODEL="own-7b").complete(MESSAGES, schema=SCHEMA, record="n1")
    assert len(server.received) == 4


def test_the_cache_is_readable_by_its_user_only_and_a_damaged_entry_is_asked_anew(
    server: Endpoint, tmp_path: Path
) -> None:
    endpoint(server, tmp_path).complete(MESSAGES, record="n1")
    (entry,) = tmp_path.rglob("*.json")
    assert stat.S_IMODE(entry.stat().st_mode) == 0o600
    assert {stat.S_IMODE(p.stat().st_mode) for p in (entry.parent, entry.parent.parent)} == {0o700}
    assert PLANTED not in str(entry)
    entry.write_text('{"answer": ')
    assert endpoint(server, tmp_path).complete(MESSAGES, record="n1") == GOOD
    assert len(server.received) == 2


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_or_broken_endpoint_is_asked_again(server: Endpoint, tmp_path: Path, status: int) -> None:
    server.script = [(status, {"error": {"message": PLANTED}}), (200, chat())]
    llm = endpoint(server, tmp_path)
    assert llm.complete(MESSAGES, schema=SCHEMA, record="n1") == GOOD
    assert (llm.usage.asked, llm.usage.requests) == (1, 2)


@pytest.mark.parametrize(("status", "requests"), [(500, 3), (429, 3), (401, 1), (404, 1), (302, 1)])
def test_an_error_that_stays_is_a_service_error_after_so_many_requests(
    server: Endpoint, tmp_path: Path, status: int, requests: int
) -> None:
    server.script = [(status, {"error": {"message": PLANTED}})]
    server.headers["Location"] = f"{server.url}/elsewhere"
    with pytest.raises(ServiceError, match=rf"n1: status {status}$"):
        endpoint(server, tmp_path).complete(MESSAGES, record="n1")
    assert len(server.received) == requests


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_request_that_the_endpoint_rejects_is_an_error_of_its_record(
    server: Endpoint, tmp_path: Path, status: int
) -> None:
    server.script = [(status, {"error": {"message": f"too long: {PLANTED}"}})]
    with pytest.raises(DataError, match=r"^n1: llm_request_rejected$"):
        endpoint(server, tmp_path).complete(MESSAGES, record="n1")
    assert len(server.received) == 1


def test_a_slow_endpoint_is_given_up_after_its_timeout_and_attempts(server: Endpoint, tmp_path: Path) -> None:
    server.seconds = 5
    llm = endpoint(server, tmp_path, ENIGMA_LLM_TIMEOUT="0.1", ENIGMA_LLM_ATTEMPTS="1")
    with pytest.raises(ServiceError, match=r"n1: APITimeoutError$"):
        llm.complete(MESSAGES, record="n1")


def test_nobody_there_is_a_service_error(server: Endpoint, tmp_path: Path) -> None:
    llm = endpoint(server, tmp_path, ENIGMA_LLM_BASE_URL="http://127.0.0.1:9/v1", ENIGMA_LLM_ATTEMPTS="1")
    with pytest.raises(ServiceError, match=r"n1: APIConnectionError$"):
        llm.complete(MESSAGES, record="n1")


BAD = {
    "no JSON": chat(f"I found {PLANTED}."),
    "half of it": chat(GOOD[:-4]),
    "another shape": chat(json.dumps({"found": PLANTED})),
    "a key too many": chat(json.dumps({"found": [], "note": PLANTED})),
    "nothing": chat(None),
    "empty": chat(""),
    "no choice": {**chat(), "choices": []},
    "choices by name": {**chat(), "choices": {"0": PLANTED}},
    "choices in a string": {**chat(), "choices": PLANTED},
    "a choice that is a string": {**chat(), "choices": [PLANTED]},
    "no message": {**chat(), "choices": [{"message": None, "finish_reason": "stop"}]},
    "a list of content": {**chat(), "choices": [{"message": {"content": [PLANTED]}, "finish_reason": "stop"}]},
    "usage in words": {**chat(None), "usage": PLANTED},
    "tokens in words": {**chat(None), "usage": {"prompt_tokens": PLANTED, "completion_tokens": [PLANTED]}},
    "tokens without end": {**chat(None), "usage": {"prompt_tokens": 1e999, "completion_tokens": -1}},
    "no chat": {"text": PLANTED},
    "a list": [PLANTED],
    "HTML": f"<html>{PLANTED}</html>".encode(),
    "nested too deep": chat("[" * 100_000),
    "a body nested too deep": b"[" * 100_000,
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_a_malformed_answer_is_asked_for_again_and_never_cached(server: Endpoint, tmp_path: Path, bad: Any) -> None:
    server.script = [(200, bad), (200, chat())]
    llm = endpoint(server, tmp_path)
    assert llm.complete(MESSAGES, schema=SCHEMA, record="n1") == GOOD
    assert (llm.usage.asked, llm.usage.requests, llm.usage.malformed) == (1, 2, 1)
    server.script = [(200, bad)]
    with pytest.raises(DataError, match=r"^n2: llm_answer_malformed$"):
        llm.complete([MESSAGES[0], MESSAGES[0]], schema=SCHEMA, record="n2")
    assert len(list(tmp_path.rglob("*.json"))) == 1


@pytest.mark.parametrize(
    ("answer", "rule"),
    [
        (chat(None, refusal=f"I cannot speak of {PLANTED}"), "llm_refused"),
        (chat("", finish="content_filter"), "llm_refused"),
        (chat(GOOD, finish="length"), "llm_answer_cut"),
    ],
)
def test_a_refused_or_cut_answer_is_an_error_of_that_record(
    server: Endpoint, tmp_path: Path, answer: Any, rule: str
) -> None:
    server.script = [(200, answer)]
    llm = endpoint(server, tmp_path)
    with pytest.raises(DataError, match=f"^n1: {rule}$"):
        llm.complete(MESSAGES, schema=SCHEMA, record="n1")
    assert len(server.received) == 1
    assert not list(tmp_path.rglob("*.json"))
    assert llm.usage.prompt_tokens == 100, "it is paid for all the same"


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"ENIGMA_LLM_ALLOWED_HOSTS": ""}, "may not be sent to 127.0.0.1"),
        ({"ENIGMA_LLM_ALLOWED_HOSTS": "llm.hospital.example"}, "may not be sent to 127.0.0.1"),
        ({"ENIGMA_LLM_ALLOWED_HOSTS": "", "ENIGMA_ALLOW_EXTERNAL_LLM": "yes"}, "may not be sent to"),
        ({"ENIGMA_LLM_BASE_URL": "http://127.0.0.1@elsewhere.example/v1"}, "may not be sent to elsewhere.example"),
        ({"ENIGMA_LLM_BASE_URL": "http://127.0.0.1.elsewhere.example/v1"}, "may not be sent to"),
        ({"ENIGMA_LLM_BASE_URL": "https://api.example/v1"}, "may not be sent to api.example"),
        ({"ENIGMA_LLM_BASE_URL": "http://api.example/v1", "ENIGMA_ALLOW_EXTERNAL_LLM": "1"}, "unencrypted"),
        ({"ENIGMA_LLM_BASE_URL": ""}, "set ENIGMA_LLM_BASE_URL"),
        ({"ENIGMA_LLM_BASE_URL": "127.0.0.1:80"}, "no http"),
        ({"ENIGMA_LLM_BASE_URL": "http://127.0.0.1:port/v1"}, "no http"),
        ({"ENIGMA_LLM_BASE_URL": "file:///notes"}, "no http"),
        ({"ENIGMA_LLM_TIMEOUT": "soon"}, "ENIGMA_LLM_TIMEOUT"),
        ({"ENIGMA_LLM_ATTEMPTS": "0"}, "ENIGMA_LLM_ATTEMPTS"),
    ],
)
def test_an_endpoint_that_nobody_allowed_is_refused_before_any_connection(
    server: Endpoint, tmp_path: Path, variables: dict[str, str], message: str
) -> None:
    with pytest.raises(UsageError, match=message) as refused:
        endpoint(server, tmp_path, **variables)
    assert refused.value.exit_code == 2
    assert not server.received


def test_external_endpoints_work_once_allowed(server: Endpoint, tmp_path: Path) -> None:
    llm = endpoint(server, tmp_path, ENIGMA_LLM_ALLOWED_HOSTS="", ENIGMA_ALLOW_EXTERNAL_LLM="1")
    assert llm.complete(MESSAGES, record="n1") == GOOD


def test_a_proxy_of_the_environment_never_sees_what_goes_to_an_own_host(
    server: Endpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    assert endpoint(server, tmp_path).complete(MESSAGES, record="n1") == GOOD


def test_no_more_requests_are_under_way_than_allowed_and_equal_questions_are_asked_once(
    server: Endpoint, tmp_path: Path
) -> None:
    server.seconds = 0.3
    llm = endpoint(server, tmp_path, ENIGMA_LLM_CONCURRENCY="2")
    with ThreadPoolExecutor(8) as pool:
        asked = [[{"role": "user", "content": f"note {i % 6}"}] for i in range(18)]
        list(pool.map(lambda m: llm.complete(m, record="n"), asked))
    assert server.busiest == 2
    assert (llm.usage.asked, llm.usage.requests, llm.usage.cached) == (6, 6, 12)


def test_planted_text_and_the_key_are_in_no_log_and_no_exception(
    server: Endpoint, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    llm = endpoint(server, tmp_path, ENIGMA_LLM_ATTEMPTS="2")
    shown: list[str] = []
    failing = [(500, {"error": {"message": PLANTED}}), (400, {"error": PLANTED}), (200, f"<{PLANTED}".encode())]
    failing += [(200, chat(None, refusal=PLANTED)), (200, chat(PLANTED)), (200, chat())]
    for number, (status, answer) in enumerate(failing):
        server.script = [(status, answer)]
        try:
            llm.complete([*MESSAGES, {"role": "user", "content": str(number)}], schema=SCHEMA, record="n1")
        except (DataError, ServiceError):
            shown.append(traceback.format_exc())
    assert len(shown) == len(failing) - 1
    for secret in (PLANTED, "s3cret"):
        assert secret not in "".join(shown)
    assert PLANTED not in caplog.text
    assert "s3cret" not in caplog.text
    assert "s3cret" not in repr(load_settings({"ENIGMA_LLM_API_KEY": "s3cret-key"}))
