"""The arguments of the commands from gold to a retraining. Imports the standard library only, as `cli` does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from enigma_tasks.documents import EntityType

if TYPE_CHECKING:
    import argparse

ENTITIES = [*[t.value for t in EntityType], "all"]


def sample_arguments(p: argparse.ArgumentParser) -> None:
    """`enigma sample`."""
    p.add_argument("--notes", type=int, required=True, help="number of notes, divided evenly among the languages")
    p.add_argument("--language", nargs="+", required=True, help="language codes, or all")
    p.add_argument("--out", required=True, help="a folder (corpus with gold) or s3://bucket/prefix")
    p.add_argument("--seed", type=int, help="overrides the seed of params.yaml")
    p.add_argument("--packed", action="store_true", help="one packed file per language and entity type, in a folder")
    p.add_argument("--drop-date", metavar="YYYY-MM-DD", help="write the texts only, as drops of that day")


def validate_arguments(p: argparse.ArgumentParser) -> None:
    """`enigma validate`."""
    p.add_argument("corpus", metavar="CORPUS", help="a corpus folder, or a folder with train/ and dev/")
    p.add_argument("--language", help="check only this language; texts outside any language's folder count as it")
    p.add_argument("--entity", choices=ENTITIES, default="all", help="check only annotations of this type")
    p.add_argument("--report", metavar="DIR", help="folder or s3://bucket/prefix for Data Docs and the list of defects")
    p.add_argument(
        "--filtered",
        metavar="DIR",
        help="write the corpus without what breaks a hard rule or one with `drop: true` (paper, section 3.2); "
        "the exit code is then that of the filtered corpus",
    )
    p.add_argument(
        "--suspects",
        metavar="DIR",
        help="also train --member on folds of CORPUS and write the documents that disagree most with its out-of-fold "
        "predictions: a page and a list of ids and offsets",
    )
    p.add_argument("--member", help="--suspects: an encoder recipe under `members` in params.yaml")
    p.add_argument(
        "--brat", metavar="DIR", help="--suspects: write these documents for brat, doubts marked; with texts"
    )


def split_arguments(p: argparse.ArgumentParser) -> None:
    """`enigma split`."""
    p.add_argument("corpus", metavar="CORPUS", help="a corpus folder that `enigma validate` passed")
    p.add_argument("--out", required=True, metavar="DIR", help="folder to write: train/, dev/ and split.json")
    p.add_argument(
        "--frozen",
        metavar="DIR",
        help="an earlier --out: its dev (and test) documents stay unchanged, new cases go to train, and new versions "
        "of a case in dev or test are left out",
    )


def ingest_arguments(p: argparse.ArgumentParser) -> None:
    """`enigma ingest`."""
    p.add_argument("--batch", required=True, help="the ingestion's id; a batch makes one version, also when run again")
    p.add_argument("--again", action="store_true", help="also read what is in quarantine, e.g. after a rule changed")


def augment_arguments(p: argparse.ArgumentParser) -> None:
    """`enigma augment`."""
    p.add_argument("corpus", metavar="CORPUS", help="a training corpus; never dev or test")
    p.add_argument("--language", required=True, help="use only documents of this language")
    p.add_argument("--method", required=True, choices=["oversample", "morphology", "paraphrase"])
    p.add_argument("--out", required=True, metavar="DIR", help="folder to write: CORPUS with the new documents")
    p.add_argument("--dictionary", metavar="FILE.tsv", help="morphology: a dictionary, e.g. of an earlier --out")
    p.add_argument("--terms", metavar="FILE.tsv", help="morphology: build the dictionary from (concept, term) rows ...")
    p.add_argument("--affixes", metavar="DIR", help="... and the hunspell dictionary of the language in this folder")


def changes_arguments(p: argparse.ArgumentParser) -> None:
    """`enigma changes`."""
    p.add_argument("--batch", required=True, help="the retraining's id; a batch has one work list, also when run again")
    p.add_argument("--language", help="this language only, whether its gold is new or not")
    p.add_argument("--member", help="languages with this member only, whether their gold is new or not")


def prepare_arguments(p: argparse.ArgumentParser) -> None:
    """`enigma prepare`."""
    p.add_argument("--batch", required=True, help="as for `enigma changes`")


def repro_arguments(p: argparse.ArgumentParser) -> None:
    """`enigma repro`."""
    p.add_argument("stage", choices=["train", "ensemble", "evaluate"], help="a stage of dvc.yaml")
    p.add_argument("--work", required=True, metavar="URI", help="a language's or, to train, a model's retraining")
