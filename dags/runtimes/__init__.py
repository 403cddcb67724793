"""Shared by the runtimes: the command line, the handling of exit codes, what may go into XCom."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset, AssetAlias
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException

if TYPE_CHECKING:
    from collections.abc import Sequence

PASSED, DATA_FAILED, WRONG_USAGE = 0, 1, 2
HARMLESS = re.compile(r"s3://[^\s]+|[0-9a-f]{8,64}|sha256:[0-9a-f]{64}|alert(:[A-Za-z0-9_.-]{1,60}){1,6}")
"""Text that may go into XCom: a URI, a digest, or an alert's rule and subject. Anything else might quote a note."""


def command_line(stage: str, arguments: Sequence[str], value: str | None = None) -> list[str]:
    """The arguments of `enigma`, without empty ones; a mapped value comes last."""
    given = [*arguments, value] if value is not None else arguments
    return [stage, *[a for a in given if a], "--json"]


def harmless(report: Any) -> Any:
    """The URIs, counts and digests of a stage's report; None if there are none."""
    if isinstance(report, bool | int | float):
        return report
    if isinstance(report, str):
        return report if HARMLESS.fullmatch(report) else None
    if isinstance(report, list):
        return [kept for item in report if (kept := harmless(item)) is not None]
    if isinstance(report, dict):
        return {key: kept for key, item in report.items() if (kept := harmless(item)) is not None}
    return None


def push(report: dict[str, Any], returns: str | None, context: Any) -> Any:
    """Put the harmless part of a report into XCom, a key each; returns the task's return value.

    Raises:
        AirflowFailException: the report has no key `returns`.
    """
    kept = harmless(report)
    if returns is None:
        return kept
    if returns not in kept:
        raise AirflowFailException(f"the stage's report has no {returns!r}")
    for key in sorted(kept.keys() - {returns}):
        context["ti"].xcom_push(key, kept[key])
    return kept[returns]


def announce(report: dict[str, Any], outlets: Sequence[Any], context: Any) -> None:
    """Set the report's `announce` as the extra of the events of the task's assets.

    An alias among the outlets stands for an asset of its name that has an event only if there is something to announce.

    Raises:
        AirflowSkipException: the report announces nothing; a skipped task has no asset events, but keeps its XCom.
    """
    if not outlets:
        return
    extra = harmless(report.get("announce"))
    aliases = [outlet for outlet in outlets if isinstance(outlet, AssetAlias)]
    if extra:
        for alias in aliases:
            context["outlet_events"][alias].add(Asset(alias.name), extra=extra)
    if len(aliases) == len(outlets):
        return
    if not extra:
        context["ti"].xcom_push("return_value", harmless(report))
        raise AirflowSkipException("nothing new to announce")
    for asset in outlets:
        if asset in aliases:
            continue
        context["outlet_events"][asset].extra = extra


def check(stage: str, code: int) -> None:
    """Handle an exit code of `enigma` (docs/architecture.md, "Exit codes").

    Raises:
        AirflowFailException: the data or model did not pass, or wrong usage: no retry.
        AirflowException: a service failed, or the command was killed: retry.
    """
    if code == PASSED:
        return
    if code in (DATA_FAILED, WRONG_USAGE):
        reason = "the data or model did not pass" if code == DATA_FAILED else "wrong usage or configuration"
        raise AirflowFailException(f"enigma {stage} ended with {code}: {reason}; see the log")
    if code < 0 or code > 128:
        raise AirflowException(f"enigma {stage} was killed by signal {-code if code < 0 else code - 128}")
    raise AirflowException(f"enigma {stage} ended with {code}: a service is unreachable or failed")
