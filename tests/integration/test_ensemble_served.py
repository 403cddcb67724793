"""One registered MLflow model is the whole ensemble: loaded, and served over HTTP; no text in what it logs."""

from __future__ import annotations

import argparse
import json
import os
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from enigma_tasks.adapters import mlflow_registry
from enigma_tasks.config import load_params, load_settings, quiet_third_parties
from enigma_tasks.documents import Document, EntityType
from enigma_tasks.ensembles.folder import read_ensemble, write_ensemble
from enigma_tasks.ensembles.learned_voting import LearnedWeights
from enigma_tasks.ensembles.runner import EnsembleAnnotator
from enigma_tasks.ensembles.voting_rule import VotingRule
from enigma_tasks.stages import register
from tests.integration.mlflow_server import mlflow_server
from tests.integration.server_process import free_port, running
from tests.integration.test_ensemble import PARAMS
from tests.unit.ner_builders import model_folder, notes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from enigma_tasks.notes.plans import Pin

PLANTED = "Zyxwvutia"
TEXTS = [d.text for d in notes(6, first=300)]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A learned rule over three models."""
    root = tmp_path_factory.mktemp("served")
    models = [model_folder(root / str(seed), seed=seed, able=True) for seed in (1, 2, 3)]
    rule = VotingRule("learned", threshold=0.5, learned=LearnedWeights(-1.0, (1.0, 1.0, 1.0), 0.1, 0.1, 0.0, 0.0, 0.0))
    write_ensemble(root / "ensemble" / "disease", "es", EntityType.DISEASE, models, rule)
    return root


@pytest.fixture(scope="module")
def registered(folder: Path) -> Iterator[Pin]:
    quieted: dict[str, str] = {}
    quiet_third_parties(quieted)
    with pytest.MonkeyPatch.context() as patch, mlflow_server(folder, str(folder / "stored"), proxied=True) as url:
        for name, value in {**quieted, "OMP_NUM_THREADS": "1", "MLFLOW_TRACKING_URI": url}.items():
            patch.setenv(name, value)
        arguments = argparse.Namespace(
            language="es", entity="disease", model=None, ensemble=str(folder / "ensemble"), vote="majority",
            first=False, scores=None, retrained=None,
        )  # fmt: skip
        rows = register.run(arguments, load_params(Path(PARAMS)), load_settings())["registered"]
        assert [(r["entity"], r["members"]) for r in rows] == [("disease", 3)]
        yield mlflow_registry.pin_of_digest(rows[0]["name"], rows[0]["version"], rows[0]["digest"])


def expected(folder: Path) -> list[tuple[int, str, int, int]]:
    annotator = EnsembleAnnotator([read_ensemble(folder / "ensemble" / "disease")], 4096)
    annotated = annotator.annotate([Document(str(i), t) for i, t in enumerate(TEXTS)])
    return [(i, e.label, e.char_start, e.char_end) for i, a in enumerate(annotated) for e in a.entities]


@pytest.fixture(scope="module")
def served(registered: Pin, folder: Path) -> Iterator[str]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", f"models:/{registered.name}@challenger",
               "--env-manager", "local", "-h", "127.0.0.1", "-p", str(port), "-w", "1"]  # fmt: skip
    log = folder / "serving.log"
    tools = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])  # MLflow calls uvicorn by name
    with running(command, f"{url}/ping", log, {**os.environ, "PATH": tools}):
        yield url


def post(url: str, body: object) -> tuple[int, str]:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(f"{url}/invocations", content, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=120) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_the_loaded_model_is_the_ensemble(registered: Pin, folder: Path) -> None:
    import mlflow

    found = mlflow.pyfunc.load_model(f"models:/{registered.name}@challenger").predict(TEXTS)
    columns = ["document", "label", "char_start", "char_end"]
    assert expected(folder)
    assert [tuple(row) for row in found[columns].itertuples(index=False)] == expected(folder)
    assert found["score"].between(0.5, 1).all()


def test_a_server_answers_the_same_and_quotes_no_text_that_it_refuses(served: str, folder: Path) -> None:
    status, body = post(served, {"inputs": TEXTS})
    assert status == 200
    spans: list[dict[str, Any]] = json.loads(body)["predictions"]
    assert [(s["document"], s["label"], s["char_start"], s["char_end"]) for s in spans] == expected(folder)
    bad: list[object] = [
        {"inputs": {"note": PLANTED}},
        {"inputs": [PLANTED, 5]},
        {"inputs": [[PLANTED]]},
        {"dataframe_records": [{"a": PLANTED, "b": 1}]},
        {PLANTED: [PLANTED]},
        f'{{"inputs": ["{PLANTED}"'.encode(),
    ]
    answers = [post(served, body) for body in bad]
    assert [code for code, _ in answers] == [400, 200, 200, 200, 400, 400]  # numbers and columns are read as text
    assert not [body for _, body in answers[:-1] if PLANTED in body]  # what is no JSON goes back to its sender
    assert PLANTED not in (folder / "serving.log").read_text(errors="replace")
    assert PLANTED not in (folder / "server.log").read_text(errors="replace")
    assert post(served, {"inputs": TEXTS})[0] == 200
