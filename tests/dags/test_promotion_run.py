"""A whole run of the DAG `promote` in Airflow, with a stand-in for the command `enigma`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

DAGS = Path(__file__).parents[2] / "dags"
COMMAND = """
import json, sys
words = sys.argv[1:]
with open({calls!r}, "a") as calls:
    calls.write(json.dumps(words) + "\\n")
root = "s3://ward/decisions/enigma-es-"
if words[0] == "challengers":
    report = {{"challengers": [root + "disease/challengers/7", root + "symptom/challengers/8"]}}
elif words[0] == "compare":
    name = words[2].rsplit("/", 2)[0]
    row = {{"passed": name.endswith("disease"), "approval": False, "digest": "a" * 64, "line_digest": "b" * 64}}
    row |= {{"decision": name + "/00000005.json", "page": name + "/00000005.html", "challenger": 7, "look": 1}}
    report = {{"decisions": [row]}}
else:
    report = {{"line": 6}}
sys.stdout.write(json.dumps(report))
"""
RUN = """
import json, sys
sys.path.append({dags!r})
from airflow.utils import db
db.initdb()
from airflow.dag_processing.dagbag import DagBag
run = DagBag({dags!r}).dags["promote"].test()
states = {{f"{{ti.task_id}} {{ti.map_index}}": ti.state for ti in run.get_task_instances()}}
with open({out!r}, "w") as file:
    json.dump({{"run": run.state, **states}}, file)
"""


@pytest.mark.slow
def test_a_challenger_that_passes_is_promoted_and_one_that_does_not_is_left_alone(tmp_path: Path) -> None:
    calls, out, command = tmp_path / "calls", tmp_path / "states.json", tmp_path / "command.py"
    command.write_text(COMMAND.format(calls=str(calls)))
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(tmp_path / "home"),
        "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
        "ENIGMA_COMMAND": f"{sys.executable} {command}",
        "ENIGMA_WORKDIR": str(tmp_path),
    }
    script = RUN.format(dags=str(DAGS), out=str(out))
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
    assert out.is_file(), done.stderr[-2000:] + done.stdout[-2000:]
    assert json.loads(out.read_text()) == {
        "run": "success",
        "challengers -1": "success",
        **{f"compare {i}": "success" for i in (0, 1)},
        **{f"{task} 0": "success" for task in ("approve", "promote")},
        **{f"{task} 1": "skipped" for task in ("approve", "promote")},
    }
    (promoted,) = [w for line in calls.read_text().splitlines() if (w := json.loads(line))[0] == "promote"]
    decision = "s3://ward/decisions/enigma-es-disease/00000005.json"
    assert promoted == ["promote", "--decision", decision, "--digest", "b" * 64, "--json"]
