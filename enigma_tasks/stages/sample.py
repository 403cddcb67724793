"""`enigma sample`: seed -> synthetic notes with gold, as corpus folders or as a day's drops, on disk or in S3."""

from __future__ import annotations

import hashlib
import json
import logging
from collections import Counter
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from enigma_tasks.artifacts import corpus_pair, drop_name
from enigma_tasks.documents import EntityType
from enigma_tasks.errors import UsageError
from enigma_tasks.formats.packed import PACKED_SUFFIX
from enigma_tasks.synthetic.generator import languages, notes, types_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator

    from enigma_tasks.config import Params, Settings
    from enigma_tasks.documents import Document

log = logging.getLogger(__name__)

WARDS = 12
LOG_EVERY = 10_000


class SampleCounts:
    """Counts and a digest of documents; equal digests mean equal notes with equal gold."""

    def __init__(self) -> None:
        self.notes: Counter[str] = Counter()
        self.spans: Counter[tuple[str, str]] = Counter()
        self._digest = hashlib.sha256()

    def over(self, documents: Iterable[Document]) -> Iterator[Document]:
        """The same documents, counted."""
        for number, document in enumerate(documents, start=1):
            language = str(document.language)
            self.notes[language] += 1
            self.spans.update((language, e.label) for e in document.entities)
            spans = [(e.label, e.char_start, e.char_end) for e in document.entities]
            self._digest.update(json.dumps([document.id, document.text, spans]).encode())
            if number % LOG_EVERY == 0:
                log.info("%d notes", number)
            yield document

    def report(self) -> dict[str, Any]:
        """Notes, spans by type, one row for each language, and the digest."""
        return {
            "notes": self.notes.total(),
            "spans": {t.value: sum(n for (_, label), n in self.spans.items() if label == t.label) for t in EntityType},
            "languages": [
                {"language": code, "notes": count, **{t.value: self.spans[code, t.label] for t in EntityType}}
                for code, count in sorted(self.notes.items())
            ],
            "digest": self._digest.hexdigest(),
        }


def run(arguments: argparse.Namespace, params: Params, settings: Settings) -> dict[str, Any]:  # noqa: ARG001
    """Write `--notes` documents under `--out`.

    With `--drop-date` only their texts, as drops of that day; otherwise text and gold, in a corpus folder for each
    language, or with `--packed` in a packed file for each language and entity type.

    Raises:
        UsageError: fewer than one note, a language without lexicon, gold of a type without terms in the lexicon, an
            invalid date, `--packed` outside a local folder.
        ServiceError: the object store.
    """
    if arguments.notes < 1:
        raise UsageError("--notes takes a positive number")
    codes = _codes(arguments.language, params)
    seed = params.seed if arguments.seed is None else arguments.seed
    counts = SampleCounts()
    if arguments.packed and (arguments.drop_date or arguments.out.startswith("s3://")):
        raise UsageError("--packed writes gold into a local folder")
    if not arguments.drop_date:
        _check_types(codes)
    documents = counts.over(notes(arguments.notes, codes, seed))
    if arguments.drop_date:
        day = _iso_date(arguments.drop_date)
        drops = ((drop_name(str(d.language), day, _ward(d), d.id), d.text.encode()) for d in documents)
        written = _write(arguments.out, drops)
    elif arguments.packed:
        written = _pack(arguments.out, documents)
    else:
        written = _write(arguments.out, _corpus_files(documents))
    return {"out": arguments.out, "seed": seed, "files": written, **counts.report()}


def _codes(requested: list[str], params: Params) -> list[str]:
    available = languages()
    if requested == ["all"]:
        return [code for code in available if code in params.languages]
    codes = [params.language(code) or code for code in requested]
    for code in codes:
        if code not in available:
            raise UsageError(f"no synthetic notes in {code!r}; there are: {', '.join(available)}")
    return list(dict.fromkeys(codes))


def _check_types(codes: list[str]) -> None:
    """Refuse gold of languages whose lexicon lacks a type, which would count as absent. Raises UsageError."""
    for code in codes:
        lacking = [t.value for t in EntityType if t not in types_of(code)]
        if lacking:
            raise UsageError(
                f"the lexicon of {code} has no terms for {', '.join(lacking)}, so its notes cannot be gold; "
                "--drop-date writes the texts only"
            )


def _iso_date(text: str) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise UsageError("--drop-date takes YYYY-MM-DD") from None


def _ward(document: Document) -> int:
    """A ward from 1, the same for the same note in every run."""
    return int(document.id.rpartition("-")[2]) % WARDS + 1


def _corpus_files(documents: Iterable[Document]) -> Iterator[tuple[str, bytes]]:
    from enigma_tasks.formats.standoff import format_ann

    for document in documents:
        text_name, gold_name = corpus_pair(str(document.language), document.id)
        yield text_name, document.text.encode()
        yield gold_name, format_ann(document.entities).encode()


def _pack(out: str, documents: Iterable[Document]) -> int:
    from enigma_tasks.gold.folds import write_fold

    write_fold(list(documents), Path(out), "packed")
    return sum(1 for _ in Path(out).rglob(f"*{PACKED_SUFFIX}"))


def _write(out: str, files: Iterable[tuple[str, bytes]]) -> int:
    """Write files under a folder or an s3:// prefix; returns their number."""
    if out.startswith("s3://"):
        from enigma_tasks.adapters.object_store import ObjectStore

        root = out.rstrip("/")
        return ObjectStore().put_many((f"{root}/{name}", data) for name, data in files)
    count = 0
    folders: set[Path] = set()
    for name, data in files:
        path = Path(out) / name
        if path.parent not in folders:
            path.parent.mkdir(parents=True, exist_ok=True)
            folders.add(path.parent)
        path.write_bytes(data)
        count += 1
    return count
