"""`enigma registry`: the journal of champions -> its lines, their defects, the champions of a time; rollback."""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from enigma_tasks.adapters import champions, mlflow_registry
from enigma_tasks.adapters.journal_store import JournalStore
from enigma_tasks.adapters.model_cards import ModelCards
from enigma_tasks.adapters.object_store import ObjectStore
from enigma_tasks.documents import EntityType
from enigma_tasks.errors import UsageError
from enigma_tasks.pages.card import render_model_card
from enigma_tasks.promotion.journal import NOT_MOVING, Draft, champion_at, champion_before

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from enigma_tasks.config import Params, Settings
    from enigma_tasks.promotion.journal import JournalLine, ModelVersion

ONLY_FOR = {"when": "as-of", "to": "rollback", "reason": "rollback"}
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


def run(arguments: argparse.Namespace, params: Params, settings: Settings) -> dict[str, Any]:
    """`enigma registry history|verify|rollback|as-of`.

    `verify` returns exit code 1 with findings.

    Raises:
        UsageError: an argument is missing or of another action, the time is malformed, or there is no such champion to
            return to.
        DataError: the journal was edited (not for `verify`), or another process moved it.
        ModelError: the registry has no version of the champion to return to.
        ServiceError: store or registry.
    """
    for name, action in ONLY_FOR.items():
        if getattr(arguments, name) is not None and arguments.action != action:
            raise UsageError(f"{'DATE' if name == 'when' else f'--{name}'} is only for {action}")
    journal = JournalStore(ObjectStore(), settings.require("journal"))
    if arguments.action == "rollback":
        return _rollback(arguments, params, journal, settings)
    if arguments.action == "verify":
        return _verify(arguments, params, journal, settings)
    when = _time(arguments.when) if arguments.action == "as-of" else None
    names = _wanted(journal.names(), arguments, params)
    if when is not None:
        return {"at": when.isoformat(), "champions": [_champion(name, journal.lines(name), when) for name in names]}
    return {"lines": [_row(line) for name in names for line in journal.lines(name)]}


def _wanted(names: Iterable[str], arguments: argparse.Namespace, params: Params) -> list[str]:
    """Those of the names that `--language` and `--entity` ask for."""
    language = params.require_language(arguments.language) if arguments.language else None
    languages = list(params.languages) if language is None else [language]
    types = list(EntityType) if arguments.entity == "all" else [EntityType(arguments.entity)]
    asked = {mlflow_registry.registered_name(lang, t) for lang in languages for t in types}
    every = language is None and arguments.entity == "all"  # also of languages that are no longer configured
    return [name for name in names if every or name in asked]


def _verify(arguments: argparse.Namespace, params: Params, journal: JournalStore, settings: Settings) -> dict[str, Any]:
    """Every line of every journal; removed last lines by the head that the registry's tag names, if there is one."""
    registered = mlflow_registry.registered_models() if settings.mlflow_tracking_uri else {}
    heads = {name: head for name, model in registered.items() if (head := champions.head_of(model))}
    names = _wanted(sorted({*journal.names(), *heads}), arguments, params)
    findings = [f for name in names for f in journal.findings(name, heads.get(name))]
    return {
        "exit_code": 1 if findings else 0,
        "journals": len(names),
        "compared_with_registry": bool(settings.mlflow_tracking_uri),
        "findings": [f.model_dump() for f in findings],
    }


def _rollback(
    arguments: argparse.Namespace, params: Params, journal: JournalStore, settings: Settings
) -> dict[str, Any]:
    """One line, which the alias follows; an earlier champion is needed, as no other version passed the gate.

    A rollback `--to` a version that was made already, and killed before the alias and the cards, is completed.
    """
    if not arguments.language or arguments.entity == "all" or not arguments.reason:
        raise UsageError("rollback needs --language, one --entity and --reason")
    name = mlflow_registry.registered_name(params.require_language(arguments.language), EntityType(arguments.entity))
    lines = journal.lines(name)
    if made := _made(lines, arguments.to):
        return _followed(made, lines[made.n - 2].champion, settings)
    target = _target(name, lines, arguments.to)
    by = settings.require_actor()
    try:
        draft = Draft(by=by, kind="rollback", champion=target, approver=by, reason=arguments.reason)
    except ValidationError as error:
        field = error.errors(include_url=False, include_context=False, include_input=False)[0]["loc"][0]
        raise UsageError(f"rollback: {field} must be one line of at most 500 characters") from None
    mlflow_registry.pin_of_digest(name, target.version, target.digest)  # before the line: it must be there to be used
    return _followed(journal.append(name, draft, after=lines[-1]), lines[-1].champion, settings)


def _made(lines: tuple[JournalLine, ...], version: str | None) -> JournalLine | None:
    """The rollback to that version which made the present champion."""
    for line in reversed(lines):
        if line.kind not in NOT_MOVING:
            return line if line.kind == "rollback" and line.champion and line.champion.version == version else None
    return None


def _followed(line: JournalLine, before: ModelVersion | None, settings: Settings) -> dict[str, Any]:
    pin = champions.follow(line)
    assert line.champion
    ModelCards(settings, render_model_card).try_write_versions(line.name, (before, line.champion))
    return {
        "name": line.name,
        "line": line.n,
        "from": before.version if before else None,
        "to": pin.version if pin else None,
        "digest": line.champion.digest,
        "by": line.by,
    }


def _target(name: str, lines: tuple[JournalLine, ...], version: str | None) -> ModelVersion:
    """The earlier champion of that version, or the one before. Raises UsageError when there is none."""
    now = lines[-1].champion if lines else None
    if version is None:
        before = champion_before(lines)
        if before is None:
            raise UsageError(f"{name} has no earlier champion")
        return before
    earlier = [line.champion for line in lines if line.kind not in NOT_MOVING and line.champion]
    found = next((v for v in reversed(earlier) if v.version == version), None)
    if found is None:
        raise UsageError(f"{name} version {version} was never champion: only a promotion makes it one")
    if found == now:
        raise UsageError(f"{name} version {version} is champion already")
    return found


def _time(words: str | None) -> dt.datetime:
    """A time as an aware datetime, UTC unless it says otherwise; of a date its last second."""
    if words is None:
        raise UsageError("as-of needs a DATE")
    try:
        if _DATE.fullmatch(words):
            return dt.datetime.combine(dt.date.fromisoformat(words), dt.time(23, 59, 59), dt.UTC)
        when = dt.datetime.fromisoformat(words)
    except ValueError:
        raise UsageError("as-of takes a date yyyy-mm-dd or a time in ISO 8601") from None
    return when if when.tzinfo else when.replace(tzinfo=dt.UTC)


def _champion(name: str, lines: tuple[JournalLine, ...], when: dt.datetime) -> dict[str, Any]:
    made = champion_at(lines, when)
    champion = made.champion if made else None
    return {
        "name": name,
        "version": champion.version if champion else None,
        "line": made.n if made else None,
        "since": made.at if made else None,
        "digest": champion.digest if champion else None,
    }


def _row(line: JournalLine) -> dict[str, Any]:
    return {
        "name": line.name,
        "line": line.n,
        "at": line.at,
        "clock_behind": line.clock_behind,
        "kind": line.kind,
        "champion": line.champion.version if line.champion else None,
        "challenger": line.challenger.version if line.challenger else None,
        "result": line.decision.result if line.decision else None,
        "by": line.by,
        "approver": line.approver,
        "digest": line.champion.digest if line.champion else None,
        "reason": line.reason,
    }
