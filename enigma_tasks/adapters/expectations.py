"""Great Expectations: tables of booleans -> a result for each rule, and Data Docs in a folder.

A frame has a column for each rule, true where a row passes, and nothing else: no result, log or page can quote a text.
Great Expectations 1.x has no stores on S3, so its pages are built in a folder that the caller copies.
"""

from __future__ import annotations

import logging
import re
import shutil
from typing import TYPE_CHECKING, Any

import great_expectations as gx
import pandas as pd
from great_expectations.data_context.types.base import ProgressBarsConfig
from great_expectations.expectations import ExpectColumnValuesToBeInSet

from enigma_tasks.adapters.language_detection import LanguageDetector
from enigma_tasks.errors import ServiceError
from enigma_tasks.gold.examination import Examination, RuleResult, checked_tables

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from enigma_tasks.config import Params
    from enigma_tasks.gold.rules import Fold, Table

# its log lines may quote values and are not needed
_log = logging.getLogger("great_expectations")
_log.addHandler(logging.NullHandler())
_log.propagate = False

SITE = "data_docs"
_EXTERNAL = re.compile(
    r"<script\b[^>]*\bsrc=[\"']?https?:[^>]*>\s*</script>|<(?:link|img)\b[^>]*\b(?:href|src)=[\"']?https?:[^>]*>",
    re.IGNORECASE,
)
_STYLE = (
    "<style>body{font-family:sans-serif;margin:1rem}td,th{padding:.2rem .6rem;text-align:left}.modal{display:none}"
    "</style>"
)


class BrokenCheckError(ServiceError):
    """A check itself failed, so nothing is known of the data.

    It is a service error (exit code 3), because 1 would mean that the data is bad and send it to quarantine.
    """


def examine(folds: Mapping[str | None, Fold], params: Params, data_docs: Path | None = None) -> Examination:
    """Check documents; `data_docs`: a folder for Great Expectations' pages.

    Raises:
        UsageError: params.yaml has rules for a language that it does not have.
        BrokenCheckError: a check itself failed.
    """
    checked = checked_tables(folds, params, LanguageDetector(params.languages).detect)
    passed = results_of(checked, data_docs)
    results = [
        RuleResult(t.name, rule, p.severity, p.tolerance, len(t.rows), t.sound[rule].count(False), passed[t.name, rule])
        for t in checked
        for rule, p in t.rules.items()
    ]
    return Examination(checked, results)


def results_of(tables: Sequence[Table], data_docs: Path | None = None) -> dict[tuple[str, str], bool]:
    """(table, rule) -> whether the share of rows that pass the rule is at least 1 - tolerance.

    Args:
        tables: each becomes a suite.
        data_docs: a folder for the pages, which must not exist.

    Raises:
        BrokenCheckError: Great Expectations could not evaluate a rule, or its results are not for exactly these rules.
    """
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    for site in list(context.get_site_names()):
        context.delete_data_docs_site(site)
    if data_docs is not None:
        store = {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(data_docs)}
        index = {"class_name": "DefaultSiteIndexBuilder"}
        site_config = {"class_name": "SiteBuilder", "store_backend": store, "site_index_builder": index}
        context.add_data_docs_site(SITE, site_config)
    source = context.data_sources.add_pandas("gold")
    passed: dict[tuple[str, str], bool] = {}
    for table in tables:
        batch = source.add_dataframe_asset(table.name).add_batch_definition_whole_dataframe("all")
        suite = context.suites.add(gx.ExpectationSuite(name=table.name, expectations=_expectations(table)))
        definition = gx.ValidationDefinition(name=table.name, data=batch, suite=suite)
        result = context.validation_definitions.add(definition).run(
            batch_parameters={"dataframe": pd.DataFrame(table.sound)},
            result_format="BOOLEAN_ONLY",
            run_id=gx.RunIdentifier(run_name="validate"),
        )
        found = {_result(table, r) for r in result.results}
        if {rule for rule, _ in found} != set(table.rules) or len(result.results) != len(table.rules):
            raise BrokenCheckError(f"{table.name}: the suite has no result for some rule")
        passed.update({(table.name, rule): success for rule, success in found})
    if data_docs is not None:
        context.build_data_docs([SITE])
        _remove_external(data_docs)
    return passed


def _expectations(table: Table) -> list[Any]:
    return [
        ExpectColumnValuesToBeInSet(
            column=rule,
            value_set=[True],
            mostly=1 - params.tolerance,
            severity="critical" if params.severity == "error" else "warning",
            description=f"{table.sound[rule].count(False)} of {len(table.rows)} break {rule}; "
            f"{params.tolerance:.2%} may ({params.severity})",
        )
        for rule, params in table.rules.items()
    ]


def _result(table: Table, result: Any) -> tuple[str, bool]:
    """The rule and whether it passed. An exception in a metric shows in `exception_info` only."""
    rule = str(result.expectation_config.kwargs["column"])
    info = result.exception_info or {}
    # one flat dictionary after success, else one for each metric that raised
    nested = [v for v in info.values() if isinstance(v, dict)]
    if any(i.get("raised_exception") for i in [info, *nested]):
        raise BrokenCheckError(f"{table.name}: {rule} could not be evaluated")
    return rule, bool(result.success)


def _remove_external(pages: Path) -> None:
    """Remove external resources from the pages, so that opening one makes no request to other hosts."""
    for page in pages.rglob("*.html"):
        html = _EXTERNAL.sub("", page.read_text(encoding="utf-8"))
        page.write_text(html.replace("</head>", f"{_STYLE}</head>", 1), encoding="utf-8")
    for pictures in ("images", "fonts"):
        shutil.rmtree(pages / "static" / pictures, ignore_errors=True)
