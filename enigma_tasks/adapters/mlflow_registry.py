"""The MLflow registry: an ensemble folder -> a version; a digest -> a pin; a pin -> a verified folder; aliases.

MLflow takes seconds to import, so it is imported where it is used: shards with artifacts on S3 do not load it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from enigma_tasks.adapters.mlflow_errors import typed
from enigma_tasks.artifacts import ENSEMBLE_ARTIFACT, REGISTERED_ARTIFACTS
from enigma_tasks.errors import DataError, ModelError, UsageError
from enigma_tasks.notes.plans import Pin
from enigma_tasks.paths import below

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from mlflow import MlflowClient

    from enigma_tasks.documents import EntityType


DIGEST_TAG = "digest"
GOLD_TAG, GOLD_REVISION_TAG, REGISTERED_WITH_TAG = "gold", "gold_revision", "registered_with"
"""Tags of a version that a retraining registered: digests of the gold of each type of its language, the gold's commit,
and the types that this retraining registers."""
PREFIX = "enigma"
MISSING = {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}
PARALLEL_CALLS = 8
PAGE = 200


@dataclass(frozen=True, slots=True)
class Registered:
    """A registered model: its versions by alias, and its tags."""

    name: str
    aliases: Mapping[str, str]
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Version:
    """A version of a registered model, and its tags."""

    name: str
    version: str
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Dataset:
    """A test set as MLflow knows it: `es-disease`, and the first 32 digits of its digest (MLflow keeps 36)."""

    name: str
    digest: str

    @classmethod
    def of(cls, language: str, entity_type: EntityType, digest: str) -> Dataset:
        """The test set of that digest (`ner.digests.data_digest`)."""
        return cls(f"{language}-{entity_type.value}", digest[:32])


def registered_name(language: str, entity_type: EntityType) -> str:
    """`enigma-es-disease` (docs/architecture.md, "Registry")."""
    return f"{PREFIX}-{language}-{entity_type.value}"


def register_ensemble(
    folder: Path,
    language: str,
    entity_type: EntityType,
    tags: Mapping[str, str],
    *,
    metrics: Mapping[str, float] | None = None,
) -> Pin:
    """Register an ensemble folder as a version of `enigma-{language}-{entity}`; no alias is set.

    A digest that is registered already gets no new version, but the tags that say what its gold is.

    Raises:
        ModelError: `folder` is no valid ensemble.
        ServiceError: registry or artifact store unreachable or failing.
    """
    from enigma_tasks.adapters.mlflow_version import end_killed_runs, new_version
    from enigma_tasks.ensembles.folder import read_ensemble

    digest = read_ensemble(folder).digest
    name = registered_name(language, entity_type)
    with typed(f"register {name}"):
        client = mlflow_client()
        end_killed_runs(client, digest)
        version = version_of(client, name, digest)
        if version is None:
            labels = {"language": language, "entity": entity_type.value, **tags, DIGEST_TAG: digest}
            version = new_version(client, name, folder, labels, metrics or {})
        elif GOLD_TAG in tags:  # other gold that gives the same model, as where only dropped documents differ
            for tag in (GOLD_TAG, GOLD_REVISION_TAG, REGISTERED_WITH_TAG):
                client.set_model_version_tag(name, version, tag, tags[tag])
        return _pin(client, name, version, digest)


def log_scores(pin: Pin, scores: Mapping[str, float], dataset: Dataset) -> None:
    """Log scores on a test set as metrics of a version's logged model. Raises ServiceError."""
    from enigma_tasks.adapters.mlflow_version import log_scores

    with typed(f"log scores of {pin.name}"):
        log_scores(mlflow_client(), pin, scores, dataset)


def set_alias(pin: Pin, alias: str) -> None:
    """Point an alias at a version. Raises ServiceError."""
    with typed(f"set alias {alias} of {pin.name}"):
        mlflow_client().set_registered_model_alias(pin.name, alias, pin.version)


def set_tag(name: str, key: str, value: str) -> None:
    """Set a tag of a registered model. Raises ServiceError."""
    with typed(f"tag {name}"):
        mlflow_client().set_registered_model_tag(name, key, value)


def pin_of_digest(name: str, version: str, digest: str) -> Pin:
    """The registered version that has `digest`: `version`, or another one where the registry was filled again.

    Raises:
        ModelError: no version of that name has the digest.
        ServiceError: registry unreachable or failing.
    """
    from mlflow.exceptions import MlflowException

    with typed(f"resolve {name}"):
        client = mlflow_client()
        try:
            known = client.get_model_version(name, version)
            found = version if known.tags.get(DIGEST_TAG) == digest and known.status == "READY" else None
        except MlflowException as error:
            if error.error_code not in MISSING:
                raise
            found = None
        found = found or version_of(client, name, digest)
        if found is None:
            raise ModelError(f"{name} version {version}: the registry has no version of its digest {digest[:12]}")
        return _pin(client, name, found, digest)


def pin_of_version(name: str, version: str) -> Pin:
    """A registered version.

    Raises:
        ModelError: there is no such version, it is not complete, or it was not registered by `enigma register`.
        ServiceError: registry unreachable or failing.
    """
    from mlflow.exceptions import MlflowException

    with typed(f"resolve {name}"):
        client = mlflow_client()
        try:
            found = client.get_model_version(name, version)
        except MlflowException as error:
            if error.error_code not in MISSING:
                raise
            raise ModelError(f"{name} version {version}: the registry has no such version") from None
        if found.status != "READY" or DIGEST_TAG not in found.tags:
            raise ModelError(f"{name} version {version}: not complete, or not registered by enigma register")
        return _pin(client, name, version, found.tags[DIGEST_TAG])


def registered_models() -> dict[str, Registered]:
    """Enigma's registered models by name. Raises ServiceError."""
    with typed("list registered models"):
        found = _pages(mlflow_client().search_registered_models, f"name LIKE '{PREFIX}-%'")
        return {m.name: Registered(m.name, {k: str(v) for k, v in m.aliases.items()}, dict(m.tags)) for m in found}


def versions_of(name: str) -> list[Version]:
    """The usable versions of a registered model, of every age. Raises ServiceError."""
    with typed(f"list versions of {name}"):
        found = _pages(mlflow_client().search_model_versions, f"name = '{name}'")
        return [Version(v.name, str(v.version), dict(v.tags)) for v in found if v.status == "READY"]


def download(pin: Pin, cache: Path) -> Path:
    """The pinned ensemble as a folder `cache/{digest}` whose content has that digest; see `ensemble_cache.cached`.

    Raises:
        ModelError: the stored artifact is damaged or another than the pinned one; `path_outside`, `symbolic_link`.
        ServiceError: artifact store unreachable or failing.
    """
    from enigma_tasks.adapters.ensemble_cache import cached

    try:
        return cached(pin.digest, cache, partial(_fetch, pin))
    except (DataError, ModelError) as error:
        raise ModelError(f"{pin.name} version {pin.version}: {error}") from error


def server_version(tracking_uri: str) -> str:
    """The tracking server's version; `database` if the URI is not a server's. Raises ServiceError."""
    if not tracking_uri.startswith(("http://", "https://")):
        return "database"
    from mlflow.utils.credentials import get_default_host_creds
    from mlflow.utils.rest_utils import http_request

    with typed("version"):
        reply = http_request(get_default_host_creds(tracking_uri), "/version", "GET")
        reply.raise_for_status()
        return str(reply.text)[:20]


def mlflow_client() -> MlflowClient:
    """A client of MLFLOW_TRACKING_URI. Raises UsageError if that is not set."""
    import mlflow

    if not mlflow.is_tracking_uri_set():  # MLflow would make a database in the working directory
        raise UsageError("set MLFLOW_TRACKING_URI")
    return mlflow.MlflowClient()


def version_of(client: MlflowClient, name: str, digest: str) -> str | None:
    """The first usable version of that digest."""
    return min((str(v.version) for v in versions_with(client, name, digest)), key=int, default=None)


def versions_with(client: MlflowClient, name: str, digest: str) -> list[Any]:
    """MLflow's usable versions of that digest."""
    same = _pages(client.search_model_versions, f"name = '{name}' AND tags.{DIGEST_TAG} = '{digest}'")
    return [v for v in same if v.status == "READY"]


def _pin(client: MlflowClient, name: str, version: str, digest: str) -> Pin:
    root = client.get_model_version_download_uri(name, version)
    source_uri = f"{root.rstrip('/')}/{REGISTERED_ARTIFACTS}/{ENSEMBLE_ARTIFACT}"
    return Pin(name=name, version=version, digest=digest, source_uri=source_uri)


def _pages(search: Any, filter_string: str) -> Iterator[Any]:
    token = None
    while True:
        page = search(filter_string=filter_string, max_results=PAGE, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def _fetch(pin: Pin, folder: Path, siblings: Mapping[str, Path]) -> None:
    """Copy the artifact into the empty `folder`; from S3 directly, except for files that a sibling has."""
    if pin.source_uri.startswith("s3://"):
        from enigma_tasks.adapters.object_store import ObjectStore

        store, prefix = ObjectStore(), f"{pin.source_uri}/"
        for item in store.list(prefix):
            path = below(folder, item.uri.removeprefix(prefix), "the stored ensemble")
            path.parent.mkdir(parents=True, exist_ok=True)
            twin = siblings.get(path.parent.name, folder) / path.name
            if twin.is_file():
                os.link(twin, path)  # one cache, one file system
            else:
                store.download(item.uri, path)
        return
    with typed(f"download {pin.name} version {pin.version}"):
        mlflow_client()
        from mlflow.artifacts import download_artifacts

        download_artifacts(artifact_uri=pin.source_uri, dst_path=str(folder.parent))
