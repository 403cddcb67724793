"""`make images`: builds the images and prints their digests. Needs Python, git and Docker with BuildKit."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from infra.images.build import IMAGES, ROOT, BuildError, Engine, Recipe, build


def main() -> int:
    """Build; 1 if an image cannot be built."""
    parser = argparse.ArgumentParser(prog="python -m infra.images", description=__doc__)
    parser.add_argument("images", nargs="*", default=IMAGES, help=f"default: {', '.join(IMAGES)}")
    parser.add_argument("--base", required=True, help="Python 3.11 on Debian, as image@sha256:..., or a local image")
    parser.add_argument("--torch", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--revision", default="HEAD", help="the commit whose files go in")
    parser.add_argument("--out", type=Path, default=ROOT / "dist/images")
    parser.add_argument(
        "--docker", default="docker", help="the command; an old `docker` builds where a new one lacks buildx"
    )
    given = parser.parse_args()
    if not given.base:
        parser.error("name an image to build on: make images BASE=... (docker/README.md)")
    engine = Engine(given.docker)
    changed = subprocess.run(["git", "status", "--porcelain"], cwd=ROOT, capture_output=True, text=True, check=True)
    if given.revision == "HEAD" and changed.stdout:
        print("what is not committed does not go into the images", file=sys.stderr)
    for name in given.images:
        try:
            image = build(Recipe(name, given.base, given.revision, given.torch), given.out, engine)
        except BuildError as error:
            print(error, file=sys.stderr)
            return 1
        print(f"{image.tag}\n  id      {image.written.config}\n  digest  {image.written.manifest}")
        print(f"  archive {image.archive}\n  SBOM    {image.sbom}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
