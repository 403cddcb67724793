"""The card of a version follows it: written when it is registered, compared, promoted and rolled back, and linked."""

from __future__ import annotations

import html
import posixpath
import re
from typing import TYPE_CHECKING, Any

import pytest
from mlflow import MlflowClient

from enigma_tasks.adapters.model_cards import CARD_TAG, ModelCards
from enigma_tasks.cli import build_parser
from enigma_tasks.config import load_params, load_settings
from enigma_tasks.errors import DiskError, ServiceError
from enigma_tasks.formats.corpora import write_corpus
from enigma_tasks.stages import card, ensemble, monitor, register, registry
from tests.integration.test_champions import NAME, WHO, environment
from tests.integration.test_promote import ABLE, SECOND, UNABLE, Gated, hospital, models, test_set
from tests.unit.ner_builders import notes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["environment", "hospital", "models", "test_set"]

NOW = re.compile(r"<small>[^<]*</small>|<h2 id=\"journal\">.*?</table>", re.DOTALL)
"""What of a card the journal alone changes, where no look is added: the status, and its lines."""


@pytest.fixture(scope="module")
def fitted(models: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two members, with a rule and a calibration fitted on dev."""
    folder = tmp_path_factory.mktemp("fitted")
    write_corpus(notes(40, first=500), folder / "dev")
    words = ["ensemble", *WHO, "--gold", str(folder / "dev"), "--out", str(folder / "out")]
    words += [w for i in (ABLE, SECOND) for w in ("--model", str(models[i]))]
    ensemble.run(build_parser().parse_args(words), load_params(), load_settings())
    return folder / "out"


@pytest.fixture
def compared(hospital: Gated, fitted: Path) -> dict[str, Any]:
    """The decision on the fitted ensemble, against a champion that finds nothing."""
    hospital.plan_changes.append(r"promotion.slices.source_pattern=n1(\d)")  # n100 to n159: six parts
    hospital.register(UNABLE, "--first")
    hospital.run(register, "register", *WHO, "--ensemble", str(fitted))
    row = hospital.compare()
    assert row["result"] == "promoted"
    return row


def place(hospital: Gated, version: str) -> str:
    return f"{hospital.settings.cards}/{NAME}/{version}.html"


def page(hospital: Gated, version: str) -> str:
    return hospital.store.get(place(hospital, version)).decode()


def links(shown: str, uri: str) -> Iterator[str]:
    """The URIs that a page of that URI links to."""
    for href in re.findall(r'<a href="([^"]+)"', shown):
        yield "s3://" + posixpath.normpath(posixpath.join(posixpath.dirname(uri)[5:], html.unescape(href)))


def test_a_fitted_and_calibrated_ensemble_has_a_card_with_all_that_its_look_measured(
    hospital: Gated, compared: dict[str, Any]
) -> None:
    assert compared["card"] == place(hospital, "2")
    shown = page(hospital, "2")
    (look,) = [line for line in hospital.journal.lines(NAME) if line.decision]
    assert look.decision
    assert look.decision.challenger
    assert len(look.decision.slices) == 6
    assert f"{100 * look.decision.challenger.value:.1f}" in shown
    sections = {s.partition('"')[0]: s for s in shown.split('<h2 id="')[1:]}
    assert "<svg" in sections["calibration"]
    assert "expected on new documents" in sections["expected"]
    assert [f"source: {n}" in sections["weak"] for n in range(6)] == [True] * 6
    assert "not recorded" not in sections["expected"] + sections["scores"] + sections["weak"] + sections["journal"]
    assert [e.text for d in notes(40, first=500) for e in d.entities if e.text in shown] == []


def test_a_card_is_linked_from_the_decision_the_registry_and_the_morning_page(
    hospital: Gated, compared: dict[str, Any]
) -> None:
    uri = place(hospital, "2")
    assert uri in links(hospital.store.get(compared["page"]).decode(), compared["page"])
    assert MlflowClient().get_model_version(NAME, "2").tags[CARD_TAG] == uri
    hospital.promote(compared, "--approved-by", "ana")
    hospital.drop(1)
    hospital.plan("night")
    report = hospital.run(monitor, "monitor", "--batch", "night")
    assert uri in links(hospital.store.get(report["page"]).decode(), report["page"])
    again = hospital.store.get(report["page"])
    assert hospital.run(monitor, "monitor", "--batch", "night") == report
    assert hospital.store.get(report["page"]) == again


def test_a_card_written_again_has_the_same_bytes_but_for_the_journal(hospital: Gated, compared: dict[str, Any]) -> None:
    before = page(hospital, "2")
    report = hospital.run(card, "card", *WHO, "--version", "2")
    assert report["page"] == place(hospital, "2")
    assert page(hospital, "2") == before
    hospital.promote(compared, "--approved-by", "ana")
    after = page(hospital, "2")
    assert after != before
    assert NOW.sub("", after) == NOW.sub("", before)
    assert "champion since line 3" in after
    assert "no longer" in page(hospital, "1")


def test_a_rollback_is_on_both_cards(hospital: Gated, compared: dict[str, Any]) -> None:
    hospital.promote(compared, "--approved-by", "ana")
    hospital.run(registry, "registry", "rollback", *WHO, "--reason", "Too many false alarms.")
    assert "no longer" in page(hospital, "2")
    assert "champion since line 4" in page(hospital, "1")
    assert all("Too many false alarms." in page(hospital, v) for v in "12")


@pytest.mark.parametrize("error", [ServiceError("s3: away"), RuntimeError("zanahoria")])
def test_a_lost_card_undoes_nothing(
    hospital: Gated, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    def lost(*_: object) -> None:
        raise error

    monkeypatch.setattr(ModelCards, "write", lost)
    assert hospital.register(UNABLE, "--first")["card"] == ""
    assert hospital.register(ABLE)["alias"] == "challenger"
    row = hospital.compare()
    assert row["card"] == ""
    assert hospital.promote(row, "--approved-by", "ana")["champion"] == "2"
    assert hospital.alias() == "2"
    assert f"the card of {NAME} version 2 was not written" in caplog.text
    assert "zanahoria" not in caplog.text
    assert "its card" not in hospital.store.get(row["page"]).decode()


def test_on_a_full_disk_the_comparison_is_repeated_and_its_page_names_the_card(
    hospital: Gated, monkeypatch: pytest.MonkeyPatch
) -> None:
    hospital.register(UNABLE, "--first")
    hospital.register(ABLE)

    def full(*_: object) -> None:
        raise DiskError("folder cannot be written: no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(ModelCards, "write", full)
        with pytest.raises(DiskError):
            hospital.compare()
    row = hospital.compare()
    assert hospital.store.get(row["card"])
    assert "its card" in hospital.store.get(row["page"]).decode()


def test_of_an_ensemble_only_the_cards_are_read_and_checked(
    hospital: Gated, compared: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    real = hospital.store.get
    monkeypatch.setattr(type(hospital.store), "get", lambda _, uri, *more: read.append(uri) or real(uri, *more))
    hospital.run(card, "card", *WHO, "--version", "2")
    assert {uri.rpartition("/")[2] for uri in read if "/mlflow/" in uri} == {"ensemble.json", "enigma.json"}
    assert not [uri for uri in read if uri.endswith(".safetensors")]
