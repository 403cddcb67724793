"""A store that ignores conditional writes: seen by the doctor, and refused when a night starts."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

import pytest

from enigma_tasks.adapters.object_store import Wanted
from enigma_tasks.adapters.s3_client import s3_client
from enigma_tasks.errors import ObjectChanged, ServiceError, UsageError
from enigma_tasks.stages import doctor
from tests.integration.night_helpers import Nights

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def nights(s3_root: str, monkeypatch: pytest.MonkeyPatch) -> Nights:
    found = Nights(monkeypatch)
    found.drop("es/2026-06-11/n1.txt", "Ingresa por neumonía basal derecha.")
    return found


@pytest.fixture
def conditions_lost(nights: Nights) -> Iterator[None]:
    """The server never sees a condition, as one that ignores them."""

    def drop(request: Any, **_: Any) -> None:
        del request.headers["If-None-Match"]

    s3_client().meta.events.register("before-sign.s3.PutObject", drop)
    yield
    s3_client().meta.events.unregister("before-sign.s3.PutObject", drop)


def conditional_writes(nights: Nights) -> str:
    report = doctor.run(argparse.Namespace(), nights.params, nights.settings)
    return str(next(c["status"] for c in report["checks"] if c["name"] == "s3 conditional writes"))


def test_a_store_that_heeds_conditions_passes_and_the_plan_is_written_once(nights: Nights) -> None:
    assert conditional_writes(nights) == "ok"
    nights.plan("night-1")
    before = nights.store.head(f"{nights.settings.runs}/night-1/plan.json")
    nights.plan("night-1")
    assert nights.store.head(f"{nights.settings.runs}/night-1/plan.json") == before


@pytest.mark.usefixtures("conditions_lost")
def test_a_store_that_ignores_conditions_is_refused_at_the_first_attempt_and_at_every_other(nights: Nights) -> None:
    assert conditional_writes(nights) == "fail"
    for _ in range(2):
        with pytest.raises(UsageError, match="ignores conditional writes"):
            nights.plan("night-1")
    assert [info.key for info in nights.store.list(f"{nights.settings.journal}/")] == []


def test_an_unmet_condition_that_was_not_asked_for_says_nothing_of_the_object(nights: Nights) -> None:
    uri = nights.drop("es/2026-06-11/n2.txt", "Alta.")

    def unmet(request: Any, **_: Any) -> None:
        request.headers["If-Match"] = '"another"'

    s3_client().meta.events.register("before-sign.s3.GetObject", unmet)
    try:
        for read in (lambda: nights.store.get(uri), lambda: list(nights.store.get_many([Wanted(uri)]))):
            with pytest.raises(ServiceError) as failure:
                read()
            assert not isinstance(failure.value, ObjectChanged)
    finally:
        s3_client().meta.events.unregister("before-sign.s3.GetObject", unmet)
    assert nights.store.get(uri) == b"Alta."
