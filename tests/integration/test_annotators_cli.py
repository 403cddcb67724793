"""`enigma train` and `enigma predict` with members that are no encoders, from the command line."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from enigma_tasks.cli import main
from enigma_tasks.documents import EntityType
from enigma_tasks.ensembles.folder import write_ensemble
from enigma_tasks.ensembles.voting_rule import VotingRule
from enigma_tasks.errors import ModelError
from enigma_tasks.formats.corpora import read_corpus, write_corpus
from enigma_tasks.members.llm import LlmAnnotator
from tests.integration.test_llm_endpoint import Endpoint, chat
from tests.unit.gliner_builders import checkpoint
from tests.unit.ner_builders import model_folder, notes

if TYPE_CHECKING:
    from collections.abc import Iterator

PARAMS = str(Path(__file__).parents[2] / "params.yaml")
LOOSE = ["--set", "split.similarity=0.95"]  # the invented notes share their sentences


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("place")
    write_corpus(notes(24), root / "train")
    write_corpus(notes(6, 100), root / "dev")
    write_corpus(notes(3, 200), root / "test")
    checkpoint(root / "store" / "some--gliner")
    return root


def enigma(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> Any:
    assert main([words[0], "--params", PARAMS, "--quiet", "--json", *LOOSE, *words[1:]]) == code
    out = capsys.readouterr()
    return json.loads(out.out) if code == 0 else out.err


def member(place: Path, **changes: object) -> list[str]:
    tiny = {"kind": "gliner", "base": "some/gliner", "window_tokens": 48, "overlap_tokens": 16, "threshold": 0.1}
    words = ["--member", "small", "--set", f"members.small={json.dumps({**tiny, **changes})}"]
    given = {"language": "es", "entity": "all", "train": place / "train", "dev": place / "dev"}
    return words + [str(word) for name, value in given.items() for word in (f"--{name}", value)]


@pytest.mark.parametrize(("changes", "steps"), [({"epochs": 1, "max_steps": 3}, 3), ({"epochs": 0}, 0)])
def test_a_gliner_member_is_trained_or_measured_and_its_folder_predicts(
    place: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, object],
    steps: int,
) -> None:
    monkeypatch.setenv("ENIGMA_MODEL_STORE", str(place / "store"))
    out = place / f"model-{steps}"
    report = enigma(capsys, "train", *member(place, **changes), "--out", str(out))
    assert report["steps"] == steps
    assert {row["entity"] for row in report["dev"]} == {t.value for t in EntityType}
    predicted = enigma(
        capsys, "predict", "--model", str(out), "--in", str(place / "test"), "--out", str(place / f"brat-{steps}")
    )
    assert predicted["models"][0]["digest"] == report["digest"]
    assert predicted["characters_read"] == predicted["characters"]
    texts = [d.text for d in read_corpus(place / f"brat-{steps}")]
    assert texts == [d.text for d in read_corpus(place / "test")]


def test_a_checkpoint_that_nobody_has_brought_is_one_clear_line(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENIGMA_MODEL_STORE", str(place / "store"))
    error = enigma(capsys, "train", *member(place, base="other/gliner"), "--out", str(place / "never"), code=1)
    assert "other/gliner" in error
    assert len(error.strip().splitlines()) == 1


@pytest.fixture
def serving(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Endpoint]:
    """A language model that finds two of the notes' mentions, and one that is in none."""
    endpoint = Endpoint()
    named = [("fiebre alta", "symptom"), ("neumonía bilateral", "disease"), ("infarto", "disease")]
    answer = {"mentions": [{"text": text, "type": kind} for text, kind in named]}
    endpoint.script = [(200, chat(json.dumps(answer)))]
    threading.Thread(target=endpoint.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    monkeypatch.setenv("ENIGMA_LLM_BASE_URL", endpoint.url)
    monkeypatch.setenv("ENIGMA_CACHE", str(tmp_path / "cache"))
    yield endpoint
    endpoint.shutdown()
    endpoint.server_close()


def llm_member(place: Path, **changes: str) -> list[str]:
    section = {"kind": "llm", "model": "m", "language": "es", "prompt_price": 0.4, "completion_price": 1.6}
    given = {"language": "es", "entity": "all", "train": place / "train", "dev": place / "dev", **changes}
    words = ["--member", "asked", "--set", f"members.asked={json.dumps(section)}"]
    return words + [str(word) for name, value in given.items() for word in (f"--{name}", value)]


def test_a_language_model_is_measured_on_dev_and_its_folder_holds_a_card_and_no_text(
    place: Path, serving: Endpoint, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENIGMA_LLM_ALLOWED_HOSTS", "127.0.0.1")
    out = place / "asked"
    report = enigma(capsys, "train", *llm_member(place), "--out", str(out))
    scores = {row["entity"]: row for row in report["dev"]}
    assert (scores["disease"]["precision"], scores["procedure"]["predicted"]) == (1.0, 0)
    assert report["usage"]["requests"] == report["usage"]["asked"] == report["mentions"]["windows"] == 6
    assert report["usage"]["cost"] == pytest.approx(6 * (100 * 0.4 + 20 * 1.6) / 1e6)
    assert report["mentions"]["not_in_text"] >= 6
    assert [p.name for p in out.iterdir()] == ["enigma.json"]
    assert json.loads((out / "enigma.json").read_bytes())["recipe"]["language_name"] == "Spanish"
    assert "fiebre" not in (out / "enigma.json").read_text() + json.dumps(report)
    again = enigma(capsys, "train", *llm_member(place), "--out", str(out))
    assert (again["usage"]["requests"], again["usage"]["cached"]) == (0, 6)
    assert (again["digest"], again["dev"]) == (report["digest"], report["dev"])
    read_back = LlmAnnotator.load(out, report["digest"], lambda messages, *, schema=None, record: '{"mentions": []}')
    assert read_back.predict(notes(2)) == [(), ()]
    with pytest.raises(ModelError, match="expected"):
        LlmAnnotator.load(out, "0" * 64, lambda messages, *, schema=None, record: "")


def test_an_ensemble_with_a_language_model_is_scored_and_what_it_cost_is_told(
    place: Path, serving: Endpoint, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENIGMA_LLM_ALLOWED_HOSTS", "127.0.0.1")
    enigma(capsys, "train", *llm_member(place), "--out", str(place / "llm"))
    members = [place / "llm", model_folder(place / "encoder")]
    write_ensemble(place / "both", "es", EntityType.DISEASE, members, VotingRule("union"))
    gold = ["--gold", str(place / "test"), "--out"]
    report = enigma(capsys, "evaluate", "--ensemble", str(place / "both"), *gold, str(place / "scores"))
    assert len(report["members"]) == 2
    assert report["by_entity"]["disease"]["strict"]["tp"] > 0
    assert report["llm"]["asked"] > 0
    assert "llm" not in json.loads((place / "scores" / "metrics.json").read_text())
    alone = enigma(capsys, "evaluate", "--model", str(place / "llm"), *gold, str(place / "alone"))
    assert alone["by_entity"]["disease"]["strict"]["precision"] == 1.0
    assert (alone["llm"]["asked"], alone["llm"]["cached"]) == (0, report["llm"]["asked"])


@pytest.mark.parametrize(
    ("language", "hosts", "message"),
    [("es", "", "may not be sent to 127.0.0.1"), ("cs", "127.0.0.1", "is for es, not for cs")],
)
def test_a_language_model_that_may_not_be_asked_is_refused_before_any_connection(  # noqa: PLR0917
    place: Path,
    serving: Endpoint,
    capsys: Any,
    monkeypatch: pytest.MonkeyPatch,
    language: str,
    hosts: str,
    message: str,
) -> None:
    monkeypatch.setenv("ENIGMA_LLM_ALLOWED_HOSTS", hosts)
    assert message in enigma(
        capsys, "train", *llm_member(place, language=language), "--out", str(place / "never"), code=2
    )
    assert not serving.received


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"epoch": 3}, "epoch"),
        ({"kind": "gliners"}, "small"),
        ({"labels": {"drug": ["drug"]}}, "drug"),
        ({"labels": {"disease": ["a"], "symptom": ["a"]}}, "labels"),
        ({"threshold": 1.5}, "threshold"),
        ({"overlap_tokens": 40}, "overlap_tokens"),
    ],
)
def test_a_wrong_key_of_a_member_is_refused_by_name(
    place: Path, capsys: pytest.CaptureFixture[str], change: dict[str, object], named: str
) -> None:
    assert named in enigma(capsys, "train", *member(place, **change), "--out", str(place / "never"), code=2)
