"""An image without the times of its build: equal for equal files, and what was built on stays as it is."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from typing import TYPE_CHECKING, Any

import pytest

from infra.images.archive import FILE_TIME, without_build_times
from infra.images.sbom import EMPTY, completed, declared_licences

if TYPE_CHECKING:
    from pathlib import Path

COMMITTED = 1_790_000_000


def archive(files: dict[str, bytes], at: float, **extra: str) -> bytes:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mtime, member.uname = len(content), at, "builder"
            member.pax_headers = {"mtime": str(at + 0.25), **extra}
            tar.addfile(member, io.BytesIO(content))
    return written.getvalue()


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def saved(path: Path, at: float, text: bytes = b"one") -> tuple[Path, str]:
    """An image as `docker save` writes it, built at a time; and the digest of the layer that it was built on."""
    base = archive({"etc/os": b"debian"}, 5.0)
    own = archive({"app/code": text}, at, **{"SCHILY.xattr.user.kept": "yes"})
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"User": "10001"},
        "created": f"2026-01-01T00:00:00.{int(at)}Z",
        "docker_version": f"{at}",
        "history": [{"created_by": "RUN", "created": f"{at}"}],
        "rootfs": {"type": "layers", "diff_ids": [digest(base), digest(own)]},
    }
    manifest = [{"Config": "c.json", "RepoTags": None, "Layers": ["1/layer.tar", "2/layer.tar"]}]
    files = {"c.json": json.dumps(config), "manifest.json": json.dumps(manifest)}
    path.write_bytes(
        archive({**{k: v.encode() for k, v in files.items()}, "1/layer.tar": base, "2/layer.tar": own}, at)
    )
    return path, digest(base)


def read(path: Path) -> dict[str, Any]:
    with tarfile.open(path) as tar:
        return {m.name: tar.extractfile(m).read() for m in tar}  # type: ignore[union-attr]


def test_builds_at_different_times_give_the_same_bytes(tmp_path: Path) -> None:
    results = []
    for at in (10.0, 20.0):
        image, base = saved(tmp_path / f"{at}.tar", at)
        out = tmp_path / f"{at}-out.tar"
        results.append((without_build_times(image, out, "enigma:x", [base], COMMITTED), out.read_bytes()))
    assert results[0] == results[1]
    other, base = saved(tmp_path / "other.tar", 10.0, text=b"two")
    written = without_build_times(other, tmp_path / "other-out.tar", "enigma:x", [base], COMMITTED)
    assert written.manifest != results[0][0].manifest


def test_the_archive_is_read_as_oci_layout_and_by_docker_load(tmp_path: Path) -> None:
    image, base = saved(tmp_path / "in.tar", 10.0)
    written = without_build_times(image, tmp_path / "out.tar", "enigma:x", [base], COMMITTED)
    files = read(tmp_path / "out.tar")
    for name, data in files.items():
        if name.startswith("blobs/"):
            assert digest(data) == name.removeprefix("blobs/").replace("/", ":")
    (entry,) = json.loads(files["index.json"])["manifests"]
    assert entry["digest"] == written.manifest
    manifest = json.loads(files[f"blobs/{written.manifest.replace(':', '/')}"])
    config = json.loads(files[f"blobs/{written.config.replace(':', '/')}"])
    assert manifest["config"]["digest"] == written.config
    assert config["created"] == config["history"][0]["created"] == "2026-09-21T14:13:20Z"
    assert "docker_version" not in config
    layers = [layer["digest"] for layer in manifest["layers"]]
    assert layers == config["rootfs"]["diff_ids"]
    assert layers[0] == base
    (legacy,) = json.loads(files["manifest.json"])
    assert legacy["RepoTags"] == ["enigma:x"]
    assert [f"sha256:{name.rpartition('/')[2]}" for name in legacy["Layers"]] == layers
    with tarfile.open(fileobj=io.BytesIO(files[legacy["Layers"][1]])) as layer:
        (member,) = layer
        assert (member.name, member.mtime, member.uname) == ("app/code", FILE_TIME, "")
        assert member.pax_headers == {"SCHILY.xattr.user.kept": "yes"}


def test_an_archive_that_lacks_a_layer_is_an_error(tmp_path: Path) -> None:
    image, base = saved(tmp_path / "in.tar", 10.0)
    files = read(image)
    del files["2/layer.tar"]
    image.write_bytes(archive(files, 10.0))
    with pytest.raises(KeyError):
        without_build_times(image, tmp_path / "out.tar", "enigma:x", [base], COMMITTED)


def test_debians_packages_are_added_in_order() -> None:
    listed = json.loads(completed(EMPTY, "zlib1g\t1:1.2\tamd64\ng++\t4:12\tamd64\n", {}))
    assert [c["name"] for c in listed["components"]] == ["g++", "zlib1g"]
    assert listed["components"][1]["purl"] == "pkg:deb/debian/zlib1g@1:1.2?arch=amd64"


def test_a_licence_that_the_tool_did_not_read_is_taken_from_the_table() -> None:
    table = "package\tlicence\tenvironments\nDVC_http\tApache 2.0\ttasks\nhuey\tnot declared\ttasks\nrich\tMIT\ttasks\n"
    read = [{"license": {"id": "BSD-3-Clause"}}]
    bom = {"components": [{"name": "dvc-http"}, {"name": "huey"}, {"name": "rich", "licenses": read}]}
    components = json.loads(completed(json.dumps(bom), "", declared_licences(table)))["components"]
    assert [c.get("licenses") for c in components] == [[{"license": {"name": "Apache 2.0"}}], None, read]
