"""`enigma doctor`: reachable services, versions and device; nothing is changed."""

from __future__ import annotations

import logging
import platform
import uuid
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from enigma_tasks.artifacts import doctor_probe
from enigma_tasks.config import S3_PLACES, Params, Settings
from enigma_tasks.documents import EntityType
from enigma_tasks.errors import EnigmaError, ServiceError
from enigma_tasks.s3_settings import load_s3_settings

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

log = logging.getLogger(__name__)

LIBRARIES = ("enigma-tasks", "torch", "transformers", "tokenizers", "safetensors", "mlflow", "boto3", "deltalake")
UNREACHABLE = ServiceError.exit_code
BROKEN = EnigmaError.exit_code


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the report. `detail` never contains a key, a password or a note."""

    name: str
    status: Literal["ok", "warn", "fail"]
    detail: str
    exit_code: int = 0


def run(arguments: argparse.Namespace, params: Params, settings: Settings) -> dict[str, Any]:  # noqa: ARG001
    """Run every check, also after a failed one.

    `exit_code` is 3 if a configured service is unreachable, 1 if one is reachable but unusable, else 0.
    """
    groups: list[tuple[str, Callable[[Params, Settings], Iterator[Check]]]] = [
        ("versions", _versions),
        ("device", _device),
        ("s3", _object_store),
        ("journal", _journal),
        ("tables", _tables),
        ("mlflow", _registry),
        ("model store", _model_store),
        ("gold repository", _gold_repository),
        ("training repository", _training_repository),
    ]
    checks: list[Check] = []
    for name, group in groups:
        try:
            checks += group(params, settings)
        except EnigmaError as error:
            checks.append(Check(name, "fail", str(error), error.exit_code))
    rows = [{k: v for k, v in asdict(check).items() if k != "exit_code"} for check in checks]
    failed = [row["name"] for row in rows if row["status"] == "fail"]
    return {"exit_code": max((c.exit_code for c in checks), default=0), "failed": failed, "checks": rows}


def _versions(_: Params, __: Settings) -> Iterator[Check]:
    yield Check("python", "ok", platform.python_version())
    for library in LIBRARIES:
        try:
            yield Check(library, "ok", metadata.version(library))
        except metadata.PackageNotFoundError:
            yield Check(library, "warn", "not installed; tasks cannot run in this environment")


def _device(_: Params, __: Settings) -> Iterator[Check]:
    try:
        import torch
    except ImportError:
        yield Check("device", "warn", "no torch")
        return
    if torch.cuda.is_available():
        properties = torch.cuda.get_device_properties(0)
        memory = properties.total_memory / 2**30
        bf16 = "bf16" if torch.cuda.is_bf16_supported() else "no bf16"
        yield Check("device", "ok", f"{torch.cuda.device_count()} x {properties.name}, {memory:.0f} GiB, {bf16}")
        return
    capable = torch.cpu.get_capabilities()
    fast = [word for word in ("amx_bf16", "avx512_bf16") if capable.get(word)]
    yield Check("device", "ok", f"CPU, {torch.get_num_threads()} threads, bf16 {fast[0] if fast else 'emulated: slow'}")


def _object_store(_: Params, settings: Settings) -> Iterator[Check]:
    """Each place can be listed, and a second writer that creates the same object is refused."""
    if not settings.runs:
        yield Check("s3", "warn", "not configured: set ENIGMA_S3_ROOT")
        return
    from enigma_tasks.adapters.object_store import ObjectStore

    store = ObjectStore()
    for place in S3_PLACES:
        uri = getattr(settings, place)
        if uri:
            next(store.list(f"{uri}/"), None)
    yield Check(
        "s3", "ok", f"{_host(load_s3_settings().endpoint or 'https://s3.amazonaws.com')}, every place can be listed"
    )
    probe = doctor_probe(settings, uuid.uuid4().hex)
    try:
        created, again = store.put_if_absent(probe, b"first"), store.put_if_absent(probe, b"second")
    finally:
        store.delete_many([probe])
    if created and not again:
        yield Check("s3 conditional writes", "ok", "a second writer is refused")
    else:
        yield Check("s3 conditional writes", "fail", "not supported: two writers would both succeed", BROKEN)


def _tables(_: Params, settings: Settings) -> Iterator[Check]:
    if not settings.tables:
        return
    from enigma_tasks.adapters.night_schema import NOTES, SPANS
    from enigma_tasks.adapters.night_table import is_committed

    for table in (NOTES, SPANS):
        is_committed(settings.tables, table, "doctor")  # opens the table; a missing one is no error
    yield Check("tables", "ok", "notes and spans can be opened, or do not exist yet")


def _registry(params: Params, settings: Settings) -> Iterator[Check]:
    if not settings.mlflow_tracking_uri:
        yield Check("mlflow", "warn", "not configured: set MLFLOW_TRACKING_URI")
        return
    from enigma_tasks.adapters.mlflow_registry import server_version

    version = server_version(settings.mlflow_tracking_uri)
    yield Check("mlflow", "ok", f"{_host(settings.mlflow_tracking_uri)}, {version}")
    if settings.journal:
        yield from _champions(params, settings.journal)


def _champions(params: Params, place: str) -> Iterator[Check]:
    """By the journal; and the aliases that say otherwise."""
    from enigma_tasks.adapters.champions import resolve
    from enigma_tasks.adapters.journal_store import JournalStore
    from enigma_tasks.adapters.object_store import ObjectStore

    found = resolve(params.languages, JournalStore(ObjectStore(), place))
    missing = [
        f"{language}: {', '.join(lacking)}"
        for language in params.languages
        if (lacking := [t.value for t in EntityType if t.value not in found.pins.get(language, {})])
    ]
    if missing:
        yield Check("champions", "warn", f"none for {'; '.join(missing)}")
    else:
        yield Check("champions", "ok", f"all {len(params.languages)} languages")
    for item in found.moved:
        alias, journal = item.alias or "nothing", f"version {item.champion}" if item.champion else "no champion"
        yield Check("alias champion", "warn", f"{item.name}: names {alias}; the journal says {journal}")


def _journal(_: Params, settings: Settings) -> Iterator[Check]:
    """Whether the store keeps lines from being deleted."""
    if not settings.journal:
        return
    from enigma_tasks.adapters.object_store import ObjectStore

    try:
        kept = ObjectStore().retention(settings.journal)
    except ServiceError as error:
        yield Check("journal", "warn", f"whether its bucket has object lock is not known: {error}")
        return
    if kept is None:
        yield Check("journal", "warn", "its bucket has no object lock: who may delete objects may delete lines")
    elif not kept:
        yield Check("journal", "warn", "its bucket has object lock, but no default retention: lines are not locked")
    else:
        yield Check("journal", "ok", f"each line is locked: {kept}")


def _model_store(_: Params, settings: Settings) -> Iterator[Check]:
    place = settings.model_store
    if not place:
        yield Check("model store", "warn", "not configured: base models are named by folder or hub id")
    elif place.startswith("s3://"):
        from enigma_tasks.adapters.object_store import ObjectStore

        filled = next(ObjectStore().list(f"{place.rstrip('/')}/"), None) is not None
        yield Check("model store", "ok" if filled else "warn", place if filled else f"{place} is empty")
    elif Path(place).is_dir():
        yield Check("model store", "ok", place)
    else:
        yield Check("model store", "fail", f"no folder {place}", BROKEN)


def _gold_repository(params: Params, settings: Settings) -> Iterator[Check]:
    if not settings.gold_repository:
        yield Check("gold repository", "warn", "not configured: set ENIGMA_GOLD_REPOSITORY to ingest gold")
        return
    from enigma_tasks.adapters.gold_repository import GoldRepository

    version = GoldRepository.newest(settings.gold_repository, command_seconds=params.ingest.command_seconds)
    yield Check("gold repository", "ok", f"version {version[:12]}" if version else "reachable, no version yet")


def _training_repository(params: Params, settings: Settings) -> Iterator[Check]:
    if not settings.training_repository:
        yield Check("training repository", "warn", "not configured: set ENIGMA_TRAINING_REPOSITORY to train again")
        return
    from enigma_tasks.adapters.training_repository import TrainingRepository

    commit = TrainingRepository.newest(settings.training_repository, command_seconds=params.ingest.command_seconds)
    detail = f"commit {commit[:12]}" if commit else "reachable, but without a commit on its branch main"
    yield Check("training repository", "ok" if commit else "fail", detail, 0 if commit else BROKEN)


def _host(uri: str) -> str:
    """Scheme, host and port of a URI, without user and password."""
    parts = urlsplit(uri)
    host = parts.hostname or parts.path
    return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port else "")
