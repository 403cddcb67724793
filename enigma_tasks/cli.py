"""The console command `enigma`: one sub-command per stage and tool.

Light by contract: imports the standard library only, and a stage's module when that stage is called. Every stage has
`run(arguments, params, settings) -> report`, the report being a JSON object of counts, ids and URIs.
"""

from __future__ import annotations

import argparse
import importlib
import json
import logging
import sys
import traceback
from typing import TYPE_CHECKING, Any

import enigma_tasks
from enigma_tasks.documents import EntityType
from enigma_tasks.errors import EnigmaError
from enigma_tasks.params.strategies import AUTO, STRATEGIES, names

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Arguments = argparse.ArgumentParser
ENTITIES = [*[t.value for t in EntityType], "all"]
VOTES = [s.name for s in STRATEGIES.values() if s.by_name]
K_HELP = f"{names(lambda s: s.takes_k)}: votes that a span needs"
WEIGHTED = names(lambda s: s.takes_weights)


def _sample(p: Arguments) -> None:
    p.add_argument("--notes", type=int, required=True, help="how many notes, shared evenly among the languages")
    p.add_argument("--language", nargs="+", required=True, help="language codes, or all")
    p.add_argument("--out", required=True, help="a folder (corpus with gold) or s3://bucket/prefix")
    p.add_argument("--seed", type=int, help="instead of params.yaml's seed")
    p.add_argument("--packed", action="store_true", help="one packed file per language and entity type, in a folder")
    p.add_argument("--drop-date", metavar="YYYY-MM-DD", help="only the texts, laid out as drops of that day")


def _validate(p: Arguments) -> None:
    p.add_argument("corpus", metavar="CORPUS", help="a corpus folder, or a split one that holds train/ and dev/")
    p.add_argument("--language", help="the language of texts whose place does not tell; only this one where it tells")
    p.add_argument("--entity", choices=ENTITIES, default="all", help="only this type's annotations")
    p.add_argument("--report", metavar="DIR", help="folder or s3://bucket/prefix: Data Docs, and where each defect is")
    p.add_argument(
        "--filtered",
        metavar="DIR",
        help="write the corpus without what breaks a hard rule or one with `drop: true` (paper, section 3.2); "
        "the exit code then speaks of what is left",
    )


def _split(p: Arguments) -> None:
    p.add_argument("corpus", metavar="CORPUS", help="a corpus folder that `enigma validate` passed")
    p.add_argument("--out", required=True, metavar="DIR", help="gets train/, dev/ and split.json")
    p.add_argument(
        "--frozen",
        metavar="DIR",
        help="an earlier --out: its dev (and test) documents stay as they are, new cases go to train, and new versions "
        "of a case in dev or test are left out",
    )


def _ingest(p: Arguments) -> None:
    p.add_argument("--batch", required=True, help="the ingestion's id; one batch makes one version, however often run")
    p.add_argument("--again", action="store_true", help="also read what went to quarantine, e.g. after a rule changed")


def _augment(p: Arguments) -> None:
    p.add_argument("corpus", metavar="CORPUS", help="a training corpus; never one that is measured against")
    p.add_argument("--language", required=True, help="only its documents of this language")
    p.add_argument("--method", required=True, choices=["oversample", "morphology", "paraphrase"])
    p.add_argument("--out", required=True, metavar="DIR", help="gets CORPUS, the new documents and provenance.jsonl")
    p.add_argument("--dictionary", metavar="FILE.tsv", help="morphology: instead of our own; an earlier --out has one")
    p.add_argument("--terms", metavar="FILE.tsv", help="morphology: build the dictionary of these (concept, term) ...")
    p.add_argument("--affixes", metavar="DIR", help="... with the hunspell dictionary of the language in this folder")


def _train(p: Arguments) -> None:
    p.add_argument("--language", required=True, help="a language code, or all")
    p.add_argument("--entity", required=True, choices=ENTITIES, help="one type, or one encoder with a head per type")
    p.add_argument("--member", required=True, help="a recipe under `members` in params.yaml")
    p.add_argument("--train", nargs="+", required=True, metavar="[LANG=]CORPUS")
    p.add_argument("--dev", nargs="+", required=True, metavar="[LANG=]CORPUS")
    p.add_argument("--out", required=True, help="the model folder to write")
    p.add_argument(
        "--teacher", action="append", metavar="DIR", help="learn from this model or ensemble too; repeat for each"
    )
    p.add_argument("--unlabelled", nargs="+", metavar="[LANG=]PATH", help="its texts: a corpus, .txt files, FILE.jsonl")


def _predict(p: Arguments) -> None:
    p.add_argument("--model", action="append", required=True, help="a model folder; repeat for an ensemble")
    p.add_argument("--vote", choices=VOTES, default="majority", help="how several models become one answer")
    p.add_argument("--in", dest="source", required=True, help="a corpus or a folder of .txt files")
    p.add_argument("--out", required=True, help="a folder (BRAT) or FILE.tsv")


def _vote(p: Arguments) -> None:
    how = p.add_mutually_exclusive_group(required=True)
    how.add_argument("--strategy", choices=STRATEGIES)
    how.add_argument("--rule", metavar="DIR", help="a rule that `enigma ensemble` fitted on files in this order")
    p.add_argument("--k", type=int, help=f"{K_HELP} (default: over half)")
    p.add_argument(
        "--weights", type=float, nargs="+", metavar="W", help=f"{WEIGHTED}: one for each file, e.g. its dev F1"
    )
    p.add_argument(
        "--threshold", type=float, help=f"{WEIGHTED}: weight that a span needs (default: over half of it all)"
    )
    p.add_argument("--texts", metavar="CORPUS", help="the documents: every span is checked against them")
    p.add_argument("--out", required=True, help="the TSV file to write")
    p.add_argument("predictions", nargs="+", metavar="PRED.tsv", help="one file for each member")


def _score(p: Arguments) -> None:
    p.add_argument("--gold", required=True, help="a corpus folder or a TSV file")
    p.add_argument("--pred", required=True, help="a corpus folder or a TSV file")
    p.add_argument("--label", help="only this label; without it every label counts that gold was annotated for")
    p.add_argument("--by", choices=["label", "document"], help="one line per label or document")


def _evaluate(p: Arguments) -> None:
    what = p.add_mutually_exclusive_group(required=True)
    what.add_argument("--model", metavar="DIR", help="a model folder")
    what.add_argument(
        "--ensemble", action="append", metavar="DIR", help="an ensemble's folder, or one that holds one for each type"
    )
    p.add_argument("--gold", required=True, metavar="CORPUS", help="a dev or test set; what was trained on is refused")
    p.add_argument("--out", required=True, metavar="DIR", help="gets metrics.json and slices.csv")


def _ensemble(p: Arguments) -> None:
    p.add_argument("--name", help="one of `ensembles` in params.yaml: its language, members, strategy and k")
    p.add_argument("--language", help="instead of the ensemble's")
    p.add_argument("--entity", required=True, choices=ENTITIES)
    p.add_argument("--model", action="append", metavar="DIR", help="a member's model folder; repeat for each")
    p.add_argument(
        "--predictions",
        nargs="+",
        metavar="PRED.tsv",
        help="what each member predicts on the gold's documents; without models only the rule is written",
    )
    p.add_argument("--gold", required=True, metavar="CORPUS|TSV", help="dev: documents no member was trained on")
    p.add_argument("--texts", metavar="CORPUS", help="where gold is a TSV: the documents, to check every span against")
    p.add_argument("--strategy", choices=[AUTO, *STRATEGIES], help="choose among its rules only (default: auto)")
    p.add_argument("--k", type=int, help=K_HELP)
    p.add_argument("--out", required=True, metavar="DIR", help="gets a folder for each entity type")


def _register(p: Arguments) -> None:
    p.add_argument("--language", required=True)
    p.add_argument("--entity", required=True, choices=ENTITIES)
    what = p.add_mutually_exclusive_group(required=True)
    what.add_argument("--model", action="append", help="a model folder; repeat for an ensemble")
    what.add_argument("--ensemble", metavar="DIR", help="what `enigma ensemble` wrote: a folder for each entity type")
    p.add_argument("--vote", choices=VOTES, default="majority", help="how several models become one answer")
    p.add_argument("--alias", default="challenger", choices=["champion", "challenger"])


def _plan(p: Arguments) -> None:
    p.add_argument("--batch", required=True, help="the night's id, e.g. 2026-06-11")
    p.add_argument("--backfill", metavar="FROM..TO", help="annotate these drop dates again, with today's champions")


def _annotate(p: Arguments) -> None:
    p.add_argument("--shard", required=True, help="URI of one shard of a plan")


def _publish(p: Arguments) -> None:
    p.add_argument("--batch", required=True)


def _monitor(p: Arguments) -> None:
    p.add_argument("--batch", required=True)


def _review(p: Arguments) -> None:
    p.add_argument("--note", required=True, help="URI of a published note: s3://.../note.txt or ...jsonl#id")
    p.add_argument("--out", required=True, help="the HTML file to write; it holds the note's text")


def _models(p: Arguments) -> None:
    p.add_argument("action", choices=["pull", "list", "verify"], help="only pull ever asks a hub")
    p.add_argument("names", nargs="*", metavar="MEMBER|HUBID", help="instead of every member's base model")
    p.add_argument("--from", dest="source", metavar="DIR", help="pull: from a folder that somebody carried in")
    p.add_argument("--revision", help="pull, one model: this commit; with --from, the commit that the folder holds")
    p.add_argument("--update", action="store_true", help="pull: what models.lock says may change")
    p.add_argument("--convert", action="store_true", help="pull: read a pickle's tensors and store them as safetensors")


def _doctor(_: Arguments) -> None:
    pass


COMMANDS: dict[str, tuple[str, Callable[[Arguments], None]]] = {
    "sample": ("synthetic notes with gold, seeded", _sample),
    "ingest": ("new gold -> checked, and a new version of the gold repository", _ingest),
    "validate": ("check gold by its rules; exit 1 names document and rule", _validate),
    "split": ("80/20 train and dev, by case, stratified by entity density", _split),
    "augment": ("training documents multiplied: sentences again, other forms, paraphrases", _augment),
    "train": ("fine-tune one token classifier", _train),
    "predict": ("annotate texts with model folders", _predict),
    "vote": ("many members' TSV files become one answer", _vote),
    "score": ("strict and character F1 against gold", _score),
    "evaluate": ("scores on gold that was not trained on, for `dvc metrics` and `dvc plots`", _evaluate),
    "ensemble": ("fit how members vote, on dev; write the ensemble", _ensemble),
    "register": ("an ensemble becomes a version in the registry", _register),
    "plan": ("list the drops, take away what is done, cut shards", _plan),
    "annotate": ("annotate one shard with the pinned champions", _annotate),
    "publish": ("one commit for the night", _publish),
    "monitor": ("the page to look at in the morning", _monitor),
    "review": ("one note with its entities highlighted, for a reviewer", _review),
    "models": ("base models for places without a hub: a store, and a lock with their digests", _models),
    "doctor": ("what is reachable, which versions, which GPU", _doctor),
}


def build_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    parser = argparse.ArgumentParser(prog="enigma", description="Diseases, procedures and symptoms in clinical notes.")
    parser.add_argument("--version", action="version", version=f"enigma {enigma_tasks.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for word, (summary, add_arguments) in COMMANDS.items():
        command = commands.add_parser(word, help=summary, description=summary)
        add_arguments(command)
        common = command.add_argument_group("common")
        common.add_argument("--params", default="params.yaml", help="instead of ./params.yaml")
        common.add_argument("--set", action="append", default=[], metavar="section.key=value", dest="overrides")
        common.add_argument("--json", action="store_true", help="print one JSON object on standard output")
        common.add_argument("--result", metavar="URI", help="also write the JSON object to this s3:// URI")
        common.add_argument("--quiet", action="store_true", help="warnings and errors only")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code (docs/architecture.md, "Exit codes")."""
    arguments = build_parser().parse_args(argv)
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.WARNING if arguments.quiet else logging.INFO,
        format="%(asctime)s %(levelname)s %(message)s",
    )
    debug = False
    try:
        from pathlib import Path

        from enigma_tasks.config import load_params, load_settings, quiet_third_parties

        quiet_third_parties(hub=getattr(arguments, "action", None) == "pull")
        settings = load_settings()
        debug = settings.debug
        params = load_params(Path(arguments.params), arguments.overrides)
        stage = importlib.import_module(f"enigma_tasks.stages.{arguments.command}")
        report: dict[str, Any] = stage.run(arguments, params, settings)
        if arguments.result:
            from enigma_tasks.adapters.object_store import ObjectStore

            ObjectStore().put(arguments.result, json.dumps(report).encode())
    except EnigmaError as error:
        print(f"enigma {arguments.command}: {error}", file=sys.stderr)  # noqa: T201
        return error.exit_code
    except Exception as error:
        if debug:
            raise
        frames = traceback.extract_tb(error.__traceback__)
        where = " <- ".join(f"{f.filename.rsplit('/', 1)[-1]}:{f.lineno} {f.name}" for f in reversed(frames[-6:]))
        print(f"enigma {arguments.command}: {type(error).__name__} in {where}", file=sys.stderr)  # noqa: T201
        print("the message is withheld, it may quote a note; ENIGMA_DEBUG=1 shows it", file=sys.stderr)  # noqa: T201
        return 1
    print(json.dumps(report) if arguments.json else as_table(report))  # noqa: T201
    return int(report.get("exit_code", 0))


def as_table(report: dict[str, Any]) -> str:
    """A report as aligned lines for people: nested keys dotted, lists of objects as rows."""
    lines: list[str] = []
    scalars = list(_flat(report))
    width = max((len(k) for k, _ in scalars), default=0)
    lines += [f"{k:<{width}}  {v}" for k, v in scalars]
    for name, rows in report.items():
        if isinstance(rows, list) and rows and isinstance(rows[0], dict):
            columns = list(rows[0])
            cells = [columns, *[[str(r.get(c, "")) for c in columns] for r in rows]]
            widths = [max(len(row[i]) for row in cells) for i in range(len(columns))]
            lines += ["", f"{name}:"]
            lines += ["  " + "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in cells]
    return "\n".join(lines)


def _flat(value: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    for key, item in value.items():
        if isinstance(item, dict):
            pairs += _flat(item, f"{prefix}{key}.")
        elif not (isinstance(item, list) and item and isinstance(item[0], dict)):
            pairs.append((prefix + key, f"{item:.4f}" if isinstance(item, float) else str(item)))
    return pairs
