"""`enigma ensemble`: members' predictions on dev + gold -> an ensemble folder with a fitted rule for each type."""

from __future__ import annotations

import hashlib
import json
import logging
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from enigma_tasks.adapters.llm_endpoint import LlmEndpoints
from enigma_tasks.artifacts import ENSEMBLE_CARD, ENSEMBLE_MEMBERS, RULE_CARD
from enigma_tasks.documents import EntityType
from enigma_tasks.ensembles.card import EnsembleCard, card_bytes
from enigma_tasks.ensembles.dev_sets import dev_set
from enigma_tasks.ensembles.fitting import fit_rule
from enigma_tasks.ensembles.folder import write_ensemble
from enigma_tasks.ensembles.named import missing_members, strategy_of
from enigma_tasks.errors import DataError, ModelError, UsageError
from enigma_tasks.file_names import shape, shapes
from enigma_tasks.formats.corpora import read_corpus
from enigma_tasks.formats.predictions import distinct_names, read_member, read_texts
from enigma_tasks.formats.standoff import verified
from enigma_tasks.ner.digests import code_digest, data_digest
from enigma_tasks.ner.model_folder import model_digest, read_any_card

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from enigma_tasks.config import Params, Settings
    from enigma_tasks.documents import Document, Entity
    from enigma_tasks.ensembles.calibration import Calibration
    from enigma_tasks.ensembles.card import FittedRule
    from enigma_tasks.ensembles.dev_sets import DevSet
    from enigma_tasks.ensembles.fitting import Fitted
    from enigma_tasks.ensembles.runner import MemberPredictions, OpenEndpoint
    from enigma_tasks.ensembles.voting_rule import VotingRule

log = logging.getLogger(__name__)

_DIGEST = re.compile("[0-9a-f]{64}")


def run(arguments: argparse.Namespace, params: Params, settings: Settings) -> dict[str, Any]:
    """Fit and write one folder for each entity type under `--out`.

    Members are model folders, which are run on the gold's texts, or TSV files of their predictions there; without
    models the folder has the rule only, for `enigma vote --rule`.

    Raises:
        UsageError: members do not match gold or `--name` (`promotion.incomplete` allows fewer); see also `dev_set` and
            `fit_rule`.
        DataError: a file that breaks a rule of its format, or a span outside its text.
        ModelError: a model is missing or damaged, or not for the language or the type.
    """
    named = None if arguments.name is None else params.ensemble_of(arguments.name)
    language = params.language(arguments.language or (named.language if named else ""))
    if language is None:
        raise UsageError("--language: name a language of params.yaml, or an ensemble by --name")
    if named is not None and language != named.language:
        raise UsageError(f"--language: the ensemble is for {named.language}")
    types = list(EntityType) if arguments.entity == "all" else [EntityType(arguments.entity)]
    for entity_type in types:
        _check_out(Path(arguments.out) / entity_type.value)
    endpoints = LlmEndpoints(settings)
    members = _Sources(arguments, language, types, params, open_endpoint=endpoints)
    missing: list[str] = []
    if named is not None and members.folders:
        missing = missing_members(named, members.names, incomplete=params.promotion.incomplete)
    elif named is not None and len(members.names) != len(named.members):
        raise UsageError(f"the ensemble has {len(named.members)} members; given: {len(members.names)} prediction files")
    only, k = strategy_of(named, arguments.strategy, arguments.k, complete=not missing)
    rows = []
    if arguments.entity == "all":
        types = members.types_in_gold()
    for entity_type in types:
        dev = members.dev_set(entity_type)
        fitted = fit_rule(dev, params.ensemble, params.seed, only, k)
        folder = Path(arguments.out) / entity_type.value
        record = fitted.record(
            params.ensemble,
            params.seed,
            code=code_digest(),
            gold=members.gold_digest(),
            names=members.names,
            missing=missing,
        )
        calibration = members.calibration(entity_type, fitted, params)
        _write(folder, language, entity_type, members, rule=fitted.rule, fitted=record, calibration=calibration)
        rows.append(_row(entity_type, folder, fitted, calibration, members.labels))
        log.info("%s: %s", entity_type.value, fitted.name)
        if rows[-1]["expected_gain"] <= 0:
            log.warning(
                "%s: member %s alone scores as high on dev, at a lower cost",
                entity_type.value,
                rows[-1]["best_member"],
            )
    if missing:
        log.warning("the ensemble is fitted without %s", ", ".join(missing))
    return {"language": language, "members": members.names, "missing": missing, "ensembles": rows, **endpoints.report()}


class _Sources:
    """The members' predictions, read once for all types."""

    def __init__(
        self,
        arguments: argparse.Namespace,
        language: str,
        types: Sequence[EntityType],
        params: Params,
        *,
        open_endpoint: OpenEndpoint,
    ) -> None:
        self.folders = [Path(folder) for folder in arguments.model or ()]
        files = [Path(file) for file in arguments.predictions or ()]
        if not self.folders and not files:
            raise UsageError("an ensemble needs members: --model or --predictions")
        if self.folders and files and len(self.folders) != len(files):
            raise UsageError(f"{len(files)} prediction files for {len(self.folders)} models: give one for each")
        gold = Path(arguments.gold)
        self._documents: list[Document] | None = None if gold.is_file() else read_corpus(gold, language)
        self._gold = read_member(gold) if self._documents is None else {d.id: d.entities for d in self._documents}
        if self.folders:
            self._check_models(types, language)
        self.names = [read_any_card(f).member for f in self.folders] if self.folders else distinct_names(files)
        self.labels = [f"{i + 1} ({name})" for i, name in enumerate(self.names)]
        self._mean: dict[EntityType, Mapping[str, Sequence[Entity]]] = {}
        self._predictions: MemberPredictions | None = None
        self._from_files = bool(files)
        if files:
            self._spans = [read_member(file) for file in files]
            self.digests = [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]
            texts = read_texts(arguments.texts) if arguments.texts else {d.id: d.text for d in self._documents or ()}
            if texts:
                self._gold = _checked(self._gold, texts)
                self._spans = [_checked(m, texts) for m in self._spans]
        else:
            self._spans = self._predicted(params, types, open_endpoint)

    def _check_models(self, types: Sequence[EntityType], language: str) -> None:
        if self._documents is None:
            raise UsageError("--gold: models need texts, so gold must be a corpus folder")
        self.digests = [model_digest(folder) for folder in self.folders]
        if len(set(self.digests)) < len(self.digests):
            raise UsageError("the same model is named twice: it would vote twice")
        dev = data_digest(self._documents)
        for folder in self.folders:
            card = read_any_card(folder)
            if language not in card.languages:
                raise ModelError(f"model {folder.name}: trained for {', '.join(card.languages)}, not for {language}")
            lacking = [t.value for t in types if t not in card.entity_types]
            if lacking:
                raise ModelError(f"model {folder.name}: has no head for {', '.join(lacking)}")
            if card.digests.get("train") == dev:
                raise UsageError(f"--gold: model {folder.name} was trained on it; a rule is fitted on other documents")

    def _predicted(
        self, params: Params, types: Sequence[EntityType], open_endpoint: OpenEndpoint
    ) -> list[dict[str, tuple[Entity, ...]]]:
        from enigma_tasks.ensembles.runner import Members, averaged_entities

        documents = self._documents or []
        kinds = {read_any_card(folder).recipe.get("kind", "encoder") for folder in self.folders}
        folders = dict(zip(self.digests, self.folders, strict=True))
        averaged = self.digests if kinds == {"encoder"} else []
        limits = params.annotate
        running = Members(
            folders,
            limits.batch_tokens,
            averaged=averaged,
            calibrated=self.digests,
            resident_mib=limits.resident_mib,
            open_endpoint=open_endpoint,
        )
        predictions = self._predictions = running.read(documents)
        for entity_type in types if averaged else ():
            try:
                mean = averaged_entities(predictions, self.digests, documents, entity_type)
            except (ModelError, UsageError) as error:
                log.info("no mean: %s", error)
                break
            self._mean[entity_type] = {d.id: spans for d, spans in zip(documents, mean, strict=True)}
        return [
            {d.id: spans for d, spans in zip(documents, predictions.entities[digest], strict=True)}
            for digest in self.digests
        ]

    def types_in_gold(self) -> list[EntityType]:
        """The types with a span in dev; no rule can be fitted for another."""
        labels = {e.label for spans in self._gold.values() for e in spans}
        found = [t for t in EntityType if t.label in labels]
        if not found:
            raise UsageError("gold has no span in the dev documents")
        for entity_type in set(EntityType).difference(found):
            log.warning("%s: no ensemble, as dev has no span of it", entity_type.value)
        return found

    def dev_set(self, entity_type: EntityType) -> DevSet:
        """The dev set on which the rule of one type is fitted."""
        if self._documents is None:
            documents = sorted({*self._gold, *(d for member in self._spans for d in member)})
        else:
            documents = [d.id for d in self._documents if entity_type in d.annotated]
        named = dict(zip(self.labels, self._spans, strict=True))
        for name, spans in named.items() if self._from_files else ():
            found = {e.label for d in documents for e in spans.get(d, ())}
            if found and entity_type.label not in found:
                raise UsageError(f"member {name} has no {entity_type.label} span, only {', '.join(sorted(found))}")
        return dev_set(entity_type.label, documents, self._gold, named, self._mean.get(entity_type))

    def calibration(self, entity_type: EntityType, fitted: Fitted, params: Params) -> Calibration | None:
        """Of the chosen rule's spans; None for members that are files, which have no probabilities."""
        if self._predictions is None:
            return None
        from enigma_tasks.ensembles.dev_calibration import calibration_on_dev

        return calibration_on_dev(
            self._documents or [], self._predictions, self.digests, entity_type, fitted.held_out,
            params=params.ensemble, seed=params.seed,
        )  # fmt: skip

    def gold_digest(self) -> str:
        """Of the gold's spans."""
        content = json.dumps(
            [[d, [[e.label, *e.span] for e in spans]] for d, spans in sorted(self._gold.items())]
        ).encode()
        return hashlib.sha256(content).hexdigest()


def _checked(member: Mapping[str, Sequence[Entity]], texts: Mapping[str, str]) -> dict[str, tuple[Entity, ...]]:
    unknown = sorted(set(member) - set(texts))
    if unknown:
        hint = f"a name like {shape(unknown[0])}; texts: {shapes(texts)}"
        raise DataError("predictions", "document_unknown", hint=hint)
    return {d: verified(d, texts[d], spans) for d, spans in member.items()}


def _check_out(folder: Path) -> None:
    """Refuse a folder with other content; an interrupted run leaves members, by digest, without a card."""
    inside = {p.name for p in folder.iterdir()} if folder.exists() else set()
    if not inside or inside & {ENSEMBLE_CARD, RULE_CARD}:
        return
    if inside == {ENSEMBLE_MEMBERS} and all(_DIGEST.fullmatch(p.name) for p in (folder / ENSEMBLE_MEMBERS).iterdir()):
        return
    raise UsageError(f"--out: {folder} exists and is not an ensemble")


def _write(
    folder: Path,
    language: str,
    entity_type: EntityType,
    members: _Sources,
    *,
    rule: VotingRule,
    fitted: FittedRule,
    calibration: Calibration | None,
) -> None:
    """Write the ensemble's folder, replacing an earlier one."""
    if folder.exists():
        shutil.rmtree(folder)
    if members.folders:
        write_ensemble(folder, language, entity_type, members.folders, rule, fitted=fitted, calibration=calibration)
        return
    card = EnsembleCard(
        language=language,
        entity_type=entity_type,
        members=tuple(members.digests),
        rule=rule.to_json(),
        fitted=fitted,
    )
    folder.mkdir(parents=True)
    (folder / RULE_CARD).write_bytes(card_bytes(card))


def _row(
    entity_type: EntityType, folder: Path, fitted: Fitted, calibration: Calibration | None, labels: Sequence[str]
) -> dict[str, Any]:
    best, label = max(zip(fitted.singles, labels, strict=True), key=lambda pair: pair[0].score.f1)
    return {
        "entity": entity_type.value,
        "rule": fitted.name,
        "expected_f1": round(fitted.expected.score.f1, 4),
        "first_rule": fitted.scored[0].name,
        "first_rule_f1": round(fitted.scored[0].score.f1, 4),
        "best_member": label,
        "best_member_f1": round(best.score.f1, 4),
        "expected_gain": round(fitted.expected.score.f1 - best.score.f1, 4),
        "estimated_f1": None if calibration is None else round(calibration.dev.estimated, 4),
        "documents": len(fitted.expected.counts),
        "out": str(folder),
    }
