"""An installation whose notes and gold hold planted words, and a watch over every channel that they could leave by."""

from __future__ import annotations

import gzip
import io
import json
import logging
import random
import re
import subprocess
import threading
import zlib
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import psutil
import pyarrow.parquet as pq

from enigma_tasks.adapters import s3_client
from enigma_tasks.adapters.object_store import ObjectStore
from enigma_tasks.adapters.s3_client import forget_client
from enigma_tasks.cli import main
from enigma_tasks.config import load_settings
from enigma_tasks.documents import Document, entity_at
from enigma_tasks.formats.standoff import format_ann
from tests.integration.server_process import closed_port
from tests.unit.ner_builders import notes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import pytest

CANARY = "zanahoria7431"
MENTION = "bilateral"
"""A word of a mention that the models find."""
PLANTED = (CANARY, MENTION)
WORDS = re.findall(
    r"\S+",
    "la el una con sin para desde hasta cuando entonces porque noche mañana ayer médico hospital mujer hombre años"
    " tratamiento evolución ingreso alta seguimiento consulta familia dolorida tranquila siempre nunca además también",
)
WITH_TEXT = ("drops/", "gold/", "annotations/", "tables/spans/", "to-review/", "reviewed/", "dvc/")
"""Places that hold text by docs/architecture.md; besides them the results of shards."""
WEIGHTS = ("model.safetensors", "tokenizer.json")


def planted(count: int, first: int) -> list[Document]:
    """Notes with gold in whose text the canary stands: alone, beside mentions and, as a part of it, in a mention."""
    found = []
    for note in notes(count, first=first):
        own = " ".join(random.Random(note.id).choices(WORDS, k=40))  # so that no two are versions of one case
        text = f"{note.text} {own} Dr. {CANARY}, con dolor {CANARY}agudo."
        start = text.index(f"dolor {CANARY}")
        spans = [entity_at(note.id, text, e.label, e.char_start, e.char_end) for e in note.entities]
        spans.append(entity_at(note.id, text, "SYMPTOM", start, start + len(f"dolor {CANARY}agudo")))
        found.append(Document(note.id, text, tuple(spans), note.language, note.annotated))
    return found


@dataclass
class Said:
    """What one command said, and where a planted word was found."""

    code: int
    streams: str
    report: dict[str, Any] | None
    leaks: list[str] = field(default_factory=list)


class World:
    """The installation; commands run in this process through `main`, as the program runs them."""

    def __init__(
        self, folder: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, servers: Path
    ) -> None:
        self.folder, self.servers = folder, servers
        self._capfd, self._caplog = capfd, caplog
        caplog.set_level(logging.INFO)
        self.settings = load_settings()
        self.store = ObjectStore()
        self.root = self.settings.drops.removesuffix("drops")
        self._known: set[tuple[str, str]] = set()

    def run(self, *words: str | Path) -> Said:
        """Run one command and look into every channel."""
        self._capfd.readouterr()
        self._caplog.clear()
        result = f"{self.root}reports/result.json"
        with watched_processes() as seen:
            code = main([*map(str, words), "--result", result, "--json"])
        out, err = self._capfd.readouterr()
        streams = out + err
        said = Said(code, streams, json.loads(out.splitlines()[-1]) if code == 0 else None)
        records = "\n".join(f"{r.getMessage()} {r.args!r} {r.exc_info!r}" for r in self._caplog.records)
        for channel, content in {"standard streams": streams, "log": records, "processes": "\n".join(seen)}.items():
            said.leaks += [f"{channel}: {line[:200]}" for line in content.splitlines() if holds(line.encode())]
        said.leaks += [uri for uri, data in self.objects() if holds(data)]
        said.leaks += [str(path) for path in self.left_over() if holds(path.read_bytes())]
        return said

    def objects(self) -> Iterator[tuple[str, bytes]]:
        """Every object in which no text may be, with what is in it when it is compressed."""
        try:
            found = list(ObjectStore().list(self.root)) + list(ObjectStore().list("s3://ward/mlflow/"))
        except Exception:  # noqa: BLE001 - the store is away
            return
        for item in found:
            key = item.uri.removeprefix(self.root)
            if key.startswith(WITH_TEXT) or "/results/" in key or item.uri.endswith(WEIGHTS):
                continue
            if (item.uri, item.etag) not in self._known:
                for part in readable(self.store.get(item.uri), item.key):
                    yield item.uri, part
                self._known.add((item.uri, item.etag))

    def left_over(self) -> Iterator[Path]:
        """Files of the temporary folder, of MLflow's server and database, and in the history of gold."""
        for folder in (self.folder / "tmp", self.servers):
            yield from (p for p in sorted(folder.rglob("*")) if p.is_file() and not p.name.startswith("moto"))
        history = self.folder / "history.txt"
        if (self.folder / "gold.git").is_dir():
            shown = ["git", "-C", str(self.folder / "gold.git"), "log", "--all", "-p", "--format=full"]
            history.write_bytes(subprocess.run(shown, capture_output=True, check=False).stdout)
            yield history

    def gold(self, name: str, documents: Sequence[Document], *, folder: str = "es/all/june") -> None:
        """Drop annotated documents."""
        for document in documents:
            base = f"{self.settings.gold}/{folder}/{name}{document.id}"
            self.store.put(f"{base}.txt", document.text.encode())
            self.store.put(f"{base}.ann", format_ann(document.entities).encode())


def holds(data: bytes) -> bool:
    """Whether a planted word is in it, as UTF-8 or UTF-16."""
    return any(word.encode(code) in data for word in PLANTED for code in ("utf-8", "utf-16-le"))


def readable(data: bytes, name: str) -> Iterator[bytes]:
    """The bytes, and what they hold when they are compressed."""
    yield data
    if name.endswith(".gz"):
        with suppress(OSError, EOFError, zlib.error):
            yield gzip.decompress(data)
    if name.endswith(".parquet"):
        with suppress(Exception):
            yield json.dumps(pq.read_table(io.BytesIO(data)).to_pylist(), default=str).encode()


@contextmanager
def watched_processes() -> Iterator[set[str]]:
    """The command lines of all that this process started, and what that started, while the block runs."""
    seen: set[str] = set()
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.1):
            for process in psutil.Process().children(recursive=True):
                with suppress(psutil.Error):
                    seen.add(" ".join(process.cmdline()))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        done.set()
        thread.join()


@contextmanager
def store_away(patch: pytest.MonkeyPatch) -> Iterator[None]:
    """No store answers at the endpoint."""
    with patch.context() as away:
        away.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{closed_port()}")
        away.setenv("AWS_MAX_ATTEMPTS", "1")
        away.setattr(s3_client, "ATTEMPTS", 1)
        forget_client()
        yield
    forget_client()


@contextmanager
def registry_away(patch: pytest.MonkeyPatch) -> Iterator[None]:
    """No MLflow answers; its address holds a planted word as the user's name."""
    with patch.context() as away:
        away.setenv("MLFLOW_TRACKING_URI", f"http://{CANARY}:{CANARY}@127.0.0.1:{closed_port()}")
        away.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        yield
