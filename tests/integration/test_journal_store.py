"""The journal in a real store on loopback: one line of each number, whatever happens to the requests."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ConnectionClosedError

from enigma_tasks.adapters.journal_store import JournalStore
from enigma_tasks.adapters.object_store import ObjectStore
from enigma_tasks.adapters.s3_client import s3_client
from enigma_tasks.errors import DataError, ServiceError
from enigma_tasks.promotion.journal import Head, JournalMoved
from tests.unit.test_journal import HISTORY, NAME, draft, promoted, version, written

if TYPE_CHECKING:
    from collections.abc import Iterator

    from enigma_tasks.promotion.journal import JournalLine


@pytest.fixture
def root(s3_root: str) -> str:
    return f"{s3_root}/journal"


@pytest.fixture
def journal(root: str) -> JournalStore:
    return JournalStore(ObjectStore(), root)


def filled(journal: JournalStore, name: str = NAME) -> list[JournalLine]:
    lines: list[JournalLine] = []
    for item in HISTORY:
        lines.append(journal.append(name, item, after=lines[-1] if lines else None))
    return lines


@pytest.fixture
def lost_replies() -> Iterator[list[str]]:
    """Every first reply to a PUT gets lost after the store has the object; the client tries again."""
    client: Any = s3_client()
    lost: list[str] = []

    def send(request: Any, **_: Any) -> None:
        if request.headers.get("If-None-Match") and request.url not in lost:
            lost.append(request.url)
            client._endpoint.http_session.send(request)
            raise ConnectionClosedError(endpoint_url=request.url)

    client.meta.events.register("before-send.s3.PutObject", send)
    yield lost
    client.meta.events.unregister("before-send.s3.PutObject", send)


def test_what_is_appended_is_read_back(journal: JournalStore, root: str) -> None:
    assert journal.names() == []
    assert journal.lines(NAME) == ()
    assert journal.last(NAME) is None
    lines = filled(journal)
    filled(journal, "enigma-it-disease")
    ObjectStore().put(f"{root}/{NAME}/", b"")  # the marker of a folder, as web consoles write it
    assert journal.names() == [NAME, "enigma-it-disease"]
    assert journal.lines(NAME) == tuple(lines)
    assert journal.last(NAME, Head.of(lines[-1])) == lines[-1]
    assert [o.key.rpartition("/")[2] for o in ObjectStore().list(f"{root}/{NAME}/0")] == [
        f"0000000{n}.json" for n in (1, 2, 3, 4, 5)
    ]


def test_of_two_writers_after_the_same_line_one_is_told_that_the_journal_moved(journal: JournalStore) -> None:
    first = journal.append(NAME, draft("first", 1), after=None)
    outcomes: list[str] = []
    ready = threading.Barrier(8)

    def write() -> None:
        ready.wait()
        try:
            line = JournalStore(ObjectStore(), journal.root).append(NAME, promoted(2), after=first)
            outcomes.append(f"line {line.n}")
        except JournalMoved as moved:
            outcomes.append(str(moved).partition(" (")[0])

    writers = [threading.Thread(target=write) for _ in range(8)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert sorted(outcomes) == [*["enigma-es-disease: journal_moved at 2"] * 7, "line 2"]
    assert len(journal.lines(NAME)) == 2
    with pytest.raises(JournalMoved):
        journal.append(NAME, draft("first", 1), after=None)


def test_a_lost_reply_is_settled_by_reading_the_line_back(journal: JournalStore, lost_replies: list[str]) -> None:
    lines = filled(journal)
    assert len(lost_replies) == len(lines)
    assert journal.lines(NAME) == tuple(lines)


def test_a_store_that_dies_after_the_write_leaves_a_line_that_the_next_reader_sees(
    journal: JournalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = journal.append(NAME, draft("first", 1), after=None)

    def dies(uri: str, data: bytes, *_: Any) -> bool:
        ObjectStore().put(uri, data)
        raise ServiceError("s3 bucket: PutObject: ConnectionClosedError")

    with monkeypatch.context() as patch:
        patch.setattr(journal._store, "put_if_absent", dies)
        with pytest.raises(ServiceError):
            journal.append(NAME, promoted(2), after=first)
    last = journal.last(NAME)
    assert last is not None
    assert last.champion == version(2)
    with pytest.raises(JournalMoved):
        journal.append(NAME, promoted(2), after=first)


@pytest.mark.parametrize(
    ("edit", "finding"),
    [
        ("byte", (2, "changed")),
        ("last byte", (5, "changed")),
        ("removed", (2, "removed")),
        ("last removed", (5, "removed")),
        ("swapped", (2, "swapped")),
        ("added", (6, "added")),
    ],
)
def test_an_edited_journal_is_refused_and_the_line_is_named(
    journal: JournalStore, root: str, edit: str, finding: tuple[int, str]
) -> None:
    lines, store = filled(journal), ObjectStore()
    uris = {n: f"{root}/{NAME}/{n:08}.json" for n in range(1, 7)}
    held = {n: store.get(uris[n]) for n in range(1, 6)}
    if edit in ("byte", "last byte"):
        store.put(uris[finding[0]], held[finding[0]].replace(b'"ana"', b'"ane"'))
    elif edit in ("removed", "last removed"):
        store.delete_many([uris[finding[0]]])
    elif edit == "swapped":
        store.put(uris[2], held[4])
        store.put(uris[4], held[2])
    else:
        store.put(uris[6], held[3])
    head = Head.of(lines[-1])
    assert finding in {(f.line, f.kind) for f in journal.findings(NAME, head)}
    if edit != "last removed":
        with pytest.raises(DataError, match=f"{NAME}: journal_{finding[1]} at {finding[0]}"):
            journal.lines(NAME)
    if edit in ("last byte", "removed", "last removed", "added"):  # of the others it reads neither line
        with pytest.raises(DataError, match=f"{NAME}: journal_[a-z]+ at {finding[0]}"):
            journal.last(NAME, head)


def test_a_line_that_changed_since_it_was_read_is_not_built_on(journal: JournalStore, root: str) -> None:
    line = journal.append(NAME, draft("first", 1), after=None)
    ObjectStore().put(f"{root}/{NAME}/00000001.json", written([draft("first", 2)])[1])
    with pytest.raises(DataError, match="journal_changed at 1"):
        journal.append(NAME, promoted(2), after=line)


def test_an_object_that_is_no_line_is_refused_and_not_overlooked(journal: JournalStore, root: str) -> None:
    filled(journal)
    ObjectStore().put(f"{root}/{NAME}/00000001.json.bak", b"")
    for read in (journal.lines, journal.last):
        with pytest.raises(DataError, match="journal_unknown"):
            read(NAME)
    assert [(f.line, f.kind) for f in journal.findings(NAME)] == [(0, "unknown")]
    assert journal.names() == [NAME]
    ObjectStore().put(f"{root}/", b"")
    assert journal.names() == [NAME]
    ObjectStore().put(f"{root}/readme.txt", b"")
    with pytest.raises(DataError, match="journal_unknown"):
        journal.names()


def test_a_locked_bucket_keeps_each_line_for_its_default_period(s3_root: str) -> None:
    store, client = ObjectStore(), s3_client()
    assert store.retention(s3_root) is None
    client.create_bucket(Bucket="locked-journals", ObjectLockEnabledForBucket=True)
    root = "s3://locked-journals/journal"
    assert store.retention(root) == ""
    retention: Any = {
        "ObjectLockEnabled": "Enabled",
        "Rule": {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 3650}},
    }
    client.put_object_lock_configuration(Bucket="locked-journals", ObjectLockConfiguration=retention)
    assert store.retention(root) == "COMPLIANCE 3650 DAYS"
    (line, *_) = filled(JournalStore(store, root))
    key = f"journal/{NAME}/{line.n:08}.json"
    kept = client.head_object(Bucket="locked-journals", Key=key)
    assert kept["ObjectLockMode"] == "COMPLIANCE"
    assert (kept["ObjectLockRetainUntilDate"] - line.time).days >= 3649
