"""A night's stages in process, with a stand-in for the engine and one for the registry."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from enigma_tasks.adapters import champions, night_table
from enigma_tasks.adapters.champions import Champions
from enigma_tasks.adapters.object_store import ObjectStore
from enigma_tasks.cli import build_parser
from enigma_tasks.config import Params, Settings, load_params, load_settings
from enigma_tasks.documents import Document, Entity
from enigma_tasks.ensembles.runner import AnnotatedDocument
from enigma_tasks.notes.plans import Pin
from enigma_tasks.stages import annotate, plan, publish

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Mapping, Sequence

    import pytest

PARAMS = Path(__file__).parents[2] / "params.yaml"
WORDS = re.compile(r"pneumon\w*|neumon\w*|polmonit\w*", re.IGNORECASE)


def stand_in_engine(documents: Sequence[Document]) -> list[AnnotatedDocument]:
    """Not a model: marks the word pneumonia in three languages, as a DISEASE."""
    return [
        AnnotatedDocument(
            tuple(Entity("DISEASE", m.start(), m.end(), m.group(), 0.5) for m in WORDS.finditer(d.text)), len(d.text)
        )
        for d in documents
    ]


def pin(name: str, version: str, digest: str, source_uri: str) -> Pin:
    return Pin(name=name, version=version, digest=digest, source_uri=source_uri)


def stand_in_champions(pins: Mapping[str, Mapping[str, Pin]]) -> Callable[..., Champions]:
    """Not a registry: what resolves the champions to these."""
    return lambda languages, _: Champions({lang: pins[lang] for lang in languages if lang in pins}, {})


def disease_champions() -> dict[str, dict[str, Pin]]:
    """For Spanish, Italian and English."""
    return {
        lang: {"disease": pin(f"enigma-{lang}-disease", "3", f"{lang}0" * 20, f"s3://none/{lang}")}
        for lang in ("es", "it", "en")
    }


class Nights:
    """Run stages as the command line would; the parser is the real one."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *overrides: str) -> None:
        monkeypatch.setattr(champions, "resolve", stand_in_champions(disease_champions()))
        self.engine: Any = stand_in_engine
        monkeypatch.setattr(annotate, "_engine", lambda *_: self.engine)
        self.params: Params = load_params(PARAMS, ["plan.notes_per_shard=5", "notes.max_bytes=5000", *overrides])
        self.settings: Settings = load_settings()
        self.store = ObjectStore()

    def drop(self, path: str, data: bytes | str) -> str:
        uri = f"{self.settings.drops}/{path}"
        self.store.put(uri, data.encode() if isinstance(data, str) else data)
        return uri

    def arguments(self, *words: str) -> argparse.Namespace:
        return build_parser().parse_args(words)

    def plan(self, batch: str, *more: str) -> dict[str, Any]:
        return plan.run(self.arguments("plan", "--batch", batch, *more), self.params, self.settings)

    def annotate(self, shard: str) -> dict[str, Any]:
        return annotate.run(self.arguments("annotate", "--shard", shard), self.params, self.settings)

    def publish(self, batch: str) -> dict[str, Any]:
        return publish.run(self.arguments("publish", "--batch", batch), self.params, self.settings)

    def night(self, batch: str, *more: str) -> dict[str, Any]:
        for shard in self.plan(batch, *more)["shards"]:
            self.annotate(shard)
        return self.publish(batch)

    def notes(self, batch: str | None = None) -> list[dict[str, Any]]:
        return sorted(
            night_table.read_notes(self.settings.tables, batch).to_pylist(),
            key=lambda r: (r["batch_id"], r["key"], r["record_id"] or "", r["version"]),
        )

    def spans(self, batch: str | None = None) -> list[dict[str, Any]]:
        return sorted(
            night_table.read_spans(self.settings.tables, batch).to_pylist(),
            key=lambda r: (r["batch_id"], r["key"], r["record_id"] or "", r["version"], r["char_start"]),
        )

    def outcomes(self, batch: str | None = None) -> dict[str, str]:
        """Record (below drops/) -> `annotated`, or the rule, with its offset where it has one."""
        prefix = f"{self.settings.drops}/".split("/", 3)[3]
        found = {}
        for row in self.notes(batch):
            name = row["key"].removeprefix(prefix)
            if row["record_id"]:
                name += row["record_id"] if row["record_id"].startswith("#L") else f"#{row['record_id']}"
            assert name not in found, "one outcome a note"
            at = "" if row["rule_offset"] is None else f"@{row['rule_offset']}"
            found[name] = (row["rule"] or row["outcome"]) + at
        return found

    def objects(self, *places: str) -> dict[str, bytes]:
        return {
            info.uri: self.store.get(info.uri)
            for place in places
            for info in self.store.list(f"{getattr(self.settings, place)}/")
        }
