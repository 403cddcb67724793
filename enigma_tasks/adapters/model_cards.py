"""Cards of registered versions: what registry, ensemble and journal record -> a page, and a tag that names it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from enigma_tasks.adapters import champions, mlflow_registry
from enigma_tasks.adapters.journal_store import JournalStore
from enigma_tasks.adapters.logged_scores import logged_scores
from enigma_tasks.adapters.mlflow_errors import typed
from enigma_tasks.adapters.object_store import ObjectStore
from enigma_tasks.artifacts import ENSEMBLE_CARD, ENSEMBLE_MEMBERS, MODEL_CARD
from enigma_tasks.card_places import CardPlaces
from enigma_tasks.ensembles.card import read_card
from enigma_tasks.ensembles.folder import read_ensemble
from enigma_tasks.errors import DiskError, EnigmaError, ModelError
from enigma_tasks.licences import Licence, licence_of
from enigma_tasks.ner.model_folder import digest_by_card, read_any_card
from enigma_tasks.promotion.model_record import LoggedScore, MemberRecord, ModelRecord
from enigma_tasks.workfolder import scratch_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from enigma_tasks.config import Settings
    from enigma_tasks.documents import EntityType
    from enigma_tasks.ensembles.folder import MemberRef
    from enigma_tasks.notes.plans import Pin
    from enigma_tasks.promotion.journal import ModelVersion

log = logging.getLogger(__name__)

CARD_TAG = "card"
"""Tag of a version: the URI of its card."""
HTML = "text/html; charset=utf-8"
SCRATCH = "scratch"
SERVICE = Licence(licence="a service: its owner's terms", commercial="unknown")


class ModelCards:
    """Reads what is recorded of versions, and writes it as pages.

    Args:
        settings: the places `cards` and `journal`.
        render: a record -> HTML.
    """

    def __init__(self, settings: Settings, render: Callable[[ModelRecord], str]) -> None:
        self._settings, self._render = settings, render
        self._store = ObjectStore()

    def record(self, pin: Pin) -> ModelRecord:
        """What is recorded of a version; of its files only the cards are read.

        Raises:
            UsageError: no journal is configured.
            ModelError: the stored ensemble is damaged or another one.
            DataError: the journal was edited.
            ServiceError: registry, artifact store or journal.
        """
        journal = JournalStore(self._store, self._settings.require("journal"))
        with scratch_folder() as scratch:
            _fetch_cards(self._store, pin, scratch)
            ensemble = read_ensemble(scratch)
            members = tuple(_member(member, ensemble.entity_type) for member in ensemble.members)
        return ModelRecord(
            name=pin.name,
            version=pin.version,
            digest=pin.digest,
            tags=next((v.tags for v in mlflow_registry.versions_of(pin.name) if v.version == pin.version), {}),
            members=members,
            rule=ensemble.rule,
            fitted=ensemble.fitted,
            calibration=ensemble.calibration,
            logged=_logged(pin),
            lines=journal.lines(pin.name),
        )

    def write(self, pin: Pin) -> tuple[ModelRecord, str]:
        """Write a version's card; returns what it shows, and its URI, which the registry has as a tag.

        The same records give the same bytes. Raises as `record` does, and UsageError without the place `cards`.
        """
        uri = CardPlaces(self._settings.require("cards")).page(pin.name, pin.version)
        record = self.record(pin)
        self._store.put(uri, self._render(record).encode(), HTML)
        if record.tags.get(CARD_TAG) != uri:
            with typed(f"tag {pin.name}"):
                mlflow_registry.mlflow_client().set_model_version_tag(pin.name, pin.version, CARD_TAG, uri)
        return record, uri

    def try_write(self, pin: Pin) -> str:
        """Write a version's card; returns its URI, or an empty string where that fails.

        A card repeats what is recorded elsewhere, so no failure of it may undo what was registered or decided: it is a
        warning, and `enigma card` writes the card later.

        Raises:
            DiskError: this machine's disk is full or fails. Its next attempt writes the card and what names it.
        """
        if not (self._settings.cards and self._settings.journal):
            return ""
        try:
            return self.write(pin)[1]
        except DiskError:
            raise
        except Exception as error:  # noqa: BLE001 - as the docstring says
            reason = str(error) if isinstance(error, EnigmaError) else type(error).__name__
            log.warning("the card of %s version %s was not written: %s", pin.name, pin.version, reason)
            return ""

    def try_write_versions(self, name: str, versions: Iterable[ModelVersion | None]) -> None:
        """`try_write` the card of each version that a line of a journal names. Raises as it does."""
        for version in dict.fromkeys(v for v in versions if v is not None):
            try:
                pin = mlflow_registry.pin_of_digest(name, version.version, version.digest)
            except EnigmaError as error:
                log.warning("the card of %s version %s was not written: %s", name, version.version, error)
            else:
                self.try_write(pin)


def champion_of(journal: JournalStore, name: str) -> Pin | None:
    """The champion by the last line of a journal. Raises as `JournalStore.lines` and `champions.champion_pin` do."""
    lines = journal.lines(name)
    return champions.champion_pin(lines[-1]) if lines else None


def _fetch_cards(store: ObjectStore, pin: Pin, folder: Path) -> None:
    """Fetch the cards of an ensemble and of its members, and check their digests; weights stay where they are.

    Raises:
        ModelError: they are damaged, or not those of the pinned digest.
        ServiceError: artifact store.
    """
    _fetch(store, pin, folder, ENSEMBLE_CARD)
    card, _, digest = read_card(folder / ENSEMBLE_CARD)
    if digest != pin.digest:
        raise ModelError(f"{pin.name} version {pin.version}: the stored ensemble does not have its digest")
    for member in card.members:
        if not member.isalnum():
            raise ModelError(f"{pin.name} version {pin.version}: a member's digest is letters and digits")
        _fetch(store, pin, folder, f"{ENSEMBLE_MEMBERS}/{member}/{MODEL_CARD}")
        own = folder / ENSEMBLE_MEMBERS / member
        if digest_by_card(read_any_card(own), own) != member:
            raise ModelError(f"{pin.name} version {pin.version}: a member's card does not have its digest")


def _fetch(store: ObjectStore, pin: Pin, folder: Path, name: str) -> None:
    target, uri = folder / name, f"{pin.source_uri}/{name}"
    target.parent.mkdir(parents=True, exist_ok=True)
    if uri.startswith("s3://"):
        target.write_bytes(store.get(uri))
        return
    with typed(f"read {pin.name} version {pin.version}"):
        from mlflow.artifacts import download_artifacts

        download_artifacts(artifact_uri=uri, dst_path=str(target.parent))


def _logged(pin: Pin) -> tuple[LoggedScore, ...]:
    return tuple(
        LoggedScore(
            test_set=dataset.digest,
            f1=scores["strict_f1"],
            low=scores.get("strict_f1_low"),
            high=scores.get("strict_f1_high"),
            documents=int(scores["documents"]) if "documents" in scores else None,
        )
        for dataset, scores in sorted(logged_scores(pin).items(), key=lambda pair: (pair[0].name, pair[0].digest))
        if "strict_f1" in scores
    )


def _member(member: MemberRef, entity_type: EntityType) -> MemberRecord:
    """A member by its card, whose recipe is that of any kind of model."""
    card = read_any_card(member.folder)
    base = str(card.recipe.get("base") or "")
    service = str(card.recipe.get("model") or "")
    scratch = base == SCRATCH
    return MemberRecord(
        recipe=card.member,
        kind=str(card.recipe.get("kind", "encoder")),
        base="" if scratch else base or service,
        licence=None if scratch else licence_of(base) if base else SERVICE,
        digest=member.digest,
        train=card.digests.get("train", ""),
        dev=card.dev.get(entity_type),
    )
