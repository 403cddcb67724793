"""A killed training ends as an undisturbed one does; and MLflow hears of a training in numbers only."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from mlflow import MlflowClient

from enigma_tasks.adapters.mlflow_run import TrainingRun
from enigma_tasks.cli import main
from enigma_tasks.formats.corpora import write_corpus
from enigma_tasks.ner.training.optimiser import hardware
from tests.integration.mlflow_server import mlflow_server
from tests.integration.server_process import closed_port
from tests.unit.gliner_builders import checkpoint
from tests.unit.ner_builders import notes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mlflow.entities import Run

SMALL = (
    "members.small={base: scratch, scratch: {vocabulary: 150, hidden: 16, layers: 1, heads: 2}, window_tokens: 32, "
    "overlap_tokens: 8, context_tokens: 2, learning_rate: 0.02, batch_size: 4, epochs: 4, head: crf, head_layers: 1, "
    "noise_share: 0.5, noise_tokens: 0.2}"
)


def words(place: Path, out: str) -> list[str]:
    params = str(Path(__file__).parents[2] / "params.yaml")
    data = ["--train", str(place / "train"), "--dev", str(place / "dev"), "--out", str(place / out)]
    who = ["--language", "es", "--entity", "all", "--member", "small", "--params", params, "--json"]
    return ["train", *who, *data, "--set", SMALL, "--set", "split.similarity=0.95"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("place")
    write_corpus(notes(24), root / "train")
    write_corpus(notes(6, 100), root / "dev")
    return root


@pytest.fixture(scope="module")
def tracking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("mlflow")
    with mlflow_server(folder, str(folder / "artifacts")) as uri:
        yield uri


def runs_at(uri: str) -> dict[str, Run]:
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("enigma-training")
    found = client.search_runs([experiment.experiment_id]) if experiment else []
    return {run.info.run_id: run for run in found}


@pytest.mark.slow
def test_a_killed_training_goes_on_and_ends_with_the_same_bytes(place: Path) -> None:
    longer = ["--set", "members.small.epochs=12"]  # so that the kill comes before the end
    command = [sys.executable, "-m", "enigma_tasks", *words(place, "killed"), *longer]
    environment = {k: v for k, v in os.environ.items() if k != "MLFLOW_TRACKING_URI"}
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, env=environment) as process:
        assert process.stderr is not None
        assert any(b"epoch 1, step" in line for line in process.stderr)
        process.send_signal(signal.SIGKILL)
    assert (place / "killed" / ".training" / "checkpoint.safetensors").is_file()
    assert not (place / "killed" / "enigma.json").exists()
    done = subprocess.run(command, capture_output=True, check=True, env=environment)
    again = json.loads(done.stdout)
    whole = json.loads(
        subprocess.run(
            [*command[:3], *words(place, "whole"), *longer], capture_output=True, check=True, env=environment
        ).stdout
    )
    assert 0 < again["resumed_at"] < again["steps"] == whole["steps"]
    assert whole["resumed_at"] == 0
    assert again["epochs"] == whole["epochs"]
    weights = [(place / name / "model.safetensors").read_bytes() for name in ("killed", "whole")]
    assert weights[0] == weights[1]
    cards = [json.loads((place / name / "enigma.json").read_bytes()) for name in ("killed", "whole")]
    for card in cards:  # the package may be edited between the two trainings, which is another matter
        card["digests"].pop("code")
    assert cards[0] == cards[1]
    assert not (place / "killed" / ".training").exists()


def test_mlflow_gets_curves_parameters_and_digests_and_no_text(
    place: Path, tracking: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking)
    before = runs_at(tracking)
    assert main(words(place, "tracked")) == 0
    report = json.loads(capsys.readouterr().out)
    (run,) = [run for run_id, run in runs_at(tracking).items() if run_id not in before]
    curve = [m.value for m in MlflowClient(tracking).get_metric_history(run.info.run_id, "dev_strict_f1")]
    assert run.info.status == "FINISHED"
    assert curve == pytest.approx([e["dev_strict_f1"] for e in report["epochs"]])
    assert run.data.tags["digest"] == report["digest"]
    assert len(run.data.tags["digest.train"]) == 64
    assert run.data.params["learning_rate"] == "0.02"
    assert run.data.metrics["tokens_per_second"] == report["tokens_per_second"]
    assert not any("fiebre" in value for value in [*run.data.tags.values(), *run.data.params.values()])


@pytest.mark.parametrize("epochs", [2, 0])
def test_mlflow_gets_of_a_gliner_member_what_it_gets_of_an_encoder(
    place: Path, tracking: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], epochs: int
) -> None:
    base = place / "gliner"
    if not base.exists():
        checkpoint(base)
    tiny = {"kind": "gliner", "base": str(base), "window_tokens": 48, "overlap_tokens": 16, "batch_size": 4}
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking)
    before = runs_at(tracking)
    out = f"gliner-{epochs}"
    small = json.dumps({**tiny, "epochs": epochs})
    assert main([*words(place, out), "--set", f"members.small={small}"]) == 0
    report = json.loads(capsys.readouterr().out)
    (run,) = [run for run_id, run in runs_at(tracking).items() if run_id not in before]
    assert (run.info.status, run.data.tags["member"]) == ("FINISHED", "small")
    assert run.data.tags["digest"] == report["digest"]
    assert run.data.tags["digest.train"] == json.loads((place / out / "enigma.json").read_bytes())["digests"]["train"]
    assert run.data.tags.keys() >= hardware().keys()
    assert (run.data.params["threshold"], run.data.params["epochs"]) == ("0.65", str(float(epochs)))
    for name in ("loss", "dev_strict_f1", "dev_strict_f1_symptom"):
        curve = MlflowClient(tracking).get_metric_history(run.info.run_id, name)
        assert [(m.step, m.value) for m in curve] == [(e["steps"], pytest.approx(e[name])) for e in report["epochs"]]
        assert len(curve) == max(1, epochs)
    assert run.data.metrics["tokens_per_second"] == report["tokens_per_second"]
    assert not (place / out / ".training").exists()


class KilledError(BaseException):
    """Stands for a kill: no part of the stage catches it."""


def test_a_training_that_goes_on_after_a_kill_continues_its_run_and_sends_what_the_run_lacks(
    place: Path, tracking: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    send = TrainingRun.on_epoch

    def killed(self: TrainingRun, epoch: Mapping[str, float]) -> None:
        if epoch["epoch"] == 2:  # its checkpoint is written, its point is not sent
            raise KilledError
        send(self, epoch)

    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking)
    before = runs_at(tracking)
    with monkeypatch.context() as patch:
        patch.setattr(TrainingRun, "on_epoch", killed)
        assert main(words(place, "continued")) == 1
    assert main(words(place, "continued")) == 0
    report = json.loads(capsys.readouterr().out)
    (run,) = [run for run_id, run in runs_at(tracking).items() if run_id not in before]
    curve = MlflowClient(tracking).get_metric_history(run.info.run_id, "dev_strict_f1")
    assert report["resumed_at"] > 0
    assert run.info.status == "FINISHED"
    assert [m.step for m in curve] == [e["steps"] for e in report["epochs"]]
    assert [m.value for m in curve] == pytest.approx([e["dev_strict_f1"] for e in report["epochs"]])
    assert not (place / "continued" / ".training").exists()


def test_a_tracking_server_that_is_not_there_is_exit_code_3(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{closed_port()}")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    assert main(words(place, "never")) == 3
    assert "the store did not answer" in capsys.readouterr().err
    assert not (place / "never").exists()
