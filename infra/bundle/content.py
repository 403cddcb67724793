"""What a bundle of a commit holds, gathered in one list."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from enigma_tasks.licences import licence_of
from infra.bundle.archive import BundledFile, bundled
from infra.bundle.images import images_of
from infra.bundle.load import CONTENTS
from infra.bundle.models import models_of
from infra.bundle.wheels import download

if TYPE_CHECKING:
    from pathlib import Path

    from enigma_tasks.config import Settings
    from infra.bundle.source import Commit

LOADER = "load.py"
HISTORY = "enigma.bundle"


@dataclass(frozen=True)
class Recipe:
    """What a bundle is made from."""

    commit: Commit
    images: Path
    """The folder of `make images`."""
    torch: str
    """`cpu` or `cuda`."""
    python: str
    """The command of the Python that the wheels are for."""


def gather(recipe: Recipe, settings: Settings, scratch: Path) -> tuple[list[BundledFile], dict[str, Any]]:
    """The files of a bundle, and what its `bundle.json` says of them.

    Args:
        recipe: what it is made from.
        settings: where the model store is.
        scratch: a folder for files that are made here; it must stay until the archive is written.

    Raises:
        BundleError: a part is missing or is not of the commit.
        EnigmaError: the base models are not those of the lock, or the store cannot be reached.
    """
    commit = recipe.commit
    images = images_of(recipe.images, commit.name, recipe.torch)
    lock = scratch / "models.lock"
    lock.write_bytes(commit.file("models.lock"))
    models = models_of(lock, settings)
    (scratch / "wheels").mkdir()
    wheels = download(commit, recipe.torch, recipe.python, scratch / "wheels")
    contents = {
        "commit": commit.name,
        "torch": recipe.torch,
        "images": [
            {"archive": f"images/{i.archive.name}", "tag": i.tag, "config": i.config, "manifest": i.manifest}
            for i in images
        ],
        "models": [
            {
                "base": m.base,
                "folder": f"models/{m.name}",
                "licence": licence_of(m.base).licence,
                "revision": m.locked.revision,
            }
            for m in models
        ],
        "wheels": {"files": len(wheels.files), "python": wheels.python, "platform": wheels.platform},
    }
    (scratch / CONTENTS).write_text(json.dumps(contents, indent=1, sort_keys=True) + "\n", "utf-8")
    (scratch / LOADER).write_bytes(commit.file("infra/bundle/load.py"))
    commit.write_history(scratch / HISTORY)
    files = [bundled(name, scratch / name) for name in (CONTENTS, LOADER, HISTORY)]
    files += [bundled(f"images/{p.name}", p) for i in images for p in (i.archive, i.sbom)]
    files += [bundled(f"wheels/{p.name}", p) for p in wheels.files]
    for m in models:
        files += [bundled(f"models/{m.name}/{n}", m.folder / n, digest) for n, digest in sorted(m.locked.files.items())]
    return files, contents
