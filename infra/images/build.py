"""Builds an image from a commit: its files alone are the context, its time is the image's."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO, TYPE_CHECKING

from infra.images.archive import Written, without_build_times
from infra.images.sbom import EMPTY, completed, declared_licences

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).resolve().parents[2]
IMAGES = ("tasks", "airflow", "services")
LOCKS = {"tasks": "requirements/tasks.lock", "airflow": "requirements/airflow.lock"}
"""Image -> the lock that it holds."""
SBOM = {"tasks": "/opt/enigma/sbom.cdx.json", "airflow": "/opt/environment/sbom.cdx.json"}
AT_ONCE = 2
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")
"""Settings that a build takes without keeping them."""


class BuildError(Exception):
    """An image cannot be built; says why."""


@dataclass(frozen=True)
class Engine:
    """A Docker command line that can build with BuildKit, and the engine that it talks to."""

    command: str = "docker"
    address: str = ""
    """As in DOCKER_HOST; empty: the command's own."""

    @property
    def environment(self) -> dict[str, str]:
        """The variables of a command."""
        at = {"DOCKER_HOST": self.address} if self.address else {}
        return {**os.environ, **at, "DOCKER_BUILDKIT": "1", "BUILDX_NO_DEFAULT_ATTESTATIONS": "1"}

    def run(self, *words: str, stdin: IO[bytes] | None = None) -> str:
        """The standard output of a command.

        Raises:
            BuildError: there is no such command, or it failed; with the end of what it said.
        """
        try:
            done = subprocess.run(
                [self.command, *words], stdin=stdin, env=self.environment, capture_output=True, text=True, check=False
            )
        except FileNotFoundError:
            raise BuildError(f"{self.command}: no such command on this machine") from None
        if done.returncode:
            raise BuildError(f"docker {words[0]} failed:\n{done.stderr[-3000:]}")
        return done.stdout


@dataclass(frozen=True)
class Image:
    """An image that was built and loaded into the engine."""

    name: str
    tag: str
    archive: Path
    sbom: Path
    written: Written


@dataclass(frozen=True)
class Recipe:
    """What an image is built from."""

    image: str
    """One of IMAGES."""
    base: str
    """An image with Python 3.11 on Debian, by digest, or one that was made on this machine."""
    revision: str = "HEAD"
    """The commit whose files go into the image."""
    torch: str = "cpu"
    """Or `cuda`."""
    cached: bool = True
    """False: every step runs again."""


def build_all(recipes: Sequence[Recipe], out: Path, engine: Engine) -> list[Image]:
    """Build these images, two at a time: one waits for packages while another compiles.

    Raises:
        BuildError: as `build`, of the first that failed.
    """
    with ThreadPoolExecutor(AT_ONCE) as threads:
        return list(threads.map(partial(build, out=out, engine=engine), recipes))


def build(recipe: Recipe, out: Path, engine: Engine) -> Image:
    """Build `enigma-{image}`, load it into the engine and write its archive and its SBOM to the folder `out`.

    Raises:
        BuildError: the base has no digest, or a step failed.
    """
    layers = base_layers(engine, recipe.base)
    name = f"enigma-{recipe.image}"
    commit = _git("rev-parse", f"{recipe.revision}^{{commit}}")
    tag = f"{name}:{commit[:12]}"
    created = int(_git("log", "-1", "--format=%ct", commit))
    out.mkdir(parents=True, exist_ok=True)
    arguments = {
        "PYTHON_IMAGE": recipe.base,
        "COMMIT": commit,
        **({"LOCK": lock_digest(recipe.image, commit)} if recipe.image in LOCKS else {}),
        **({"TORCH": recipe.torch} if recipe.image == "tasks" else {}),
    }
    archive, sbom = out / f"{name}.tar", out / f"{name}.cdx.json"
    with tempfile.TemporaryDirectory(dir=out) as folder:
        saved = Path(folder, "saved.tar")
        built = _run(engine, recipe, commit, arguments, Path(folder))
        engine.run("save", "--output", str(saved), built)
        written = without_build_times(saved, archive, tag, layers, created)
    engine.run("load", "--quiet", "--input", str(archive))
    if built != written.config:
        engine.run("rmi", built)
    licences = declared_licences(_file(commit, "requirements/licences.tsv").decode())
    sbom.write_text(_sbom(engine, recipe.image, tag, licences))
    return Image(name, tag, archive, sbom, written)


def _sbom(engine: Engine, image: str, tag: str, licences: dict[str, str]) -> str:
    """The CycloneDX list of the Python packages that the build wrote, completed."""

    def inside(*words: str) -> str:
        return engine.run("run", "--rm", "--network", "none", "--entrypoint", words[0], tag, *words[1:])

    packages = inside("dpkg-query", "--show", "--showformat", "${Package}\t${Version}\t${Architecture}\n")
    return completed(inside("cat", SBOM[image]) if image in SBOM else EMPTY, packages, licences)


def base_layers(engine: Engine, base: str) -> list[str]:
    """The digests of the base's layers; it is pulled if it has a digest and is not there.

    Raises:
        BuildError: it comes from a registry and is not named by its digest.
    """
    if "@sha256:" in base:
        try:
            engine.run("image", "inspect", base)
        except BuildError:
            engine.run("pull", "--quiet", base)
    try:
        (found,) = json.loads(engine.run("image", "inspect", base))
    except BuildError:
        raise BuildError(
            f"{base}: not there, and without a digest it is not pulled: name it as image@sha256:..."
        ) from None
    if found.get("RepoDigests") and "@sha256:" not in base:
        raise BuildError(f"{base}: a tag moves; name its digest: {found['RepoDigests'][0]}")
    return list(found["RootFS"]["Layers"])


def lock_digest(image: str, commit: str) -> str:
    """SHA-256 of the lock that an image holds."""
    return f"sha256:{hashlib.sha256(_file(commit, LOCKS[image])).hexdigest()}"


def _file(commit: str, path: str) -> bytes:
    return subprocess.run(["git", "show", f"{commit}:{path}"], cwd=ROOT, capture_output=True, check=True).stdout


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BuildError(f"git {words[0]} failed: {done.stderr.strip()}")
    return done.stdout.strip()


def _run(engine: Engine, recipe: Recipe, commit: str, arguments: dict[str, str], folder: Path) -> str:
    """Build; returns the id of what was built."""
    identity = folder / "id"
    options = ["--network", "host", "--iidfile", str(identity), "--file", f"docker/{recipe.image}.Dockerfile"]
    options += [] if recipe.cached else ["--no-cache"]
    options += [word for name, value in arguments.items() for word in ("--build-arg", f"{name}={value}")]
    options += [word for name in PROXIES if name in os.environ for word in ("--build-arg", name)]
    with (
        _secrets(folder) as secrets,
        subprocess.Popen(["git", "archive", commit], cwd=ROOT, stdout=subprocess.PIPE) as context,
    ):
        engine.run("build", *options, *secrets, "-", stdin=context.stdout)
    return identity.read_text().strip()


@contextmanager
def _secrets(folder: Path) -> Iterator[list[str]]:
    """How this machine reaches packages (authorities, index, wheels), as options of a build that keeps none of it."""
    values: dict[str, str] = {}
    options: list[str] = []
    if bundle := os.environ.get("SSL_CERT_FILE") or os.environ.get("PIP_CERT"):
        options += ["--secret", f"id=ca,src={bundle}"]
    if index := os.environ.get("PIP_INDEX_URL"):
        values["index"] = index
    links = os.environ.get("PIP_FIND_LINKS", "").split()
    folders = [link for link in links if Path(link).is_dir()]
    with _page(folders[0] if folders else None) as address:
        if address or links:
            values["links"] = address or links[0]
        for name, value in values.items():
            file = folder / name
            file.touch(mode=0o600)
            file.write_text(value)
            options += ["--secret", f"id={name},src={file}"]
        yield options


@contextmanager
def _page(folder: str | None) -> Iterator[str]:
    """A folder as a page on loopback, which a build can reach; empty without a folder."""
    if folder is None:
        yield ""
        return

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
