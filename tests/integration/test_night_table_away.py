"""A store that stays away in the middle of a table's commit: one typed error, and no panic's text."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from tests.integration.server_process import free_port

ROOT = Path(__file__).parents[2]
CANARY = "zanahoria"
PROGRAM = f"""
import os, signal, sys
import numpy as np
import pyarrow as pa
from enigma_tasks.adapters.night_publication import NightTables
from enigma_tasks.adapters.night_schema import SCHEMAS
from enigma_tasks.adapters.object_store import ObjectStore
from enigma_tasks.stages import doctor

ROWS, AWAY_AFTER, SERVER = 20_000, 35, int(sys.argv[1])
schema = SCHEMAS["spans"]


def column(kind):
    if pa.types.is_string(kind):
        return pa.array(["{CANARY}" + os.urandom(20).hex() for _ in range(ROWS)], kind)
    whole = pa.int32() if pa.types.is_date32(kind) else pa.int64()
    return pa.array(np.ones(ROWS), pa.float64()).cast(whole).cast(kind)


def batches():
    for number in range(AWAY_AFTER + 5):
        if number == AWAY_AFTER:
            os.kill(SERVER, signal.SIGKILL)
        yield pa.record_batch([column(f.type) for f in schema], schema=schema)


def run(*_):
    ObjectStore().ensure_bucket("s3://ward/")
    NightTables.opened("s3://ward/tables").commit("spans", batches(), "night-1")


doctor.run = run
sys.argv[1:] = ["doctor"]
from enigma_tasks.__main__ import run as program
program()
"""


def test_a_store_that_stays_away_in_the_middle_of_a_commit_is_one_line() -> None:
    port = free_port()
    quiet = subprocess.DEVNULL
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=quiet, stderr=quiet)
    try:
        url = f"http://127.0.0.1:{port}"
        for _ in range(3000):
            try:
                urllib.request.urlopen(f"{url}/moto-api/", timeout=2).close()
                break
            except (urllib.error.URLError, OSError):
                assert server.poll() is None
                time.sleep(0.1)
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "ENIGMA_", "MLFLOW_"))}
        environment |= {
            "AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ALLOW_HTTP": "true", "AWS_ENDPOINT_URL": url,
        }  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, str(server.pid)],
            capture_output=True, text=True, cwd=ROOT, env=environment, timeout=300,
        )  # fmt: skip
    finally:
        server.kill()
        server.wait()
    assert done.returncode == 3, done.stderr
    first, *rest = done.stderr.splitlines()
    assert first == "enigma doctor: night table: commit spans: the store did not answer"
    assert all("lines of libraries are hidden" in line for line in rest)  # delta-rs may panic in a thread of its own
    assert CANARY not in done.stderr + done.stdout
