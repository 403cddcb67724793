"""Members' TSV files of the same documents + a voting rule -> one TSV."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from enigma_tasks.corpora import read_text
from enigma_tasks.errors import UsageError
from enigma_tasks.ner.standoff import format_rows, parse_tsv
from enigma_tasks.ner.voting import VotingRule, vote

if TYPE_CHECKING:
    import argparse

    from enigma_tasks.config import Params, Settings


def run(arguments: argparse.Namespace, params: Params, settings: Settings) -> dict[str, Any]:  # noqa: ARG001
    """Vote over the files in `predictions`, document by document, and write `--out`.

    Raises:
        UsageError: a file that does not exist, or a rule that does not fit the number of members.
        DataError: a file that breaks a rule of the format.
    """
    weights = None if arguments.weights is None else tuple(arguments.weights)
    rule = VotingRule(arguments.strategy, arguments.k, weights, arguments.threshold)
    quorum = rule.quorum(len(arguments.predictions))
    members = []
    for path in map(Path, arguments.predictions):
        if not path.is_file():
            raise UsageError(f"{path} is no file")
        members.append(parse_tsv(read_text(path), path.name))
    names = sorted({name for member in members for name in member})
    answer = {name: vote([member.get(name, ()) for member in members], rule) for name in names}
    out = Path(arguments.out)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(format_rows(answer.items()).encode())
    return {
        "rule": rule.to_json() | ({"k": quorum} if rule.strategy in ("majority", "agreement") else {}),
        "members": [
            {"file": path, "spans": sum(map(len, member.values()))}
            for path, member in zip(arguments.predictions, members, strict=True)
        ],
        "documents": len(names),
        "spans": sum(map(len, answer.values())),
        "out": str(out),
    }
