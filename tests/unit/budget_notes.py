"""Worst cases of what reads and plans notes."""

from __future__ import annotations

import gzip
import io
import json
import zlib
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from enigma_tasks.notes.done import FingerprintSet, fingerprint
from enigma_tasks.notes.encoded_text import is_encoded, is_table_of_notes
from enigma_tasks.notes.fair_share import FairShare
from enigma_tasks.notes.files import read_records
from enigma_tasks.notes.forgetting import Traces
from enigma_tasks.notes.forgotten import Target, Tombstones
from enigma_tasks.notes.garbled import garbled_characters
from enigma_tasks.notes.gunzip import DamagedError, gunzip
from enigma_tasks.notes.names import Names
from enigma_tasks.notes.plain_text import is_markup, is_other_kind
from enigma_tasks.notes.planning import Night, cut_shards, scan_listing, shard_size
from enigma_tasks.notes.plans import digest, notes_bytes, read_notes
from enigma_tasks.notes.record_planning import Judgement, scan
from enigma_tasks.notes.records import texts
from enigma_tasks.notes.references import NoteRef, Refused, Rule, check_text, note_of_object, text_of_bytes
from enigma_tasks.params.limits import RecordLimits, Unpacked
from tests.unit.budget_formats import WORDS, attempt, folder
from tests.unit.budgets import Call, case, pieces

if TYPE_CHECKING:
    from collections.abc import Iterable

NONE = 10**12
LIMITS = RecordLimits(
    max_bytes=10**6, max_subwords=NONE, max_records=NONE, unpacked=Unpacked(max_bytes=NONE, max_ratio=NONE)
)
"""That no case exceeds: what is measured is the work that is done."""

pieces(
    is_markup, 300,
    "<p ", '<p a="', "<p a=1 ", "<p\n", "<", "</", "</p ", "<p></p ", "&lt;", "&amp", "&#1;", "<!--", "<!-- -->", "<a>",
    "<a><b><c></c ", "<a>\n<b></b>\n", "<html ", "<x:y>", "<a b=", "<i>", "</i> ", "{", '{"a":', "[{", "PID|", "MSH",
    "<b></b>\n\n", "\ufeff", "\x00",
)  # fmt: skip
pieces(is_markup, 300, "</b ", "</b>  ", "<b>", "</b\n", "</c>", before="<a><b><c></c>")
pieces(is_markup, 300, "<" + "x" * 50, "</a", "<a", "<a ", "</a>", before="<" + "a" * 50 + ">x")
pieces(is_encoded, 1000, "A", "aB", "0x", "=C3=A9", "\\u00e9", "A" * 76 + "\n", "A\n", "%", "aB" * 20 + "=\n")
pieces(is_table_of_notes, 500, "id,text\n", "id;", "text,", '"', "a,", ",")
pieces(is_table_of_notes, 500, '"\n', "x,", "x\n", before='id,text\n"')
pieces(garbled_characters, 2000, "Ã³", "Ã", "â‚¬", "\ufffd", "é")


@case(is_table_of_notes, 100)
def a_header_of_many_columns(n: int) -> Call:
    # headers are read up to a limit, within which this case stays
    return lambda: is_table_of_notes(",".join(["id"] * n) + "\nx")


@case(is_other_kind, 500)
def heads_of_files(n: int) -> Call:
    return lambda: [is_other_kind(b" " * n), is_other_kind(b"\x00a" * n), is_other_kind(b"\xef\xbb\xbf" + b"\n" * n)]


@case(text_of_bytes, 2000)
def a_text_of_blanks(n: int) -> Call:
    ends = (b"", b"\xff", b"\x00", b"a")
    return lambda: [attempt(partial(text_of_bytes, "n", b" " * n + end, 10 * n)) for end in ends]


@case(check_text, 2000)
def texts_that_end_badly(n: int) -> Call:
    texts = [" " * n, "a" * n + "\x00", "a" * n + "\ud800", "\ufeff" * n]
    return lambda: [attempt(partial(check_text, "n", text)) for text in texts]


def judgement(*, done: bool = False) -> Judgement:
    return Judgement(LIMITS, lambda code: code, lambda _: "es", lambda _: done)


REF = NoteRef("b", "es/2026-01-01/a.jsonl", "e", "e", "a", "es", "path", "2026-01-01", 9)


def scanned(data: bytes) -> Call:
    return lambda: list(scan(REF, io.BytesIO(data), judgement()))


@case(scan, 100)
def lines_of_many_kinds(n: int) -> Call:
    lines = [json.dumps({"id": i // 2, "text": WORDS, "language": f"l{i}"}) for i in range(n)]
    return scanned("\n".join([*lines, *["{"] * n, *["{}"] * n, *["\n"] * n]).encode())


@case(scan, 300)
def lines_without_a_text(n: int) -> Call:
    return scanned(b"{}\n" * n)


@case(scan, 1000)
def one_line_that_is_too_long(n: int) -> Call:
    return scanned(b"\n" * n + b'{"id": 1, "text": "' + b"x" * n + b'"}' + b"[" * n)


@case(texts, 200)
def wanted_lines(n: int) -> Call:
    data = "".join(json.dumps({"id": i, "text": WORDS}) + "\n" for i in range(n)).encode()
    return lambda: list(texts(io.BytesIO(data), "a.jsonl", ["0" * 64] * n, LIMITS))


@case(read_records, 200)
def records_in_a_file(n: int) -> Call:
    path = folder() / "a.jsonl"
    path.write_text("".join(json.dumps({"id": i // 2, "text": WORDS}) + "\n" for i in range(n)))
    return lambda: read_records(path, "es", lambda code: code, LIMITS)


def inflated(data: bytes) -> object:
    with gunzip(io.BytesIO(data), LIMITS.unpacked) as stream:
        try:
            return len(stream.read())
        except DamagedError as error:
            return error


@case(gunzip, 200)
def many_members(n: int) -> Call:
    data = gzip.compress(b"") * n + b"\x00" * n
    return lambda: inflated(data)


@case(gunzip, 1000)
def a_damage_behind_data_that_cannot_be_packed(n: int) -> Call:
    content = np.random.default_rng(7).bytes(n)
    packer = zlib.compressobj(wbits=31)
    data = packer.compress(content) + packer.flush(zlib.Z_FULL_FLUSH) + b"\xff" * 20
    return lambda: inflated(data)


@case(gunzip, 20_000)
def data_that_unpack_to_far_more(n: int) -> Call:
    data = gzip.compress(b"\n" * (10 * n))
    return lambda: inflated(data)


def references(n: int) -> list[NoteRef]:
    return [note for i in range(n) if isinstance(note := reference(f"es/2026-01-01/{i}.txt"), NoteRef)]


def reference(path: str) -> NoteRef | Refused:
    return note_of_object("b", path, etag="e", size=1, drop_path=path, language_of=lambda code: code)


@case(note_of_object, 500)
def a_key_of_many_folders(n: int) -> Call:
    return lambda: [reference("es/2026-01-01/" + "a/" * n + ".txt"), reference("../" * n), reference(".txt" * n)]


@case(scan_listing, 200)
def listing_of_notes(n: int) -> Call:
    from enigma_tasks.gold.ingestion import GoldObject
    from enigma_tasks.notes.done import Done

    class Item(GoldObject):
        bucket = "b"
        key = property(lambda self: self.path)

    items = [Item(f"es/2026-01-01/{i}.txt", "e", 1, "") for i in range(n)]
    done = Done(FingerprintSet(b"".join(fingerprint([str(i)]) for i in range(n))))
    return lambda: list(scan_listing(items, "", done, max_bytes=9, language_of=lambda code: code))


@case(cut_shards, 120)
def shards_of_many_languages(n: int) -> Call:
    notes = [replace(note, language=f"l{i}") for i, note in enumerate(references(n))]
    sizes = {f"l{i}": i for i in range(n)}
    return lambda: [list(cut_shards(notes, 1, 2 * n)), shard_size(sizes, 1, 2 * n)]


def night_of(most: int, found: Iterable[NoteRef | Refused]) -> Call:
    listed = list(found)

    def filled() -> object:
        night = Night("", FairShare(most), is_served=lambda code: code == "es", is_forgotten=lambda _: False)
        for item in listed:
            night.add(item)
        return [*map(night.marked, night.planned), *night.refused]

    return filled


@case(Night.add, 80)
def notes_that_wait(n: int) -> Call:
    notes = references(n)
    return night_of(n, [*(replace(note, language="sv") for note in notes), *(Refused(n, Rule.EMPTY) for n in notes)])


@case(FairShare.offer, 100)
def many_sources_of_one_note(n: int) -> Call:
    return night_of(n // 2, (replace(note, key=f"es/2026-01-01/s{i}/a") for i, note in enumerate(references(n))))


@case(FairShare.offer, 100)
def sources_that_give_way(n: int) -> Call:
    notes = references(n)
    sites = [replace(note, key=f"es/2026-01-01/s{i % (n // 9)}/a") for i, note in enumerate(notes)]
    return night_of(n, [*notes, *sites])


@case(read_notes, 40)
def a_list_of_notes(n: int) -> Call:
    data = notes_bytes(references(n))
    return lambda: list(read_notes("n", data, digest(data)))


@case(FingerprintSet, 500)
def notes_that_are_done(n: int) -> Call:
    prints = b"".join(fingerprint([str(i)]) for i in range(n))
    return lambda: [fingerprint([str(i)]) in FingerprintSet(prints[: 16 * n]) for i in range(1)]


@case(Tombstones.has, 50)
def notes_that_may_be_forgotten(n: int) -> Call:
    stones = Tombstones("k", frozenset(Target("b", f"a{i}").tombstone("k") for i in range(n)))
    return lambda: [stones.has("b", f"a/b/{i}", None) for i in range(n)]


@case(Traces.in_tree, 100)
def a_tree_of_many_notes(n: int) -> Call:
    traces = Traces(Target("b", "a.txt"), Tombstones(), {f"n{i}" for i in range(n)})
    tree = {"notes": [{"id": f"x{i}", "path": f"a/{i}.ann"} for i in range(n)]}
    return lambda: [traces.in_tree(tree), traces.without(tree)]


@case(Names.message, 500)
def a_command_of_many_words(n: int) -> Call:
    from enigma_tasks.errors import DataError

    words = [f"--set a={i}.b" for i in range(n)]
    return lambda: Names("k").message(DataError("a#L" + "1" * n, "r"), words)
