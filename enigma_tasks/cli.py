"""The console command `enigma`: one sub-command per stage and tool.

This module imports the standard library only, and a stage's module when that stage is called, so that it starts fast.
Every stage has `run(arguments, params, settings) -> report`; the report is a JSON object of counts, ids and URIs.
"""

from __future__ import annotations

import argparse
import importlib
import json
import logging
import sys
from typing import TYPE_CHECKING, Any

import enigma_tasks
from enigma_tasks.cli_gold import (
    augment_arguments,
    changes_arguments,
    ingest_arguments,
    prepare_arguments,
    repro_arguments,
    sample_arguments,
    split_arguments,
    validate_arguments,
)
from enigma_tasks.cli_notes import explain_arguments, forget_arguments, review_arguments
from enigma_tasks.cli_promotion import card_arguments, challengers_arguments, compare_arguments, promote_arguments
from enigma_tasks.documents import EntityType
from enigma_tasks.errors import DataError, EnigmaError
from enigma_tasks.params.strategies import AUTO, STRATEGIES, names
from enigma_tasks.report_table import as_table
from enigma_tasks.standard_error import show_native_output, where

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Arguments = argparse.ArgumentParser
ENTITIES = [*[t.value for t in EntityType], "all"]
VOTES = [s.name for s in STRATEGIES.values() if s.by_name]
K_HELP = f"{names(lambda s: s.takes_k)}: votes that a span needs"
INTERRUPTED = 130
"""The exit code after SIGINT, as shells have it."""
WEIGHTED = names(lambda s: s.takes_weights)


def _train(p: Arguments) -> None:
    p.add_argument("--language", required=True, help="a language code, or all")
    p.add_argument("--entity", required=True, choices=ENTITIES, help="one type, or one encoder with a head per type")
    p.add_argument("--member", required=True, help="a recipe under `members` in params.yaml")
    p.add_argument("--train", nargs="+", required=True, metavar="[LANG=]CORPUS")
    p.add_argument("--dev", nargs="+", required=True, metavar="[LANG=]CORPUS")
    p.add_argument("--out", required=True, help="the model folder to write")
    p.add_argument(
        "--teacher", action="append", metavar="DIR", help="distil from this model or ensemble; repeat for each"
    )
    p.add_argument(
        "--unlabelled", nargs="+", metavar="[LANG=]PATH", help="texts to distil on: a corpus, .txt files, FILE.jsonl"
    )


def _predict(p: Arguments) -> None:
    p.add_argument("--model", action="append", required=True, help="a model folder; repeat for an ensemble")
    p.add_argument("--vote", choices=VOTES, default="majority", help="voting rule for several models")
    p.add_argument("--in", dest="source", required=True, help="a corpus or a folder of .txt files")
    p.add_argument("--out", required=True, help="a folder (BRAT) or FILE.tsv")


def _vote(p: Arguments) -> None:
    rule = p.add_mutually_exclusive_group(required=True)
    rule.add_argument("--strategy", choices=STRATEGIES)
    rule.add_argument("--rule", metavar="DIR", help="a rule that `enigma ensemble` fitted on files in this order")
    p.add_argument("--k", type=int, help=f"{K_HELP} (default: over half)")
    p.add_argument(
        "--weights", type=float, nargs="+", metavar="W", help=f"{WEIGHTED}: one for each file, e.g. its dev F1"
    )
    p.add_argument(
        "--threshold", type=float, help=f"{WEIGHTED}: weight that a span needs (default: over half of the total)"
    )
    p.add_argument("--texts", metavar="CORPUS", help="the documents: every span is checked against them")
    p.add_argument("--out", required=True, help="the TSV file to write")
    p.add_argument("predictions", nargs="+", metavar="PRED.tsv", help="one file for each member")


def _score(p: Arguments) -> None:
    p.add_argument("--gold", required=True, help="a corpus folder or a TSV file")
    p.add_argument("--pred", required=True, help="a corpus folder or a TSV file")
    p.add_argument("--label", help="score this label only (default: all labels that gold was annotated for)")
    p.add_argument("--by", choices=["label", "document"], help="one line for each label or document")


def _evaluate(p: Arguments) -> None:
    subject = p.add_mutually_exclusive_group(required=True)
    subject.add_argument("--model", metavar="DIR", help="a model folder")
    subject.add_argument(
        "--ensemble", action="append", metavar="DIR", help="an ensemble's folder, or a folder with one for each type"
    )
    subject.add_argument(
        "--table", nargs="+", metavar="DIR", help="the --out of earlier evaluations: print the paper's Tables 1 and 2"
    )
    p.add_argument("--gold", metavar="CORPUS", help="a dev or test set; training documents are refused")
    p.add_argument("--out", metavar="DIR", help="folder to write: metrics.json, slices.csv, evaluated.json")


def _ensemble(p: Arguments) -> None:
    p.add_argument("--name", help="one of `ensembles` in params.yaml: its language, members, strategy and k")
    p.add_argument("--language", help="overrides the ensemble's")
    p.add_argument("--entity", required=True, choices=ENTITIES)
    p.add_argument("--model", action="append", metavar="DIR", help="a member's model folder; repeat for each")
    p.add_argument(
        "--predictions",
        nargs="+",
        metavar="PRED.tsv",
        help="each member's predictions on the gold's documents; without models only the rule is written",
    )
    p.add_argument("--gold", required=True, metavar="CORPUS|TSV", help="dev: documents no member was trained on")
    p.add_argument("--texts", metavar="CORPUS", help="if gold is a TSV: the documents, to check every span against")
    p.add_argument("--strategy", choices=[AUTO, *STRATEGIES], help="consider only its rules (default: auto, all)")
    p.add_argument("--k", type=int, help=K_HELP)
    p.add_argument("--out", required=True, metavar="DIR", help="folder to write: a folder for each entity type")


def _register(p: Arguments) -> None:
    p.add_argument("--language", help="required but for --retrained, which has its own")
    p.add_argument("--entity", choices=ENTITIES, default="all")
    subject = p.add_mutually_exclusive_group(required=True)
    subject.add_argument("--model", action="append", help="a model folder; repeat for an ensemble")
    subject.add_argument("--ensemble", metavar="DIR", help="an --out of `enigma ensemble`: a folder for each type")
    subject.add_argument("--retrained", metavar="URI", help="a language's retraining, listed by `enigma changes`")
    p.add_argument("--vote", choices=VOTES, default="majority", help="voting rule for several models")
    p.add_argument(
        "--scores", metavar="DIR", help="an --out of `enigma evaluate` of the same: logged with its test set"
    )
    p.add_argument("--first", action="store_true", help="make it the first champion, where the journal has none")


def _registry(p: Arguments) -> None:
    p.add_argument("action", choices=["history", "verify", "rollback", "as-of"])
    p.add_argument("when", nargs="?", metavar="DATE", help="as-of: a date (its end) or a time, UTC, ISO 8601")
    p.add_argument("--language", help="only journals of this language")
    p.add_argument("--entity", choices=ENTITIES, default="all", help="only journals of this type")
    p.add_argument("--to", metavar="VERSION", help="rollback: an earlier champion (default: the one before)")
    p.add_argument("--reason", metavar="SENTENCE", help="rollback: why, for the journal; never text of a note")


def _plan(p: Arguments) -> None:
    p.add_argument("--batch", required=True, help="the night's id, e.g. 2026-06-11")
    p.add_argument("--backfill", metavar="FROM..TO", help="annotate these drop dates again, with the current champions")


def _annotate(p: Arguments) -> None:
    p.add_argument("--shard", required=True, help="URI of one shard of a plan")


def _batch(p: Arguments) -> None:
    p.add_argument("--batch", required=True)


def _monitor(p: Arguments) -> None:
    subject = p.add_mutually_exclusive_group(required=True)
    subject.add_argument("--batch", help="a night: write its morning page")
    subject.add_argument("--week", metavar="YYYY-Www", help="an ISO week, e.g. 2026-W24: report on its reviewed notes")


def _models(p: Arguments) -> None:
    p.add_argument("action", choices=["pull", "list", "verify"], help="only pull contacts a hub")
    p.add_argument("names", nargs="*", metavar="MEMBER|HUBID", help="default: every member's base model")
    p.add_argument("--from", dest="source", metavar="DIR", help="pull: from a folder instead of the hub")
    p.add_argument("--revision", help="pull, one model: this commit; with --from, the commit of the folder")
    p.add_argument("--update", action="store_true", help="pull: allow changes to models.lock")
    p.add_argument("--convert", action="store_true", help="pull: read a pickle's tensors and store them as safetensors")


def _doctor(_: Arguments) -> None:
    pass


COMMANDS: dict[str, tuple[str, Callable[[Arguments], None]]] = {
    "sample": ("synthetic notes with gold, seeded", sample_arguments),
    "ingest": ("check new gold and commit it to the gold repository", ingest_arguments),
    "validate": ("check gold by its rules; exit 1 names document and rule", validate_arguments),
    "split": ("split into train and dev (80/20), by case, stratified by entity density", split_arguments),
    "augment": ("augment training documents: oversampling, inflected synonyms, paraphrases", augment_arguments),
    "train": ("fine-tune one token classifier", _train),
    "predict": ("annotate texts with model folders", _predict),
    "vote": ("combine members' TSV files by a voting rule", _vote),
    "score": ("strict and character F1 against gold", _score),
    "evaluate": ("score a model or ensemble on dev or test, for `dvc metrics` and `dvc plots`", _evaluate),
    "ensemble": ("fit a voting rule on dev and write the ensemble", _ensemble),
    "register": ("register an ensemble as a new version", _register),
    "registry": ("the journal of champions: history, verification, rollback, champions of a date", _registry),
    "changes": ("list the languages whose gold no registered model was trained on", changes_arguments),
    "prepare": ("check, split and augment a retraining's gold, and freeze its test set", prepare_arguments),
    "repro": ("run one stage of the training path for a retraining", repro_arguments),
    "challengers": ("list the registered versions that wait for the gate", challengers_arguments),
    "compare": ("compare challengers with the champion on a frozen test set", compare_arguments),
    "promote": ("make the challenger of a decision champion", promote_arguments),
    "card": ("write the card of a registered version: data, members, scores, licences, journal", card_arguments),
    "plan": ("list the notes that are not done and write shards", _plan),
    "annotate": ("annotate one shard with the pinned champions", _annotate),
    "publish": ("publish a night's results in one commit", _batch),
    "select": ("export notes of a night for review: a random sample, and the most useful ones", _batch),
    "reviewed": ("read what reviewers dropped and count what they corrected", _batch),
    "monitor": ("write the morning page of a night, or the report on a week of reviewed notes", _monitor),
    "review": ("write a page of one note with its entities highlighted", review_arguments),
    "explain": ("everything that ever happened to a note: nights, models, reviews, gold", explain_arguments),
    "forget": ("remove a note and everything derived from it, and keep it from coming back", forget_arguments),
    "models": ("manage the store of base models and its lock file", _models),
    "doctor": ("report reachable services, versions and GPU", _doctor),
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
        common.add_argument("--params", default="params.yaml", help="default: ./params.yaml")
        common.add_argument("--set", action="append", default=[], metavar="section.key=value", dest="overrides")
        common.add_argument("--json", action="store_true", help="print one JSON object on standard output")
        common.add_argument("--result", metavar="URI", help="also write that object to this s3:// URI")
        common.add_argument("--quiet", action="store_true", help="log warnings and errors only")
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
        from enigma_tasks.environment import take_from_standard_input
        from enigma_tasks.workfolder import require_temporary_root

        take_from_standard_input()
        require_temporary_root()
        quiet_third_parties(hub=getattr(arguments, "action", None) == "pull")
        settings = load_settings()
        debug = settings.debug
        if debug:
            show_native_output()
        params = load_params(Path(arguments.params), arguments.overrides)
        if settings.out_of_memory:
            params = params.model_copy(update={"annotate": params.annotate.halved(settings.out_of_memory)})
            logging.getLogger(__name__).warning(
                "killed for want of memory %d time(s) before: batches of %d sub-words",
                settings.out_of_memory,
                params.annotate.batch_tokens,
            )
        stage = importlib.import_module(f"enigma_tasks.stages.{arguments.command}")
        report: dict[str, Any] = stage.run(arguments, params, settings)
        if arguments.result:
            from enigma_tasks.adapters.object_store import ObjectStore

            ObjectStore().put(arguments.result, json.dumps(report).encode())
    except EnigmaError as error:
        message = _message(error, argv) if isinstance(error, DataError) else str(error)
        print(f"enigma {arguments.command}: {message}", file=sys.stderr)  # noqa: T201
        return error.exit_code
    except KeyboardInterrupt:
        print(f"enigma {arguments.command}: interrupted", file=sys.stderr)  # noqa: T201
        return INTERRUPTED
    except BaseException as error:  # a panic of a Rust library is no Exception
        if debug or isinstance(error, SystemExit):
            raise
        place = where(error.__traceback__)
        print(f"enigma {arguments.command}: {type(error).__name__} in {place}", file=sys.stderr)  # noqa: T201
        print("the message is hidden, it may quote a note; ENIGMA_DEBUG=1 shows it", file=sys.stderr)  # noqa: T201
        return 1
    print(json.dumps(report) if arguments.json else as_table(report))  # noqa: T201
    return int(report.get("exit_code", 0))


def _message(error: DataError, argv: Sequence[str] | None) -> str:
    """The message with the name of its record as it may be shown (docs/what-is-shown.md)."""
    from enigma_tasks.config import load_settings
    from enigma_tasks.notes.names import Names

    return Names.of(load_settings()).message(error, sys.argv[1:] if argv is None else argv)
