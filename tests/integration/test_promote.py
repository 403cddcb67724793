"""From a challenger to a champion: a real registry and store, real small models, commands through the real parser."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from mlflow import MlflowClient

from enigma_tasks.adapters import champions, mlflow_registry
from enigma_tasks.cli import build_parser
from enigma_tasks.config import load_params
from enigma_tasks.documents import EntityType
from enigma_tasks.ensembles.card import FittedRule, RuleScore
from enigma_tasks.ensembles.folder import write_ensemble
from enigma_tasks.ensembles.voting_rule import VotingRule
from enigma_tasks.errors import DataError, ModelError, ServiceError, UsageError
from enigma_tasks.formats.corpora import write_corpus
from enigma_tasks.promotion.journal import JournalMoved
from enigma_tasks.stages import challengers, compare, promote, registry
from tests.integration.test_champions import NAME, WHO, Hospital, environment
from tests.unit.ner_builders import model_folder, notes

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["environment"]

ABLE, UNABLE, SECOND = 0, 1, 2
"""Places in `models`: all mentions found, none found, all found by another model."""
DOCUMENTS = 60
ABLE_NOTES = notes(DOCUMENTS, first=100)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("models")
    return [
        model_folder(folder / f"{able}-{seed}", seed=seed, able=able)
        for able, seed in ((True, 1), (False, 1), (True, 2))
    ]


@pytest.fixture(scope="module")
def test_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("frozen") / "test"
    write_corpus(ABLE_NOTES, folder)
    return folder


class Gated(Hospital):
    """A hospital whose commands see a change plan of the test's own."""

    def __init__(self, name: str, models: list[Path], test_set: Path) -> None:
        super().__init__(name, models)
        self.settings = self.settings.model_copy(update={"cache": test_set.parent / "cache"})
        self.test_set = test_set
        self.plan_changes: list[str] = ["promotion.cost=1000"]  # the models are so fast that their times are noise

    def run(self, stage: Any, *words: str) -> dict[str, Any]:
        params = load_params(Path("params.yaml"), self.plan_changes)
        report: dict[str, Any] = stage.run(build_parser().parse_args(words), params, self.settings)
        return report

    def compare(self, *more: str) -> dict[str, Any]:
        (row,) = self.run(compare, "compare", *WHO, "--test", str(self.test_set), *more)["decisions"]
        return dict(row)

    def promote(self, row: dict[str, Any], *more: str) -> dict[str, Any]:
        return self.run(promote, "promote", "--decision", row["decision"], "--digest", row["line_digest"], *more)

    def waiting(self, *more: str) -> list[str]:
        found: list[str] = self.run(challengers, "challengers", *more)["challengers"]
        return found


@pytest.fixture
def hospital(
    environment: pytest.MonkeyPatch,
    models: list[Path],
    test_set: Path,
    request: pytest.FixtureRequest,
) -> Gated:
    return Gated(f"promote-{abs(hash(request.node.name)):x}", models, test_set)


@pytest.fixture
def passed(hospital: Gated) -> dict[str, Any]:
    """The decision on a challenger that passed the gate, against a champion that finds nothing."""
    hospital.register(UNABLE, "--first")
    hospital.register(ABLE)
    row = hospital.compare()
    assert row["result"] == "promoted"
    return row


def refused_as(rule: str, call: Callable[[], Any]) -> DataError:
    with pytest.raises(DataError) as error:
        call()
    assert error.value.rule == rule
    return error.value


def test_a_better_challenger_becomes_champion_when_a_person_approves(hospital: Gated, passed: dict[str, Any]) -> None:
    assert (passed["champion"], passed["challenger"], passed["look"]) == (1, 2, 1)
    assert passed["champion_f1"] == 0
    assert passed["challenger_f1"] == 1
    assert hospital.alias() == "1"
    report = hospital.promote(passed, "--approved-by", "Dr Ruiz")
    assert (report["kind"], report["champion"], report["exit_code"]) == ("promoted", "2", 0)
    assert hospital.alias() == "2"
    first, look, line = hospital.journal.lines(NAME)
    assert (first.kind, look.kind, line.kind) == ("first", "look", "promoted")
    assert (line.approver, line.by, line.decision) == ("Dr Ruiz", "ana", look.decision)
    assert line.champion == line.challenger == look.challenger
    assert (
        line.change_plan
        == look.change_plan
        == load_params(Path("params.yaml"), hospital.plan_changes).promotion.digest()
    )
    assert line.test_set == look.test_set
    hospital.drop(1)
    hospital.plan("night")
    (pin,) = hospital.planned("night")["models"]["es"].values()
    assert pin["version"] == "2"


def test_the_decision_is_kept_for_programs_and_for_people_without_any_text(
    hospital: Gated, passed: dict[str, Any]
) -> None:
    kept = json.loads(hospital.store.get(passed["decision"]))
    (look,) = [line for line in hospital.journal.lines(NAME) if line.kind == "look"]
    assert kept == look.model_dump(mode="json")
    page = hospital.store.get(passed["page"]).decode()
    assert "The new model is better and keeps every rule" in page
    assert "60 documents" in page
    for content in (json.dumps(kept), page, json.dumps(passed)):
        assert not [e.text for d in ABLE_NOTES for e in d.entities if e.text in content]
        assert not [d.id for d in ABLE_NOTES if f"{d.id} " in content]


def test_without_a_champion_the_floor_decides(hospital: Gated) -> None:
    hospital.register(UNABLE)
    low = hospital.compare()
    assert (low["result"], low["failed"], low["champion"]) == ("refused", "floor", None)
    refused_as("gate_not_passed", lambda: hospital.promote(low, "--approved-by", "ana"))
    hospital.register(ABLE)
    high = hospital.compare()
    assert (high["result"], high["look"]) == ("promoted", 2)
    assert hospital.promote(high, "--approved-by", "ana")["champion"] == "2"
    assert hospital.kinds() == ["look", "look", "promoted"]


def test_a_worse_challenger_is_refused_and_the_look_is_written_down(hospital: Gated) -> None:
    hospital.register(ABLE, "--first")
    hospital.register(UNABLE)
    row = hospital.compare()
    assert row["result"] == "refused"
    assert {"floor", "gain"} <= set(row["failed"].split(", "))
    assert hospital.kinds() == ["first", "look"]
    refused_as("gate_not_passed", lambda: hospital.promote(row, "--approved-by", "ana"))
    assert hospital.alias() == "1"


def test_a_repeated_comparison_spends_no_second_look(hospital: Gated, passed: dict[str, Any]) -> None:
    assert hospital.compare() == passed
    assert hospital.kinds() == ["first", "look"]
    hospital.plan_changes.append("promotion.margin=0.01")
    again = hospital.compare()
    assert (again["look"], again["result"]) == (2, "promoted")
    assert again["alpha"] != passed["alpha"]
    assert hospital.kinds() == ["first", "look", "look"]


def test_a_test_set_that_is_too_small_decides_nothing_and_spends_no_look(hospital: Gated) -> None:
    hospital.register(UNABLE, "--first")
    hospital.register(ABLE)
    hospital.plan_changes.append(f"promotion.documents={DOCUMENTS + 1}")
    row = hospital.compare()
    assert (row["result"], row["failed"], row["look"]) == ("undecided", "documents", 0)
    assert "challenger_f1" not in row
    hospital.plan_changes.pop()
    assert hospital.compare()["look"] == 1


def test_a_spent_budget_of_looks_asks_for_a_new_test_set(hospital: Gated) -> None:
    hospital.plan_changes.append("promotion.looks=1")
    hospital.register(ABLE, "--first")
    hospital.register(UNABLE)
    assert hospital.compare()["result"] == "refused"
    hospital.register(SECOND)
    row = hospital.compare()
    assert (row["result"], row["failed"]) == ("undecided", "looks")


def test_no_test_document_of_the_type_is_an_error(hospital: Gated, tmp_path: Path) -> None:
    hospital.register(ABLE)
    write_corpus(notes(3, annotated=[EntityType("symptom")]), tmp_path / "test", "by_entity")
    hospital.test_set = tmp_path / "test"
    refused_as("test_set_empty", hospital.compare)
    assert hospital.kinds() == []


def test_a_challenger_of_another_label_set_is_outside_the_plan(hospital: Gated, tmp_path: Path) -> None:
    hospital.register(ABLE, "--first")
    write_ensemble(tmp_path / "e", "es", EntityType("symptom"), [hospital.models[SECOND]], VotingRule("majority"))
    pin = mlflow_registry.register_ensemble(tmp_path / "e", "es", EntityType("disease"), {})
    row = hospital.compare("--challenger", pin.version)
    assert (row["result"], row["failed"], row["look"]) == ("outside_plan", "label_set", 0)
    refused_as("gate_not_passed", lambda: hospital.promote(row, "--approved-by", "ana"))


def test_an_incomplete_ensemble_is_outside_the_plan_unless_it_says_otherwise(hospital: Gated, tmp_path: Path) -> None:
    hospital.register(UNABLE, "--first")
    score = RuleScore(rule="majority k=1", precision=0.9, recall=0.9, f1=0.9, low=0.8, high=1.0)
    fitted = FittedRule(
        **load_params(Path("params.yaml")).ensemble.model_dump(),
        chosen=score.rule,
        documents=9,
        expected=score,
        rules=(score,),
        members=(score,),
        seed=1,
        code="c" * 64,
        gold="d" * 64,
        names=("tiny",),
        missing=("gliner",),
    )
    rule = VotingRule("majority")
    write_ensemble(tmp_path / "e", "es", EntityType("disease"), [hospital.models[ABLE]], rule, fitted=fitted)
    pin = mlflow_registry.register_ensemble(tmp_path / "e", "es", EntityType("disease"), {})
    row = hospital.compare("--challenger", pin.version)
    assert (row["result"], row["failed"]) == ("outside_plan", "incomplete")
    hospital.plan_changes.append("promotion.incomplete=true")
    assert hospital.compare("--challenger", pin.version)["result"] == "promoted"


def test_the_person_must_be_named_and_in_the_plans_list(hospital: Gated, passed: dict[str, Any]) -> None:
    refused_as("approval_missing", lambda: hospital.promote(passed))
    assert hospital.kinds() == ["first", "look"]
    with pytest.raises(UsageError):
        hospital.promote(passed, "--approved-by", "two\nlines")
    hospital.plan_changes.append("promotion.approvers=[ana]")
    named = hospital.compare()
    refused_as("approver_not_allowed", lambda: hospital.promote(named, "--approved-by", "eve"))
    assert hospital.promote(named, "--approved-by", "ana")["champion"] == "2"


def test_a_plan_without_approval_needs_no_person(hospital: Gated) -> None:
    hospital.plan_changes.append("promotion.approval=false")
    hospital.register(UNABLE, "--first")
    hospital.register(ABLE)
    row = hospital.compare()
    assert row["approval"] is False
    assert hospital.promote(row)["kind"] == "promoted"
    assert hospital.journal.lines(NAME)[-1].approver == ""


def test_a_rejection_is_a_line_and_the_challenger_is_done_with(hospital: Gated, passed: dict[str, Any]) -> None:
    assert hospital.waiting() == [f"{hospital.settings.decisions}/{NAME}/challengers/2"]
    report = hospital.promote(passed, "--rejected-by", "ana")
    assert (report["kind"], report["exit_code"], report["champion"]) == ("rejected", 1, "1")
    assert hospital.alias() == "1"
    refused_as("journal_moved", lambda: hospital.promote(passed, "--approved-by", "ana"))
    assert hospital.waiting() == []
    assert hospital.waiting("--language", "es") == [f"{hospital.settings.decisions}/{NAME}/challengers/2"]


def test_what_was_approved_is_what_is_promoted(hospital: Gated, passed: dict[str, Any]) -> None:
    refused_as(
        "decision_changed", lambda: hospital.promote({**passed, "line_digest": "0" * 64}, "--approved-by", "ana")
    )
    other = passed["decision"].replace("00000002", "00000001")
    refused_as("decision_unknown", lambda: hospital.promote({**passed, "decision": other}, "--approved-by", "ana"))
    hospital.plan_changes.append("promotion.margin=0.02")
    refused_as("plan_changed", lambda: hospital.promote(passed, "--approved-by", "ana"))
    assert hospital.kinds() == ["first", "look"]


def test_of_two_decisions_the_earlier_one_is_overtaken(hospital: Gated, passed: dict[str, Any]) -> None:
    hospital.register(SECOND)
    second = hospital.compare()
    assert second["result"] == "promoted"
    error = refused_as("journal_moved", lambda: hospital.promote(passed, "--approved-by", "ana"))
    assert error.offset == 3
    assert hospital.promote(second, "--approved-by", "ana")["champion"] == "3"


def test_of_two_promotions_at_once_one_gets_the_line(
    hospital: Gated, passed: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from enigma_tasks.adapters.journal_store import JournalStore

    append = JournalStore.append

    def overtaken(self: JournalStore, *given: Any, **more: Any) -> Any:
        monkeypatch.setattr(JournalStore, "append", append)
        hospital.promote(passed, "--rejected-by", "eve")
        return append(self, *given, **more)

    monkeypatch.setattr(JournalStore, "append", overtaken)
    with pytest.raises(JournalMoved):
        hospital.promote(passed, "--approved-by", "ana")
    assert hospital.kinds() == ["first", "look", "rejected"]
    assert hospital.alias() == "1"


def test_a_registry_that_dies_between_journal_and_alias_is_made_up_for(
    hospital: Gated, passed: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def dead(*_: object) -> None:
        raise ServiceError("mlflow: set alias: unreachable")

    with monkeypatch.context() as patch:
        patch.setattr(mlflow_registry, "set_alias", dead)
        with pytest.raises(ServiceError):
            hospital.promote(passed, "--approved-by", "ana")
    assert hospital.kinds() == ["first", "look", "promoted"]
    assert hospital.alias() == "1"
    report = hospital.promote(passed, "--approved-by", "ana")
    assert (report["line"], report["champion"]) == (3, "2")
    assert hospital.kinds() == ["first", "look", "promoted"]
    assert hospital.alias() == "2"


def test_a_version_that_is_gone_is_not_promoted(hospital: Gated, passed: dict[str, Any]) -> None:
    MlflowClient().delete_model_version(NAME, "2")
    with pytest.raises(ModelError, match="has no version of its digest"):
        hospital.promote(passed, "--approved-by", "ana")
    with pytest.raises(ModelError, match="no such version"):
        hospital.compare("--challenger", "2")
    assert hospital.kinds() == ["first", "look"]


def test_an_alias_that_was_repaired_meanwhile_overtakes_no_decision(hospital: Gated, passed: dict[str, Any]) -> None:
    MlflowClient().set_registered_model_alias(NAME, "champion", "2")
    hospital.drop(1)
    hospital.plan("night")
    assert hospital.kinds() == ["first", "look", "alias_repaired"]
    assert hospital.promote(passed, "--approved-by", "ana")["champion"] == "2"


def test_after_a_rollback_a_decision_is_made_again(hospital: Gated, passed: dict[str, Any]) -> None:
    hospital.promote(passed, "--approved-by", "ana")
    hospital.run(registry, "registry", "rollback", *WHO, "--reason", "Too many false alarms.")
    refused_as("journal_moved", lambda: hospital.promote(passed, "--approved-by", "ana"))
    again = hospital.compare("--challenger", "2")
    assert (again["look"], again["result"]) == (2, "promoted")
    assert again["alpha"] > passed["alpha"]  # the share of a look that led to a promotion is not lost


def test_a_challenger_is_compared_with_the_first_authorised_champion_too(hospital: Gated) -> None:
    hospital.register(ABLE, "--first")
    hospital.promoted(UNABLE)
    hospital.register(SECOND)
    row = hospital.compare()
    assert row["result"] == "promoted"
    look = hospital.journal.lines(NAME)[-1]
    assert look.decision
    assert look.decision.first
    assert look.decision.first.value == 1


def test_a_challenger_is_named_by_the_list_of_those_that_wait(hospital: Gated) -> None:
    hospital.register(UNABLE, "--first")
    assert hospital.waiting() == []
    hospital.register(ABLE)
    (uri,) = hospital.waiting()
    (row,) = hospital.run(compare, "compare", "--challenger", uri, "--test", str(hospital.test_set))["decisions"]
    assert row["challenger"] == 2
    assert hospital.waiting() == [uri]  # it waits for a person
    hospital.promote(row, "--approved-by", "ana")
    assert hospital.waiting() == hospital.waiting("--language", "es") == []


def test_wrong_usage_is_refused_in_words(hospital: Gated) -> None:
    hospital.register(ABLE, "--first")
    with pytest.raises(UsageError, match="no challenger"):
        hospital.compare()
    with pytest.raises(ModelError, match="champion already"):
        hospital.compare("--challenger", "1")
    for uri in ("s3://elsewhere/1.json", f"{hospital.settings.decisions}/{NAME}/1.json"):
        with pytest.raises(UsageError, match="a decision is"):
            hospital.run(promote, "promote", "--decision", uri)
    with pytest.raises(UsageError, match="a challenger is"):
        hospital.compare("--challenger", f"{hospital.settings.decisions}/x")
    hospital.register(SECOND)
    with pytest.raises(UsageError, match="ENIGMA_TRAINING_REPOSITORY"):
        hospital.run(compare, "compare", *WHO)


def test_what_is_followed_is_the_line(hospital: Gated, passed: dict[str, Any]) -> None:
    hospital.promote(passed, "--approved-by", "ana")
    found = champions.resolve(["es"], hospital.journal)
    assert found.pins["es"]["disease"].version == "2"
    assert found.moved == ()
