"""Champions: the journal says which they are; the registry holds them, and its alias and tag follow the journal."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from enigma_tasks.adapters import mlflow_registry
from enigma_tasks.documents import EntityType
from enigma_tasks.errors import DataError, EnigmaError
from enigma_tasks.notes.plans import AliasMoved, Pin
from enigma_tasks.promotion.journal import Draft, Head, JournalLine, ModelVersion
from enigma_tasks.threads import in_order

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from enigma_tasks.adapters.journal_store import JournalStore
    from enigma_tasks.adapters.mlflow_registry import Registered

log = logging.getLogger(__name__)

CHAMPION = "champion"
CHALLENGER = "challenger"
HEAD_TAG = "journal_head"
"""Tag of a registered model: number and digest of the last line that the registry followed."""


@dataclass(frozen=True, slots=True)
class Champions:
    """The champions of some languages."""

    pins: Mapping[str, Mapping[str, Pin]]
    """Language -> entity type's value -> version."""
    lines: Mapping[str, int]
    """Registered model -> number of the last line of its journal."""
    moved: tuple[AliasMoved, ...] = ()


class ChampionLookup:
    """The champions of the languages that are asked for, each looked up once, by `resolve`."""

    def __init__(self, journal: JournalStore) -> None:
        self._journal = journal
        self._found: dict[str, Champions] = {}

    def has(self, language: str) -> bool:
        """Whether the language has a champion. Raises as `resolve` does."""
        if language not in self._found:
            self._found[language] = resolve([language], self._journal)
        return bool(self._found[language].pins.get(language))

    def found(self) -> Champions:
        """Of all languages that were asked for."""
        each = [found for _, found in sorted(self._found.items())]
        return Champions(
            {language: pins for found in each for language, pins in found.pins.items() if pins},
            {name: line for found in each for name, line in found.lines.items()},
            tuple(item for found in each for item in found.moved),
        )


def resolve(languages: Iterable[str], journal: JournalStore) -> Champions:
    """The champions by the journal, as versions of the registry, and each alias `champion` that says otherwise.

    Raises:
        DataError: a journal was edited; `journal_{kind}` with the line's number.
        ModelError: the registry has no version of a champion's digest.
        ServiceError: store or registry unreachable or failing.
    """
    wanted = {mlflow_registry.registered_name(lang, t): (lang, t.value) for lang in languages for t in EntityType}
    registered = mlflow_registry.registered_models()

    def look_up(name: str) -> tuple[JournalLine | None, Pin | None]:
        last = journal.last(name, head_of(registered.get(name)))
        return last, champion_pin(last) if last else None

    pins: dict[str, dict[str, Pin]] = {}
    lines: dict[str, int] = {}
    moved = []
    for name, (last, pin) in zip(wanted, in_order(look_up, wanted, mlflow_registry.PARALLEL_CALLS), strict=True):
        alias = registered[name].aliases.get(CHAMPION, "") if name in registered else ""
        if last:
            lines[name] = last.n
        if pin:
            language, entity = wanted[name]
            pins.setdefault(language, {})[entity] = pin
        if alias != (pin.version if pin else ""):
            moved.append(AliasMoved(name=name, alias=alias, champion=pin.version if pin else ""))
    return Champions(pins, lines, tuple(moved))


def champion_pin(line: JournalLine) -> Pin | None:
    """The champion after a line, as a version of the registry. Raises as `mlflow_registry.pin_of_digest` does."""
    if line.champion is None:
        return None
    return mlflow_registry.pin_of_digest(line.name, line.champion.version, line.champion.digest)


def check_first(journal: JournalStore, name: str, digest: str) -> JournalLine | None:
    """The last line of a journal, unless another version than that of `digest` is champion.

    Raises:
        DataError: `journal_not_empty`.
    """
    last = journal.last(name)
    if last and last.champion and last.champion.digest != digest:
        hint = f"version {last.champion.version} is champion: only a promotion or a rollback changes it"
        raise DataError(name, "journal_not_empty", last.n, hint)
    return last


def make_first(journal: JournalStore, pin: Pin, by: str) -> JournalLine:
    """Make a version the first champion; what is champion already gets no second line.

    Raises:
        DataError: `journal_not_empty`; `journal_moved`, another process wrote the line.
        ServiceError: store or registry.
    """
    line = check_first(journal, pin.name, pin.digest)
    if line is None or line.champion is None:
        version = ModelVersion(version=pin.version, digest=pin.digest)
        draft = Draft(by=by, kind="first", champion=version, approver=by, reason="Registered as the first champion.")
        line = journal.append(pin.name, draft, after=line)
    follow(line)
    return line


def follow(line: JournalLine) -> Pin | None:
    """Make the registry follow the last line of a journal: its alias `champion`, and the tag with the line's head.

    A registry that follows a later line already is left alone. Call this after every line that is written; where it
    fails, the next `plan` repairs the alias.

    Raises:
        ModelError: the registry has no version of the champion's digest.
        ServiceError: registry unreachable or failing.
    """
    pin = champion_pin(line)
    registered = mlflow_registry.registered_models().get(line.name)
    followed = head_of(registered)
    if registered is None or (followed is not None and followed.n > line.n):
        return pin
    if pin is not None and registered.aliases.get(CHAMPION) != pin.version:
        mlflow_registry.set_alias(pin, CHAMPION)
    head = Head.of(line)
    mlflow_registry.set_tag(line.name, HEAD_TAG, f"{head.n}:{head.sha256}")
    return pin


def repair(moved: Iterable[AliasMoved], journal: JournalStore, *, by: str, batch_id: str) -> None:
    """Set each alias that said otherwise to what the journal says, after a line that records it.

    A repeated call for the same night writes no second line. An alias that cannot be set costs a warning only, as no
    stage depends on it.
    """
    for item in moved:
        if not item.champion:
            log.warning(
                "%s: the alias champion names version %s, but the journal has no champion: `enigma register --first` of"
                " that version's ensemble makes it one",
                item.name, item.alias,
            )  # fmt: skip
            continue
        found = f"version {item.alias}" if item.alias else "no version"
        log.warning("%s: the alias champion named %s, the journal version %s", item.name, found, item.champion)
        try:
            _repair(item.name, journal, by, f"Night {batch_id}: the alias named {found}, not {item.champion}.")
        except EnigmaError as error:
            log.warning("the alias was not repaired: %s", error)


def _repair(name: str, journal: JournalStore, by: str, reason: str) -> None:
    registered = mlflow_registry.registered_models()[name]
    last = journal.last(name, head_of(registered))
    pin = champion_pin(last) if last else None
    if last is None or pin is None or registered.aliases.get(CHAMPION) == pin.version:
        return
    if (last.kind, last.reason) != ("alias_repaired", reason):
        draft = Draft(by=by, kind="alias_repaired", champion=last.champion, reason=reason)
        last = journal.append(name, draft, after=last)
    follow(last)


def head_of(registered: Registered | None) -> Head | None:
    """The last line that the registry followed, by its tag; None without the tag. Raises DataError `journal_head`."""
    tag = registered.tags.get(HEAD_TAG) if registered else None
    if registered is None or tag is None:
        return None
    n, _, sha256 = tag.partition(":")
    if not n.isdecimal() or not sha256:
        raise DataError(
            registered.name, "journal_head", hint=f"the tag {HEAD_TAG} in the registry is not NUMBER:SHA256"
        )
    return Head(n=int(n), sha256=sha256)
