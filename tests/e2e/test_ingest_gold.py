"""Gold drops through the real scheduler: quarantine, one version and one event a drop, nothing twice, nothing lost."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from enigma_tasks.adapters.gold_repository import GoldRepository
from enigma_tasks.formats.corpora import read_corpus
from infra.local.processes import wait_until
from infra.local.stack import BUCKET, Stack
from infra.local.user import User
from tests.e2e.planted import places_that_hold

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(2700)]

DAG = "ingest_gold"
ASSET = "enigma-gold"
SECONDS = 600
INGESTED = "ingested.jsonl.gz"
CANARY = "calabaza9120gris"


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[User]:
    """A user of a running stack; no model is needed."""
    ports = {"s3": 0, "mlflow": 0, "airflow": 0}
    stack = Stack(tmp_path_factory.mktemp("stack"), preferred_ports=ports, trained=[])
    stack.start()
    try:
        wait_until(lambda: stack.api.has_dag(DAG), stack.children["airflow"], f"the DAG {DAG}", SECONDS)
        yield User(stack)
    finally:
        stack.stop()


def note(name: str) -> str:
    return f"Motivo {name}: paciente con neumonía bilateral y fiebre de tres días, sin antecedentes. {CANARY}."


def pairs(folder: str, names: list[str]) -> dict[str, bytes]:
    files = {}
    for name in names:
        start = note(name).index("neumonía")
        files[f"{folder}/txt/{name}.txt"] = note(name).encode()
        files[f"{folder}/ann/{name}.ann"] = f"T1\tDISEASE {start} {start + 18}\tneumonía bilateral\n".encode()
    return files


def bad(folder: str) -> dict[str, bytes]:
    files = pairs(folder, ["outside", "differs", "latin"])
    files[f"{folder}/ann/outside.ann"] = b"T1\tDISEASE 5000 5008\tneumon\xc3\xada\n"
    files[f"{folder}/ann/differs.ann"] = b"T1\tDISEASE 0 8\tneumon\xc3\xada\n"
    files[f"{folder}/txt/latin.txt"] = note("latin").encode("latin-1")
    return files


def written_by_ingestion(user: User) -> dict[str, str]:
    """All objects but those of `retrain`, which the new version has woken."""
    return {key: etag for key, etag in user.objects().items() if not key.startswith("training/")}


def ingest(user: User) -> tuple[str, dict[str, Any]]:
    """Trigger a run; returns the task's state and its report's harmless part."""
    run_id = user.api.trigger(DAG)
    assert user.api.wait(DAG, run_id, SECONDS) == "success"
    (task,) = user.api.tasks(DAG, run_id)
    return task["state"], user.api.xcom(DAG, run_id, "ingest")


def documents(user: User, folder: Path, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The ids in the newest version, out of a clone and the DVC remote."""
    places = user.stack.variables
    for name, value in places.items():
        monkeypatch.setenv(name, value)
    with GoldRepository.open(places["ENIGMA_GOLD_REPOSITORY"], "s3://enigma/dvc", command_seconds=600) as version:
        names = version.names() - {INGESTED}
        version.fetch(sorted(names))
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            version.path(name).rename(folder / name)
    return {d.id for d in read_corpus(folder)}


def test_gold_is_taken_in_once_with_its_bad_documents_named(user: User, tmp_path: Path, monkeypatch) -> None:
    good = [f"caso-{n:02}" for n in range(50)]
    user.drop_gold(pairs("es/disease/june", good) | bad("es/disease/june"))

    state, first = ingest(user)
    assert state == "success"
    assert (first["counts"]["added"], first["counts"]["quarantined"]) == (50, 3)
    assert documents(user, tmp_path / "first", monkeypatch) == set(good)
    assert user.gold_versions() == [first["revision"]]
    (event,) = user.api.asset_events(ASSET)
    assert event["extra"]["revision"] == first["revision"]
    assert (event["extra"]["added"], event["extra"]["quarantined"]) == (50, 3)
    (listed,) = [key for key in user.objects("quarantine/") if key.endswith("quarantine.jsonl")]
    rows = [json.loads(line) for line in user.read(listed).splitlines()]
    assert {(row["document"], row["rule"]) for row in rows} == {
        ("es/disease/june/outside.txt", "span_outside_text"),
        ("es/disease/june/differs.txt", "surface_differs"),
        ("es/disease/june/latin.txt", "not_utf8"),
    }

    before = written_by_ingestion(user)
    user.drop_gold(pairs("es/disease/june", good) | bad("es/disease/june"))
    state, second = ingest(user)
    assert state == "skipped"
    assert second["counts"]["deliveries"] == 0
    assert second["revision"] == first["revision"]
    assert user.gold_versions() == [first["revision"]]
    assert len(user.api.asset_events(ASSET)) == 1
    assert written_by_ingestion(user) == before

    # two at once: the scheduler's run, and a person's command beside it
    july, august = [f"julio-{n}" for n in range(6)], [f"agosto-{n}" for n in range(4)]
    user.drop_gold(pairs("es/disease/july", july))
    run_id = user.api.trigger(DAG)
    user.drop_gold(pairs("es/procedure/august", []) | pairs("es/disease/august", august))
    report = user.enigma("ingest", "--batch", "by-hand")
    assert user.api.wait(DAG, run_id, SECONDS) == "success"
    assert documents(user, tmp_path / "both", monkeypatch) == {*good, *july, *august}
    by_dag = user.api.xcom(DAG, run_id, "ingest")
    assert by_dag["counts"]["added"] + report["counts"]["added"] == 10
    versions = user.gold_versions()
    assert {first["revision"], report["revision"], by_dag["revision"]} == set(versions)
    assert len(user.api.asset_events(ASSET)) == 1 + ("announce" in by_dag)

    nothing_of_gold_is_shown(user)


def nothing_of_gold_is_shown(user: User) -> None:
    """Neither in XCom, Airflow's database and logs and MLflow, nor in the history of gold."""
    assert places_that_hold(user, DAG)  # the search does find what is there
    assert places_that_hold(user, CANARY) == []
    history = subprocess.run(
        ["git", "-C", user.stack.variables["ENIGMA_GOLD_REPOSITORY"], "log", "-p", "main"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert CANARY not in history


def ends_badly(user: User) -> str:
    """Trigger a run whose task does not end well; returns the run's id."""
    run_id = user.api.trigger(DAG)

    def ended() -> bool:
        (task,) = user.api.tasks(DAG, run_id)
        assert task["state"] != "success"
        return task["state"] in ("failed", "up_for_retry")

    wait_until(ended, user.stack.children["airflow"], "a task that fails", SECONDS)
    return run_id


def test_what_git_and_dvc_say_of_damaged_gold_is_shown_nowhere(user: User, tmp_path: Path) -> None:
    user.drop_gold(pairs("es/disease/first", ["uno"]))
    ingest(user)
    user.drop_gold(pairs("es/disease/second", ["dos"]))

    whole = {key: user.read(key) for key in user.objects("dvc/")}
    for key in whole:
        user.s3.put_object(Bucket=BUCKET, Key=key, Body=f"{CANARY} {CANARY}".encode())
    run_id = ends_badly(user)
    nothing_of_gold_is_shown(user)
    for key, data in whole.items():
        user.s3.put_object(Bucket=BUCKET, Key=key, Body=data)
    user.api.clear(DAG, run_id, ["ingest"])
    assert user.api.wait(DAG, run_id, SECONDS) == "success"

    repository, clone = user.stack.variables["ENIGMA_GOLD_REPOSITORY"], tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", "-b", "main", repository, str(clone)], check=True)
    next(clone.rglob("*/disease*.dvc")).write_text(f"outs: {CANARY}\n{CANARY}: [\n")
    author = ["-c", "user.name=eve", "-c", "user.email=eve@localhost"]
    subprocess.run(["git", "-C", str(clone), *author, "commit", "-qam", "Damage"], check=True)
    subprocess.run(["git", "-C", str(clone), "push", "-q"], check=True)
    user.drop_gold(pairs("es/disease/third", ["tres"]))
    ends_badly(user)
    assert places_that_hold(user, CANARY) == []  # the damage itself is packed by git
