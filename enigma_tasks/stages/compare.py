"""`enigma compare`: challenger, champion and a frozen test set -> a decision, as a line of the journal and a page."""

from __future__ import annotations

import logging
from bisect import bisect_left
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from enigma_tasks.adapters import mlflow_registry
from enigma_tasks.adapters.champions import CHALLENGER
from enigma_tasks.adapters.journal_store import JournalStore
from enigma_tasks.adapters.llm_endpoint import LlmEndpoints
from enigma_tasks.adapters.model_cards import ModelCards
from enigma_tasks.adapters.object_store import ObjectStore
from enigma_tasks.card_places import relative_link
from enigma_tasks.decision_places import DecisionPlaces
from enigma_tasks.documents import EntityType
from enigma_tasks.ensembles.counting import counted, length_range, seconds_per_note
from enigma_tasks.ensembles.folder import read_ensemble
from enigma_tasks.ensembles.runner import EnsembleAnnotator
from enigma_tasks.errors import DataError, ModelError, UsageError
from enigma_tasks.formats.corpora import read_corpus
from enigma_tasks.frozen import json_bytes
from enigma_tasks.gold.augmented import refuse_augmented
from enigma_tasks.ner.digests import data_digest
from enigma_tasks.ner.model_folder import read_any_card
from enigma_tasks.pages.card import render_model_card
from enigma_tasks.pages.decision import render_decision_page
from enigma_tasks.promotion.gate import Candidate, FrozenSet, Gate, Measured
from enigma_tasks.promotion.journal import Draft, ModelVersion
from enigma_tasks.promotion.past import first_champion, looks_at, standing_look
from enigma_tasks.promotion.slices import slices_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager

    from enigma_tasks.config import Params, Settings
    from enigma_tasks.documents import Document
    from enigma_tasks.ensembles.folder import Ensemble
    from enigma_tasks.notes.plans import Pin
    from enigma_tasks.promotion.decision import Decision
    from enigma_tasks.promotion.journal import JournalLine

log = logging.getLogger(__name__)


def run(arguments: argparse.Namespace, params: Params, settings: Settings) -> dict[str, Any]:
    """Compare the challenger of each type with its champion; every comparison spends a look at the test set.

    A look at the same models, test set and change plan is not repeated: its decision is reported again.

    Returns:
        `decisions`: a row for each type, with the URI of the decision, the digest of its line and its numbers.

    Raises:
        UsageError: no registry, place or training project is configured; an unknown language or no challenger.
        DataError: gold breaks a rule of the formats, or has augmented documents; `test_set_empty`; `journal_moved`,
            another process wrote a line meanwhile; or the journal was edited.
        ModelError: a version is gone or damaged, is champion already, or was trained on the test set.
        ServiceError: store, registry, training project, or the endpoint of a language model.
    """
    comparison = _Comparison(params, settings)
    pins = _challengers(arguments, params, comparison.places)
    language = pins[0][0]
    with _test_set(arguments, params, settings, language) as folder:
        documents = read_corpus(folder, language)
        refuse_augmented(documents, "test")
        rows = [comparison.of(pin, lang, t, [d for d in documents if t in d.annotated]) for lang, t, pin in pins]
    return {"decisions": rows, **comparison.endpoints.report()}


def _challengers(
    arguments: argparse.Namespace, params: Params, places: DecisionPlaces
) -> list[tuple[str, EntityType, Pin]]:
    """Language, type and version of each challenger; all of one language."""
    given = arguments.challenger or ""
    if given.startswith("s3://"):
        name, version = places.of_challenger(given)
        pairs = ((lang, t) for lang in params.languages for t in EntityType)
        found = next(((lang, t) for lang, t in pairs if mlflow_registry.registered_name(lang, t) == name), None)
        if found is None:
            raise UsageError(f"{name} is of no configured language and type")
        return [(*found, mlflow_registry.pin_of_version(name, version))]
    if not arguments.language:
        raise UsageError("--language is required")
    language = params.require_language(arguments.language)
    if given:
        if arguments.entity == "all":
            raise UsageError("--challenger VERSION is only for one --entity")
        entity_type = EntityType(arguments.entity)
        name = mlflow_registry.registered_name(language, entity_type)
        return [(language, entity_type, mlflow_registry.pin_of_version(name, given))]
    registered, pins = mlflow_registry.registered_models(), []
    for entity_type in list(EntityType) if arguments.entity == "all" else [EntityType(arguments.entity)]:
        name = mlflow_registry.registered_name(language, entity_type)
        alias = registered[name].aliases.get(CHALLENGER) if name in registered else None
        if alias:
            pins.append((language, entity_type, mlflow_registry.pin_of_version(name, alias)))
    if not pins:
        raise UsageError(f"no challenger of {language} {arguments.entity} is registered")
    return pins


def _test_set(
    arguments: argparse.Namespace, params: Params, settings: Settings, language: str
) -> AbstractContextManager[Path]:
    if arguments.test:
        return nullcontext(Path(arguments.test))
    from enigma_tasks.adapters.frozen_test import frozen_test

    return frozen_test(settings, params, language)


class _Comparison:
    """What the comparisons of one command share."""

    def __init__(self, params: Params, settings: Settings) -> None:
        self.params, self.settings = params, settings
        self.store = ObjectStore()
        self.places = DecisionPlaces(settings.require("decisions"))
        self.journal = JournalStore(self.store, settings.require("journal"))
        self.actor = settings.require_actor()
        self.endpoints = LlmEndpoints(settings)
        self.cards = ModelCards(settings, render_model_card)

    def of(self, pin: Pin, language: str, entity_type: EntityType, documents: Sequence[Document]) -> dict[str, Any]:
        """The row of one challenger."""
        if not documents:
            raise DataError(pin.name, "test_set_empty", hint=f"no test document is annotated for {entity_type.value}")
        lines = self.journal.lines(pin.name)
        champion = lines[-1].champion if lines else None
        if champion and champion.digest == pin.digest:
            raise ModelError(f"{pin.name} version {pin.version} is champion already")
        test_set = data_digest(documents)
        look = standing_look(lines, pin.digest, self.params.promotion.digest(), test_set)
        if look is None:
            decision = self._decision(pin, language, entity_type, documents, lines)
            look = self.journal.append(
                pin.name, self._draft(pin, champion, decision), after=lines[-1] if lines else None
            )
        card = self.cards.try_write(pin)  # after the line, which it shows
        self._write(look, card)
        return {**self._row(look), "card": card}

    def _decision(
        self,
        pin: Pin,
        language: str,
        entity_type: EntityType,
        documents: Sequence[Document],
        lines: Sequence[JournalLine],
    ) -> Decision:
        champion, first = (lines[-1].champion if lines else None), first_champion(lines)
        test_set = data_digest(documents)
        parts = tuple(self._slices(document) for document in documents)
        plan = self.params.promotion
        gate = Gate(plan, entity_type, FrozenSet(test_set, parts), looks_at(lines, test_set), self.params.seed)
        challenger = self._ensemble(pin)
        present = self._ensemble(_pin_of(pin.name, champion)) if champion else None
        labels = frozenset({present.entity_type.label}) if present else None
        missing = challenger.fitted.missing if challenger.fitted else None
        candidate = Candidate(frozenset({challenger.entity_type.label}), labels, missing or ())
        if challenger.language != language:
            raise ModelError(f"{pin.name} version {pin.version} is for {challenger.language}, not for {language}")
        if refused := gate.before(candidate):
            return refused
        other = first if first and champion and first.digest != champion.digest else None
        return gate.decide(
            self._measured(challenger, documents, entity_type),
            self._measured(present, documents, entity_type) if present else None,
            self._measured(self._ensemble(_pin_of(pin.name, other)), documents, entity_type) if other else None,
        )

    def _slices(self, document: Document) -> Mapping[str, str]:
        lengths = self.params.evaluate.lengths
        length = length_range(bisect_left(lengths, len(document.text)), lengths)
        return slices_of(document.id, length, self.params.promotion.slices)

    def _ensemble(self, pin: Pin) -> Ensemble:
        return read_ensemble(mlflow_registry.download(pin, self.settings.cache))

    def _measured(self, ensemble: Ensemble, documents: Sequence[Document], entity_type: EntityType) -> Measured:
        digest = data_digest(documents)
        if any(read_any_card(m.folder).digests.get("train") == digest for m in ensemble.members):
            raise ModelError(f"ensemble {ensemble.digest[:12]}: a member was trained on the test set")
        limits = self.params.annotate
        annotator = EnsembleAnnotator(
            [ensemble], limits.batch_tokens, resident_mib=limits.resident_mib, open_endpoint=self.endpoints
        )
        found = [annotated.entities for annotated in annotator.annotate(documents)]
        rows = counted(documents, found, [entity_type])
        return Measured(tuple(counts[entity_type] for _, counts in rows), seconds_per_note(annotator, documents))

    def _draft(self, pin: Pin, champion: ModelVersion | None, decision: Decision) -> Draft:
        return Draft(
            by=self.actor,
            kind="look",
            champion=champion,
            challenger=ModelVersion(version=pin.version, digest=pin.digest),
            decision=decision,
            change_plan=decision.change_plan,
            test_set=decision.test_set,
            reason=f"Version {pin.version} was compared: {decision.result}.",
        )

    def _write(self, look: JournalLine, card: str) -> None:
        """The decision for programs and for people, both from the journal's line."""
        content = json_bytes(look.model_dump(mode="json"))
        self.store.put(self.places.decision(look.name, look.n), content, "application/json")
        uri = self.places.page(look.name, look.n)
        page = render_decision_page(look, self.params.promotion, relative_link(uri, card) if card else "")
        self.store.put(uri, page.encode(), "text/html; charset=utf-8")

    def _row(self, look: JournalLine) -> dict[str, Any]:
        decision, challenger = look.decision, look.challenger
        assert decision
        assert challenger
        numbers = {
            "challenger_f1": decision.challenger.value if decision.challenger else None,
            "champion_f1": decision.champion.value if decision.champion else None,
            "gain_low": decision.gain.low if decision.gain else None,
            "gain_high": decision.gain.high if decision.gain else None,
            "p_value": decision.p_value,
            "alpha": decision.alpha,
        }
        return {
            "name": look.name,
            "challenger": int(challenger.version),
            "champion": int(look.champion.version) if look.champion else None,
            "result": decision.result,
            "failed": ", ".join(r.rule for r in decision.failed),
            "look": decision.look,
            "documents": decision.test_documents,
            **{key: value for key, value in numbers.items() if value is not None},
            "passed": decision.result == "promoted",
            "approval": self.params.promotion.approval,
            "decision": self.places.decision(look.name, look.n),
            "page": self.places.page(look.name, look.n),
            "digest": challenger.digest,
            "line_digest": look.sha256,
        }


def _pin_of(name: str, version: ModelVersion) -> Pin:
    return mlflow_registry.pin_of_digest(name, version.version, version.digest)
