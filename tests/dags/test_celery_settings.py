"""The settings for more than one worker: options that exist, and times that fit those of the tasks."""

from __future__ import annotations

import json

import pytest
from airflow.configuration import conf
from airflow.providers.celery.get_provider_info import get_provider_info
from container_task import GPU_TIMEOUT, TIMEOUT

from infra.local.cluster import settings

GIVEN = settings()
NOT_LISTED = {("scheduler", "num_stuck_in_queued_retries")}
"""Airflow 3.3.2 reads it in its scheduler and leaves it out of its documentation on purpose."""


def known() -> set[tuple[str, str]]:
    sections = {**conf.configuration_description, **get_provider_info()["config"]}
    return {(section, option.lower()) for section, said in sections.items() for option in said["options"]}


@pytest.mark.parametrize("name", GIVEN)
def test_an_option_is_one_that_airflow_has(name: str) -> None:
    prefix, section, option = name.split("__")
    assert prefix == "AIRFLOW"
    assert (section.lower(), option.lower()) in known() | NOT_LISTED


def test_a_message_is_not_delivered_again_while_its_task_may_still_run() -> None:
    visible = float(GIVEN["AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT"])
    assert visible > max(GPU_TIMEOUT, TIMEOUT).total_seconds()


def test_a_worker_asks_for_longer_than_a_cut_of_a_minute_and_the_scheduler_waits_for_it() -> None:
    tries, timeout = (int(GIVEN[f"AIRFLOW__WORKERS__EXECUTION_API_{name}"]) for name in ("RETRIES", "TIMEOUT"))
    assert tries * timeout > 60
    assert int(GIVEN["AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT"]) > 60 + timeout


def test_what_is_passed_to_celery_is_json_and_the_executor_loads() -> None:
    from airflow.providers.celery.executors.celery_executor import CeleryExecutor

    passed = json.loads(GIVEN["AIRFLOW__CELERY__EXTRA_CELERY_CONFIG"])
    assert passed["worker_cancel_long_running_tasks_on_connection_loss"] is False
    assert GIVEN["AIRFLOW__CORE__EXECUTOR"] == CeleryExecutor.__name__
