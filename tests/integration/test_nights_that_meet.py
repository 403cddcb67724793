"""Two nights, or two publications of one, that meet: by calling steps in the order in which they cross."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from deltalake.exceptions import DeltaError

from enigma_tasks.adapters import night_publication
from enigma_tasks.adapters.night_publication import NightTables
from enigma_tasks.adapters.object_store import ObjectStore
from enigma_tasks.adapters.publication import Publication
from enigma_tasks.errors import IncompleteError, ServiceError
from enigma_tasks.stages import monitor
from tests.integration.night_helpers import Nights
from tests.integration.test_night_kills import KilledError

if TYPE_CHECKING:
    from collections.abc import Callable

FIRST, SECOND = "night-1", "night-2"


@pytest.fixture
def nights(s3_root: str, monkeypatch: pytest.MonkeyPatch) -> Nights:
    nights = Nights(monkeypatch)
    for n in range(3):
        nights.drop(f"es/2026-06-11/n{n}.txt", f"Ingresa por neumonía basal, caso {n}.")
    nights.drop("it/2026-06-11/p.txt", "Polmonite.")
    nights.drop("it/2026-06-11/nothing.txt", "Sta bene.")
    nights.drop("es/2026-06-11/bad.txt", b"\xff")
    return nights


def annotated(nights: Nights, *batches: str) -> None:
    """Plan all of these nights, which then hold the same notes, and annotate them."""
    planned = [nights.plan(batch)["shards"] for batch in batches]
    for shard in [shard for shards in planned for shard in shards]:
        nights.annotate(shard)


def watch(nights: Nights, batch: str) -> dict[str, Any]:
    return monitor.run(nights.arguments("monitor", "--batch", batch), nights.params, nights.settings)


def at_commit(monkeypatch: pytest.MonkeyPatch, number: int, before: Callable[[], object]) -> list[int]:
    """Call `before` when a publication is about to make its commit of that number; returns the commits seen."""
    real, seen = night_publication.write_deltalake, [0]

    def held(*arguments: Any, **more: Any) -> None:
        seen[0] += 1
        if seen[0] == number:
            before()
        real(*arguments, **more)

    monkeypatch.setattr(night_publication, "write_deltalake", held)
    return seen


def kill() -> None:
    raise KilledError


def check_tables(nights: Nights, batches: set[str]) -> None:
    """Every note and every span once in the raw tables, each span of a note of the same night."""
    notes, spans = nights.notes(), nights.spans()
    assert Counter((r["key"], r["version"]) for r in notes).most_common(1)[0][1] == 1
    assert len(notes) == 6
    assert Counter((s["key"], s["version"], s["char_start"]) for s in spans).most_common(1)[0][1] == 1
    assert len(spans) == sum(r["entities"] or 0 for r in notes) == 4
    assert {(s["batch_id"], s["key"]) for s in spans} <= {(r["batch_id"], r["key"]) for r in notes}
    assert {r["batch_id"] for r in notes} == batches


def publish_half(nights: Nights, batch: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kill the publication of a night between its commit to spans and that to notes."""
    with monkeypatch.context() as patch:
        at_commit(patch, 2, kill)
        with pytest.raises(KilledError):
            nights.publish(batch)


def test_a_night_killed_between_its_two_commits_is_finished_by_the_next_one(
    nights: Nights, monkeypatch: pytest.MonkeyPatch
) -> None:
    annotated(nights, FIRST, SECOND)
    publish_half(nights, FIRST, monkeypatch)
    assert (len(nights.spans()), len(nights.notes())) == (4, 0), "the first night is between its commits"
    assert nights.publish(SECOND)["counts"]["left_out"] == 6
    check_tables(nights, {FIRST})
    report = nights.publish(FIRST)  # cleared, as the DAG's page advises
    assert (report["counts"]["annotated"], report["counts"]["left_out"]) == (5, 0)
    check_tables(nights, {FIRST})
    assert watch(nights, FIRST)["counts"]["entities"] == 4
    assert watch(nights, SECOND)["counts"]["entities"] == 0
    assert len(nights.objects("annotations")) == 5


@pytest.mark.parametrize("commit", [1, 2])
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("cleared_first", [False, True])
def test_a_night_killed_at_a_commit_and_another_one_end_with_every_row_once(
    nights: Nights, monkeypatch: pytest.MonkeyPatch, commit: int, *, after: bool, cleared_first: bool
) -> None:
    annotated(nights, FIRST, SECOND)
    real = night_publication.write_deltalake
    seen = [0]

    def killed(*arguments: Any, **more: Any) -> None:
        seen[0] += 1
        if seen[0] == commit and not after:
            raise KilledError
        real(*arguments, **more)
        if seen[0] == commit:
            raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(night_publication, "write_deltalake", killed)
        with pytest.raises(KilledError):
            nights.publish(FIRST)
    order = (FIRST, SECOND) if cleared_first else (SECOND, FIRST)
    counts = {batch: nights.publish(batch)["counts"] for batch in order}
    published = {r["batch_id"] for r in nights.notes()}
    check_tables(nights, published)
    assert len(published) == 1
    for batch in order:
        assert counts[batch]["annotated"] == (5 if batch in published else 0)
        watch(nights, batch)
    before = nights.objects("runs", "tables", "annotations", "quarantine")
    for batch in order:
        nights.publish(batch)
    assert nights.objects("runs", "tables", "annotations", "quarantine") == before


@pytest.mark.parametrize("commit", [1, 2])
def test_of_two_nights_that_publish_the_same_notes_at_once_one_leaves_them_out(
    nights: Nights, monkeypatch: pytest.MonkeyPatch, commit: int
) -> None:
    annotated(nights, FIRST, SECOND)
    with monkeypatch.context() as patch:
        at_commit(patch, commit, lambda: (patch.undo(), nights.publish(SECOND)))
        first = nights.publish(FIRST)["counts"]
    second = nights.publish(SECOND)["counts"]
    assert sorted((first["annotated"], second["annotated"])) == [0, 5]
    assert sorted((first["left_out"], second["left_out"])) == [0, 6]
    check_tables(nights, {SECOND if first["left_out"] else FIRST})
    watch(nights, FIRST)
    watch(nights, SECOND)


@pytest.mark.parametrize("commit", [1, 2])
def test_of_two_publications_of_one_night_at_once_both_end_well(
    nights: Nights, monkeypatch: pytest.MonkeyPatch, commit: int
) -> None:
    annotated(nights, FIRST)
    with monkeypatch.context() as patch:
        at_commit(patch, commit, lambda: (patch.undo(), nights.publish(FIRST)))
        first = nights.publish(FIRST)
    assert first["counts"] == nights.publish(FIRST)["counts"]
    assert first["counts"]["annotated"] == 5
    check_tables(nights, {FIRST})


def test_nights_of_different_notes_that_meet_are_both_published(
    nights: Nights, monkeypatch: pytest.MonkeyPatch
) -> None:
    annotated(nights, FIRST)
    nights.drop("es/2026-06-12/other.txt", "Otra neumonía.")
    other = nights.plan(SECOND, "--backfill", "2026-06-12..2026-06-12")["shards"]
    for shard in other:
        nights.annotate(shard)
    with monkeypatch.context() as patch:
        at_commit(patch, 1, lambda: (patch.undo(), nights.publish(SECOND)))
        assert nights.publish(FIRST)["counts"]["annotated"] == 5
    assert len(nights.notes(FIRST)) == 6
    assert len(nights.notes(SECOND)) == 1
    assert len(nights.spans()) == 5


def test_a_back_fill_after_a_killed_publication_takes_nothing_from_its_report(
    nights: Nights, monkeypatch: pytest.MonkeyPatch
) -> None:
    annotated(nights, FIRST)
    with monkeypatch.context() as patch:
        patch.setattr(ObjectStore, "put_many", lambda *_: kill())
        with pytest.raises(KilledError):
            nights.publish(FIRST)  # both commits are made
    nights.night(SECOND, "--backfill", "2026-06-11..2026-06-11")
    counts = nights.publish(FIRST)["counts"]
    assert (counts["annotated"], counts["left_out"]) == (5, 0)
    assert len(nights.notes()) == 12


def test_a_half_published_night_whose_results_are_gone_is_named(
    nights: Nights, monkeypatch: pytest.MonkeyPatch
) -> None:
    annotated(nights, FIRST, SECOND)
    publish_half(nights, FIRST, monkeypatch)
    for item in list(nights.store.list(f"{nights.settings.runs}/{FIRST}/results/")):
        nights.store.delete_many([item.uri])
    with pytest.raises(IncompleteError, match=FIRST):
        nights.publish(SECOND)
    assert nights.notes() == []


@pytest.mark.parametrize("killed", [False, True])
@pytest.mark.parametrize("backfill", [False, True])
def test_what_is_left_out_is_decided_on_the_tables_that_the_commit_builds_on(
    nights: Nights, monkeypatch: pytest.MonkeyPatch, *, killed: bool, backfill: bool
) -> None:
    """Others publish this night and more between its look at the tables and its decision."""
    annotated(nights, FIRST, SECOND)
    if killed:
        with monkeypatch.context() as patch:
            at_commit(patch, 2, kill)
            with pytest.raises(KilledError):
                nights.publish(FIRST)
    real = Publication._leave_out

    def overtaken(*arguments: Any, **more: Any) -> None:
        monkeypatch.setattr(Publication, "_leave_out", real)
        nights.publish(SECOND)
        if backfill:
            nights.night("again", "--backfill", "2026-06-11..2026-06-11")
        real(*arguments, **more)

    monkeypatch.setattr(Publication, "_leave_out", overtaken)
    counts = nights.publish(FIRST)["counts"]
    published = FIRST if killed else SECOND
    assert (counts["annotated"], counts["left_out"]) == ((5, 0) if killed else (0, 6))
    assert len(nights.notes(published)) == 6
    assert len(nights.notes()) == (12 if backfill else 6)
    assert len(nights.spans()) == (8 if backfill else 4)
    if not backfill:
        check_tables(nights, {published})


def test_a_checkpoint_that_cannot_be_read_when_a_night_is_looked_up_is_a_service_error() -> None:
    """delta-rs reads the transactions of a checkpoint when they are asked for."""

    class Unread:
        def transaction_version(self, _: str) -> int:
            raise DeltaError("409")

    with pytest.raises(ServiceError, match="transactions: DeltaError"):
        NightTables(Unread(), Unread()).has("notes", FIRST)
    with pytest.raises(ServiceError, match="transactions: DeltaError"):
        NightTables(Unread(), Unread()).half_published()
