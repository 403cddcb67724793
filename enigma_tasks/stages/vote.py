"""`enigma vote`: members' TSV files of the same documents + a voting rule -> one TSV."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from enigma_tasks.artifacts import ENSEMBLE_CARD, RULE_CARD
from enigma_tasks.documents import LABELS
from enigma_tasks.ensembles.card import read_card
from enigma_tasks.ensembles.voting import vote
from enigma_tasks.ensembles.voting_rule import VotingRule, weighted_or_majority
from enigma_tasks.errors import DataError, ModelError, UsageError
from enigma_tasks.file_names import shape, shapes
from enigma_tasks.formats.predictions import distinct_names, read_member, read_texts
from enigma_tasks.formats.standoff import format_rows, verified
from enigma_tasks.params.strategies import STRATEGIES

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from enigma_tasks.config import Params, Settings
    from enigma_tasks.documents import Entity

log = logging.getLogger(__name__)


def run(arguments: argparse.Namespace, params: Params, settings: Settings) -> dict[str, Any]:  # noqa: ARG001
    """Vote over the files in `predictions`, document by document, and write `--out`.

    A member has no entities in documents that are not in its file; a repeated row counts once. A member without any of
    the others' documents is refused. With `--texts` every span is checked against its text.

    Raises:
        UsageError: a file that does not exist, a rule that does not fit the members, or a member of other documents.
        DataError: a file that breaks a rule of the format, or (`--texts`) a span that does not match its text.
    """
    paths = [Path(file) for file in arguments.predictions]
    rule, label = _rule(arguments, distinct_names(paths))
    quorum = rule.quorum(len(paths))
    members = [read_member(path) for path in paths]
    if arguments.texts:
        texts = read_texts(arguments.texts)
        members = [
            {d: verified(d, _text(d, texts, path), spans) for d, spans in member.items()}
            for path, member in zip(paths, members, strict=True)
        ]
    if label is not None:
        members = [{d: tuple(e for e in spans if e.label == label) for d, spans in m.items()} for m in members]
    _check_documents(paths, members)
    names = sorted({name for member in members for name in member})
    voted = {name: vote([member.get(name, ()) for member in members], rule) for name in names}
    out = Path(arguments.out)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(format_rows(voted.items()).encode())
    return {
        "rule": rule.to_json() | ({"k": quorum} if rule.kind.takes_k else {}),
        "members": [
            {
                "file": str(path),
                "documents": len(member),
                "spans": sum(map(len, member.values())),
                "lacks": " ".join(_lacking(member, members)),
            }
            for path, member in zip(paths, members, strict=True)
        ],
        "documents": len(names),
        "spans": sum(map(len, voted.values())),
        "out": str(out),
    }


def _rule(arguments: argparse.Namespace, names: Sequence[str]) -> tuple[VotingRule, str | None]:
    """The rule, and the label it was fitted for, None for a rule from the command line."""
    named = (arguments.k, arguments.weights, arguments.threshold)
    if arguments.rule is None:
        weights = None if arguments.weights is None else tuple(arguments.weights)
        kind = STRATEGIES[arguments.strategy]
        if not kind.by_name:
            other = "--rule FOLDER" if kind.needs_fitting else "models, which enigma predict runs"
            raise UsageError(f"--strategy {kind.name} needs {other}")
        if kind.takes_weights and weights and not any(weights) and arguments.k is None:
            return weighted_or_majority(weights, "--weights"), None
        return VotingRule(arguments.strategy, arguments.k, weights, arguments.threshold), None
    if named != (None, None, None):
        raise UsageError("--rule contains the numbers: leave out --k, --weights and --threshold")
    path = Path(arguments.rule)
    places = [path / RULE_CARD, path / ENSEMBLE_CARD] if path.is_dir() else [path]
    found = next((p for p in places if p.is_file()), None)
    if found is None:
        raise UsageError(f"--rule: {path} holds no {RULE_CARD} or {ENSEMBLE_CARD}")
    try:
        card, rule, _ = read_card(found)
    except ModelError as error:
        raise UsageError(f"--rule: {error}") from None
    fitted = list(card.fitted.names) if card.fitted else []
    weighs = rule.weights is not None or rule.learned is not None
    if weighs and names != fitted and sorted(names) == sorted(fitted):
        raise UsageError(f"--rule: its weights are for the files in this order: {', '.join(fitted)}")
    return rule, card.entity_type.label


def _text(document: str, texts: dict[str, str], path: Path) -> str:
    """A document's text. The error shows the shape of an unknown name only, which may be note text itself."""
    if document not in texts:
        raise DataError(path.name, "document_unknown", hint=f"a name like {shape(document)}; texts: {shapes(texts)}")
    return texts[document]


def _check_documents(paths: Sequence[Path], members: Sequence[dict[str, tuple[Entity, ...]]]) -> None:
    for i, path in enumerate(paths):
        others = {d for j, member in enumerate(members) if j != i for d in member}
        if members[i] and others and not others & set(members[i]):
            raise UsageError(f"{path} has none of the other members' {len(others)} documents")
    if not any(members):
        log.warning("no member predicts any entity, so the output is empty")


def _lacking(member: dict[str, tuple[Entity, ...]], members: Sequence[dict[str, tuple[Entity, ...]]]) -> list[str]:
    """Labels that other members predict and this one never does, so that it votes against all of their spans."""
    labels = [{e.label for spans in m.values() for e in spans} for m in (member, *members)]
    return [label for label in LABELS if label not in labels[0] and any(label in found for found in labels[1:])]
