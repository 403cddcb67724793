"""Who is champion: the journal in a real store, a real registry that follows it, and the night that reads both."""

from __future__ import annotations

import argparse
import datetime as dt
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from mlflow import MlflowClient

from enigma_tasks.adapters import champions, mlflow_registry
from enigma_tasks.adapters.journal_store import JournalStore
from enigma_tasks.adapters.object_store import ObjectStore
from enigma_tasks.adapters.s3_client import forget_client
from enigma_tasks.cli import build_parser, main
from enigma_tasks.config import load_params, load_settings, quiet_third_parties
from enigma_tasks.documents import EntityType
from enigma_tasks.ensembles.folder import write_ensemble
from enigma_tasks.ensembles.voting_rule import VotingRule
from enigma_tasks.errors import DataError, ModelError, ServiceError, UsageError
from enigma_tasks.formats.corpora import read_corpus, write_corpus
from enigma_tasks.ner.digests import data_digest
from enigma_tasks.promotion.journal import Draft, ModelVersion
from enigma_tasks.stages import card, doctor, evaluate, monitor, plan, register, registry
from tests.integration.mlflow_server import mlflow_server, moto_server
from tests.integration.server_process import closed_port
from tests.unit.ner_builders import model_folder, notes
from tests.unit.test_journal import DECISION

if TYPE_CHECKING:
    from collections.abc import Iterator

    from enigma_tasks.promotion.journal import JournalLine

PARAMS = load_params(Path(__file__).parents[2] / "params.yaml")
NAME = "enigma-es-disease"
WHO = ("--language", "es", "--entity", "disease")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("models")
    return [model_folder(folder / str(seed), seed=seed, able=True) for seed in (1, 2, 3)]


FOLDER_OF_SERVERS = "FOLDER_OF_SERVERS"
"""The variable that names the folder of the servers' logs and database."""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[pytest.MonkeyPatch]:
    """The servers, named in the environment."""
    from mlflow.store.artifact import s3_artifact_repo

    folder = tmp_path_factory.mktemp("servers")
    quieted: dict[str, str] = {}
    quiet_third_parties(quieted)
    with pytest.MonkeyPatch.context() as patch, moto_server(folder / "moto.log") as s3:
        for name, value in {
            **quieted, "OMP_NUM_THREADS": "1", "AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": "us-east-1", "AWS_ALLOW_HTTP": "true", "AWS_ENDPOINT_URL": s3,
            "MLFLOW_BOTO_CLIENT_ADDRESSING_STYLE": "path", "ENIGMA_ACTOR": "ana", FOLDER_OF_SERVERS: str(folder),
        }.items():  # fmt: skip
            patch.setenv(name, value)
        forget_client()
        ObjectStore().ensure_bucket("s3://ward/")
        with mlflow_server(folder, "s3://ward/mlflow") as url:
            patch.setenv("MLFLOW_TRACKING_URI", url)
            yield patch
    forget_client()
    s3_artifact_repo._cached_get_s3_client.cache_clear()


class Hospital:
    """One installation with an empty registry and an empty bucket prefix; commands go through the real parser."""

    def __init__(self, name: str, models: list[Path]) -> None:
        self.models = models
        for model in MlflowClient().search_registered_models():
            MlflowClient().delete_registered_model(model.name)
        self.settings = load_settings({**_environment(), "ENIGMA_S3_ROOT": f"s3://ward/{name}"})
        self.store = ObjectStore()
        self.journal = JournalStore(self.store, self.settings.journal)

    def run(self, stage: Any, *words: str) -> dict[str, Any]:
        report: dict[str, Any] = stage.run(build_parser().parse_args(words), PARAMS, self.settings)
        return report

    def register(self, number: int, *more: str) -> dict[str, Any]:
        (row,) = self.run(register, "register", *WHO, "--model", str(self.models[number]), *more)["registered"]
        return dict(row)

    def registry(self, action: str, *words: str) -> dict[str, Any]:
        return self.run(registry, "registry", action, *words)

    def promoted(self, number: int, *, follow: bool = True) -> JournalLine:
        """Register a challenger and write the line that a promotion writes, without its test."""
        row = self.register(number)
        version = ModelVersion(version=row["version"], digest=row["digest"])
        draft = Draft(
            by="gate", kind="promoted", champion=version, challenger=version, decision=DECISION, approver="ana",
            reason="Better on the frozen test set.",
        )  # fmt: skip
        line = self.journal.append(NAME, draft, after=self.journal.last(NAME))
        if follow:
            champions.follow(line)
        return line

    def alias(self) -> str | None:
        return MlflowClient().get_registered_model(NAME).aliases.get("champion")

    def drop(self, day: int) -> None:
        text = notes(1, first=day)[0].text
        self.store.put(f"{self.settings.drops}/es/2026-06-{day:02}/n{day}.txt", text.encode())

    def plan(self, batch: str) -> dict[str, Any]:
        return self.run(plan, "plan", "--batch", batch)

    def planned(self, batch: str) -> dict[str, Any]:
        tree: dict[str, Any] = json.loads(self.store.get(f"{self.settings.runs}/{batch}/plan.json"))
        return tree

    def kinds(self) -> list[str]:
        return [line.kind for line in self.journal.lines(NAME)]


def _environment() -> dict[str, str]:
    import os

    return dict(os.environ)


@pytest.fixture
def hospital(environment: pytest.MonkeyPatch, models: list[Path], request: pytest.FixtureRequest) -> Hospital:
    return Hospital(f"{abs(hash(request.node.name)):x}", models)


def test_a_version_becomes_the_first_champion_once_and_nothing_else_moves_it(hospital: Hospital) -> None:
    assert hospital.register(1)["alias"] == "challenger"
    assert hospital.alias() is None
    assert hospital.journal.names() == []
    row = hospital.register(0, "--first")
    assert (row["version"], row["alias"], row["line"]) == ("2", "champion", 1)
    (line,) = hospital.journal.lines(NAME)
    assert (line.kind, line.by, line.approver) == ("first", "ana", "ana")
    assert line.champion == ModelVersion(version="2", digest=row["digest"])
    assert hospital.alias() == "2"
    assert hospital.register(0, "--first")["line"] == 1  # as after a kill: nothing to do
    with pytest.raises(DataError, match=f"{NAME}: journal_not_empty at 1"):
        hospital.register(1, "--first")
    assert hospital.register(1)["version"] == "1"
    assert hospital.alias() == "2"
    assert hospital.kinds() == ["first"]


def test_nothing_is_registered_where_one_type_has_another_champion(hospital: Hospital) -> None:
    hospital.register(0, "--first")
    with pytest.raises(DataError, match=f"{NAME}: journal_not_empty"):
        hospital.run(
            register, "register", "--language", "es", "--entity", "all", "--model", str(hospital.models[1]), "--first"
        )
    assert [m.name for m in MlflowClient().search_registered_models()] == [NAME]
    assert len(MlflowClient().search_model_versions(f"name = '{NAME}'")) == 1


def test_a_night_is_annotated_by_the_journal_s_champion(hospital: Hospital) -> None:
    hospital.register(0, "--first")
    hospital.promoted(1)
    hospital.drop(11)
    hospital.plan("night-1")
    planned = hospital.planned("night-1")
    pin = planned["models"]["es"]["disease"]
    last = hospital.journal.lines(NAME)[-1]
    assert last.champion is not None
    assert (pin["version"], pin["digest"]) == ("2", last.champion.digest)
    assert planned["journal"] == {NAME: 2}
    assert planned["aliases"] == []


def test_an_alias_that_somebody_moved_is_reported_on_the_page_and_set_back(hospital: Hospital) -> None:
    hospital.register(0, "--first")
    hospital.promoted(1)
    MlflowClient().set_registered_model_alias(NAME, "champion", "1")
    hospital.drop(11)
    assert hospital.plan("night-1")["aliases_moved"] == [NAME]
    planned = hospital.planned("night-1")
    assert planned["models"]["es"]["disease"]["version"] == "2"
    assert planned["aliases"] == [{"name": NAME, "alias": "1", "champion": "2"}]
    assert hospital.alias() == "2"
    assert hospital.kinds() == ["first", "promoted", "alias_repaired"]
    assert hospital.journal.lines(NAME)[-1].reason == "Night night-1: the alias named version 1, not 2."
    report = hospital.run(monitor, "monitor", "--batch", "night-1")
    (alert,) = [a for a in report["alerts"] if a["rule"] == "alias_moved"]
    assert alert["subject"] == NAME
    page = hospital.store.get(report["page"]).decode()
    assert alert["reason"] in page
    hospital.drop(12)
    assert hospital.plan("night-2")["aliases_moved"] == []
    assert hospital.plan("night-1")["aliases_moved"] == [NAME]
    assert hospital.kinds() == ["first", "promoted", "alias_repaired"]


def test_an_alias_that_was_deleted_is_set_again(hospital: Hospital) -> None:
    hospital.register(0, "--first")
    MlflowClient().delete_registered_model_alias(NAME, "champion")
    hospital.drop(11)
    hospital.plan("night-1")
    assert hospital.planned("night-1")["aliases"] == [{"name": NAME, "alias": "", "champion": "1"}]
    assert hospital.alias() == "1"


def test_a_registry_that_dies_between_line_and_alias_is_repaired_by_the_next_night(
    hospital: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    hospital.register(0, "--first")

    def dies(*_: object) -> None:
        raise ServiceError("mlflow: unreachable")

    line = hospital.promoted(1, follow=False)
    with monkeypatch.context() as patch:
        patch.setattr(mlflow_registry, "set_alias", dies)
        with pytest.raises(ServiceError):
            champions.follow(line)
    assert hospital.alias() == "1"
    hospital.drop(11)
    hospital.plan("night-1")
    assert hospital.planned("night-1")["models"]["es"]["disease"]["version"] == "2"
    assert hospital.alias() == "2"


@pytest.mark.parametrize("step", ["append", "follow"])
def test_a_plan_killed_while_it_repairs_reports_the_alias_and_repairs_it_when_run_again(
    hospital: Hospital, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    hospital.register(0, "--first")
    hospital.promoted(1)
    MlflowClient().set_registered_model_alias(NAME, "champion", "1")
    hospital.drop(11)

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(*((JournalStore, "append") if step == "append" else (champions, "follow")), killed)
        with pytest.raises(KeyboardInterrupt):
            hospital.plan("night-1")
    assert hospital.alias() == "1"
    assert hospital.plan("night-1")["aliases_moved"] == [NAME]
    assert hospital.alias() == "2"
    assert hospital.kinds() == ["first", "promoted", "alias_repaired"]


def test_an_alias_that_cannot_be_set_does_not_cost_the_night(
    hospital: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    hospital.register(0, "--first")
    MlflowClient().delete_registered_model_alias(NAME, "champion")
    hospital.drop(11)

    def denied(*_: object) -> None:
        raise ServiceError("mlflow: set alias: PERMISSION_DENIED")

    monkeypatch.setattr(mlflow_registry, "set_alias", denied)
    assert hospital.plan("night-1")["counts"]["planned"] == 1


def test_an_alias_without_a_journal_makes_no_champion_and_says_what_to_do(
    hospital: Hospital, caplog: pytest.LogCaptureFixture
) -> None:
    hospital.register(0)
    MlflowClient().set_registered_model_alias(NAME, "champion", "1")
    hospital.drop(11)
    assert hospital.plan("night-1")["waiting"] == {"es": 1}
    assert "enigma register --first" in caplog.text
    report = hospital.run(monitor, "monitor", "--batch", "night-1")
    (alert,) = [a for a in report["alerts"] if a["rule"] == "no_journal"]
    assert "enigma register --first" in alert["reason"]
    hospital.register(0, "--first")
    assert hospital.plan("night-2")["counts"]["planned"] == 1


def test_a_version_that_is_gone_is_found_by_its_digest_or_named(hospital: Hospital) -> None:
    hospital.register(0, "--first")
    MlflowClient().delete_model_version(NAME, "1")
    hospital.drop(11)
    with pytest.raises(ModelError, match=f"{NAME} version 1: "):
        hospital.plan("night-1")
    hospital.register(0)  # the same ensemble again: another number
    hospital.plan("night-1")
    assert hospital.planned("night-1")["models"]["es"]["disease"]["version"] == "2"
    assert hospital.alias() == "2"


def test_a_version_whose_digest_tag_was_exchanged_is_not_used(hospital: Hospital) -> None:
    hospital.register(0, "--first")
    MlflowClient().set_model_version_tag(NAME, "1", "digest", "0" * 64)
    hospital.drop(11)
    with pytest.raises(ModelError, match=f"{NAME} version 1: "):
        hospital.plan("night-1")


def test_a_journal_that_was_edited_stops_the_plan_and_is_named_by_verify(hospital: Hospital) -> None:
    hospital.register(0, "--first")
    hospital.promoted(1)
    hospital.drop(11)
    assert hospital.registry("verify")["exit_code"] == 0
    uri = f"{hospital.settings.journal}/{NAME}/00000002.json"
    sound = hospital.store.get(uri)
    hospital.store.delete_many([uri])  # the last line: only the registry's tag still knows of it
    with pytest.raises(DataError, match=f"{NAME}: journal_removed at 2"):
        hospital.plan("night-1")
    report = hospital.registry("verify", *WHO)
    assert report["exit_code"] == 1
    assert [(f["name"], f["line"], f["kind"]) for f in report["findings"]] == [(NAME, 2, "removed")]
    hospital.store.put(uri, sound)
    assert hospital.registry("verify")["findings"] == []
    hospital.plan("night-1")


def test_a_journal_that_was_deleted_as_a_whole_is_missed(hospital: Hospital) -> None:
    hospital.register(0, "--first")
    hospital.store.delete_many([f"{hospital.settings.journal}/{NAME}/00000001.json"])
    assert [f["kind"] for f in hospital.registry("verify")["findings"]] == ["removed"]
    hospital.drop(11)
    with pytest.raises(DataError, match="journal_removed at 1"):
        hospital.plan("night-1")


def test_a_rollback_is_one_line_that_the_alias_and_the_next_night_follow(hospital: Hospital) -> None:
    hospital.register(0, "--first")
    hospital.promoted(1)
    hospital.promoted(2)
    report = hospital.registry("rollback", *WHO, "--reason", "Too many false diseases on ward 3.")
    assert (report["from"], report["to"], report["line"]) == ("3", "2", 4)
    assert hospital.kinds() == ["first", "promoted", "promoted", "rollback"]
    assert hospital.alias() == "2"
    hospital.registry("rollback", *WHO, "--to", "1", "--reason", "Still too many.")
    hospital.drop(11)
    hospital.plan("night-1")
    assert hospital.planned("night-1")["models"]["es"]["disease"]["version"] == "1"
    rows = hospital.registry("history", *WHO)["lines"]
    assert [(r["line"], r["kind"], r["champion"]) for r in rows] == [
        (1, "first", "1"), (2, "promoted", "2"), (3, "promoted", "3"), (4, "rollback", "2"), (5, "rollback", "1")
    ]  # fmt: skip
    assert rows[3]["reason"] == "Too many false diseases on ward 3."


def test_a_rollback_that_was_killed_after_its_line_is_completed_by_the_same_command(
    hospital: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    hospital.register(0, "--first")
    hospital.promoted(1)
    words = ("rollback", *WHO, "--to", "1", "--reason", "Too many.")

    def killed(_: JournalLine) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(champions, "follow", killed)
        with pytest.raises(KeyboardInterrupt):
            hospital.registry(*words)
    assert hospital.alias() == "2"
    report = hospital.registry(*words)
    assert (report["from"], report["to"], report["line"]) == ("2", "1", 3)
    assert hospital.alias() == "1"
    assert hospital.kinds() == ["first", "promoted", "rollback"]
    assert hospital.registry(*words) == report


def test_a_rollback_to_what_was_never_champion_is_refused(hospital: Hospital) -> None:
    hospital.register(0, "--first")
    hospital.register(1)
    for words, message in {
        ("--reason", "x"): "no earlier champion",
        ("--to", "2", "--reason", "x"): "never champion",
        ("--to", "1", "--reason", "x"): "champion already",
        ("--to", "1", "--reason", "two\nlines"): "champion already",
        (): "--reason",
    }.items():
        with pytest.raises(UsageError, match=message):
            hospital.registry("rollback", *WHO, *words)
    hospital.promoted(1)
    with pytest.raises(UsageError, match="reason must be one line"):
        hospital.registry("rollback", *WHO, "--reason", "two\nlines")
    assert hospital.kinds() == ["first", "promoted"]


def best(name: str, gold: str) -> list[str]:
    """The digests of the models of one name, the best on a test set first; the question that MLflow answers."""
    dataset = {"dataset_name": name, "dataset_digest": gold[:32]}
    found = MlflowClient().search_logged_models(
        experiment_ids=[MlflowClient().get_experiment_by_name("enigma").experiment_id],
        filter_string="tags.language = 'es' AND tags.entity = 'disease' AND metrics.strict_f1 >= 0",
        datasets=[dataset],
        order_by=[{"field_name": "metrics.strict_f1", "ascending": False, **dataset}],
    )
    return [model.tags["digest"] for model in found]


def test_mlflow_says_which_version_is_best_on_a_test_set(hospital: Hospital, tmp_path: Path) -> None:
    """The second model is better on the first set and was not measured on the second one."""
    golds = {}
    for name, first in (("one", 300), ("two", 500)):
        write_corpus(notes(6, first), tmp_path / name, "packed")
        golds[name] = data_digest(list(read_corpus(tmp_path / name, "es")))
    rows = {}
    for number, name in ((2, "two"), (2, "one"), (0, "one"), (0, "two")):
        out = tmp_path / f"{number}-{name}"
        hospital.run(
            evaluate, "evaluate", "--model", str(hospital.models[number]), "--gold", str(tmp_path / name),
            "--out", str(out),
        )  # fmt: skip
        if number == 2 and name == "one":
            weaken(out)
        if (number, name) != (0, "two"):
            rows[number] = hospital.register(number, "--scores", str(out))
    assert best("es-disease", golds["one"]) == [rows[0]["digest"], rows[2]["digest"]]
    assert best("es-disease", golds["two"]) == [rows[2]["digest"]]
    version = MlflowClient().get_model_version(NAME, rows[0]["version"])
    run = MlflowClient().get_run(version.run_id)
    (given,), (model,) = [d.dataset for d in run.inputs.dataset_inputs], run.outputs.model_outputs
    assert (given.name, given.digest, given.schema, given.source) == ("es-disease", golds["one"][:32], None, "{}")
    scores = json.loads((tmp_path / "0-one" / "metrics.json").read_bytes())["by_entity"]["disease"]["strict"]
    logged = {m.key: m.value for m in MlflowClient().get_logged_model(model.model_id).metrics if m.dataset_name}
    assert logged["strict_f1"] == scores["f1"]
    assert (logged["strict_f1_low"], logged["documents"]) == (scores["f1_low"], 6)


def weaken(out: Path) -> None:
    """Halve the strict F1 in an evaluation's figures."""
    figures = json.loads((out / "metrics.json").read_bytes())
    figures["by_entity"]["disease"]["strict"]["f1"] /= 2
    (out / "metrics.json").write_text(json.dumps(figures))


def test_scores_of_another_model_or_ensemble_are_refused_before_anything_is_registered(
    hospital: Hospital, tmp_path: Path
) -> None:
    write_corpus(notes(6, 300), tmp_path / "gold", "packed")
    folders = [tmp_path / name / "disease" for name in ("one", "two")]
    for folder, model in zip(folders, hospital.models, strict=False):
        write_ensemble(folder, "es", EntityType.DISEASE, [model], VotingRule("majority"))
    gold = ["--gold", str(tmp_path / "gold"), "--out"]
    hospital.run(evaluate, "evaluate", "--model", str(hospital.models[1]), *gold, str(tmp_path / "of-model"))
    hospital.run(evaluate, "evaluate", "--ensemble", str(folders[1]), *gold, str(tmp_path / "of-ensemble"))
    for name, error in (("of-model", ModelError), ("of-ensemble", ModelError), ("gold", UsageError)):
        with pytest.raises(error):
            hospital.register(0, "--scores", str(tmp_path / name))
    assert MlflowClient().search_registered_models() == []
    ensemble = ["--ensemble", str(folders[1]), "--scores", str(tmp_path / "of-ensemble")]
    (row,) = hospital.run(register, "register", *WHO, *ensemble)["registered"]
    assert row["version"] == "1"


def test_the_champions_of_a_time(hospital: Hospital) -> None:
    assert hospital.registry("as-of", "2026-01-01")["champions"] == []
    first = hospital.register(0, "--first")
    hospital.promoted(1)
    lines = hospital.journal.lines(NAME)
    before = (lines[0].time - dt.timedelta(seconds=1)).isoformat()
    (row,) = hospital.registry("as-of", before)["champions"]
    assert (row["version"], row["line"]) == (None, None)
    (row,) = hospital.registry("as-of", lines[1].at, *WHO)["champions"]
    assert (row["version"], row["line"], row["since"]) == ("2", 2, lines[1].at)
    (row,) = hospital.registry("as-of", f"{lines[1].time:%Y-%m-%d}")["champions"]
    assert row["version"] == "2"
    assert hospital.registry("as-of", "2026-01-01", "--language", "it")["champions"] == []
    assert first["digest"] != row["digest"]
    for words in ("yesterday", "2026-13-01"):
        with pytest.raises(UsageError, match="as-of takes"):
            hospital.registry("as-of", words)


def test_people_get_tables_and_programs_one_object(
    hospital: Hospital, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ENIGMA_S3_ROOT", hospital.settings.journal.removesuffix("/journal"))
    hospital.register(0, "--first")
    hospital.promoted(1)
    capsys.readouterr()
    assert main(["registry", "history", *WHO]) == 0
    table = capsys.readouterr().out
    assert "Better on the frozen test set." in table
    assert [line.split()[:2] for line in table.splitlines() if NAME in line] == [[NAME, "1"], [NAME, "2"]]
    assert main(["registry", "as-of", "2999-01-01", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["champions"][0]["version"] == "2"
    assert main(["registry", "verify"]) == 0
    uri = f"{hospital.settings.journal}/{NAME}/00000001.json"
    hospital.store.put(uri, hospital.store.get(uri).replace(b'"ana"', b'"eva"'))
    capsys.readouterr()
    assert main(["registry", "verify"]) == 1
    assert f"{NAME}  1     changed" in capsys.readouterr().out
    assert main(["registry", "rollback", *WHO, "--reason", "x"]) == 1
    assert f"{NAME}: journal_changed at 1" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words", [("history", "2026-01-01"), ("verify", "--to", "1"), ("as-of", "2026-01-01", "--reason", "x"), ("as-of",)]
)
def test_an_argument_of_another_action_is_refused(hospital: Hospital, words: tuple[str, ...]) -> None:
    with pytest.raises(UsageError):
        hospital.registry(*words)


def test_a_registry_that_follows_a_later_line_is_left_alone(hospital: Hospital) -> None:
    hospital.register(0, "--first")
    (line,) = hospital.journal.lines(NAME)
    hospital.promoted(1)
    champions.follow(line)  # a slow process, after another one's promotion
    assert hospital.alias() == "2"


def test_a_tag_that_enigma_does_not_write_is_refused(hospital: Hospital) -> None:
    hospital.register(0, "--first")
    MlflowClient().set_registered_model_tag(NAME, "journal_head", "latest")
    hospital.drop(11)
    with pytest.raises(DataError, match=f"{NAME}: journal_head"):
        hospital.plan("night-1")


def test_a_registry_that_is_down_is_a_service_error(hospital: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    hospital.register(0, "--first")
    hospital.drop(11)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{closed_port()}")
    with pytest.raises(ServiceError):
        hospital.plan("night-1")


def test_the_doctor_names_aliases_that_differ_and_says_whether_lines_are_locked(hospital: Hospital) -> None:
    hospital.register(0, "--first")
    MlflowClient().delete_registered_model_alias(NAME, "champion")
    checks = doctor.run(argparse.Namespace(), PARAMS, hospital.settings)["checks"]
    details = {c["name"]: (c["status"], c["detail"]) for c in checks}
    assert details["alias champion"] == ("warn", f"{NAME}: names nothing; the journal says version 1")
    assert details["journal"] == ("warn", "its bucket has no object lock: who may delete objects may delete lines")
    assert EntityType.DISEASE.value not in details["champions"][1].partition("es: ")[2].partition(";")[0]


def test_a_card_tells_what_registry_and_journal_record_of_a_version(hospital: Hospital, tmp_path: Path) -> None:
    corpus, scores = tmp_path / "gold", tmp_path / "scores"
    write_corpus(notes(6, 300), corpus, "packed")
    hospital.run(evaluate, "evaluate", "--model", str(hospital.models[0]), "--gold", str(corpus), "--out", str(scores))
    with pytest.raises(UsageError, match=f"{NAME} has no champion: name a --version"):
        hospital.run(card, "card", *WHO, "--out", str(tmp_path / "none.html"))
    hospital.register(0, "--first", "--scores", str(scores))
    hospital.promoted(1)
    found = {
        number: hospital.run(card, "card", *WHO, "--out", str(tmp_path / f"new/{number}.html"), *more)
        for number, more in {"2": (), "1": ("--version", "1")}.items()
    }
    for number, report in found.items():
        assert (report["name"], report["version"], report["members"]) == (NAME, number, 1)
        page = Path(report["page"]).read_text()
        assert report["digest"] in page
        assert all(line.reason in page for line in hospital.journal.lines(NAME))
        assert not any(note.text in page or (note.entities and note.entities[0].text in page) for note in notes(6, 300))
    assert DECISION.challenger
    assert f"{100 * DECISION.challenger.value:.1f}" in Path(found["2"]["page"]).read_text()
    measured = json.loads((scores / "metrics.json").read_bytes())["by_entity"]["disease"]["strict"]["f1"]
    assert f'<td class="num">{100 * measured:.1f} ' in Path(found["1"]["page"]).read_text()
    for report in found.values():
        assert {"gold_revision", "slices", "cost", "calibration"} <= set(report["not_recorded"])
        assert "test_scores" not in report["not_recorded"]
    with pytest.raises(ModelError, match="no such version"):
        hospital.run(card, "card", *WHO, "--version", "9", "--out", str(tmp_path / "none.html"))
    assert not (tmp_path / "none.html").exists()


def versions() -> dict[str, str]:
    """Version -> digest, of the ready ones."""
    found = MlflowClient().search_model_versions(f"name = '{NAME}'")
    return {str(v.version): v.tags["digest"] for v in found}


def runs() -> list[str]:
    """The status of every run of a registration."""
    experiment = MlflowClient().get_experiment_by_name("enigma")
    return [r.info.status for r in MlflowClient().search_runs([experiment.experiment_id])] if experiment else []


def test_a_lost_reply_to_the_creation_of_a_version_makes_one_version(
    hospital: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that has no reply sends the request again; the server has made a version by then."""
    real = MlflowClient.create_model_version

    def sent_twice(*arguments: Any, **more: Any) -> Any:
        real(*arguments, **more)
        return real(*arguments, **more)

    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "create_model_version", sent_twice)
        row = hospital.register(0)
    assert versions() == {row["version"]: row["digest"]} == {"1": row["digest"]}
    assert hospital.register(0)["version"] == "1"


def test_of_two_registrations_at_once_the_first_version_stays(
    hospital: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = MlflowClient.create_model_version
    other: list[dict[str, Any]] = []

    def overtaken(*arguments: Any, **more: Any) -> Any:
        """The other one registers whole between this one's look at the registry and its creation."""
        monkeypatch.setattr(MlflowClient, "create_model_version", real)
        other.append(hospital.register(0))
        return real(*arguments, **more)

    monkeypatch.setattr(MlflowClient, "create_model_version", overtaken)
    row = hospital.register(0)
    assert [r["version"] for r in other] == [row["version"]] == ["1"]
    assert versions() == {"1": row["digest"]}
    assert MlflowClient().get_model_version_by_alias(NAME, "challenger").version == "1"


class KilledError(BaseException):
    """As SIGKILL: the run is not ended either."""


@pytest.mark.parametrize("where", ["log_batch", "create_registered_model"])
def test_the_run_of_a_killed_registration_is_ended_by_the_next_one(
    hospital: Hospital, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    import mlflow

    before = runs()
    with monkeypatch.context() as patch:

        def kill(*_: object, **__: object) -> None:
            raise KilledError

        patch.setattr(MlflowClient, where, kill)
        patch.setattr(mlflow, "end_run", lambda *_, **__: None)
        patch.setattr("mlflow.tracking.fluent.end_run", lambda *_, **__: None)
        with pytest.raises(KilledError):
            hospital.register(0)
    mlflow.tracking.fluent._active_run_stack.get().clear()  # the process is gone
    assert (runs().count("RUNNING"), len(runs())) == (1, len(before) + 1)
    assert hospital.register(0)["version"] == "1"
    assert "RUNNING" not in runs()
    assert runs().count("KILLED") == before.count("KILLED") + 1
