"""Alerts and metrics of what is monitored, by Airflow's notifiers and its own metrics (StatsD or OpenTelemetry).

`ENIGMA_ALERT_WEBHOOK` is the id of an Airflow connection of type HTTP, which receives a JSON POST with `text`;
`ENIGMA_ALERT_EMAIL` holds addresses, separated by commas, to which the connection `smtp_default` sends. Either may be
unset. A message has rules, subjects and numbers, a page's URI, and no text of a note.
"""

from __future__ import annotations

import html
import os
from typing import TYPE_CHECKING, Any

from airflow.sdk.bases.notifier import BaseNotifier

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PREFIX = "enigma"
"""Of the metrics' names."""


class MonitorNotifier(BaseNotifier):
    """After a task that monitors: emits its metrics, and sends its alerts, if it has any."""

    def notify(self, context: Any) -> None:
        """Read both from the task's report in XCom."""
        from airflow.sdk.observability import stats

        ti = context["ti"]
        report = ti.xcom_pull(task_ids=ti.task_id) or {}
        for name, value, tags in gauges(report.get("metrics") or {}):
            stats.gauge(name, value, tags=tags)
        if lines := [alert_line(item) for item in report.get("alerted") or []]:
            subject = f"{ti.dag_id}: {len(lines)} alert{'s' if len(lines) > 1 else ''}"
            send(subject, [*lines, str(report.get("page", ""))], context)


def gauges(metrics: Mapping[str, Mapping[str, float]]) -> Iterator[tuple[str, float, dict[str, str]]]:
    """(name, value, tags) of each metric; those of the whole night have no language."""
    for subject, values in metrics.items():
        for measure, value in values.items():
            kind, _, label = measure.partition(".")
            tags = {"language": subject} if subject != "night" else {}
            tags |= {"label": label} if label else {}
            yield f"{PREFIX}.{'night' if subject == 'night' else 'language'}.{kind}", value, tags


def alert_line(item: Mapping[str, Any]) -> str:
    """`{"alert": "alert:drift:es:length", "value": 5, ...}` -> `drift es length: 5, usually 2 to 3`."""
    words = str(item["alert"]).split(":")[1:]
    numbers = f": {item['value']:g}" if "value" in item else ""
    if "low" in item and "high" in item:
        numbers += f", usually {item['low']:g} to {item['high']:g}"
    elif "low" in item:
        numbers += f", limit {item['low']:g}"
    return f"{' '.join(words)}{numbers}"


def send(subject: str, lines: list[str], context: Any) -> None:
    """By every way that is configured; both are tried, and the first error is raised at the end."""
    errors = []
    for notifier in _notifiers(subject, lines):
        try:
            notifier.notify(context)
        except Exception as error:  # noqa: BLE001 - one way that fails must not stop the other
            errors.append(error)
    if errors:
        raise errors[0]


def _notifiers(subject: str, lines: list[str]) -> Iterator[BaseNotifier]:
    if connection := os.environ.get("ENIGMA_ALERT_WEBHOOK"):
        from airflow.providers.http.notifications.http import HttpNotifier

        yield HttpNotifier(http_conn_id=connection, json={"text": "\n".join([subject, *lines])})
    if addresses := os.environ.get("ENIGMA_ALERT_EMAIL"):
        from airflow.providers.smtp.notifications.smtp import SmtpNotifier

        body = "".join(f"<p>{html.escape(line)}</p>" for line in lines)
        yield SmtpNotifier(to=[a.strip() for a in addresses.split(",")], subject=subject, html_content=body)
