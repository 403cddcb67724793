"""The Python packages that the locks name, as files whose hashes were checked, for an installation without an index."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from infra.bundle.source import BundleError

if TYPE_CHECKING:
    from infra.bundle.source import Commit

TOOLS = "requirements/tools/images.lock"
"""What installs and builds packages; first, as packages without a wheel need it."""
ENVIRONMENTS = ("requirements/tasks.lock", "requirements/airflow.lock")
_CHOSEN_BUILD = re.compile(r"^torch==[0-9.]*$\n?", re.MULTILINE)
_DESCRIBED = """\
import json, platform, sys
print(json.dumps([f"{sys.version_info[0]}.{sys.version_info[1]}", f"{platform.system()} {platform.machine()}"]))
"""


@dataclass(frozen=True)
class Wheels:
    """Downloaded packages, and the Python that they are for."""

    files: list[Path]
    python: str
    platform: str


def download(commit: Commit, torch: str, python: str, out: Path) -> Wheels:
    """Download what the locks of a commit name into the folder `out`, by pip and with its own settings.

    A package without a wheel is taken as source. pip then asks its build for its name and version, with the tools of
    `TOOLS` and nothing else.

    Args:
        commit: whose locks are read.
        torch: `cpu` or `cuda`: which build of torch, and whether NVIDIA's libraries too.
        python: the command of the Python that the packages are for.
        out: a folder.

    Raises:
        BundleError: a package is not to be had, or not with a hash of the lock; with the end of what pip said.
    """
    with tempfile.TemporaryDirectory(dir=out.parent) as name:
        folder = Path(name)
        _run(python, python, "-m", "venv", "--without-pip", str(folder / "venv"))
        inside = str(folder / "venv/bin/python")
        pip = (sys.executable, "-m", "pip", "--python", inside, "--quiet", "--disable-pip-version-check")
        tools = folder / "tools.txt"
        tools.write_bytes(commit.file(TOOLS))
        _run(TOOLS, *pip, "install", "--require-hashes", "--requirement", str(tools))
        cuda = ["requirements/cuda.lock"] if torch == "cuda" else []
        for lock in (TOOLS, *ENVIRONMENTS, f"docker/torch-{torch}.txt", *cuda):
            text = commit.file(lock).decode()
            wanted = folder / Path(lock).name
            # torch has no hash there: the build that was chosen has a file of its own
            wanted.write_text(_CHOSEN_BUILD.sub("", text) if lock in ENVIRONMENTS else text, "utf-8")
            words = ("--no-deps", "--require-hashes", "--no-build-isolation", "--dest", str(out))
            _run(lock, *pip, "download", *words, "--requirement", str(wanted))
        version, platform = json.loads(_run(python, inside, "-c", _DESCRIBED))
    return Wheels(sorted(out.iterdir()), version, platform)


def _run(what: str, *command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BundleError(f"{what}: {Path(command[0]).name} {' '.join(command[1:3])} failed:\n{done.stderr[-3000:]}")
    return done.stdout
