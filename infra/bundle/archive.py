"""Files -> manifest, signature and one tar archive, the same bytes from the same files and key."""

from __future__ import annotations

import hashlib
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from infra.bundle.load import MANIFEST, SIGNATURE, is_safe
from infra.bundle.source import BundleError

ED25519_BYTES = 64


@dataclass(frozen=True)
class BundledFile:
    """A file of the bundle."""

    name: str
    source: Path
    digest: str
    """SHA-256."""


def bundled(name: str, source: Path, expected: str | None = None) -> BundledFile:
    """A file with its digest. Raises BundleError: a name that no bundle may have, or another digest than expected."""
    if not is_safe(name):
        raise BundleError(f"{name!r} cannot be the name of a file in a bundle")
    with source.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if expected not in (None, digest):
        raise BundleError(f"{source} changed while the bundle was made")
    return BundledFile(name, source, digest)


def check_key(key: Path) -> None:
    """Check a private key before the long work. Raises BundleError: it is missing, or other users can read it."""
    if not key.is_file():
        raise BundleError(f"{key}: no such private key (docs/air-gap.md says how to make one)")
    if key.stat().st_mode & 0o077:
        raise BundleError(f"{key}: other users may read this private key: chmod 600 {key}")


def write_archive(files: list[BundledFile], key: Path, time: int, out: Path) -> None:
    """Write the manifest, sign it, and write the archive, which appears whole, by renaming.

    Args:
        files: what goes in, besides the manifest and its signature, which come first.
        key: the private key, Ed25519; openssl asks for its passphrase, if it has one.
        time: of every file, in Unix seconds.
        out: the archive.

    Raises:
        BundleError: the key cannot sign.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent) as name:
        manifest, signature = Path(name, MANIFEST), Path(name, SIGNATURE)
        by_name = sorted(files, key=lambda file: file.name)
        manifest.write_text("".join(f"{file.digest}  {file.name}\n" for file in by_name), "utf-8")
        _sign(manifest, signature, key)
        unfinished = Path(name, "archive")
        with tarfile.open(unfinished, "w", format=tarfile.PAX_FORMAT) as tar:
            for path in (manifest, signature):
                _add(tar, path.name, path, time)
            for file in sorted(by_name, key=lambda file: file.name.count("/")):
                _add(tar, file.name, file.source, time)
        unfinished.rename(out)


def _sign(manifest: Path, signature: Path, key: Path) -> None:
    """openssl keeps the terminal, to ask for a passphrase and to say what is wrong with a key."""
    words = ["pkeyutl", "-sign", "-rawin", "-inkey", str(key), "-in", str(manifest), "-out", str(signature)]
    try:
        done = subprocess.run(["openssl", *words], check=False)
    except FileNotFoundError:
        raise BundleError("openssl: no such command on this machine") from None
    if done.returncode:
        raise BundleError(f"openssl could not sign with {key}")
    if signature.stat().st_size != ED25519_BYTES:
        raise BundleError(f"{key} is not an Ed25519 key: docs/air-gap.md says how to make one")


def _add(tar: tarfile.TarFile, name: str, source: Path, time: int) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mtime, member.mode = source.stat().st_size, time, 0o644
    with source.open("rb") as stream:
        tar.addfile(member, stream)
