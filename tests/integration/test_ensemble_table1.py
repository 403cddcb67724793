"""Every ensemble of params.yaml beyond the demo's: its members as tiny stand-ins are trained, fitted, run and scored.

A stand-in has its member's architecture, tokenizer family, head and kind; GLiNER is a tiny GLiNER, and the language
model a server on loopback.
"""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from enigma_tasks.adapters.llm_endpoint import LlmEndpoints
from enigma_tasks.cli import main
from enigma_tasks.config import load_params, load_settings
from enigma_tasks.documents import EntityType
from enigma_tasks.ensembles.folder import read_ensemble
from enigma_tasks.ensembles.runner import EnsembleAnnotator
from enigma_tasks.formats.corpora import write_corpus
from enigma_tasks.ner.model_folder import read_any_card, save_model, write_card
from enigma_tasks.ner.training.train import Task, train
from tests.integration.test_llm_endpoint import Endpoint, chat
from tests.unit.base_builders import base_folder
from tests.unit.ner_builders import notes, recipe

if TYPE_CHECKING:
    from collections.abc import Iterator

PARAMS_FILE = Path(__file__).parents[2] / "params.yaml"
PARAMS = load_params(PARAMS_FILE)
PAPER = [name for name in PARAMS.ensembles if name not in PARAMS.languages]
FAMILIES = {
    "xlm": "xlm-roberta", "multi-head-crf": "xlm-roberta", "clin-x-es": "xlm-roberta", "umberto": "camembert",
    "ro": "roberta", "medroberta": "roberta", "rigo": "roberta", "bio": "bert", "medbit": "bert", "dragon": "bert",
    "wiki": "bert",
}  # fmt: skip
"""Beginning of a member's name -> architecture; `base_builders.FAMILIES` gives it the tokenizer of its kind."""
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """A language model that knows two of the notes' mentions, and makes one up; named in the environment."""
    endpoint = Endpoint()
    threading.Thread(target=endpoint.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    named = [("neumonía bilateral", "disease"), ("fiebre alta", "symptom"), ("peste", "disease")]
    said = json.dumps({"mentions": [{"text": text, "type": kind} for text, kind in named]})
    endpoint.answer = lambda _: chat(said)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ENIGMA_LLM_BASE_URL", endpoint.url)
        patch.setenv("ENIGMA_LLM_ALLOWED_HOSTS", "127.0.0.1")
        patch.setenv("ENIGMA_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield endpoint
    endpoint.shutdown()
    endpoint.server_close()


@pytest.fixture(scope="module")
def stand_ins(tmp_path_factory: pytest.TempPathFactory) -> StandIns:
    return StandIns(tmp_path_factory.mktemp("members"))


class StandIns:
    """Model folders, trained when they are first asked for."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def folder(self, name: str, language: str, checkpoint: int) -> Path:
        """A stand-in of the member, by its name and language; each checkpoint is another seed's."""
        place = self.root / f"{language}-{name}-{checkpoint}"
        if not place.exists():
            {"encoder": self._encoder, "gliner": self._gliner, "llm": self._llm}[PARAMS.members[name].kind](
                place, name, checkpoint
            )
            card = read_any_card(place)
            write_card(card.model_copy(update={"member": name, "languages": (language,)}), place, list(card.files))
        return place

    def _encoder(self, place: Path, name: str, checkpoint: int) -> None:
        family = next(v for k, v in FAMILIES.items() if name.startswith(k))
        base = base_folder(self.root / "store" / family, family)
        member = PARAMS.members[name]
        tiny = recipe(base=str(base), scratch=None, learning_rate=2e-2, epochs=12,
                      head=member.head, chunker=member.chunker)  # type: ignore[union-attr]  # fmt: skip
        seed = checkpoint + sum(name.encode())
        model, _ = train(Task("es", tuple(EntityType), name, tiny, seed), notes(15), notes(3, first=100))
        save_model(model, place)

    def _gliner(self, place: Path, _: str, checkpoint: int) -> None:
        from enigma_tasks.members.gliner import save_gliner
        from enigma_tasks.members.gliner_training import train_gliner
        from tests.unit.gliner_builders import checkpoint as tiny_checkpoint
        from tests.unit.gliner_builders import gliner_task

        base = self.root / "store" / "gliner"
        if not base.exists():
            tiny_checkpoint(base)
        save_gliner(train_gliner(gliner_task(base, checkpoint, epochs=3), notes(15), notes(3, first=100))[0], place)

    def _llm(self, place: Path, name: str, _: int) -> None:
        from enigma_tasks.members.llm import LlmCard, save_llm

        member = PARAMS.members[name]
        save_llm(
            LlmCard(languages=("cs",), entity_types=tuple(EntityType), member=name, recipe=member, seed=1, steps=0,
                    best_epoch=0, dev={}, digests={}),
            place,
        )  # fmt: skip


@pytest.mark.parametrize("name", PAPER)
def test_an_ensemble_of_the_paper_is_fitted_and_votes(
    name: str, stand_ins: StandIns, server: Endpoint, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ensemble = PARAMS.ensembles[name]
    seen: dict[str, int] = {}
    folders = []
    for member in ensemble.members:
        seen[member] = seen.get(member, 0) + 1
        folders.append(stand_ins.folder(member, ensemble.language, seen[member]))
    write_corpus(notes(10, first=200), tmp_path / "dev")
    command = ["ensemble", "--name", name, "--entity", "disease", "--gold", tmp_path / "dev", "--out", tmp_path / "out"]
    command += [word for folder in folders for word in ("--model", folder)]
    report = enigma(command, capsys)
    assert sorted(report["members"]) == sorted(ensemble.members)
    fitted = read_ensemble(tmp_path / "out" / "disease")
    assert len(fitted.members) == len(ensemble.members)
    assert ensemble.strategy in {"auto", fitted.rule.strategy}
    assert ensemble.k in {None, fitted.rule.k}
    annotator = EnsembleAnnotator([fitted], 512, open_endpoint=LlmEndpoints(load_settings()))
    annotated = annotator.annotate(notes(8, first=300))
    assert all(e.label == "DISEASE" for a in annotated for e in a.entities)
    assert any(a.entities for a in annotated) or not report["ensembles"][0]["expected_f1"]
    write_corpus(notes(8, first=300), tmp_path / "test")
    scores = ["evaluate", "--ensemble", tmp_path / "out", "--gold", tmp_path / "test", "--out", tmp_path / "metrics"]
    scored = enigma(scores, capsys)
    assert scored["predicted"] == sum(len(a.entities) for a in annotated)


def enigma(words: list[Any], capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    code = main([*map(str, words), "--params", str(PARAMS_FILE), "--json", "--quiet"])
    said = capsys.readouterr()
    assert code == 0, said.err
    report: dict[str, Any] = json.loads(said.out)
    return report
