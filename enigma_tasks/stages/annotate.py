"""`enigma annotate`: one shard of a plan -> rows of outcomes and spans, committed by one create-only object."""

from __future__ import annotations

import logging
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from enigma_tasks.adapters import mlflow_registry
from enigma_tasks.adapters.llm_endpoint import LlmEndpoints
from enigma_tasks.adapters.night_records import NightRecords
from enigma_tasks.adapters.night_schema import NOTES, SPANS
from enigma_tasks.adapters.note_reader import chunks, read_notes, refuse_forgotten
from enigma_tasks.adapters.object_store import ObjectStore
from enigma_tasks.adapters.shard_results import ResultWriter, annotated_row, quarantined_row, span_rows
from enigma_tasks.adapters.tombstones import read_tombstones
from enigma_tasks.artifacts import RunPlaces
from enigma_tasks.documents import Document
from enigma_tasks.errors import DataError, ModelError, ServiceError, UsageError
from enigma_tasks.ner.network.memory import uncollected
from enigma_tasks.notes.commits import ResultFile, ResultFiles, ShardCommit, ShardCounts
from enigma_tasks.notes.names import Names
from enigma_tasks.notes.plans import digest
from enigma_tasks.notes.references import Refused, Rule
from enigma_tasks.notes.signing import NightKey
from enigma_tasks.threads import read_ahead
from enigma_tasks.unforeseen import UNREADABLE, refused_if_unforeseen
from enigma_tasks.workfolder import private_folder

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable, Sequence

    from enigma_tasks.config import Params, Settings
    from enigma_tasks.ensembles.runner import AnnotatedDocument
    from enigma_tasks.estimates import DevError
    from enigma_tasks.ner.window_scores import WindowScores
    from enigma_tasks.notes.forgotten import Tombstones
    from enigma_tasks.notes.plans import Plan, Shard
    from enigma_tasks.notes.references import NoteRef

log = logging.getLogger(__name__)

PROBE = Document("probe", "Fever and cough. A chest X-ray was taken.")
"""If the engine fails on a note and on this too, the engine is broken, not the note."""


def run(arguments: argparse.Namespace, params: Params, settings: Settings) -> dict[str, Any]:
    """Annotate the shard, once: if it is committed already, that commit is reported and nothing is written.

    Returns:
        The commit: shard, attempt, digests of its files, counts, seconds by phase, digests of the models, and the
        cost of language models, if any were used.

    Raises:
        UsageError: the shard is in no plan.
        ModelError: a pinned model is damaged, or the engine fails on every text.
        ServiceError: store, registry, or the endpoint of a language model.
    """
    places, shard_id = RunPlaces.of_shard(arguments.shard)
    store = ObjectStore()
    records = NightRecords.of(store, places, settings)
    plan = records.plan()
    shard = plan.shard(shard_id)
    if shard is None:
        raise UsageError(f"{places.plan} has no shard {shard_id}")
    committed = records.find_commit(shard)
    if committed is not None:
        log.info("shard %s is annotated already", shard_id)
        return committed.report()
    clock, endpoints = _Clock(), LlmEndpoints(settings)
    planned = list(records.notes(shard))
    with clock("load"):
        engine = _engine(plan, shard, params, settings, endpoints)
    attempt = uuid.uuid4().hex
    with private_folder() as folder:
        with ResultWriter(folder) as writer:
            tombstones = read_tombstones(store, settings)
            work = _Work(plan, params, Names.of(settings), tombstones, clock, Counter())
            counts = _annotate(store, planned, engine, writer, work)
        with clock("write"):
            files = _upload(store, places, shard, attempt, writer)
    commit = ShardCommit(
        shard=shard.id,
        shard_sha256=shard.sha256,
        plan_sha256=records.plan_sha256,
        attempt=attempt,
        files=files,
        counts=counts,
        seconds=clock.seconds,
        calibrations=work.calibrations or None,
        models=tuple(sorted(pin.digest for pin in plan.models[shard.language].values())),
        llm=endpoints.usage(),
        found_by=dict(sorted(work.found_by.items())) or None,
    )
    if records.create_commit(commit):
        return commit.report()
    log.warning("shard %s: another attempt committed first; the files of this one are deleted", shard_id)
    store.delete_many(places.attempt(shard.id, attempt, table) for table in files.by_table())
    first = records.find_commit(shard)
    return (first or commit).report()


def _engine(plan: Plan, shard: Shard, params: Params, settings: Settings, endpoints: LlmEndpoints) -> Annotate:
    """The pinned ensembles of the shard's language, loaded."""
    with uncollected():
        from enigma_tasks.ensembles.folder import read_ensemble
        from enigma_tasks.ensembles.runner import EnsembleAnnotator

        pins = [pin for _, pin in sorted(plan.models[shard.language].items())]
        ensembles = [read_ensemble(mlflow_registry.download(pin, settings.cache)) for pin in pins]
        limits = params.annotate
        return EnsembleAnnotator(
            ensembles,
            limits.batch_tokens,
            resident_mib=limits.resident_mib,
            open_endpoint=endpoints,
            window_scores=_window_scores(limits.window_scores_mib, settings),
        ).annotate


def _window_scores(limit_mib: int, settings: Settings) -> WindowScores | None:
    """The scores that this machine keeps; raises UsageError without a key to keep them under."""
    if not limit_mib:
        return None
    from enigma_tasks.ner.window_scores import WindowScores

    key = NightKey(settings.night_key.get_secret_value()).derived("window scores")
    if key is None:
        raise UsageError("annotate.window_scores_mib needs ENIGMA_NIGHT_KEY: scores are kept under keyed hashes")
    return WindowScores(settings.cache, key, limit_mib)


@dataclass(frozen=True, slots=True)
class _Work:
    plan: Plan
    params: Params
    names: Names
    tombstones: Tombstones
    clock: _Clock
    found_by: Counter[str]
    """Member digest -> spans that it found."""
    calibrations: dict[str, DevError] = field(default_factory=dict)
    """Filled while notes are annotated."""


def _annotate(
    store: ObjectStore, notes: Iterable[NoteRef], engine: Annotate, writer: ResultWriter, work: _Work
) -> ShardCounts:
    """Read, compute and write chunk by chunk; the next chunk is read while this one is computed."""
    plan, params, clock = work.plan, work.params, work.clock
    counts: Counter[str] = Counter(dict.fromkeys(("annotated", "quarantined", "entities", "characters"), 0))
    limits = params.annotate
    texts = refuse_forgotten(read_notes(store, notes, params.notes, limits.read_threads), work.tombstones)
    ahead = read_ahead(chunks(texts, limits.chunk_notes, limits.chunk_characters))
    while True:
        with clock("read"):
            chunk = next(ahead, None)
        if chunk is None:
            return ShardCounts.model_validate(counts)
        read = [item for item in chunk if not isinstance(item, Refused)]
        with clock("compute"):
            results = _annotated(engine, read, work.names)
        note_rows = [quarantined_row(plan, item) for item in chunk if isinstance(item, Refused)]
        spans: list[dict[str, Any]] = []
        for (note, text), result in zip(read, results, strict=True):
            if result is None:
                note_rows.append(quarantined_row(plan, Refused(note, Rule.FAILED)))
                continue
            note_rows.append(annotated_row(plan, note, text, result))
            work.found_by.update(result.found_by)
            work.calibrations.update(result.dev)
            spans += span_rows(plan, note, result)
            counts.update(annotated=1, entities=len(result.entities), characters=len(text))
        counts["quarantined"] = writer.rows[NOTES] + len(note_rows) - counts["annotated"]
        with clock("write"):
            writer.write(NOTES, note_rows)
            writer.write(SPANS, spans)
        log.info("%d notes", writer.rows[NOTES])


def _annotated(engine: Annotate, read: Sequence[tuple[NoteRef, str]], names: Names) -> list[AnnotatedDocument | None]:
    """One result for each note; None if the engine fails on the note but works on the probe."""
    documents = [Document(note.note_id, text, language=note.language) for note, text in read]
    try:
        return [*_checked(engine, documents)]
    except (ModelError, ServiceError):  # not caused by a note
        raise
    except Exception as error:  # noqa: BLE001 - one note must not stop the shard; the message may quote it
        log.warning("a chunk of %d notes failed (%s): one by one", len(documents), _kind(error))
    results: list[AnnotatedDocument | None] = []
    for document, (note, _) in zip(documents, read, strict=True):
        try:
            results += _checked(engine, [document])
        except ServiceError:
            raise
        except Exception as error:  # noqa: BLE001
            kind = _kind(error)
            _prove(engine, kind)
            log.warning("%s: annotation failed (%s)", names.record(note.key, note.record_id), kind)
            results.append(None)
    return results


def _kind(error: Exception) -> str:
    """The type of what the engine raised."""
    return error.hint if isinstance(error, DataError) and error.rule == UNREADABLE else type(error).__name__


def _checked(engine: Annotate, documents: list[Document]) -> list[AnnotatedDocument]:
    """The engine's results, after a check that each span's text is that of the document."""
    with refused_if_unforeseen(f"{len(documents)} notes"):  # a panic of a tokenizer is no Exception
        results = engine(documents) if documents else []
    for document, result in zip(documents, results, strict=True):
        for e in result.entities:
            if document.text[e.char_start : e.char_end] != e.text or not e.text:
                raise DataError(document.id, "span_surface", e.char_start)
    return list(results)


def _prove(engine: Annotate, kind: str) -> None:
    """Raise ModelError if the engine cannot annotate the probe either."""
    try:
        _checked(engine, [PROBE])
    except ServiceError:
        raise
    except Exception:  # noqa: BLE001
        raise ModelError(f"the engine fails on every text ({kind})") from None


def _upload(store: ObjectStore, places: RunPlaces, shard: Shard, attempt: str, writer: ResultWriter) -> ResultFiles:
    def uploaded(table: str) -> ResultFile:
        path = writer.files[table]
        store.upload(path, places.attempt(shard.id, attempt, table))
        return ResultFile(rows=writer.rows[table], bytes=path.stat().st_size, sha256=digest(path.read_bytes()))

    return ResultFiles(notes=uploaded(NOTES), spans=uploaded(SPANS))


class _Clock:
    """Seconds by phase."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._phase = ""
        self._since = 0.0

    def __call__(self, phase: str) -> _Clock:
        self._phase = phase
        return self

    def __enter__(self) -> None:
        self._since = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        passed = time.perf_counter() - self._since
        self.seconds[self._phase] = round(self.seconds.get(self._phase, 0.0) + passed, 3)


if TYPE_CHECKING:
    Annotate = Callable[[Sequence[Document]], Sequence[AnnotatedDocument]]
