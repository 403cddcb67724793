"""What both runtimes of containers share: the image, what of the environment is passed on, limits, writable folders."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from docker.utils import parse_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping

PASSED_ON = ("AWS_", "ENIGMA_", "GIT_", "HF_", "MLFLOW_", "OMP_NUM_THREADS")
"""Prefixes of the variables that are passed to the command, so that new settings of Enigma are included."""
PROXIES = {"ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"}
"""Passed on in capital and in small letters."""
CERTIFICATES = {"CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_DIR", "SSL_CERT_FILE"}
"""Passed on, as their authorities may be the only ones that a service is known by."""
OF_THE_IMAGE = {"ENIGMA_CACHE", "HF_HOME", "HF_HUB_CACHE"}
"""Folders that a container has of its own."""
NOT_PASSED_ON = {
    "ENIGMA_ALERT_EMAIL",
    "ENIGMA_ALERT_WEBHOOK",
    "ENIGMA_COMMAND",
    "ENIGMA_DOCKER_NETWORK",
    "ENIGMA_GPUS",
    "ENIGMA_GPU_MEMORY",
    "ENIGMA_KUBERNETES_GPU_POD",
    "ENIGMA_KUBERNETES_NAMESPACE",
    "ENIGMA_KUBERNETES_POD",
    "ENIGMA_KUBERNETES_SECRET",
    "ENIGMA_KUBERNETES_START_SECONDS",
    "ENIGMA_RETRY_SECONDS",
    "ENIGMA_RUNTIME",
    "ENIGMA_TASKS_IMAGE",
    "ENIGMA_TASK_CPUS",
    "ENIGMA_TASK_MEMORY",
    "ENIGMA_WORKDIR",
}
"""Variables that only the DAGs read; a contract test checks them against `dags/` and the command's settings."""
PINNED = re.compile(r"[^\s@]+(@sha256:[0-9a-f]{64}|:(?!latest$)[\w][\w.-]*)")
_SECRET_NAME = re.compile("CREDENTIAL|KEY|PASSWORD|SECRET|TOKEN")
_PASSWORD_IN_URL = re.compile(r"://[^/@\s]*:[^/@\s]*@")
WRITABLE = ("/tmp", "/home/enigma/cache")  # noqa: S108 - of the container
"""Folders of the container that are volumes of its own, removed with it; all others are read-only."""
SHARED_MEMORY = 1 << 30
"""Bytes of /dev/shm, through which torch's workers exchange tensors."""


def pinned_image() -> str:
    """The image of the stages.

    Raises:
        ValueError: `ENIGMA_TASKS_IMAGE` has neither a digest nor a tag other than latest.
    """
    image = os.environ.get("ENIGMA_TASKS_IMAGE", "")
    if not PINNED.fullmatch(image):
        raise ValueError("ENIGMA_TASKS_IMAGE must name an image by digest, or by a tag other than latest")
    return image


def memory_limit(*, gpu: bool) -> int:
    """In bytes; the settings are in Docker's notation, such as 8g."""
    limit = os.environ.get("ENIGMA_GPU_MEMORY", "32g") if gpu else os.environ.get("ENIGMA_TASK_MEMORY", "8g")
    return int(parse_bytes(limit))


def gpus() -> int:
    """The number of GPUs of a GPU task; -1 means all, 0 that there are none."""
    return int(os.environ.get("ENIGMA_GPUS", "-1"))


def passed_on(environment: Mapping[str, str]) -> dict[str, str]:
    """The worker's variables that are passed to the command; some are secret."""
    return {name: value for name, value in environment.items() if _is_passed_on(name)}


def _is_passed_on(name: str) -> bool:
    if name.upper() in PROXIES or name in CERTIFICATES:
        return True
    return name.startswith(PASSED_ON) and name not in NOT_PASSED_ON | OF_THE_IMAGE


def is_secret(name: str, value: str) -> bool:
    """By its name, or because it is an address with a password."""
    return bool(_SECRET_NAME.search(name) or _PASSWORD_IN_URL.search(value))
