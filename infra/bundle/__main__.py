"""`make bundle`: one signed archive of the images, packages, base models and source of a commit (docs/air-gap.md)."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from enigma_tasks.config import load_settings
from enigma_tasks.errors import EnigmaError
from infra.bundle.archive import check_key, write_archive
from infra.bundle.content import Recipe, gather
from infra.bundle.source import BundleError, find_commit

ROOT = Path(__file__).resolve().parents[2]


def main(words: list[str] | None = None, root: Path = ROOT) -> int:
    """Make a bundle of the last commit of the repository `root`; 1 if it cannot be made."""
    parser = argparse.ArgumentParser(prog="python -m infra.bundle", description=__doc__)
    parser.add_argument("--key", required=True, help="the file of the private key, Ed25519")
    parser.add_argument("--torch", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--images", type=Path, default=root / "dist/images", help="the folder of make images")
    parser.add_argument("--models", help="the model store (default: ENIGMA_MODEL_STORE)")
    parser.add_argument("--python", default=sys.executable, help="the Python that the wheels are for")
    parser.add_argument("--out", type=Path, help="the archive (default: dist/enigma-COMMIT.tar)")
    given = parser.parse_args(words)
    if not given.key:
        parser.error("name the file of a private key: make bundle KEY=... (docs/air-gap.md)")
    try:
        settings = load_settings()
        if given.models:
            settings = settings.model_copy(update={"model_store": given.models})
        check_key(Path(given.key))
        commit = find_commit(root)
        changed = subprocess.run(["git", "status", "--porcelain"], cwd=root, capture_output=True, text=True, check=True)
        if changed.stdout:
            print("what is not committed does not go into the bundle", file=sys.stderr)
        out = (given.out or root / f"dist/enigma-{commit.name[:12]}.tar").absolute()
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out.parent) as scratch:
            files, contents = gather(Recipe(commit, given.images, given.torch, given.python), settings, Path(scratch))
            write_archive(files, Path(given.key), commit.time, out)
    except (BundleError, EnigmaError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{out}\n  commit  {commit.name}")
    for image in contents["images"]:
        print(f"  image   {image['tag']}  {image['config']}")
    for model in contents["models"]:
        print(f"  model   {model['base']}  licence: {model['licence']}")
    if not contents["models"]:
        print("  model   none: models.lock names none")
    wheels = contents["wheels"]
    print(f"  wheels  {wheels['files']} for Python {wheels['python']}, {wheels['platform']}, torch for {given.torch}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
