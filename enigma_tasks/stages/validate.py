"""`enigma validate`: a corpus -> which rules it keeps, which documents break them, Great Expectations' Data Docs."""

from __future__ import annotations

import json
import mimetypes
import shutil
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from enigma_tasks.artifacts import DATA_DOCS, FOLDS, VALIDATION_DEFECTS, VALIDATION_REPORT
from enigma_tasks.corpora import CorpusReport
from enigma_tasks.documents import EntityType
from enigma_tasks.errors import UsageError
from enigma_tasks.gold.cases import cases_under
from enigma_tasks.gold.filters import without_dropped
from enigma_tasks.gold.folds import is_split, read_folds, shape_of, write_fold
from enigma_tasks.gold.rules import Fold, tables

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from enigma_tasks.config import Params, Settings
    from enigma_tasks.gold.rules import Table

NAMED = 50
"""Breaches that the command names; `--report` has them all."""


@dataclass(frozen=True)
class Verdict:
    """What became of one rule in one table."""

    table: str
    rule: str
    severity: str
    tolerance: float
    rows: int
    failed: int
    passed: bool


@dataclass(frozen=True)
class Examination:
    """Everything that is known of a corpus after it was checked; no text."""

    tables: Sequence[Table]
    verdicts: Sequence[Verdict]

    @property
    def passed(self) -> bool:
        """No rule of severity `error` is broken more often than it bears."""
        return all(v.passed or v.severity != "error" for v in self.verdicts)

    def defects(self) -> list[dict[str, Any]]:
        """Every breach, those that decide first: fold, document, rule, offset, severity."""
        order = sorted(self.verdicts, key=lambda v: (v.passed, v.severity != "error"))
        by_name = {t.name: t for t in self.tables}
        rows = []
        for v in order:
            for row in by_name[v.table].breaches(v.rule):
                fold = {"fold": row.fold} if row.fold else {}
                rows.append(
                    {"document": row.document, **fold, "rule": v.rule, "offset": row.offset, "severity": v.severity}
                )
        return rows


def run(arguments: argparse.Namespace, params: Params, settings: Settings) -> dict[str, Any]:  # noqa: ARG001
    """Check CORPUS; with `--filtered` write what is left of it without the dropped, and check that.

    Raises:
        UsageError: no corpus, an unknown language, `--filtered` for a split corpus or on a folder that holds something.
        BrokenCheckError: a check itself failed; nothing is said of the data.
    """
    corpus = Path(arguments.corpus)
    language = _language(arguments.language, params)
    entity = None if arguments.entity == "all" else EntityType(arguments.entity)
    kept_out = CorpusReport()
    folds = read_folds(corpus, language, entity, kept_out)
    read = folds
    dropped: dict[str, Any] = {}
    if arguments.filtered:
        folds, dropped = _filtered(corpus, Path(arguments.filtered), folds, params)
    with tempfile.TemporaryDirectory() as scratch:
        pages = Path(scratch) / "report"
        pages.mkdir()
        examination = examine(folds, params, pages / DATA_DOCS if arguments.report else None)
        report = {
            "corpus": arguments.corpus,
            "passed": examination.passed,
            "documents": sum(len(f.documents) for f in read.values()),
            "spans": {t.value: sum(len(d.of_type(t)) for f in read.values() for d in f.documents) for t in EntityType},
            "discontinuous": kept_out.discontinuous,
            "other_lines": kept_out.other_lines.total(),
            **dropped,
            "rules": [vars(v) for v in examination.verdicts if v.failed],
        }
        defects = examination.defects()
        if arguments.report:
            _write_report(pages, report, defects)
            _deliver(pages, arguments.report)
            report["report"] = arguments.report
    named = {"named": f"{NAMED} of {len(defects)}"} if len(defects) > NAMED else {}
    return {**report, **named, "defects": defects[:NAMED], "exit_code": 0 if examination.passed else 1}


def examine(folds: Mapping[str | None, Fold], params: Params, data_docs: Path | None = None) -> Examination:
    """Check documents that were read already; `data_docs` is a folder to build Great Expectations' pages in.

    Raises:
        UsageError: params.yaml has rules for a language that it does not have.
        BrokenCheckError: a check itself failed.
    """
    from enigma_tasks.adapters.expectations import judge

    checked = _tables(folds, params)
    passed = judge(checked, data_docs)
    verdicts = [
        Verdict(t.name, rule, p.severity, p.tolerance, len(t.rows), t.sound[rule].count(False), passed[t.name, rule])
        for t in checked
        for rule, p in t.rules.items()
    ]
    return Examination(checked, verdicts)


def _tables(folds: Mapping[str | None, Fold], params: Params) -> list[Table]:
    from enigma_tasks.adapters.language_detection import LanguageDetector

    if unknown := sorted(params.validation.languages.keys() - params.languages.keys()):
        raise UsageError(f"validate.languages: no language {unknown[0]!r} in params.yaml")
    return tables(folds, params.validation, LanguageDetector(params.languages).detect, _in_several(folds, params))


def _in_several(folds: Mapping[str | None, Fold], params: Params) -> dict[str | None, set[int]]:
    """For each fold the documents whose case is in another fold too."""
    found: dict[str | None, set[int]] = {name: set() for name in folds}
    if len(folds) == 1:
        return found
    places = [(name, i) for name, fold in folds.items() for i in range(len(fold.documents))]
    documents = [d for fold in folds.values() for d in fold.documents]
    for case in cases_under(documents, params):
        if len({places[k][0] for k in case}) > 1:
            for k in case:
                found[places[k][0]].add(places[k][1])
    return found


def _filtered(
    corpus: Path, out: Path, folds: Mapping[str | None, Fold], params: Params
) -> tuple[dict[str | None, Fold], dict[str, Any]]:
    """Write what the rules leave; returns it, and how much was dropped by which rule."""
    if is_split(corpus):
        raise UsageError(f"--filtered takes a whole corpus, not its {', '.join(FOLDS)}: filter first, then split")
    if out.exists() and any(out.iterdir()):
        raise UsageError(f"--filtered: {out} holds something already")
    fold = folds[None]
    kept, dropped = without_dropped(fold.documents, _tables(folds, params), params.validation)
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


def _language(asked: str | None, params: Params) -> str | None:
    if asked is None:
        return None
    code = params.language(asked)
    if code is None:
        raise UsageError(f"no language {asked!r} in params.yaml; there are: {', '.join(sorted(params.languages))}")
    return code


def _write_report(folder: Path, report: dict[str, Any], defects: Sequence[dict[str, Any]]) -> None:
    (folder / VALIDATION_REPORT).write_text(json.dumps(report, indent=2, sort_keys=True) + "\n")
    (folder / VALIDATION_DEFECTS).write_text("".join(json.dumps(d, sort_keys=True) + "\n" for d in defects))


def _deliver(folder: Path, target: str) -> None:
    """Copy a folder's files to a folder, where an earlier report's pages are replaced, or under an s3:// prefix."""
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
