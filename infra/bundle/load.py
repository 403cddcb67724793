"""Check a bundle of `make bundle`, unpack it, load its images into Docker and copy its base models into a model store.

It is in every bundle and runs where Enigma is not installed: the standard library, openssl and docker are all it needs.
Everything is checked before anything is loaded. What checks this file itself is in docs/air-gap.md.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

MANIFEST = "MANIFEST"
"""A line of SHA-256 and name for each other file, sorted, as `sha256sum` reads it."""
SIGNATURE = "MANIFEST.sig"
CONTENTS = "bundle.json"
"""The commit, and which images, base models and wheels there are."""
LONGEST_MANIFEST = 1 << 24
_BLOCK = 1 << 20
_LINE = re.compile(r"(?P<digest>[0-9a-f]{64})  (?P<name>[^\0\r\n\\]+)")
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+!@~-]*")


class Refused(Exception):  # noqa: N818 - it is what the user reads
    """The bundle, or the place that it is to be loaded into, is not as it must be; says what and where."""


def load(archive: Path, folder: Path, key: Path, models: Path | None, docker: str) -> list[str]:
    """Check and load a bundle; returns what was loaded, a line each.

    Args:
        archive: the file that `make bundle` wrote.
        folder: where its files go; it appears when all is loaded. What an interrupted attempt left is removed.
        key: the public key, which came by another way than the bundle.
        models: the folder that is the model store.
        docker: the command.

    Raises:
        Refused: something is not as it must be. No image and no model is loaded if it is in the bundle.
    """
    folder = folder.absolute()
    if folder.exists() or folder.is_symlink():
        raise Refused(f"{folder} is there already: name a new folder")
    unfinished = folder.with_name(f".{folder.name}.loading")
    if unfinished.exists():
        shutil.rmtree(unfinished)
    unfinished.mkdir(parents=True)
    try:
        digests = unpack(archive, unfinished, key)
        said = _load(unfinished, digests, models, docker)
        unfinished.rename(folder)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    return said


def _load(folder: Path, digests: dict[str, str], store: Path | None, docker: str) -> list[str]:
    contents = json.loads((folder / CONTENTS).read_text("utf-8"))
    missing = _missing_models(contents["models"], digests, store)
    said = [f"commit  {contents['commit']}"]
    said += [f"image   {image['tag']}  {_load_image(image, folder, docker)}" for image in contents["images"]]
    for model in contents["models"]:
        target = missing.get(model["folder"])
        if target is not None:
            _copy_model(folder / model["folder"], target)
        said.append(f"model   {model['base']}  {'copied' if target else 'was there'}")
    wheels = contents["wheels"]
    described = f"for Python {wheels['python']}, {wheels['platform']}, torch for {contents['torch']}"
    return [*said, f"wheels  {wheels['files']} {described}"]


def unpack(archive: Path, folder: Path, key: Path) -> dict[str, str]:
    """Write the files of a bundle into an empty folder; returns name -> SHA-256 of each that the manifest names.

    Names are compared with those of the signed manifest before anything is written under them.

    Raises:
        Refused: the signature is not of this key, or a file is changed, missing, too much, there twice, or no file.
    """
    try:
        with tarfile.open(archive, "r|") as tar:
            for name in (MANIFEST, SIGNATURE):
                (folder / name).write_bytes(_leading(tar, name))
            check_signature(folder / MANIFEST, folder / SIGNATURE, key)
            digests = listed((folder / MANIFEST).read_bytes())
            found: set[str] = set()
            while (member := tar.next()) is not None:
                _write(tar, member, folder, digests, found)
    except (tarfile.TarError, EOFError) as error:
        raise Refused(f"{archive}: not a whole tar archive ({error})") from None
    if absent := sorted(digests.keys() - found):
        raise Refused(f"{absent[0]}: missing in the bundle" + (f", and {len(absent) - 1} more" if absent[1:] else ""))
    return digests


def _leading(tar: tarfile.TarFile, name: str) -> bytes:
    """The content of the next member, which must be this file."""
    member = tar.next()
    if member is None or member.name != name or not member.isreg() or member.size > LONGEST_MANIFEST:
        raise Refused(f"{name}: missing at the beginning: the bundle is not signed, or this is no bundle")
    return b"".join(_content(tar, member))


def check_signature(manifest: Path, signature: Path, key: Path) -> None:
    """Check by openssl that the holder of the private key signed the manifest.

    Raises:
        Refused: it did not, or openssl or the public key cannot be used.
    """
    if not key.is_file():
        raise Refused(f"{key}: no such public key")
    words = ["pkeyutl", "-verify", "-pubin", "-inkey", str(key), "-rawin", "-in", str(manifest)]
    done = _run("openssl", *words, "-sigfile", str(signature))
    if done.returncode:
        raise Refused(f"{MANIFEST}: the signature is not by the key {key}: {_last_line(done)}")


def listed(manifest: bytes) -> dict[str, str]:
    """Name -> SHA-256 of a manifest.

    Raises:
        Refused: a line is not of that form, a name is there twice, or leads out of the bundle's folder.
    """
    digests: dict[str, str] = {}
    for number, line in enumerate(manifest.decode("utf-8", "replace").splitlines(), start=1):
        entry = _LINE.fullmatch(line)
        if entry is None or not is_safe(entry["name"]):
            raise Refused(f"{MANIFEST}, line {number}: not a SHA-256 and a name below the bundle's folder")
        if entry["name"] in digests:
            raise Refused(f"{MANIFEST}, line {number}: a name for the second time")
        digests[entry["name"]] = entry["digest"]
    if CONTENTS not in digests:
        raise Refused(f"{MANIFEST}: does not name {CONTENTS}")
    return digests


def is_safe(name: str) -> bool:
    """Whether a file of a bundle may have this name: relative, ASCII, no part that begins with a dot."""
    return name not in (MANIFEST, SIGNATURE) and all(_PART.fullmatch(part) for part in name.split("/"))


def _write(
    tar: tarfile.TarFile, member: tarfile.TarInfo, folder: Path, digests: dict[str, str], found: set[str]
) -> None:
    name = member.name
    if not member.isreg():
        raise Refused(f"{name!a}: not a plain file (a link, a folder or a device)")
    if name not in digests:
        raise Refused(f"{name!a}: not named by {MANIFEST}")
    if name in found:
        raise Refused(f"{name}: there twice")
    found.add(name)
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with path.open("xb") as out:
        for data in _content(tar, member):
            digest.update(data)
            out.write(data)
    if digest.hexdigest() != digests[name]:
        raise Refused(f"{name}: changed: its SHA-256 is not the one in {MANIFEST}")


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> Iterator[bytes]:
    source = tar.extractfile(member)
    while source is not None and (data := source.read(_BLOCK)):
        yield data


def _missing_models(models: list[dict[str, Any]], digests: dict[str, str], store: Path | None) -> dict[str, Path]:
    """Folder in the bundle -> folder in the store, of each model that the store does not have yet."""
    if models and store is None:
        raise Refused("the bundle has base models: name the folder of the model store with --models")
    missing: dict[str, Path] = {}
    for model in models:
        prefix = f"{model['folder']}/"
        target = Path(store or "", model["folder"].rsplit("/", 1)[-1])
        if not target.exists():
            missing[model["folder"]] = target
            continue
        wanted = {name[len(prefix) :]: digest for name, digest in digests.items() if name.startswith(prefix)}
        if wanted != {p.relative_to(target).as_posix(): _digest(p) for p in target.rglob("*") if p.is_file()}:
            raise Refused(f"{target}: has other files than the bundle's {model['base']}: move it away first")
    return missing


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as source:
        while data := source.read(_BLOCK):
            digest.update(data)
    return digest.hexdigest()


def _copy_model(source: Path, target: Path) -> None:
    """Copy a model into the store, where it appears whole, by renaming."""
    unfinished = target.with_name(f".{target.name}.loading")
    if unfinished.exists():
        shutil.rmtree(unfinished)
    shutil.copytree(source, unfinished)
    unfinished.rename(target)


def _load_image(image: dict[str, str], folder: Path, docker: str) -> str:
    """Load an image; returns its id, by which the engine has what the signed list names.

    An engine with containerd's store calls an image by the digest of its manifest, others by that of its configuration.
    """
    for words in (("load", "--quiet", "--input", str(folder / image["archive"])),
                  ("image", "inspect", "--format", "{{.Id}}", image["tag"])):  # fmt: skip
        done = _run(docker, *words)
        if done.returncode:
            raise Refused(f"{image['tag']}: `{docker} {words[0]}` failed: {_last_line(done)}")
    identity = done.stdout.strip()
    if identity not in (image["config"], image["manifest"]):
        raise Refused(f"{image['tag']}: the engine has {identity}, the bundle {image['config']}")
    return identity


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise Refused(f"{command[0]}: no such command on this machine") from None


def _last_line(done: subprocess.CompletedProcess[str]) -> str:
    lines = (done.stdout + done.stderr).strip().splitlines()
    return lines[-1] if lines else f"exit code {done.returncode}"


def main(words: list[str] | None = None) -> int:
    """Load; 1 if anything is refused."""
    parser = argparse.ArgumentParser(prog="load.py", description=__doc__)
    parser.add_argument("bundle", type=Path, help="the archive")
    parser.add_argument("folder", type=Path, help="a new folder for its files")
    parser.add_argument(
        "--key", type=Path, required=True, help="the public key, obtained by another way than the bundle"
    )
    parser.add_argument("--models", type=Path, help="the folder of the model store (ENIGMA_MODEL_STORE)")
    parser.add_argument("--docker", default="docker", help="the command")
    given = parser.parse_args(words)
    try:
        said = load(given.bundle, given.folder, given.key, given.models, given.docker)
    except (Refused, OSError) as error:
        print(f"not loaded: {error}", file=sys.stderr)
        return 1
    print("\n".join(said))
    return 0


if __name__ == "__main__":
    sys.exit(main())
