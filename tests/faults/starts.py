"""The states that cases start from: each is made from another one by the commands that come before in a night."""

from __future__ import annotations

import functools
import json
from typing import TYPE_CHECKING

import torch

from enigma_tasks.adapters import night_publication
from enigma_tasks.adapters.night_schema import NOTES, SPANS
from enigma_tasks.adapters.object_store import ObjectStore
from enigma_tasks.documents import EntityType
from enigma_tasks.ensembles.folder import read_ensemble, write_ensemble
from enigma_tasks.ensembles.runner import EnsembleAnnotator
from enigma_tasks.ensembles.voting_rule import VotingRule
from enigma_tasks.formats.corpora import write_corpus
from enigma_tasks.formats.standoff import format_ann
from tests.faults.world import ROOT, State, Words, World
from tests.unit.ner_builders import model_folder, notes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

WHO = ("--language", "es", "--entity", "disease")
FIRST, SECOND = "night-1", "night-2"
COST = "promotion.cost=1000"
"""The models are so fast that their times are noise."""
PAST = 98
"""Commits to each table before the night's, which makes a checkpoint: 100, with the table's creation and its own."""
NOTES_DROPPED = {d.id: d.text for d in notes(4)}


def annotate(state: State) -> list[Words]:
    """The commands that annotate the planned shards."""
    return [("annotate", "--shard", shard) for shard in state.names["shards"]]


def gold(first: int, end: int, more: str = "") -> dict[str, str | bytes]:
    """Annotated documents to be dropped, with a text after each."""
    found: dict[str, str | bytes] = {}
    for document in notes(end - first, first=first):
        found[f"gold/es/all/june/{document.id}.txt"] = f"{document.text} {more}"
        found[f"gold/es/all/june/{document.id}.ann"] = format_ann(document.entities)
    return found


class Starts:
    """The states by name, made when they are first asked for."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.models = world.folder / "models"
        self.test = world.folder / "test"
        self._fork(self._train)
        self._warm_up()

    @functools.cache  # noqa: B019 - one for each process
    def __call__(self, name: str) -> State:
        """The state of that name."""
        state: State = getattr(self, f"_{name}")()
        return state

    def _fork(self, work: Callable[[], object]) -> None:
        ended = self.world.child(lambda: work() and None, counted=False)
        assert ended.code == 0, ended.output

    def _train(self) -> None:
        model_folder(self.models / "able", seed=1, able=True)
        model_folder(self.models / "unable", seed=1)
        write_corpus(notes(60, first=100), self.test)

    def _warm_up(self) -> None:
        """Annotate in this process, by its one thread: what torch does the first time takes half a second."""
        assert torch.get_num_threads() == 1
        rule = VotingRule("majority")
        write_ensemble(self.world.folder / "warm", "es", EntityType.DISEASE, [self.models / "able"], rule)
        EnsembleAnnotator([read_ensemble(self.world.folder / "warm")], 4096).annotate(notes(4))

    def _after(self, start: str, *commands: Words, objects: Mapping[str, str | bytes] | None = None) -> State:
        """The state after objects were put and commands run; the last report's shards and decision are its names."""
        before = self(start)
        self.world.restore(before)
        self._put(objects or {})
        ended, report = self.world.run(*commands, overrides=(COST,)) if commands else (None, {})
        assert ended is None or ended.code == 0, ended.output
        names = {**before.names, **{k: report[k] for k in ("shards", "decisions") if k in (report or {})}}
        return self.world.save(**names)

    def _put(self, objects: Mapping[str, str | bytes]) -> None:
        def put() -> None:
            for name, data in objects.items():
                ObjectStore().put(f"{ROOT}/{name}", data.encode() if isinstance(data, str) else data)

        self._fork(put)

    def _register(self, model: str, *more: str) -> Words:
        return ("register", "--language", "es", "--model", str(self.models / model), *more)

    def _empty(self) -> State:
        return self.world.save()

    def _champions(self) -> State:
        return self._after("empty", self._register("able", "--first"))

    def _dropped(self) -> State:
        drops: dict[str, str | bytes] = {f"drops/es/2026-06-11/{n}.txt": text for n, text in NOTES_DROPPED.items()}
        drops["drops/es/2026-06-11/bad.txt"] = b"\xff"
        drops["drops/es/2026-06-11/empty.txt"] = b""
        drops["drops/es/2026-06-11/r.jsonl"] = json.dumps({"id": "r", "text": notes(1, first=9)[0].text})
        drops["drops/it/2026-06-11/waits.txt"] = "Polmonite."
        return self._after("champions", objects=drops)

    def _planned(self) -> State:
        return self._after("dropped", ("plan", "--batch", FIRST))

    def _annotated(self) -> State:
        return self._after("planned", *annotate(self("planned")))

    def _published(self) -> State:
        return self._after("annotated", ("publish", "--batch", FIRST))

    def _monitored(self) -> State:
        return self._after("published", ("monitor", "--batch", FIRST))

    def _overwritten(self) -> State:
        """A note was written over between its plan and its annotation, and another one deleted."""
        return self._after("planned", objects={"drops/es/2026-06-11/n0.txt": "Otra cosa: asma leve."})

    def _second_dropped(self) -> State:
        """A night is published; one of its notes is written over, and one is new."""
        new = {"drops/es/2026-06-11/n0.txt": "Otra cosa: asma leve.", "drops/es/2026-06-12/new.txt": "Con tos seca."}
        return self._after("monitored", objects=new)

    def _second_planned(self) -> State:
        return self._after("second_dropped", ("plan", "--batch", SECOND))

    def _second_annotated(self) -> State:
        return self._after("second_planned", *annotate(self("second_planned")))

    def _backfill_annotated(self) -> State:
        """Everything is annotated once more, after its text was written over in part."""
        state = self._after("second_dropped", ("plan", "--batch", SECOND, "--backfill", "2026-06-11..2026-06-12"))
        self.world.restore(state)
        ended, _ = self.world.run(*annotate(state))
        assert ended.code == 0, ended.output
        return self.world.save(**state.names)

    def _crossed(self) -> State:
        """Two nights have planned and annotated the same notes; neither is published."""
        state = self._after("annotated", ("plan", "--batch", SECOND))
        self.world.restore(state)
        ended, _ = self.world.run(*annotate(state))
        assert ended.code == 0, ended.output
        return self.world.save(**state.names)

    def _hundred(self) -> State:
        """As `annotated`; the next commit to each table makes a checkpoint."""
        self.world.restore(self("annotated"))

        def commits() -> None:
            for number in range(PAST):
                tables = night_publication.NightTables.opened(f"{ROOT}/tables")
                for table in (SPANS, NOTES):
                    tables.commit(table, [], f"past-{number:03}")
                if number % 10 == 9:  # so that the log is not read from its beginning each time
                    tables = night_publication.NightTables.opened(f"{ROOT}/tables")
                    tables.spans.create_checkpoint()
                    tables.notes.create_checkpoint()

        self._fork(commits)
        return self.world.save(**self("annotated").names)

    def _gold_dropped(self) -> State:
        return self._after("empty", objects=gold(0, 3) | {"gold/es/all/june/bad.txt": b"\xff"})

    def _gold_again_dropped(self) -> State:
        """A version of gold is there; one document was written over, one is new, one breaks a rule."""
        changed = gold(0, 1, more="Se añade algo.") | gold(3, 4) | {"gold/es/all/july/bad.txt": b"\xff"}
        return self._after("gold_ingested", objects=changed)

    def _gold_ingested(self) -> State:
        return self._after("gold_dropped", ("ingest", "--batch", "first"))

    def _unable(self) -> State:
        return self._after("empty", self._register("unable", "--entity", "disease", "--first"))

    def _challenged(self) -> State:
        return self._after("unable", self._register("able", "--entity", "disease"))

    def _decided(self) -> State:
        return self._after("challenged", ("compare", *WHO, "--test", str(self.test)))

    def _promoted(self) -> State:
        (decision,) = self("decided").names["decisions"]
        named = ("--decision", decision["decision"], "--digest", decision["line_digest"])
        return self._after("decided", ("promote", *named, "--approved-by", "eva"))
