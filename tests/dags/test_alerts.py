"""Alerts and metrics of what is monitored: by Airflow's notifiers and metrics, without any sentence of a stage."""

from __future__ import annotations

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace
from typing import Any

import pytest

REPORT = {
    "page": "s3://hospital/reports/2026-06-11/index.html",
    "alerted": [
        {"alert": "alert:drift:es:entities.DISEASE", "value": 5.25, "low": 12.5, "high": 20.0},
        {"alert": "alert:f1_fell:es", "value": 0.6, "low": 0.71},
        {"alert": "alert:waiting:ro"},
    ],
    "metrics": {"night": {"planned": 9}, "es": {"entities.DISEASE": 5.25, "f1": 0.6}},
}


def context(report: Any) -> dict[str, Any]:
    ti = SimpleNamespace(task_id="monitor", dag_id="annotate_nightly", xcom_pull=lambda task_ids: report)
    return {"ti": ti, "dag": None}


@pytest.fixture
def posted(monkeypatch: pytest.MonkeyPatch):
    """A webhook on loopback: the bodies that it received."""
    bodies: list[Any] = []

    class Webhook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Webhook)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("AIRFLOW_CONN_ENIGMA_ALERTS", f"http://127.0.0.1:{server.server_port}")
    yield bodies
    server.shutdown()
    server.server_close()


@pytest.fixture
def gauged(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    from airflow.sdk.observability import stats

    seen: list[tuple[Any, ...]] = []
    monkeypatch.setattr(stats, "gauge", lambda name, value, *, tags: seen.append((name, value, tags)))
    return seen


def test_alerts_go_to_the_webhook_by_airflows_notifier_and_metrics_to_airflows_own(
    posted: list[Any], gauged: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    from container_task import MonitorNotifier

    monkeypatch.setenv("ENIGMA_ALERT_WEBHOOK", "enigma_alerts")
    MonitorNotifier().notify(context(REPORT))
    (body,) = posted
    assert body["text"].splitlines() == [
        "annotate_nightly: 3 alerts",
        "drift es entities.DISEASE: 5.25, usually 12.5 to 20",
        "f1_fell es: 0.6, limit 0.71",
        "waiting ro",
        REPORT["page"],
    ]
    assert gauged == [
        ("enigma.night.planned", 9, {}),
        ("enigma.language.entities", 5.25, {"language": "es", "label": "DISEASE"}),
        ("enigma.language.f1", 0.6, {"language": "es"}),
    ]


def test_an_alert_has_none_of_the_other_words_of_the_report(posted: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    from container_task import MonitorNotifier

    planted = {"alerts": [{"rule": "zanahoria", "subject": "zanahoria", "reason": "zanahoria"}], "verdict": "zanahoria"}
    monkeypatch.setenv("ENIGMA_ALERT_WEBHOOK", "enigma_alerts")
    MonitorNotifier().notify(context({**REPORT, **planted}))
    assert posted
    assert "zanahoria" not in str(posted)


def test_without_an_alert_nothing_is_sent_and_the_metrics_still_are(
    posted: list[Any], gauged: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    from container_task import MonitorNotifier

    monkeypatch.setenv("ENIGMA_ALERT_WEBHOOK", "enigma_alerts")
    MonitorNotifier().notify(context({**REPORT, "alerted": []}))
    assert posted == []
    assert len(gauged) == 3


def test_mail_is_sent_although_the_webhook_fails_and_the_failure_is_not_hidden(
    monkeypatch: pytest.MonkeyPatch, gauged: list[tuple[Any, ...]]
) -> None:
    from airflow.providers.http.notifications.http import HttpNotifier
    from airflow.providers.smtp.notifications.smtp import SmtpNotifier
    from container_task import MonitorNotifier

    def fails(*_: object) -> None:
        raise ConnectionError

    sent: list[Any] = []
    monkeypatch.setattr(HttpNotifier, "notify", fails)
    monkeypatch.setattr(SmtpNotifier, "notify", lambda self, _: sent.append((self.to, self.subject, self.html_content)))
    monkeypatch.setenv("ENIGMA_ALERT_WEBHOOK", "enigma_alerts")
    monkeypatch.setenv("ENIGMA_ALERT_EMAIL", "a@hospital.example, b@hospital.example")
    with pytest.raises(ConnectionError):
        MonitorNotifier().notify(context(REPORT))
    ((to, subject, body),) = sent
    assert (to, subject) == (["a@hospital.example", "b@hospital.example"], "annotate_nightly: 3 alerts")
    assert "<p>waiting ro</p>" in body


def test_a_late_night_is_reported_in_the_same_way(posted: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    from container_task import deadline_missed

    monkeypatch.setenv("ENIGMA_ALERT_WEBHOOK", "enigma_alerts")
    run = {"dag_id": "annotate_nightly", "dag_run_id": "r1"}
    deadline_missed({"dag_run": run, "deadline": {"deadline_time": "06:00"}})
    assert posted == [{"text": "annotate_nightly is late: r1 has not ended by 06:00"}]


def test_only_the_words_of_an_alert_reach_xcom() -> None:
    from runtimes import harmless

    report = {"alerted": [{"alert": "alert:drift:es:length", "reason": "Zanahoria Violeta", "value": 2.5}]}
    assert harmless(report) == {"alerted": [{"alert": "alert:drift:es:length", "value": 2.5}]}
    assert harmless("alert: Zanahoria Violeta") is None


def test_an_alias_has_an_event_only_if_there_is_something_to_announce_and_is_never_skipped() -> None:
    from airflow.sdk import Asset, AssetAlias
    from runtimes import announce

    alias, added = AssetAlias("enigma-quality-fell"), []
    events = {alias: SimpleNamespace(add=lambda asset, extra: added.append((asset, extra)))}
    announce({"counts": {}}, [alias], {"outlet_events": events})
    assert added == []
    announce({"announce": {"below_floor": 2, "who": "someone"}}, [alias], {"outlet_events": events})
    assert added == [(Asset("enigma-quality-fell"), {"below_floor": 2})]


def test_every_gauge_of_the_example_dashboard_is_emitted() -> None:
    from pathlib import Path

    from runtimes.alerts import gauges

    from enigma_tasks.monitoring.measures import Kind

    words = ["annotated", "f1", "f1_low", "f1_high", "cusum", "cusum_limit", *Kind]
    night = ["planned", "annotated", "quarantined", "waiting", "deferred", "entities", "seconds", "alerts"]
    night.append("published")
    emitted = {name for name, _, _ in gauges({"es": dict.fromkeys(words, 1.0), "night": dict.fromkeys(night, 1.0)})}
    text = (Path(__file__).parents[2] / "infra/dashboards/enigma.json").read_text()
    used = {re.sub(r"\W.*", "", e["expr"]) for p in json.loads(text)["panels"] for e in p["targets"]}
    assert used <= {f"airflow_{name.replace('.', '_')}" for name in emitted}
