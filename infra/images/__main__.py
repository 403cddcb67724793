"""`make images`: builds the images and prints their digests.

Needs Python, git, Docker with BuildKit and an image to build on. Without Docker or such an image, it installs an engine
and makes a base image, as root on Debian.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from infra.images.build import IMAGES, ROOT, BuildError, Recipe, build_all
from infra.images.engine import base_image, running_engine

if TYPE_CHECKING:
    from collections.abc import Sequence

ENGINE = ROOT / ".enigma/engine"
"""What an engine that is started here keeps."""


def main(words: Sequence[str] | None = None) -> int:
    """Build; 1 if an image cannot be built."""
    parser = argparse.ArgumentParser(prog="python -m infra.images", description=__doc__)
    parser.add_argument("images", nargs="*", default=IMAGES, help=f"default: {', '.join(IMAGES)}")
    parser.add_argument("--base", help="Python 3.11 on Debian, as image@sha256:..., or a local image")
    parser.add_argument("--torch", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--revision", default="HEAD", help="the commit whose files go in")
    parser.add_argument("--out", type=Path, default=ROOT / "dist/images")
    parser.add_argument(
        "--docker", default="docker", help="the command; an old `docker` builds where a new one lacks buildx"
    )
    given = parser.parse_args(words)
    changed = subprocess.run(["git", "status", "--porcelain"], cwd=ROOT, capture_output=True, text=True, check=True)
    if given.revision == "HEAD" and changed.stdout:
        print("what is not committed does not go into the images", file=sys.stderr)
    try:
        with running_engine(given.docker, ENGINE) as (engine, started):
            base = given.base or base_image(engine)
            recipes = [Recipe(name, base, given.revision, given.torch) for name in given.images]
            images = build_all(recipes, given.out, engine)
    except BuildError as error:
        print(error, file=sys.stderr)
        return 1
    for image in images:
        print(f"{image.tag}\n  id      {image.written.config}\n  digest  {image.written.manifest}")
        print(f"  archive {image.archive}\n  SBOM    {image.sbom}")
    if started:
        print("the engine was started for this build and has ended: load the archives into yours")
    return 0


if __name__ == "__main__":
    sys.exit(main())
