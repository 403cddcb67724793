"""The registry: a real MLflow server on SQLite, artifacts on a real S3 server, and small models that were trained."""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from enigma_tasks.adapters import mlflow_registry
from enigma_tasks.adapters.champions import resolve
from enigma_tasks.adapters.journal_store import JournalStore
from enigma_tasks.adapters.object_store import ObjectStore
from enigma_tasks.adapters.s3_client import forget_client
from enigma_tasks.cli import build_parser
from enigma_tasks.config import load_params, load_settings, quiet_third_parties
from enigma_tasks.documents import Document, EntityType
from enigma_tasks.ensembles.folder import read_ensemble
from enigma_tasks.ensembles.runner import EnsembleAnnotator
from enigma_tasks.errors import DataError, ModelError, UsageError
from enigma_tasks.stages import doctor, register
from tests.integration.mlflow_server import mlflow_server, moto_server
from tests.integration.server_process import closed_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from enigma_tasks.notes.plans import Pin

REPO = Path(__file__).parents[2]
PARAMS = load_params(REPO / "params.yaml")
PLANTED = "La señora Zyxwvutia Quebrantahuesos vino andando desde Villaplantada."
NOTES = {
    "train": [
        f"{PLANTED} Refiere fiebre y tos. Se diagnostica neumonía. Se realiza radiografía de tórax.",
        "Paciente con neumonía y fiebre alta. Radiografía de tórax sin cambios. Persiste la tos.",
        "Ingresa por tos y disnea. La radiografía de tórax confirma neumonía. Cede la fiebre.",
    ],
    "dev": ["Acude por fiebre. Con radiografía de tórax se diagnostica neumonía y tos residual."],
}
MENTIONS = {
    "neumonía": "DISEASE",
    "radiografía de tórax": "PROCEDURE",
    "fiebre": "SYMPTOM",
    "tos": "SYMPTOM",
}


def write_corpus(folder: Path, notes: list[str]) -> None:
    folder.mkdir()
    for i, text in enumerate(notes):
        name = f"{folder.name}-{i}"
        spans = sorted(
            (at, at + len(word), label, text[at : at + len(word)])
            for word, label in MENTIONS.items()
            for at in range(len(text))
            if text.lower().startswith(word, at)
        )
        lines = [f"T{n}\t{label} {a} {b}\t{surface}\n" for n, (a, b, label, surface) in enumerate(spans, 1)]
        (folder / f"{name}.txt").write_text(text, encoding="utf-8")
        (folder / f"{name}.ann").write_text("".join(lines), encoding="utf-8")


def enigma(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "enigma_tasks", *map(str, arguments), "--params", str(REPO / "params.yaml")]
    return subprocess.run([*command, "--json", "--quiet"], capture_output=True, text=True, timeout=300, cwd=REPO)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two multi-head models that differ by their seed."""
    folder = tmp_path_factory.mktemp("models")
    for split, notes in NOTES.items():
        write_corpus(folder / split, notes)
    for seed in (1, 2):
        done = enigma(
            "train", "--language", "es", "--entity", "all", "--member", "tiny", "--train", folder / "train",
            "--dev", folder / "dev", "--out", folder / f"model-{seed}", "--set", f"seed={seed}",
            "--set", "members.tiny.epochs=40", "--set", "members.tiny.batch_size=1",
            "--set", "members.tiny.scratch.vocabulary=300",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    return [folder / "model-1", folder / "model-2"]


@pytest.fixture(scope="module")
def environment() -> Iterator[pytest.MonkeyPatch]:
    from mlflow.store.artifact import s3_artifact_repo

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv("AWS_ACCESS_KEY_ID", "testing")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("AWS_ALLOW_HTTP", "true")
        quieted: dict[str, str] = {}
        quiet_third_parties(quieted)
        for name, value in quieted.items():
            patch.setenv(name, value)
        yield patch
    forget_client()
    s3_artifact_repo._cached_get_s3_client.cache_clear()


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory, environment: pytest.MonkeyPatch) -> Iterator[Path]:
    """The servers, named in the environment; gives the folder of MLflow's database."""
    folder = tmp_path_factory.mktemp("registry")
    with moto_server(folder / "moto.log") as s3:
        environment.setenv("AWS_ENDPOINT_URL", s3)
        environment.setenv("ENIGMA_S3_ROOT", "s3://ward/hospital")
        environment.setenv("MLFLOW_BOTO_CLIENT_ADDRESSING_STYLE", "path")
        forget_client()
        ObjectStore().ensure_bucket("s3://ward/hospital")
        with mlflow_server(folder, "s3://ward/hospital/mlflow") as url:
            environment.setenv("MLFLOW_TRACKING_URI", url)
            yield folder


def registered(
    models: list[Path], entity: str = "disease", vote: str = "majority", *, first: bool = False
) -> list[dict[str, Any]]:
    words = ["register", "--language", "es", "--entity", entity, "--vote", vote]
    words += [word for model in models for word in ("--model", str(model))]
    arguments = build_parser().parse_args([*words, *(["--first"] if first else [])])
    rows: list[dict[str, Any]] = register.run(arguments, PARAMS, load_settings())["registered"]
    return rows


def now(*languages: str) -> Mapping[str, Mapping[str, Pin]]:
    """The champions of Spanish, or of these languages."""
    return resolve(languages or ("es",), JournalStore(ObjectStore(), load_settings().journal)).pins


@pytest.fixture(scope="module")
def champions(registry: Path, models: list[Path]) -> dict[str, Pin]:
    """Entity type -> pin of version 1, registered by the command line from the first model."""
    done = enigma("register", "--language", "es", "--entity", "all", "--model", models[0], "--first")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    pins = now()["es"]
    assert [(r["name"], r["version"], r["digest"], r["alias"]) for r in report["registered"]] == [
        (pins[t.value].name, "1", pins[t.value].digest, "champion") for t in EntityType
    ]
    return pins


def test_champions_of_all_types_are_found_and_languages_without_one_are_left_out(
    champions: dict[str, Pin],
) -> None:
    found = now("es", "sv")
    assert found == {"es": champions}
    assert {pin.name for pin in champions.values()} == {"enigma-es-disease", "enigma-es-procedure", "enigma-es-symptom"}
    assert all(pin.source_uri.startswith("s3://ward/hospital/mlflow/") for pin in champions.values())


def test_a_version_says_what_it_is_and_where_it_came_from(champions: dict[str, Pin], models: list[Path]) -> None:
    from mlflow import MlflowClient

    from enigma_tasks.ner.model_folder import model_digest, read_card

    client = MlflowClient()
    version = client.get_model_version("enigma-es-disease", "1")
    assert version.tags["digest"] == champions["disease"].digest
    assert version.tags["members"] == model_digest(models[0])
    assert (version.tags["language"], version.tags["entity"]) == ("es", "disease")
    assert json.loads(version.tags["rule"]) == {"strategy": "majority"}
    metrics = client.get_run(version.run_id).data.metrics
    assert metrics["dev/0-tiny/strict_f1"] == read_card(models[0]).dev[EntityType.DISEASE].strict_f1


def test_a_challenger_is_a_second_version_and_the_same_digest_makes_no_third(
    champions: dict[str, Pin], models: list[Path]
) -> None:
    from mlflow import MlflowClient

    for _ in range(2):
        assert [(row["version"], row["alias"]) for row in registered(models)] == [("2", "challenger")]
        assert MlflowClient().get_model_version_by_alias("enigma-es-disease", "challenger").version == "2"
    assert now()["es"] == champions
    assert [(row["version"], row["alias"]) for row in registered(models[:1])] == [("1", "challenger")]


def test_members_of_a_weighted_ensemble_weigh_as_much_as_their_dev_scores(
    champions: dict[str, Pin], models: list[Path], tmp_path: Path
) -> None:
    from enigma_tasks.ner.model_folder import read_card

    row = registered(models, "procedure", "weighted")[0]
    pin = mlflow_registry.pin_of_digest(row["name"], row["version"], row["digest"])
    rule = read_ensemble(mlflow_registry.download(pin, tmp_path)).rule
    assert rule.weights == tuple(read_card(m).dev[EntityType.PROCEDURE].strict_f1 for m in models)


def test_a_download_is_the_registered_ensemble_and_types_share_one_copy_of_their_model(
    champions: dict[str, Pin], models: list[Path], tmp_path: Path
) -> None:
    folders = [mlflow_registry.download(pin, tmp_path / "cache") for pin in champions.values()]
    weights = [next(folder.glob("members/*/model.safetensors")) for folder in folders]
    assert weights[0].read_bytes() == (models[0] / "model.safetensors").read_bytes()
    assert len({path.stat().st_ino for path in weights}) == 1
    assert [read_ensemble(f).digest for f in folders] == [pin.digest for pin in champions.values()]


@pytest.mark.parametrize("damage", ["weights changed", "file missing", "file added"])
def test_a_damaged_cache_is_downloaded_again(champions: dict[str, Pin], tmp_path: Path, damage: str) -> None:
    folder = mlflow_registry.download(champions["disease"], tmp_path)
    weights = next(folder.glob("members/*/model.safetensors"))
    sound = weights.read_bytes()
    if damage == "weights changed":
        weights.write_bytes(sound[:-1] + bytes([sound[-1] ^ 1]))
    elif damage == "file missing":
        weights.with_name("tokenizer.json").unlink()
    else:
        weights.with_name("hook.pkl").write_bytes(b"anything")
    assert mlflow_registry.download(champions["disease"], tmp_path) == folder
    assert weights.read_bytes() == sound
    assert not list(folder.rglob("*.pkl"))


@pytest.mark.parametrize("suffix", ["members/extra.bin", "../../outside.bin"])
def test_an_artifact_that_somebody_added_to_is_refused(champions: dict[str, Pin], tmp_path: Path, suffix: str) -> None:
    pin, store = champions["symptom"], ObjectStore()
    added = f"{pin.source_uri}/{suffix}"
    store.put(added, b"not ours")
    try:
        with pytest.raises(ModelError, match="enigma-es-symptom version 1"):
            mlflow_registry.download(pin, tmp_path / "a" / "cache")
    finally:
        store.delete_many([added])
    assert not list(tmp_path.rglob("*.bin"))
    assert mlflow_registry.download(pin, tmp_path / "a" / "cache").is_dir()


def test_an_artifact_whose_weights_changed_is_refused(champions: dict[str, Pin], tmp_path: Path) -> None:
    pin, store = champions["symptom"], ObjectStore()
    uri = next(o.uri for o in store.list(pin.source_uri) if o.key.endswith("model.safetensors"))
    sound = store.get(uri)
    store.put(uri, sound[:-1] + bytes([sound[-1] ^ 1]))
    try:
        with pytest.raises(ModelError, match="digest"):
            mlflow_registry.download(pin, tmp_path)
    finally:
        store.put(uri, sound)


def test_the_pyfunc_gives_the_spans_of_the_engine_and_holds_no_pickle(
    champions: dict[str, Pin], tmp_path: Path
) -> None:
    import mlflow
    import pandas as pd

    texts = ["Nada que señalar.", "Vuelve con fiebre y neumonía.", "Neumonía 😀 resuelta; neumonía previa."]
    ensemble = read_ensemble(mlflow_registry.download(champions["disease"], tmp_path))
    annotated = EnsembleAnnotator([ensemble], 4096).annotate([Document(str(i), t) for i, t in enumerate(texts)])
    expected = [(i, e.label, e.char_start, e.char_end) for i, a in enumerate(annotated) for e in a.entities]
    assert expected

    model = mlflow.pyfunc.load_model("models:/enigma-es-disease@champion")
    columns = ["document", "label", "char_start", "char_end"]
    for given in (texts, pd.DataFrame({"text": texts}), pd.DataFrame({"text": texts}, index=[7, 8, 9])):
        assert [tuple(row) for row in model.predict(given)[columns].itertuples(index=False)] == expected
    with pytest.raises(DataError, match=r"^1: not_text$"):
        model.predict(pd.DataFrame({"text": [PLANTED, 5]}))
    stored = {o.key for o in ObjectStore().list(champions["disease"].source_uri.rpartition("/artifacts/")[0])}
    assert stored
    assert not [key for key in stored if key.endswith((".pkl", ".pickle", ".bin", ".pt"))]


def test_an_input_that_mlflow_refuses_is_not_quoted(champions: dict[str, Pin]) -> None:
    import mlflow

    model = mlflow.pyfunc.load_model("models:/enigma-es-disease/1")
    with pytest.raises(mlflow.exceptions.MlflowException) as caught:
        model.predict({"note": 3, PLANTED: PLANTED})
    assert "Zyxwvutia" not in str(caught.value)


def test_neither_mlflow_s_database_nor_its_model_files_hold_a_note(champions: dict[str, Pin], registry: Path) -> None:
    words = PLANTED.encode()
    for path in [*registry.glob("mlflow.db*"), registry / "server.log"]:
        assert words not in path.read_bytes()
    for item in ObjectStore().list("s3://ward/hospital/mlflow/"):
        assert words not in ObjectStore().get(item.uri)


def test_a_model_of_another_language_or_without_the_head_is_refused_before_anything_is_registered(
    champions: dict[str, Pin], models: list[Path], tmp_path: Path
) -> None:
    other = enigma("register", "--language", "sv", "--entity", "disease", "--model", models[0])
    assert other.returncode == 1
    assert "trained for es, not for sv" in other.stderr
    shutil.copytree(models[1], tmp_path / "headless")
    card = json.loads((tmp_path / "headless" / "enigma.json").read_text())
    card["entity_types"] = ["disease"]
    (tmp_path / "headless" / "enigma.json").write_text(json.dumps(card))
    with pytest.raises(ModelError, match="no head for procedure, symptom"):
        registered([models[0], tmp_path / "headless"], "all")
    with pytest.raises(UsageError, match="twice"):
        registered([models[0], models[0]])
    assert now("es", "sv") == {"es": champions}


def test_a_registry_that_is_down_ends_with_exit_code_3_and_one_line(
    registry: Path, models: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://somebody:planted@127.0.0.1:{closed_port()}")
    done = enigma("register", "--language", "es", "--entity", "disease", "--model", models[0])
    assert done.returncode == 3
    assert done.stderr == "enigma register: mlflow: register enigma-es-disease: the store did not answer\n"


def test_an_artifact_store_that_is_down_ends_with_exit_code_3(
    champions: dict[str, Pin], models: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{closed_port()}")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    done = enigma("register", "--language", "es", "--entity", "disease", "--model", models[1])
    assert done.returncode == 3, done.stderr
    assert done.stderr.count("\n") == 1
    assert now()["es"] == champions


def test_the_doctor_finds_everything_up_and_names_the_languages_without_champion(
    champions: dict[str, Pin],
) -> None:
    found = doctor.run(argparse.Namespace(), PARAMS, load_settings())
    rows = {check["name"]: check for check in found["checks"]}
    assert found["exit_code"] == 0
    assert {rows[name]["status"] for name in ("s3", "s3 conditional writes", "tables", "mlflow")} == {"ok"}
    assert rows["champions"]["status"] == "warn"
    assert "sv: disease, procedure, symptom" in rows["champions"]["detail"]
    assert "es:" not in rows["champions"]["detail"]
    assert not list(ObjectStore().list("s3://ward/hospital/runs/"))


def test_artifacts_behind_the_server_work_as_well(
    registry: Path, models: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with mlflow_server(tmp_path, str(tmp_path / "stored"), proxied=True) as url:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", url)
        (row,) = registered(models[:1])
        pin = mlflow_registry.pin_of_digest(row["name"], row["version"], row["digest"])
        assert pin.source_uri.startswith("mlflow-artifacts:")
        assert read_ensemble(mlflow_registry.download(pin, tmp_path / "cache")).digest == pin.digest
