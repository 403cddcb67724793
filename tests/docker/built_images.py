"""The images of the working tree's tracked files, each built once for all tests of a session."""

from __future__ import annotations

import os
import subprocess
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from infra.images.build import IMAGES, Recipe, build_all
from infra.images.engine import base_image

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infra.images.build import Engine, Image

ROOT = Path(__file__).resolve().parents[2]


class BuiltImages:
    """Images in an engine; archives and SBOMs are written under `folder`."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.engine, self.folder = engine, folder
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
        base = base_image(self.engine)
        recipes = [Recipe(image, base, revision(), cached=cached) for image in images]
        return dict(zip(images, build_all(recipes, folder, self.engine), strict=True))

    def of_the_stages(self) -> str:
        """The tag of the image of the stages: ENIGMA_TEST_IMAGE, or one that is built here."""
        return os.environ.get("ENIGMA_TEST_IMAGE") or self["tasks"].tag


@cache
def revision() -> str:
    """A commit of the tracked files as they are: HEAD, or one that no branch has."""
    changed = subprocess.run(["git", "stash", "create"], cwd=ROOT, capture_output=True, text=True, check=True)
    return changed.stdout.strip() or "HEAD"
