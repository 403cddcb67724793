"""Every stage x every kind of failure x every channel: planted words of notes and gold are found in none of them."""

from __future__ import annotations

import ast
import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from enigma_tasks.adapters.shard_results import ResultWriter
from enigma_tasks.cli import COMMANDS
from enigma_tasks.ensembles.runner import EnsembleAnnotator
from enigma_tasks.formats.corpora import write_corpus
from tests.integration.canary_world import CANARY, MENTION, World, holds, planted, registry_away, store_away
from tests.integration.test_champions import FOLDER_OF_SERVERS, WHO, environment
from tests.unit.ner_builders import model_folder

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["environment"]

TORN = f'{{"{CANARY}": "{CANARY} {MENTION}'.encode()
KEYED = json.dumps({CANARY: CANARY, "text": f"{CANARY} {MENTION}"}).encode()
NOISE = b"\xff\xfe\x00PAR1" + f"{CANARY} {MENTION}".encode() + b"PAR1"
DAMAGE = {"torn": TORN, "another record": KEYED, "noise": NOISE}
COST = ("--set", "promotion.cost=1000")
"""The models are so fast that their times are noise."""
RECORD = json.dumps({"id": "a", "text": CANARY}).encode()
NIGHT = "night-1"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    return {
        "able": model_folder(folder / "able", seed=1, able=True),
        "other": model_folder(folder / "other", seed=2, able=True),
        "unable": model_folder(folder / "unable", seed=1),
    }


@pytest.fixture(scope="module")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Corpora with planted words: train, dev, the frozen test set; and one that breaks rules."""
    folder = tmp_path_factory.mktemp("corpora")
    for name, first, count in (("train", 0, 12), ("dev", 500, 12), ("test", 100, 60)):
        write_corpus(planted(count, first), folder / name)
    write_corpus(planted(6, 900), folder / "broken")
    (folder / "broken/n900.ann").write_text(f"T1\tSYMPTOM 0 5\t{CANARY}\n")
    (folder / "broken/n901.ann").write_text(f"T1\t{CANARY} 0 5\t{MENTION}\n")
    (folder / "broken/n902.ann").write_text(f"T1\tSYMPTOM 0 {CANARY}\t{MENTION}\n")
    (folder / "broken/n903.txt").write_bytes(f"{CANARY} a\xf1o".encode("latin-1"))
    return {path.name: path for path in folder.iterdir()}


@pytest.fixture
def world(environment: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> World:
    """An empty installation of its own."""
    capfd, caplog, monkeypatch, tmp_path = map(request.getfixturevalue, ("capfd", "caplog", "monkeypatch", "tmp_path"))
    from mlflow import MlflowClient

    for model in MlflowClient().search_registered_models():
        MlflowClient().delete_registered_model(model.name)
    (tmp_path / "tmp").mkdir()
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(tmp_path / "gold.git")], check=True)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setenv("ENIGMA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("ENIGMA_S3_ROOT", f"s3://ward/canary-{abs(hash(request.node.name)):x}")
    monkeypatch.setenv("ENIGMA_GOLD_REPOSITORY", str(tmp_path / "gold.git"))
    monkeypatch.setenv("ENIGMA_FORGET_KEY", "f" * 32)
    return World(tmp_path, capfd, caplog, Path(os.environ[FOLDER_OF_SERVERS]))


def clean(said: Any, *codes: int) -> Any:
    """Nothing leaked, and the command ended as it should."""
    assert said.leaks == []
    assert said.code in codes, said.streams
    return said


def promotion(world: World, models: dict[str, Path], corpora: dict[str, Path]) -> dict[str, Any]:
    """A first champion, a challenger, and the decision on it."""
    clean(world.run("register", *WHO, "--model", models["unable"], "--first"), 0)
    clean(world.run("register", *WHO, "--model", models["able"]), 0)
    said = clean(world.run("compare", *WHO, "--test", corpora["test"], *COST), 0)
    (row,) = said.report["decisions"]
    assert row["result"] == "promoted"
    return dict(row)


def notes_dropped(world: World) -> None:
    drops = {f"es/2026-06-11/ward-1/n{d.id}.txt": d.text.encode() for d in planted(6, 0)}
    drops |= {
        "es/2026-06-11/latin.txt": f"{CANARY} a\xf1o".encode("latin-1"),
        "es/2026-06-11/nul.txt": f"{CANARY}\x00".encode(),
        "auto/2026-06-11/unknown.txt": f"{CANARY} {CANARY}".encode(),
        "es/2026-06-11/records.jsonl": b"\n".join([TORN, KEYED, CANARY.encode(), RECORD]),
    }  # fmt: skip
    for path, data in drops.items():
        world.store.put(f"{world.settings.drops}/{path}", data)


def planned(world: World, models: dict[str, Path]) -> str:
    """Champions for all types, and a night of one shard; returns its URI."""
    notes_dropped(world)
    clean(world.run("register", "--language", "es", "--model", models["able"], "--first"), 0)
    (shard,) = clean(world.run("plan", "--batch", NIGHT), 0).report["shards"]
    return str(shard)


def published(world: World, models: dict[str, Path]) -> None:
    clean(world.run("annotate", "--shard", planned(world, models)), 0)
    clean(world.run("publish", "--batch", NIGHT), 0)


def damaged(world: World, pattern: str, data: bytes) -> Callable[[], None]:
    """Replace the objects whose URI holds the pattern; returns what restores them."""
    found = {i.uri: world.store.get(i.uri) for i in world.store.list("s3://ward/") if pattern in i.uri}
    found = {u: d for u, d in found.items() if u.startswith((world.root, "s3://ward/mlflow/"))}
    assert found, pattern
    for uri in found:
        world.store.put(uri, data)
    return lambda: [world.store.put(uri, whole) for uri, whole in found.items()] and None


def leaks_besides(said: Any, pattern: str) -> list[str]:
    """Without the planted damage itself."""
    return [leak for leak in said.leaks if pattern not in leak or not leak.startswith("s3://")]


def test_scores_of_windows_are_kept_under_a_key_only_and_without_text(
    world: World, models: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    shard, given = planned(world, models), ("--set", "annotate.window_scores_mib=1")
    said = clean(world.run("annotate", "--shard", shard, *given), 2)
    assert "needs ENIGMA_NIGHT_KEY" in said.streams
    monkeypatch.setenv("ENIGMA_NIGHT_KEY", "n" * 32)
    clean(world.run("plan", "--batch", f"{NIGHT}-2"), 0)
    clean(world.run("annotate", "--shard", shard.replace(NIGHT, f"{NIGHT}-2"), *given), 0)
    kept = [p for p in (world.folder / "cache").iterdir() if p.name.startswith("window-scores")]
    assert kept
    assert not [p for p in kept if holds(p.read_bytes())]


def test_the_watch_finds_what_is_there(world: World, capfd: pytest.CaptureFixture[str]) -> None:
    world.store.put(f"{world.settings.reports}/x.html", CANARY.encode())
    world.store.put(f"{world.settings.drops}/x.txt", CANARY.encode())
    (world.folder / "tmp/left").write_text(MENTION)
    said = world.run("score", "--gold", f"/{CANARY}.tsv", "--pred", "/none.tsv")
    assert [leak.partition(":")[0] for leak in said.leaks] == ["standard streams", "s3", str(world.folder / "tmp/left")]
    assert holds(CANARY.encode("utf-16-le"))


def test_a_night_and_its_review(world: World, models: dict[str, Path]) -> None:
    published(world, models)
    clean(world.run("select", "--batch", NIGHT), 0)
    (tasks,) = [i.uri for i in world.store.list(f"{world.settings.to_review}/") if i.uri.endswith("label-studio.json")]
    right, wrong = json.loads(world.store.get(tasks))[:2]
    for task in (right, wrong):
        task["annotations"] = [{"id": 1, "result": task["predictions"][0]["result"]}]
    wrong["data"]["text"] += CANARY
    world.store.put(f"{world.settings.reviewed}/ana/export.json", json.dumps([right, wrong]).encode())
    for name, data in DAMAGE.items():
        world.store.put(f"{world.settings.reviewed}/eve/{name}.json", data)
    counts = clean(world.run("reviewed", "--batch", "import-1"), 0).report["counts"]
    assert (counts["new"], counts["refused"] > 0) == (1, True)
    clean(world.run("monitor", "--batch", NIGHT), 0)
    clean(world.run("monitor", "--week", "2026-W24"), 0)
    note = next(i.uri for i in world.store.list(f"{world.settings.drops}/es/2026-06-11/ward-1/"))
    clean(world.run("explain", note), 0)
    clean(world.run("review", "--note", note, "--out", world.folder / "note.html"), 0)
    assert holds((world.folder / "note.html").read_bytes()), "the reviewer's page is made of the note"
    clean(world.run("doctor"), 0, 1)


def test_a_promotion_its_cards_and_what_a_person_is_asked(
    world: World, models: dict[str, Path], corpora: dict[str, Path]
) -> None:
    row = promotion(world, models, corpora)
    clean(world.run("challengers"), 0)
    clean(world.run("promote", "--decision", row["decision"], "--approved-by", "ana", *COST), 0)
    clean(world.run("card", *WHO), 0)
    clean(world.run("card", *WHO, "--out", world.folder / "card.html"), 0)
    assert not holds((world.folder / "card.html").read_bytes())
    clean(world.run("registry", "rollback", *WHO, "--reason", "A test."), 0)
    for action in ("history", "verify"):
        clean(world.run("registry", action), 0)
    shown = json.dumps(row)
    assert not holds(shown.encode())
    kinds = {i.uri.removeprefix(world.root).partition("/")[0] for i in world.store.list(world.root)}
    assert kinds >= {"journal", "decisions", "cards", "reports"}


AWAY: dict[str, tuple[str, ...]] = {
    "plan": ("--batch", "night-2"),
    "annotate": ("--shard", "SHARD"),
    "publish": ("--batch", NIGHT),
    "select": ("--batch", NIGHT),
    "reviewed": ("--batch", "import-1"),
    "monitor": ("--batch", NIGHT),
    "explain": ("NOTE",),
    "review": ("--note", "NOTE", "--out", "OUT"),
    "forget": ("NOTE", "--gold"),
    "ingest": ("--batch", "gold-1"),
    "register": (*WHO, "--model", "MODEL"),
    "compare": (*WHO, "--test", "TEST"),
    "card": (*WHO, "--out", "OUT"),
    "challengers": (),
    "registry": ("verify",),
    "promote": ("--decision", "DECISION", "--approved-by", "ana", *COST),
}
NO_STORE = {"register": (0, 3)}
NO_REGISTRY = {
    **dict.fromkeys(("annotate", "publish", "select", "reviewed", "monitor", "review", "ingest"), (0, 1)),
    "explain": (3, 0),
    "forget": (3, 0),
}
"""What needs no registry ends well, or for another reason."""


@pytest.mark.slow
def test_services_that_stay_away(
    world: World, models: dict[str, Path], corpora: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    row = promotion(world, models, corpora)
    notes_dropped(world)
    (shard,) = clean(world.run("plan", "--batch", NIGHT), 0).report["shards"]
    world.gold("g", planted(3, 0))
    names = {
        "SHARD": shard,
        "NOTE": f"{world.settings.drops}/es/2026-06-11/ward-1/nn0.txt",
        "OUT": str(world.folder / "out.html"),
        "MODEL": str(models["other"]),
        "TEST": str(corpora["test"]),
        "DECISION": row["decision"],
    }
    for kind, away, expected in (("store", store_away, NO_STORE), ("registry", registry_away, NO_REGISTRY)):
        for command, words in AWAY.items():
            with away(monkeypatch):
                said = world.run(command, *(names.get(w, w) for w in words))
            assert said.leaks == [], (kind, command)
            assert said.code in expected.get(command, (3,)), (kind, command, said.streams)


RECORDS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("annotate", f"/runs/{NIGHT}/plan.json", ("--shard", "SHARD")),
    ("annotate", f"/runs/{NIGHT}/shards/", ("--shard", "SHARD")),
    ("annotate", "/members/", ("--shard", "SHARD")),
    ("annotate", "/ensemble.json", ("--shard", "SHARD")),
    ("publish", f"/runs/{NIGHT}/plan.json", ("--batch", NIGHT)),
    ("publish", f"/runs/{NIGHT}/quarantined-", ("--batch", NIGHT)),
    ("publish", "/done.json", ("--batch", NIGHT)),
    ("publish", "/notes.parquet", ("--batch", NIGHT)),
    ("publish", "/spans.parquet", ("--batch", NIGHT)),
    ("monitor", f"/runs/{NIGHT}/plan.json", ("--batch", NIGHT)),
    ("monitor", "/done.json", ("--batch", NIGHT)),
    ("select", f"/runs/{NIGHT}/plan.json", ("--batch", NIGHT)),
    ("plan", "/journal/", ("--batch", "night-2")),
    ("plan", "/tables/notes/_delta_log/", ("--batch", "night-2")),
    ("card", "/ensemble.json", (*WHO, "--out", "OUT")),
    ("card", "/enigma.json", (*WHO, "--out", "OUT")),
    ("card", "/journal/", (*WHO, "--out", "OUT")),
    ("compare", "/ensemble.json", (*WHO, "--test", "TEST", "--challenger", "2")),
    ("compare", "/journal/", (*WHO, "--test", "TEST", "--challenger", "2")),
    ("registry", "/journal/", ("verify",)),
    ("explain", f"/runs/{NIGHT}/plan.json", ("NOTE",)),
    ("explain", "/journal/", ("NOTE",)),
)
"""Command, the objects that are damaged, its arguments."""
AFTER_ANNOTATE, AFTER_PUBLISH = RECORDS[4][:2], RECORDS[9][:2]
"""The first rows before which the shard is annotated, and the night published."""


@pytest.mark.parametrize("data", DAMAGE.values(), ids=DAMAGE)
def test_records_that_cannot_be_read(
    world: World, models: dict[str, Path], corpora: dict[str, Path], data: bytes
) -> None:
    shard = planned(world, models)
    clean(world.run("register", *WHO, "--model", models["other"]), 0)
    names = {
        "SHARD": shard,
        "NOTE": f"{world.settings.drops}/es/2026-06-11/ward-1/nn0.txt",
        "OUT": str(world.folder / "out.html"),
        "TEST": str(corpora["test"]),
    }
    for command, pattern, words in RECORDS:
        if (command, pattern) == AFTER_ANNOTATE:
            clean(world.run("annotate", "--shard", shard), 0)
        if (command, pattern) == AFTER_PUBLISH:
            clean(world.run("publish", "--batch", NIGHT), 0)
        subprocess.run(["rm", "-rf", str(world.folder / "cache")], check=True)
        restore = damaged(world, pattern, data)
        said = world.run(command, *(names.get(w, w) for w in words))
        restore()
        assert leaks_besides(said, pattern) == [], (command, pattern)
        assert said.code in (0, 1, 2, 3), (command, pattern)
        assert "Traceback" not in said.streams
        assert " in " not in said.streams or "the message is hidden" not in said.streams, (
            command,
            pattern,
            said.streams,
        )


class Choking:
    """An engine that fails on every text, and quotes it."""

    def __init__(self, probe: bool) -> None:
        self.probe = probe

    def __call__(self, documents: Any) -> Any:
        if all(d.id == "probe" for d in documents) and self.probe:
            from enigma_tasks.ensembles.runner import AnnotatedDocument

            return [AnnotatedDocument((), len(d.text)) for d in documents]
        raise ValueError(f"cannot read {[d.text for d in documents]}")


@pytest.mark.parametrize("probe", [True, False])
def test_an_engine_that_chokes_on_notes_and_quotes_them(
    world: World, models: dict[str, Path], corpora: dict[str, Path], monkeypatch: pytest.MonkeyPatch, probe: bool
) -> None:
    shard = planned(world, models)
    clean(world.run("register", *WHO, "--model", models["other"]), 0)
    monkeypatch.setattr(EnsembleAnnotator, "annotate", Choking(probe))
    clean(world.run("annotate", "--shard", shard), 0 if probe else 1)
    clean(world.run("compare", *WHO, "--test", corpora["test"], "--challenger", "2"), 1)
    clean(
        world.run("predict", "--model", models["able"], "--in", corpora["dev"], "--out", world.folder / "out.tsv"), 0, 1
    )
    clean(world.run("evaluate", "--model", models["able"], "--gold", corpora["dev"], "--out", world.folder / "e"), 0, 1)


def test_a_disk_that_is_full(world: World, models: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device", f"/tmp/{CANARY}")

    shard = planned(world, models)
    monkeypatch.setattr(ResultWriter, "write", full)
    clean(world.run("annotate", "--shard", shard), 1, 3)


@pytest.fixture
def gold_world(world: World) -> World:
    world.gold("g", planted(6, 0))
    base = f"{world.settings.gold}/es/all/june"
    text = f"Ingresa {CANARY} con tos."
    broken = {
        "surface.txt": text, "surface.ann": f"T1\tSYMPTOM 0 7\t{CANARY}\n",
        "label.txt": text, "label.ann": f"T1\t{CANARY} 0 7\tIngresa\n",
        "offset.txt": text, "offset.ann": f"T1\tSYMPTOM 0 {CANARY}\tIngresa\n",
        "line.txt": text, "line.ann": f"{CANARY}\n", "stray.ann": f"T1\tSYMPTOM 0 1\t{CANARY}\n",
        "studio.json": json.dumps([{"id": 1, "data": {"text": text}, "annotations": [{"id": 1, "result": [
            {"from_name": CANARY, "to_name": "text", "type": "labels",
             "value": {"start": 0, "end": 900, "text": CANARY, "labels": [CANARY]}}]}]}]),
        "doccano.jsonl": json.dumps({"id": 1, "text": text, "label": [[0, CANARY, CANARY]]}),
        "cas.xmi": f"<x>{CANARY}", "cas.json": f'{{"%TYPES": {{"{CANARY}": 1}}, "%FEATURE_STRUCTURES": "{CANARY}"}}',
        "table.tsv": f"filename\tlabel\tstart_span\tend_span\ttext\n{CANARY}\t{CANARY}\tx\ty\t{CANARY}\n",
    }  # fmt: skip
    for name, data in broken.items():
        world.store.put(f"{base}/{name}", data.encode())
    for name, data in DAMAGE.items():
        world.store.put(f"{base}/{name}.json", data)
        world.store.put(f"{base}/{name}.zip", data)
        world.store.put(f"{base}/{name}.jsonl.gz", data)
    return world


def test_gold_is_taken_in_and_refused(gold_world: World) -> None:
    said = clean(gold_world.run("ingest", "--batch", "gold-1"), 0)
    assert said.report["counts"]["added"] == 6
    assert said.report["counts"]["quarantined"] >= 10
    clean(gold_world.run("ingest", "--batch", "gold-2", "--again"), 0)
    note = f"{gold_world.settings.drops}/es/2026-06-11/n0.txt"
    gold_world.store.put(note, planted(1, 0)[0].text.encode())
    said = clean(gold_world.run("forget", note, "--gold", "--yes"), 0)
    assert said.report["gold_history"]["documents"] == 1


def _no_repository(world: World) -> None:
    subprocess.run(["rm", "-rf", str(world.folder / "gold.git")], check=True)


def _no_remote(_: World) -> None:
    os.environ["ENIGMA_S3_DVC"] = "s3://no-such-bucket/dvc"  # the fixture's monkeypatch takes it back


def _pointer(world: World) -> None:
    _in_clone(world, lambda clone: next(clone.rglob("*.dvc")).write_text(f"outs: {CANARY}\n{CANARY}: [\n"))


def _settings(world: World) -> None:
    _in_clone(world, lambda clone: (clone / ".dvc/config").write_text(f"[{CANARY}\n{CANARY}"))


def _in_clone(world: World, change: Callable[[Path], object]) -> None:
    clean(world.run("ingest", "--batch", "sound"), 0)
    clone, run = world.folder / "clone", {"check": True, "capture_output": True}
    subprocess.run(["git", "clone", "-q", str(world.folder / "gold.git"), str(clone)], **run)
    change(clone)
    subprocess.run(["git", "-C", str(clone), "add", "-A", "-f"], **run)
    author = ["-c", "user.name=eve", "-c", "user.email=eve@localhost"]
    subprocess.run(["git", "-C", str(clone), *author, "commit", "-q", "-m", "Damage"], **run)
    subprocess.run(["git", "-C", str(clone), "push", "-q"], **run)
    world.gold("h", planted(6, 200))


@pytest.mark.slow
@pytest.mark.parametrize("fault", [_no_repository, _no_remote, _pointer, _settings])
def test_git_and_dvc_that_fail(
    gold_world: World, monkeypatch: pytest.MonkeyPatch, fault: Callable[[World], None]
) -> None:
    monkeypatch.setenv("ENIGMA_S3_DVC", f"{gold_world.root}dvc")
    fault(gold_world)
    said = gold_world.run("ingest", "--batch", "gold-1")
    assert [leak for leak in said.leaks if not leak.endswith("history.txt")] == []  # the damage itself is in it
    assert said.code in ((0,) if fault is _settings else (1, 3)), said.streams  # its settings are not read
    assert "the message is hidden" not in said.streams


@pytest.mark.parametrize("corpus", ["train", "broken"])
def test_the_training_path(world: World, models: dict[str, Path], corpora: dict[str, Path], corpus: str) -> None:
    given, out, sound = corpora[corpus], world.folder / "out", (0,) if corpus == "train" else (0, 1)
    clean(world.run("validate", given, "--report", out / "report"), 0, 1)
    for path in (out / "report").rglob("*"):
        assert not path.is_file() or not holds(path.read_bytes()), path
    clean(world.run("split", given, "--out", out / "split"), *sound)
    clean(world.run("augment", given, "--language", "es", "--method", "oversample", "--out", out / "more"), *sound)
    clean(
        world.run(
            "train", "--language", "es", "--entity", "all", "--member", "tiny", "--train", given,
            "--dev", corpora["dev"], "--out", out / "model", "--set", "members.tiny.epochs=1",
        ),
        *sound,
    )  # fmt: skip
    clean(world.run("evaluate", "--model", models["able"], "--gold", given, "--out", out / "scores"), *sound)
    for path in (out / "scores").rglob("*"):
        assert not holds(path.read_bytes()), path
    clean(world.run("predict", "--model", models["able"], "--in", given, "--out", out / "a.tsv"), *sound)
    clean(world.run("score", "--gold", given, "--pred", out / "a.tsv", "--by", "document"), 0, 1, 2)
    if corpus == "train":
        two = ["--model", models["able"], "--model", models["other"]]
        clean(world.run("ensemble", *WHO, *two, "--gold", corpora["dev"], "--out", out / "ensemble"), 0)
        clean(world.run("vote", "--strategy", "union", "--out", out / "v.tsv", out / "a.tsv", out / "a.tsv"), 0, 2)


CHANNELS = {
    "standard output and error": "integration/test_canary.py::test_services_that_stay_away",
    "log": "integration/test_canary.py::test_records_that_cannot_be_read",
    "process list": "integration/test_canary.py::test_the_watch_finds_what_is_there",
    "temporary folder": "integration/test_canary.py::test_a_disk_that_is_full",
    "MLflow's database, log and artifacts": "integration/test_canary.py::test_services_that_stay_away",
    "pages, journal, decisions, cards, quarantine": "integration/test_canary.py::test_records_that_cannot_be_read",
    "gold's history": "integration/test_canary.py::test_git_and_dvc_that_fail",
    "XCom: the filter": "dags/test_container_task.py::test_xcom_takes_uris_counts_and_digests_and_nothing_else",
    "XCom: output that is no report": (
        "dags/test_container_task.py::test_output_that_is_no_report_fails_without_being_quoted"
    ),
    "XCom, Airflow's database and task logs: a night and its review": (
        "e2e/test_night.py::test_a_planted_string_is_found_nowhere_but_in_the_notes_and_their_annotations"
    ),
    "XCom, Airflow's database and task logs: a stage that crashes": (
        "e2e/test_night.py::test_a_stage_that_crashes_says_nothing_of_the_note_that_it_choked_on"
    ),
    "XCom, Airflow's database and task logs: gold that is refused": (
        "e2e/test_ingest_gold.py::test_gold_is_taken_in_once_with_its_bad_documents_named"
    ),
    "XCom, Airflow's database and task logs: git and DVC that fail": (
        "e2e/test_ingest_gold.py::test_what_git_and_dvc_say_of_damaged_gold_is_shown_nowhere"
    ),
    "all of these: hostile drops": (
        "integration/test_hostile_drop.py::test_forty_hostile_objects_among_two_hundred_real_notes_cost_themselves_only"
    ),
    "a description of a container": (
        "dags/test_container_task.py::test_no_secret_is_in_what_airflow_stores_of_a_task_mapped_or_not"
    ),
}
"""Channel -> the test that looks into it. A report is on standard output before it is in XCom, whose filter has its own
tests; what Airflow adds of itself needs its scheduler."""
ELSEWHERE = {
    "sample": "makes up its notes",
    "changes": "test_retrain_steps: a clone of the training project",
    "prepare": "as changes",
    "repro": "as changes",
    "models": "handles no note",
}
"""Commands that are not run here, and why."""


def test_every_command_is_in_the_table() -> None:
    here = {*AWAY, *(command for command, _, _ in RECORDS)}
    here |= {"validate", "split", "augment", "train", "evaluate", "predict", "score", "ensemble", "vote", "doctor"}
    assert here | set(ELSEWHERE) == set(COMMANDS)


@pytest.mark.parametrize("channel", CHANNELS)
def test_every_channel_has_a_test_that_looks_into_it(channel: str) -> None:
    module, _, name = CHANNELS[channel].partition("::")
    tree = ast.parse((Path(__file__).parents[1] / module).read_text())
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
