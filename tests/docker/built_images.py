"""The images of the working tree's tracked files, each built once for all tests of a session."""

from __future__ import annotations

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from infra.images.build import IMAGES, Engine, Recipe, build
from tests.docker.docker_engine import BASE, CLIENT, base_image

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infra.images.build import Image

ROOT = Path(__file__).resolve().parents[2]
AT_ONCE = 2
"""Builds side by side: one waits for packages while another compiles."""


class BuiltImages:
    """Images in the engine at `address`; archives and SBOMs are written under `folder`."""

    def __init__(self, address: str, folder: Path) -> None:
        self.address, self.folder = address, folder
        self._found: dict[str, Image] = {}

    def __getitem__(self, image: str) -> Image:
        return self.get([image])[image]

    def get(self, images: Sequence[str] = IMAGES) -> dict[str, Image]:
        """These images, of which those that are missing are built."""
        missing = [image for image in images if image not in self._found]
        self._found |= self._built(missing, self.folder / "first", cached=True)
        return {image: self._found[image] for image in images}

    def again(self) -> dict[str, Image]:
        """All images, every step of their builds once more."""
        return self._built(IMAGES, self.folder / "again", cached=False)

    def _built(self, images: Sequence[str], folder: Path, *, cached: bool) -> dict[str, Image]:
        base_image(self.address, self.folder)

        def one(image: str) -> Image:
            return build(Recipe(image, BASE, _revision(), cached=cached), folder, Engine(CLIENT, self.address))

        with ThreadPoolExecutor(AT_ONCE) as threads:
            return dict(zip(images, threads.map(one, images), strict=True))

    def of_the_stages(self) -> str:
        """The tag of the image of the stages: ENIGMA_TEST_IMAGE, or one that is built here."""
        return os.environ.get("ENIGMA_TEST_IMAGE") or self["tasks"].tag


@cache
def _revision() -> str:
    """A commit of the tracked files as they are: HEAD, or one that no branch has."""
    changed = subprocess.run(["git", "stash", "create"], cwd=ROOT, capture_output=True, text=True, check=True)
    return changed.stdout.strip() or "HEAD"
