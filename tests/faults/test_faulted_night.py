"""plan, annotate and publish with one fault at one request: run again, the night ends like an undisturbed one."""

from __future__ import annotations

import json
import os
import random
import sys
import threading
import traceback
from typing import TYPE_CHECKING, Any

import pytest

from enigma_tasks.adapters.object_store import ObjectStore
from enigma_tasks.adapters.s3_client import forget_client
from enigma_tasks.config import load_settings
from tests.faults.numbering_proxy import Fault, NumberingProxy
from tests.integration.conftest import s3_endpoint  # noqa: F401 - a fixture
from tests.integration.night_helpers import Nights
from tests.integration.test_night_kills import drop, state

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.faults

SEED = 1
SAMPLE = 40
KILLS = {Fault.KILL_BEFORE, Fault.KILL_AFTER}


def in_child(work: Callable[[], Any], answer: Path, proxy: NumberingProxy | None = None) -> int:
    """Run in a process forked after the imports; returns its wait status. `answer` holds the result as JSON."""
    ready, go = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.close(go)
            os.read(ready, 1)
            forget_client()
            answer.write_text(json.dumps(work(), default=str))
            code = 0
        except BaseException:  # noqa: BLE001 - reported by its exit code
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    os.close(ready)
    if proxy:
        proxy.child = pid
    os.close(go)
    return os.waitpid(pid, 0)[1]


@pytest.fixture
def night(
    s3_endpoint: str,  # noqa: F811 - a fixture
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[tuple[Nights, NumberingProxy]]:
    proxy = NumberingProxy(s3_endpoint)
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    for name, value in {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": proxy.url,
        "AWS_ALLOW_HTTP": "true",
        "AWS_EC2_METADATA_DISABLED": "true",
        "ENIGMA_S3_ROOT": "s3://faults/start",
    }.items():
        monkeypatch.setenv(name, value)
    forget_client()
    yield Nights(monkeypatch), proxy
    proxy.shutdown()
    proxy.server_close()
    forget_client()


def fresh(nights: Nights, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("ENIGMA_S3_ROOT", f"s3://faults/{name}")
    nights.settings = load_settings()
    ObjectStore().ensure_bucket(nights.settings.runs)
    drop(nights)


def test_a_night_with_one_fault_and_run_again_ends_like_an_undisturbed_one(
    night: tuple[Nights, NumberingProxy], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    nights, proxy = night
    answer = tmp_path / "answer.json"

    def again() -> dict[str, Any]:
        nights.night("night-1")
        return state(nights)

    fresh(nights, monkeypatch, "clean")
    proxy.reset()
    assert in_child(lambda: nights.night("night-1"), answer) == 0
    recorded = list(proxy.requests)
    assert in_child(again, answer) == 0
    undisturbed = answer.read_bytes()

    cases = [(number, fault) for number in range(1, len(recorded) + 1) for fault in Fault]
    chosen = os.environ.get("CASE")
    if chosen:
        number, fault = chosen.split(":")
        cases = [(int(number), Fault(fault))]
    elif not os.environ.get("ALL"):
        cases = random.Random(SEED).sample(cases, min(SAMPLE, len(cases)))
    failed = []
    for number, fault in cases:
        fresh(nights, monkeypatch, f"{number}-{fault.replace('_', '-')}")
        proxy.reset(number, fault)
        status = in_child(lambda: nights.night("night-1"), answer, proxy)
        sound = os.WIFSIGNALED(status) == (fault in KILLS)
        for _ in range(2):
            proxy.reset()
            answer.unlink(missing_ok=True)
            sound = in_child(again, answer) == 0 and answer.read_bytes() == undisturbed and sound
        if not sound:
            failed.append(f"make test-faults CASE={number}:{fault}  # {recorded[number - 1].split()[0]}")
    assert not failed, "\n".join(failed)
