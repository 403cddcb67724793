"""`enigma validate`: a corpus -> results by rule, the documents with defects, and Great Expectations' Data Docs.

With `--suspects` also the documents whose gold disagrees most with out-of-fold predictions.
"""

from __future__ import annotations

import json
import mimetypes
import shutil
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from enigma_tasks.adapters.language_detection import LanguageDetector
from enigma_tasks.adapters.model_store import ready
from enigma_tasks.artifacts import (
    DATA_DOCS,
    FOLDS,
    MODELS_LOCK,
    SUSPECTS,
    SUSPECTS_PAGE,
    VALIDATION_DEFECTS,
    VALIDATION_REPORT,
)
from enigma_tasks.documents import EntityType
from enigma_tasks.errors import UsageError
from enigma_tasks.formats.corpora import CorpusReport
from enigma_tasks.gold.examination import checked_tables
from enigma_tasks.gold.filters import without_dropped
from enigma_tasks.gold.folds import annotated_only, is_split, read_folds, shape_of, write_fold
from enigma_tasks.gold.rules import Fold
from enigma_tasks.gold.splitting import cross_validation_folds
from enigma_tasks.notes.names import Names
from enigma_tasks.pages.suspects import brat_files, render_suspects_page, suspect_rows
from enigma_tasks.paths import below
from enigma_tasks.workfolder import scratch_folder

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from enigma_tasks.config import Params, Settings
    from enigma_tasks.documents import Document

NAMED = 50
"""Defects in the command's output; `--report` has all of them."""


def run(arguments: argparse.Namespace, params: Params, settings: Settings) -> dict[str, Any]:
    """Check CORPUS; with `--filtered` write it without what the rules drop, and check the result.

    Raises:
        UsageError: no corpus, an unknown language, `--filtered` for a split corpus or on a folder that is not empty.
        BrokenCheckError: a check itself failed, so there is no result.
        UsageError, DataError: `--suspects`, see `_suspects`.
    """
    from enigma_tasks.adapters.expectations import examine

    if (arguments.suspects is None) != (arguments.member is None) or (arguments.brat and not arguments.suspects):
        raise UsageError("--suspects and --member need each other; --brat needs both")

    corpus = Path(arguments.corpus)
    language = None if arguments.language is None else params.require_language(arguments.language)
    entity = None if arguments.entity == "all" else EntityType(arguments.entity)
    corpus_report = CorpusReport()
    folds = {name: annotated_only(f) for name, f in read_folds(corpus, language, entity, corpus_report).items()}
    read = folds
    dropped: dict[str, Any] = {}
    if arguments.filtered:
        folds, dropped = _filtered(corpus, Path(arguments.filtered), folds, params)
    with scratch_folder() as scratch:
        pages = scratch / "report"
        pages.mkdir()
        examination = examine(folds, params, pages / DATA_DOCS if arguments.report else None)
        report = {
            "corpus": arguments.corpus,
            "passed": examination.passed,
            "documents": sum(len(f.documents) for f in read.values()),
            "spans": {t.value: sum(len(d.of_type(t)) for f in read.values() for d in f.documents) for t in EntityType},
            "discontinuous": corpus_report.discontinuous,
            "other_lines": corpus_report.other_lines.total(),
            "converted_offsets": dict(sorted(corpus_report.converted.items())),
            "ignored_files": dict(sorted(corpus_report.ignored.items())),
            **dropped,
            "rules": [vars(v) for v in examination.results if v.failed],
        }
        names = Names.of(settings)
        defects = [row | {"document": names.shown(row["document"])} for row in examination.defects()]
        if arguments.report:
            _write_report(pages, report, defects)
            _copy_report(pages, arguments.report)
            report["report"] = arguments.report
    suspected = _suspects(arguments, [d for f in read.values() for d in f.documents], params, settings)
    named = {"named": f"{NAMED} of {len(defects)}"} if len(defects) > NAMED else {}
    return {**report, **suspected, **named, "defects": defects[:NAMED], "exit_code": 0 if examination.passed else 1}


def _suspects(
    arguments: argparse.Namespace, documents: Sequence[Document], params: Params, settings: Settings
) -> dict[str, Any]:
    """Train on folds, rank, and write the page and the list; empty without `--suspects`.

    Raises:
        UsageError: no such member, one that is not trained, or fewer cases than folds.
        DataError: as in training, e.g. `no_entities`, or a span that does not fit its text.
    """
    if arguments.suspects is None:
        return {}
    from enigma_tasks.ner.suspects import suspects
    from enigma_tasks.ner.training.callbacks import LoggingCallback
    from enigma_tasks.ner.training.out_of_fold import out_of_fold
    from enigma_tasks.ner.training.train import Task

    member = params.member(arguments.member)
    if member.kind != "encoder":
        raise UsageError(f"--member: {arguments.member} is no token classifier")
    types = tuple(EntityType) if arguments.entity == "all" else (EntityType(arguments.entity),)
    store = ready(member.base, settings, Path(arguments.params).with_name(MODELS_LOCK))
    task = Task(arguments.language or "all", types, arguments.member, member, params.seed, store)
    limits = params.validation.suspects
    folds = cross_validation_folds(documents, limits.folds, params)
    predicted = out_of_fold(task, folds, params.annotate.batch_tokens, LoggingCallback())
    found = suspects([d for fold in folds for d in fold], [p for fold in predicted for p in fold])
    rows = suspect_rows(found, Names.of(settings))
    out = Path(arguments.suspects)
    out.mkdir(parents=True, exist_ok=True)
    (out / SUSPECTS).write_text("".join(json.dumps(row, sort_keys=True) + "\n" for row in rows))
    (out / SUSPECTS_PAGE).write_text(render_suspects_page(rows, len(documents), limits))
    if arguments.brat:
        folder = Path(arguments.brat)
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in brat_files(found):
            below(folder, name, "suspect documents").write_bytes(content.encode())
    places = Counter(place["doubt"] for row in rows for place in row["places"])
    return {
        "suspects": {"page": str(out / SUSPECTS_PAGE), "documents": len(rows), "places": dict(sorted(places.items()))}
    }


def _filtered(
    corpus: Path, out: Path, folds: Mapping[str | None, Fold], params: Params
) -> tuple[dict[str | None, Fold], dict[str, Any]]:
    """Write the filtered corpus; returns it, and counts of what each rule dropped."""
    if is_split(corpus):
        raise UsageError(f"--filtered takes a corpus without {', '.join(FOLDS)}: filter first, then split")
    if out.exists() and any(out.iterdir()):
        raise UsageError(f"--filtered: {out} is not empty")
    fold = folds[None]
    found = checked_tables(folds, params, LanguageDetector(params.languages).detect)
    kept, dropped = without_dropped(fold.documents, found, params.validation)
    write_fold(kept, out, shape_of(corpus))
    report = {
        "filtered": str(out),
        "kept_documents": len(kept),
        "kept_spans": sum(len(d.entities) for d in kept),
        "dropped": {
            "unreadable": dict(sorted(Counter(e.rule for e in fold.defects).items())),
            **{what: dict(sorted(counts.items())) for what, counts in dropped.items()},
        },
    }
    return {None: Fold(kept, ())}, report


def _write_report(folder: Path, report: dict[str, Any], defects: Sequence[dict[str, Any]]) -> None:
    (folder / VALIDATION_REPORT).write_text(json.dumps(report, indent=2, sort_keys=True) + "\n")
    (folder / VALIDATION_DEFECTS).write_text("".join(json.dumps(d, sort_keys=True) + "\n" for d in defects))


def _copy_report(folder: Path, target: str) -> None:
    """Copy the report to an s3:// prefix, or to a folder, replacing the pages of an earlier report."""
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    if target.startswith("s3://"):
        from enigma_tasks.adapters.object_store import ObjectStore

        store = ObjectStore()
        for path in files:
            kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
            store.put(f"{target.rstrip('/')}/{path.relative_to(folder).as_posix()}", path.read_bytes(), kind)
        return
    shutil.rmtree(Path(target) / DATA_DOCS, ignore_errors=True)
    shutil.copytree(folder, target, dirs_exist_ok=True)
