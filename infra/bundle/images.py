"""The images that `make images` wrote, if they are of the bundle's commit."""

from __future__ import annotations

import json
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from infra.bundle.source import BundleError
from infra.images.build import IMAGES

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class BundledImage:
    """An image's files and the digests by which an engine may know it."""

    tag: str
    archive: Path
    sbom: Path
    config: str
    manifest: str


def images_of(folder: Path, commit: str, torch: str) -> list[BundledImage]:
    """Every image of a folder of `make images`.

    Args:
        folder: with `enigma-{image}.tar` and `enigma-{image}.cdx.json` of each image.
        commit: the full digest of the commit that they must be of.
        torch: `cpu` or `cuda`: the build that `enigma-tasks` must have.

    Raises:
        BundleError: an image or its SBOM is missing, damaged, of another commit or with another build of torch.
    """
    return [_image(folder, name, commit, torch) for name in IMAGES]


def _image(folder: Path, name: str, commit: str, torch: str) -> BundledImage:
    archive, sbom = folder / f"enigma-{name}.tar", folder / f"enigma-{name}.cdx.json"
    for path in (archive, sbom):
        if not path.is_file():
            raise BundleError(f"{path} is missing: run `make images` at this commit")
    try:
        with tarfile.open(archive, "r:") as tar:
            (entry,) = _json(tar, "index.json")["manifests"]
            config = _json(tar, _blob(entry["digest"]))["config"]["digest"]
            labels = _json(tar, _blob(config))["config"]["Labels"]
        tag, revision = (
            entry["annotations"]["org.opencontainers.image.ref.name"],
            labels["org.opencontainers.image.revision"],
        )
        listed = json.loads(sbom.read_bytes())["bomFormat"] == "CycloneDX"
    except (tarfile.TarError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise BundleError(f"{archive} or its SBOM is not what `make images` writes ({type(error).__name__})") from None
    if not listed:
        raise BundleError(f"{sbom} is not a CycloneDX list")
    if (revision, tag) != (commit, f"enigma-{name}:{commit[:12]}"):
        raise BundleError(f"{archive} is of commit {revision[:12]}, not of {commit[:12]}: run `make images` again")
    if name == "tasks" and labels.get("enigma.torch") != torch:
        raise BundleError(
            f"{archive} has torch for {labels.get('enigma.torch')}, not for {torch}: set TORCH, here or there"
        )
    return BundledImage(tag, archive, sbom, config, entry["digest"])


def _blob(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


def _json(tar: tarfile.TarFile, name: str) -> Any:
    file = tar.extractfile(name)
    if file is None:
        raise ValueError(name)
    return json.load(file)
