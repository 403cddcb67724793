"""Members of any kind, loaded and run together.

All encoders run in one engine, which tokenises and makes windows once; members of other kinds run after it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from enigma_tasks import artifacts
from enigma_tasks.errors import ModelError, UsageError
from enigma_tasks.ner.engine import Engine
from enigma_tasks.ner.model_folder import load_model, read_any_card, read_card_as

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from enigma_tasks.documents import Document, Entity
    from enigma_tasks.ner.engine import Precision, TextSize, WordProbabilities
    from enigma_tasks.ner.model_folder import Model
    from enigma_tasks.ner.window_scores import WindowScores
    from enigma_tasks.params.annotators import LlmMemberParams
    from enigma_tasks.params.llm import Complete

    OpenEndpoint = Callable[[LlmMemberParams], Complete]

_MIB = 2**20


class Annotator(Protocol):
    """A member of another kind than token classifier."""

    def predict(self, documents: Sequence[Document]) -> list[tuple[Entity, ...]]:
        """Entities of each document, sorted."""


@dataclass
class MemberPredictions:
    """Members' predictions for documents, by member digest."""

    characters_read: list[int]
    entities: dict[str, list[tuple[Entity, ...]]]
    probabilities: dict[str, list[WordProbabilities]]
    """For the members whose probabilities are asked for."""
    models: dict[str, Model]
    """Those members; their recipes have the post-processing rules."""
    sizes: list[TextSize] = field(default_factory=list)
    """Per document, by the tokenizer of the first encoder; empty without one."""


@dataclass(frozen=True)
class _Group:
    """Members that are in memory together; what it takes to load them."""

    folders: Mapping[str, Path]
    kinds: Mapping[str, str]
    averaged: frozenset[str]
    batch_tokens: int
    precision: Precision
    open_endpoint: OpenEndpoint | None
    window_scores: WindowScores | None

    def load(self) -> _Loaded:
        encoders = [d for d in self.folders if self.kinds[d] == "encoder"]
        models = {d: load_model(self.folders[d], d) for d in encoders}
        return _Loaded(
            engine=self._engine(list(models.values())) if models else None,
            encoders=encoders,
            averaged={i: d for i, d in enumerate(encoders) if d in self.averaged},
            others={
                d: load_annotator(folder, d, self.open_endpoint)
                for d, folder in self.folders.items()
                if self.kinds[d] != "encoder"
            },
        )

    def _engine(self, models: Sequence[Model]) -> Engine:
        return Engine(models, self.batch_tokens, self.precision, self.window_scores)


@dataclass(frozen=True)
class Members:
    """Model folders of any kind, run together; from `load_members`."""

    groups: Sequence[_Group | _Loaded]
    """Loaded, or to be loaded one after another."""

    def read(self, documents: Sequence[Document]) -> MemberPredictions:
        """Every member's predictions. Where members are in groups, one group is released before the next is loaded."""
        predictions = MemberPredictions([len(d.text) for d in documents], {}, {}, {})
        for group in self.groups:
            loaded = group if isinstance(group, _Loaded) else group.load()
            loaded.read_into(predictions, documents)
            del loaded
        return predictions


def load_members(
    folders: Mapping[str, Path],
    batch_tokens: int,
    precision: Precision = "auto",
    *,
    averaged: Iterable[str] = (),
    calibrated: Iterable[str] = (),
    resident_mib: int | None = None,
    open_endpoint: OpenEndpoint | None = None,
    window_scores: WindowScores | None = None,
) -> Members:
    """Load all members, or prepare to load them in groups where their weights exceed `resident_mib`.

    `folders`: by digest. `averaged`: digests of the members whose word probabilities are returned too.
    `calibrated`: the same, where a member has word probabilities. `open_endpoint`: opens the endpoint of a language
    model. `window_scores`: the encoders' scores of windows that were run before.

    Raises:
        ModelError: a member is missing, damaged, of another digest, or has no probabilities to average.
        UsageError: a member is a language model without an endpoint or without permission to use it.
    """
    kinds = {digest: _kind(folder) for digest, folder in folders.items()}
    asked = set(averaged)
    for digest in sorted(asked):
        if kinds[digest] != "encoder":
            raise ModelError(f"member {digest[:12]} is no token classifier: it has no probabilities to average")
    asked.update(digest for digest in calibrated if kinds[digest] == "encoder")
    groups = [
        _Group(
            {d: folders[d] for d in digests},
            kinds,
            frozenset(asked),
            batch_tokens,
            precision,
            open_endpoint,
            window_scores,
        )
        for digests in _groups(folders, resident_mib)
    ]
    return Members(groups if len(groups) > 1 else [group.load() for group in groups])


@dataclass
class _Loaded:
    engine: Engine | None
    """Of the encoders."""
    encoders: list[str]
    averaged: dict[int, str]
    """Index in the engine -> digest, for the encoders whose probabilities are returned."""
    others: dict[str, Annotator]

    def read_into(self, predictions: MemberPredictions, documents: Sequence[Document]) -> None:
        """Add these members' predictions; each is run once."""
        if self.engine is not None:
            results = self.engine.read(documents, self.averaged)
            pairs = zip(predictions.characters_read, (r.characters_read for r in results), strict=True)
            predictions.characters_read = [min(pair) for pair in pairs]
            predictions.sizes = predictions.sizes or [r.size for r in results]
            for i, digest in enumerate(self.encoders):
                predictions.entities[digest] = [r.entities[i] for r in results]
            for i, digest in self.averaged.items():
                predictions.probabilities[digest] = [r.word_probabilities[i] for r in results]
                predictions.models[digest] = self.engine.models[i]
        for digest, annotator in self.others.items():
            predictions.entities[digest] = annotator.predict(documents)


def load_annotator(folder: Path, digest: str, open_endpoint: OpenEndpoint | None) -> Annotator:
    """Load a member of another kind than token classifier. Raises ModelError, UsageError as `load_members` does."""
    kind = _kind(folder)
    if kind == "gliner":
        from enigma_tasks.members.gliner import GlinerAnnotator

        return GlinerAnnotator.load(folder, digest)
    if kind == "llm":
        from enigma_tasks.members.llm import LlmAnnotator, LlmCard

        if open_endpoint is None:
            raise UsageError(f"member {digest[:12]} is a language model, and there is no endpoint for it")
        return LlmAnnotator.load(folder, digest, open_endpoint(read_card_as(LlmCard, folder, ()).recipe))
    raise ModelError(f"member {digest[:12]}: unknown kind {kind!r}")


def _kind(folder: Path) -> str:
    recipe: Any = read_any_card(folder).recipe
    return str(recipe.get("kind", "encoder"))


def _groups(folders: Mapping[str, Path], resident_mib: int | None) -> Iterator[list[str]]:
    """Groups of digests, in order, each within the limit; a member above it is a group of its own."""
    group: list[str] = []
    group_mib = 0.0
    for digest, folder in folders.items():
        weights = folder / artifacts.MODEL_WEIGHTS
        size = weights.stat().st_size / _MIB if weights.is_file() else 0.0
        if group and resident_mib is not None and group_mib + size > resident_mib:
            yield group
            group, group_mib = [], 0.0
        group.append(digest)
        group_mib += size
    if group:
        yield group
