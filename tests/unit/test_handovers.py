"""What stages leave for each other: every record goes to bytes and back, and what is not understood is refused."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enigma_tasks.errors import DataError
from enigma_tasks.gold.settling import IngestCounts
from enigma_tasks.gold.summaries import IngestSummary, PlaceCounts, read_summary, summary_bytes
from enigma_tasks.notes.commits import (
    LlmUsage,
    Published,
    PublishedCounts,
    PublishedLanguage,
    QuarantineEntry,
    ResultFile,
    ResultFiles,
    ShardCommit,
    ShardCounts,
    commit_bytes,
    published_bytes,
    quarantine_bytes,
    read_commit,
    read_published,
)
from enigma_tasks.notes.plans import (
    AliasMoved,
    Pin,
    Plan,
    PlanCounts,
    Shard,
    digest,
    notes_bytes,
    plan_bytes,
    read_notes,
    read_plan,
    read_refusals,
    refusals_bytes,
)
from enigma_tasks.notes.references import NoteRef, Refused, Rule
from enigma_tasks.pages.figures import (
    Flag,
    LanguageFigures,
    ModelFigures,
    NightFigures,
    NightRecord,
    night_record_bytes,
    read_night_record,
)

if TYPE_CHECKING:
    from collections.abc import Callable

SECRET = "Pneumonie"  # what stands for a note's text in damaged files
PIN = Pin(name="enigma-es-disease", version="3", digest="ab12", source_uri="s3://models/1/artifacts/ensemble")
SHARD = Shard(id="es-0001", uri="s3://b/shards/es-0001.jsonl.gz", language="es", notes=1, bytes=5, sha256="f" * 64)
PLAN = Plan(
    batch_id="n1",
    planned_at="2026-06-11T01:00:00+00:00",
    backfill=None,
    models={"es": {"disease": PIN}},
    journal={"enigma-es-disease": 4},
    aliases=(AliasMoved(name="enigma-es-disease", alias="2", champion="3"),),
    shards=(SHARD,),
    quarantined=0,
    quarantined_sha256="0" * 64,
    counts=PlanCounts(listed=3, done=1, planned=1, quarantined=0, waiting=1, deferred=2),
    waiting={"sv": 1},
    deferred={"es": 2},
    seconds=1.5,
)
FILE = ResultFile(rows=1, bytes=900, sha256="a" * 64)
COMMIT = ShardCommit(
    shard="es-0001",
    shard_sha256="f" * 64,
    plan_sha256="e" * 64,
    attempt="0a" * 16,
    files=ResultFiles(notes=FILE, spans=FILE),
    counts=ShardCounts(annotated=1, quarantined=0, entities=2, characters=50),
    seconds={"load": 1.0, "compute": 2.0},
    models=("ab12",),
)
USAGE = LlmUsage(
    asked=2, cached=1, requests=3, malformed=1, refused=0, prompt_tokens=10, completion_tokens=5, cost=0.25
)
PUBLISHED = Published(
    batch_id="n1",
    planned_at="2026-06-11T01:00:00+00:00",
    counts=PublishedCounts(annotated=1, quarantined=1, entities=2, listed=3, waiting=0, deferred=0, left_out=0),
    rules={"blank": 1},
    languages={"es": PublishedLanguage(entities=2, notes=1)},
    seconds=2.0,
)
NIGHT = NightRecord(
    figures=NightFigures(
        batch_id="n1",
        planned_at="2026-06-11T01:00:00+00:00",
        published=True,
        languages={"es": LanguageFigures(annotated=1, entities={"DISEASE": 2})},
        models={"es": {"disease": ModelFigures(name="enigma-es-disease", version="3")}},
    ),
    flags=(Flag(rule="model_changed", subject="es", reason="version 3, before 2"),),
)
INGESTION = IngestSummary(
    counts=IngestCounts(deliveries=2, read=3, added=1, replaced=1, unchanged=0, quarantined=1, ignored=0),
    rules={"id_duplicate": 1},
    places={"es/disease": PlaceCounts(added=1, replaced=1)},
    new_version=True,
)
RECORDS: dict[str, tuple[Any, Callable[[Any], bytes], Callable[[str, bytes], Any]]] = {
    "plan": (PLAN, plan_bytes, read_plan),
    "commit": (COMMIT, commit_bytes, read_commit),
    "commit with a language model": (COMMIT.model_copy(update={"llm": USAGE}), commit_bytes, read_commit),
    "published": (PUBLISHED, published_bytes, read_published),
    "night": (NIGHT, night_record_bytes, read_night_record),
    "ingestion": (INGESTION, summary_bytes, read_summary),
}


def paths(tree: Any, at: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Where objects lie in a tree, the tree itself among them."""
    if not isinstance(tree, dict):
        return []
    return [at, *(p for key, value in tree.items() for p in paths(value, (*at, key)))]


def changed(data: bytes, at: tuple[str, ...], change: Callable[[dict[str, Any]], None]) -> bytes:
    tree = json.loads(data)
    place = tree
    for key in at:
        place = place[key]
    change(place)
    return json.dumps(tree).encode()


@pytest.mark.parametrize("name", RECORDS)
def test_a_record_survives_its_bytes_and_equal_records_give_equal_bytes(name: str) -> None:
    record, write, read = RECORDS[name]
    assert read(name, write(record)) == record
    assert write(read(name, write(record))) == write(record)


FREE = {
    ("waiting",), ("deferred",), ("rules",), ("languages",), ("models",), ("seconds",), ("models", "es"), ("journal",),
    ("places",),
}  # fmt: skip
"""Objects whose keys are names, not fields; a wrong value in them is found all the same."""


@pytest.mark.parametrize("name", ["plan", "commit", "published", "ingestion"])
def test_an_unknown_field_is_refused_by_name_wherever_it_is(name: str) -> None:
    record, write, read = RECORDS[name]
    places = [p for p in paths(json.loads(write(record))) if p not in FREE]
    assert () in places
    assert len(places) > 1
    for at in places:
        damaged = changed(write(record), at, lambda place: place.update(nova=SECRET))
        with pytest.raises(DataError, match="nova") as caught:
            read("s3://b/file.json", damaged)
        assert (caught.value.record, caught.value.rule) == ("s3://b/file.json", "record_field")
        assert SECRET not in str(caught.value)


@pytest.mark.parametrize("name", ["plan", "commit", "published", "ingestion"])
def test_a_missing_field_is_refused_by_name(name: str) -> None:
    record, write, read = RECORDS[name]
    for field in json.loads(write(record)).keys() - {"schema_version"}:
        damaged = changed(write(record), (), lambda place, field=field: place.pop(field))  # type: ignore[misc]
        with pytest.raises(DataError, match=f"{field}: missing"):
            read("file", damaged)


@pytest.mark.parametrize("name", RECORDS)
@pytest.mark.parametrize("damage", [b"", b"{", b"\xff\x00", b'"Pneumonie"', b"[1]", b'{"Pneumonie'])
def test_damaged_bytes_are_refused_without_being_quoted(name: str, damage: bytes) -> None:
    with pytest.raises(DataError) as caught:
        RECORDS[name][2]("file", damage)
    assert caught.value.record == "file"
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


@pytest.mark.parametrize("name", ["plan", "commit", "published"])
def test_a_record_of_a_newer_version_is_refused_by_its_version(name: str) -> None:
    record, write, read = RECORDS[name]
    with pytest.raises(DataError, match="schema_version"):
        read("file", changed(write(record), (), lambda place: place.update(schema_version=2)))


def test_a_record_written_before_versions_were_counted_is_still_read() -> None:
    assert read_plan("file", changed(plan_bytes(PLAN), (), lambda place: place.pop("schema_version"))) == PLAN


def test_a_wrong_value_is_named_by_its_path_and_not_quoted() -> None:
    damaged = changed(plan_bytes(PLAN), ("waiting",), lambda place: place.update(sv=SECRET))
    with pytest.raises(DataError, match=r"waiting\.sv") as caught:
        read_plan("file", damaged)
    assert SECRET not in str(caught.value)


def test_the_counts_of_an_ingestion_that_do_not_add_up_are_refused() -> None:
    damaged = changed(summary_bytes(INGESTION), ("counts",), lambda place: place.update(added=2))
    with pytest.raises(DataError, match="counts"):
        read_summary("file", damaged)


def test_what_the_commands_print_has_no_version_and_no_empty_place() -> None:
    printed = COMMIT.report()
    assert list(printed) == ["shard", "shard_sha256", "plan_sha256", "attempt", "files", "counts", "seconds", "models"]
    assert printed["files"] == {table: {"rows": 1, "bytes": 900, "sha256": "a" * 64} for table in ("notes", "spans")}
    assert COMMIT.model_copy(update={"llm": USAGE}).report()["llm"]["cost"] == 0.25
    assert list(PUBLISHED.report()) == ["batch_id", "planned_at", "counts", "rules", "languages", "seconds"]


def test_a_shard_is_found_by_its_id() -> None:
    assert PLAN.shard("es-0001") == SHARD
    assert PLAN.shard("es-0002") is None


def test_the_quarantine_list_is_a_line_a_note_and_leaves_nothing_out() -> None:
    entries = [
        QuarantineEntry(record="k#\u2028é", rule="blank", offset=None),
        QuarantineEntry(record="k", rule="nul_byte", offset=7),
    ]
    lines = quarantine_bytes(entries).split(b"\n")
    assert [json.loads(line) for line in lines[:-1]] == [e.model_dump() for e in entries]


_text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)


@given(st.none() | _text, _text, st.none() | st.integers(1, 10**9), st.sampled_from(list(Rule)))
def test_notes_and_refusals_survive_their_lines(record_id: str | None, key: str, line: int | None, rule: Rule) -> None:
    note = NoteRef("b", key, "o", "v", "n", "es", "path", "2026-06-11", 7, record_id, line, object_whole=False)
    data = notes_bytes([note, note])
    assert list(read_notes("s", data, digest(data))) == [note, note]
    assert data == notes_bytes([note, note])
    refused = [Refused(note, rule, line), Refused(note, rule)]
    data = refusals_bytes(refused)
    assert list(read_refusals("s", data, digest(data))) == refused


def test_lines_that_were_not_planned_are_refused() -> None:
    data = notes_bytes([])
    with pytest.raises(DataError, match="digest"):
        list(read_notes("s", data + b"x", digest(data)))


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda tree: tree.update(ward="3"), "ward: unexpected_keyword_argument"),
        (lambda tree: tree.pop("version"), "version: missing"),
        (lambda tree: tree.update(size=SECRET), "size: int_parsing"),
    ],
)
def test_a_line_of_another_version_is_named_by_number_and_field(
    change: Callable[[dict[str, Any]], None], field: str
) -> None:
    note = NoteRef("b", "k", "o", "v", "n", "es", "path", "2026-06-11", 7)
    good = json.dumps(note.to_json()).encode()
    lines = gzip.compress(good + b"\n" + changed(good, (), change) + b"\n")
    with pytest.raises(DataError) as caught:
        list(read_notes("s3://b/shard", lines, digest(lines)))
    assert str(caught.value) == f"s3://b/shard: record_field at 2 ({field})"
    lines = gzip.compress(changed(json.dumps(Refused(note, Rule.BLANK).to_json()).encode(), ("note",), change) + b"\n")
    with pytest.raises(DataError, match=f"note.{field}"):
        list(read_refusals("s", lines, digest(lines)))
