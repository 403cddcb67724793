"""Installs Debian packages."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

APT = ("apt-get", "-qq", "-o", "Acquire::Retries=5", "-o", "DPkg::Lock::Timeout=600")
"""Waits for another installation, and asks again for what did not arrive."""


class NotInstalledError(Exception):
    """A package was not installed; says why."""


def install(packages: Sequence[str]) -> None:
    """Install packages, as root; Debian may start servers of its own.

    Raises:
        NotInstalledError: with the end of what apt-get said.
    """
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for words in (["update"], ["install", "-y", "--no-install-recommends", *packages]):
        done = subprocess.run([*APT, *words], env=quiet, capture_output=True, text=True, check=False)
        if done.returncode:
            raise NotInstalledError(f"apt-get {words[0]}: {done.stderr[-2000:]}")
