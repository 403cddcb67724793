"""Variables that name a file or folder of the worker, such as a certificate authority: mounted read-only, or refused.

Nothing is passed on that a container could not find.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import yaml
from airflow.sdk.exceptions import AirflowFailException
from docker.types import Mount

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

REPOSITORIES = ("ENIGMA_GOLD_REPOSITORY", "ENIGMA_TRAINING_REPOSITORY")
"""Stages push to them, and git takes a repository of another user for unsafe: no mount would do."""
PLACES = ("ENIGMA_MODEL_STORE", *REPOSITORIES)
"""Folders unless they are addresses; of the other variables, those are paths that begin with a slash."""
_REMOTE = re.compile(r"(?!file:)[^/\s]+:")
"""`https://...`, or git's `host:path`."""


def mounts(variables: Mapping[str, str]) -> list[Mount]:
    """What the variables name, read-only, at the same place in the container.

    Raises:
        AirflowFailException: a repository is a folder, or a path is not absolute.
    """
    paths = local_paths(variables)
    refuse(
        [name for name in paths if name in REPOSITORIES],
        "a container needs an address, as folders of repositories are not mounted",
    )
    refuse([name for name, path in paths.items() if not path.startswith("/")], "not an absolute path")
    return [Mount(target=path, source=path, type="bind", read_only=True) for path in sorted(set(paths.values()))]


def of_pod(variables: Mapping[str, str], template: str | None) -> dict[str, str]:
    """The variables without those that the pod's template sets itself.

    Raises:
        AirflowFailException: one names a path that is under none of the template's mounts.
    """
    container = _container(template)
    own = {entry["name"] for entry in container.get("env") or []}
    given = {name: value for name, value in variables.items() if name not in own}
    mounted = [entry["mountPath"] for entry in container.get("volumeMounts") or []]
    refuse(
        [name for name, path in local_paths(given).items() if not _is_below(path, mounted)],
        "paths of this worker, which a pod has not: mount them and set these variables in ENIGMA_KUBERNETES_POD",
    )
    return given


def local_paths(variables: Mapping[str, str]) -> dict[str, str]:
    """Variable -> the path that it names."""
    return {
        name: value
        for name, value in variables.items()
        if value.startswith("/") or (name in PLACES and value and not _REMOTE.match(value))
    }


def refuse(names: Iterable[str], why: str) -> None:
    """Fail without a retry where there are names; values are not shown, as an address may hold a password."""
    if found := ", ".join(sorted(names)):
        raise AirflowFailException(f"{found}: {why}")


def _container(template: str | None) -> dict[str, Any]:
    """The container of a pod's template that the stage runs in."""
    if template is None:
        return {}
    pod = yaml.safe_load(Path(template).read_bytes())
    return next((c for c in pod["spec"]["containers"] if c["name"] == "base"), {})


def _is_below(path: str, folders: Iterable[str]) -> bool:
    return any(PurePosixPath(path).is_relative_to(folder) for folder in folders)
