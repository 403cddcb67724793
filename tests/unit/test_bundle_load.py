"""`load.py` on the other side: what was changed, added, left out or signed by another key is refused by name."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tarfile
from typing import TYPE_CHECKING, Any

import pytest

from infra.bundle.load import CONTENTS, MANIFEST, SIGNATURE, Refused, listed, load
from tests.unit.bundle_builders import (
    COMMITTED,
    ROOT,
    key_pair,
    rewritten,
    signed,
    stand_in_docker,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LOADER = ROOT / "infra/bundle/load.py"
MODEL = {"base": "org/tiny", "folder": "models/org--tiny", "licence": "x", "revision": None}
FILES = {"models/org--tiny/config.json": b"{}", "models/org--tiny/model.safetensors": b"weights"}


class Site:
    """A place without internet: a public key, Docker (a stand-in), a folder for the bundle and a model store."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.private, self.public = key_pair(folder)
        self.docker = stand_in_docker(folder)
        self.target = folder / "loaded"
        self.store = folder / "store"

    def load(self, bundle: Path, **changes: Any) -> list[str]:
        given = {"key": self.public, "models": self.store, "docker": str(self.docker), **changes}
        return load(bundle, self.target, **given)

    def calls(self) -> list[str]:
        noted = self.folder / "calls"
        return noted.read_text().splitlines() if noted.exists() else []

    def is_untouched(self) -> bool:
        return (
            not self.calls()
            and not self.target.exists()
            and not list(self.folder.glob(".*"))
            and not self.store.exists()
        )


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_a_bundle_is_unpacked_its_images_loaded_and_its_models_copied_with_a_stand_in_for_docker(site: Site) -> None:
    said = site.load(signed(site.folder, site.private, FILES, models=[MODEL]))
    unfinished = site.folder / ".loaded.loading"
    assert site.calls() == [
        f"load --quiet --input {unfinished}/images/one.tar",
        "image inspect --format {{.Id}} enigma-tasks:x",
    ]
    assert not unfinished.exists()
    assert (site.store / "org--tiny/model.safetensors").read_bytes() == b"weights"
    assert [p.name for p in site.store.iterdir()] == ["org--tiny"]
    assert said[0] == f"commit  {'c' * 40}"
    assert "model   org/tiny  copied" in said
    # what is on disk can be checked again, and by hand
    done = subprocess.run(["sha256sum", "--check", "--strict", "--quiet", MANIFEST], cwd=site.target, check=False)
    assert done.returncode == 0


def named(members: list[tuple[tarfile.TarInfo, bytes]], name: str) -> int:
    return [m.name for m, _ in members].index(name)


def tamper(members: list[tuple[tarfile.TarInfo, bytes]], name: str) -> None:
    at = named(members, name)
    members[at] = (members[at][0], members[at][1][:-1] + bytes([members[at][1][-1] ^ 1]))


def leave_out(members: list[tuple[tarfile.TarInfo, bytes]], name: str) -> None:
    del members[named(members, name)]


def add(members: list[tuple[tarfile.TarInfo, bytes]], name: str, kind: bytes = tarfile.REGTYPE, to: str = "") -> None:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, to
    members.append((member, b"" if kind != tarfile.REGTYPE else b"more"))


def replace_by_link(members: list[tuple[tarfile.TarInfo, bytes]], kind: bytes) -> None:
    leave_out(members, "images/one.tar")
    add(members, "images/one.tar", kind, "/etc/hostname")


REFUSED: dict[str, tuple[Callable[[list[tuple[tarfile.TarInfo, bytes]]], None], str]] = {
    "tampered byte": (lambda m: tamper(m, "images/one.tar"), r"^images/one.tar: changed"),
    "tampered manifest": (lambda m: tamper(m, MANIFEST), r"^MANIFEST: the signature is not by the key"),
    "tampered signature": (lambda m: tamper(m, SIGNATURE), r"^MANIFEST: the signature is not by the key"),
    "missing file": (lambda m: leave_out(m, "images/one.tar"), r"^images/one.tar: missing"),
    "unsigned": (lambda m: leave_out(m, SIGNATURE), r"^MANIFEST.sig: missing"),
    "without a manifest": (lambda m: leave_out(m, MANIFEST), r"^MANIFEST: missing"),
    "empty": (lambda m: m.clear(), r"^MANIFEST: missing"),
    "added file": (lambda m: add(m, "images/two.tar"), r"^'images/two.tar': not named by MANIFEST"),
    "file twice": (lambda m: m.append(m[named(m, "images/one.tar")]), r"^images/one.tar: there twice"),
    "manifest twice": (lambda m: m.append(m[0]), r"^'MANIFEST': not named"),
    "symbolic link": (lambda m: replace_by_link(m, tarfile.SYMTYPE), r"^'images/one.tar': not a plain file"),
    "hard link": (lambda m: replace_by_link(m, tarfile.LNKTYPE), r"^'images/one.tar': not a plain file"),
    "folder that is a link": (lambda m: add(m, "wheels", tarfile.SYMTYPE, "/"), r"^'wheels': not a plain file"),
    "device": (lambda m: add(m, "wheels/x", tarfile.CHRTYPE), r"^'wheels/x': not a plain file"),
    "path outside": (lambda m: add(m, "../outside"), r"^'../outside': not named"),
    "absolute path": (lambda m: add(m, "/tmp/outside"), r"^'/tmp/outside': not named"),
    "name with a control character": (lambda m: add(m, "a\x1b[2J"), r"^'a\\x1b\[2J': not named"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_changed_bundle_is_refused_by_name_and_nothing_is_loaded(site: Site, case: str) -> None:
    change, message = REFUSED[case]
    bundle = signed(site.folder, site.private, FILES, models=[MODEL])
    with pytest.raises(Refused, match=message):
        site.load(rewritten(bundle, change))
    assert site.is_untouched()
    assert not (site.folder.parent / "outside").exists()


def test_a_rewritten_bundle_without_a_change_is_loaded(site: Site) -> None:
    site.load(rewritten(signed(site.folder, site.private), lambda _: None))


def test_another_key_is_refused(site: Site) -> None:
    _, other = key_pair(site.folder, "other")
    with pytest.raises(Refused, match=r"^MANIFEST: the signature is not by the key .*other.pub"):
        site.load(signed(site.folder, site.private), key=other)
    with pytest.raises(Refused, match=r"nothing.pub: no such public key"):
        site.load(signed(site.folder, site.private), key=site.folder / "nothing.pub")
    assert site.is_untouched()


@pytest.mark.parametrize("share", [0.3, 0.6])
def test_a_bundle_that_was_cut_off_is_refused(site: Site, share: float) -> None:
    bundle = signed(site.folder, site.private, {"wheels/one.whl": os.urandom(200_000)})
    data = bundle.read_bytes()
    bundle.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(Refused):
        site.load(bundle)
    assert site.is_untouched()


def test_what_is_no_archive_is_refused(site: Site) -> None:
    (site.folder / "x.tar").write_bytes(b"PK" * 5000)
    with pytest.raises(Refused, match="not a whole tar archive"):
        site.load(site.folder / "x.tar")


GOOD = f"{'0' * 64}  {CONTENTS}\n"


@pytest.mark.parametrize(
    "line",
    [
        f"{'0' * 64}  ../outside", f"{'0' * 64}  /etc/passwd", f"{'0' * 64}  a/../../b", f"{'0' * 64}  .hidden",
        f"{'0' * 64}  a//b", f"{'0' * 64}  {MANIFEST}", f"{'0' * 63}  a", f"{'0' * 64} a", f"{'0' * 64}  a\\nb", "",
    ],
)  # fmt: skip
def test_a_signed_manifest_may_not_name_a_place_outside(line: str) -> None:
    assert listed(GOOD.encode()) == {CONTENTS: "0" * 64}
    with pytest.raises(Refused, match=r"^MANIFEST, line 2: not a SHA-256 and a name"):
        listed(f"{GOOD}{line}\n".encode())


def test_a_manifest_names_each_file_once_and_the_list_of_contents() -> None:
    with pytest.raises(Refused, match=r"line 2: a name for the second time"):
        listed((GOOD * 2).encode())
    with pytest.raises(Refused, match=r"does not name bundle.json"):
        listed(b"")


def test_an_engine_that_has_another_image_after_loading_is_refused_with_a_stand_in_for_docker(site: Site) -> None:
    stand_in_docker(site.folder, "sha256:other")
    with pytest.raises(Refused, match=r"^enigma-tasks:x: the engine has sha256:other"):
        site.load(signed(site.folder, site.private))
    assert not site.target.exists()
    stand_in_docker(site.folder, "sha256:m")  # the digest of the manifest, as engines with containerd's store say
    site.load(signed(site.folder, site.private))


def test_an_engine_that_is_not_there_or_fails_is_named(site: Site) -> None:
    bundle = signed(site.folder, site.private)
    with pytest.raises(Refused, match="no-docker: no such command"):
        site.load(bundle, docker="no-docker")
    site.docker.write_text("#!/bin/sh\necho 'permission denied' >&2\nexit 1\n")
    with pytest.raises(Refused, match=r"docker load` failed: permission denied"):
        site.load(bundle)


def test_a_model_that_is_there_stays_and_one_that_differs_is_refused_before_any_image_is_loaded(site: Site) -> None:
    bundle = signed(site.folder, site.private, FILES, models=[MODEL])
    site.load(bundle)
    site.target.rename(site.folder / "first")
    assert "model   org/tiny  was there" in site.load(bundle)
    site.target.rename(site.folder / "second")
    (site.store / "org--tiny/model.safetensors").write_bytes(b"others")
    (site.folder / "calls").unlink()
    with pytest.raises(Refused, match=r"org--tiny: has other files than the bundle's org/tiny"):
        site.load(bundle)
    assert not site.calls()
    with pytest.raises(Refused, match="--models"):
        site.load(bundle, models=None)


def test_a_folder_that_is_there_is_refused_and_what_a_killed_attempt_left_is_not(site: Site) -> None:
    bundle = signed(site.folder, site.private)
    left = site.folder / ".loaded.loading/images"
    left.mkdir(parents=True)
    (left / "one.tar").write_bytes(b"half")
    site.load(bundle)
    with pytest.raises(Refused, match="loaded is there already"):
        site.load(bundle)


def run(*words: object) -> subprocess.CompletedProcess[str]:
    """`load.py` as the other side runs it: alone, without site-packages."""
    command = [sys.executable, "-I", "-S", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")


def test_the_command_needs_nothing_of_enigma_and_its_exit_code_says_what_happened(site: Site) -> None:
    alone = site.folder / "load.py"
    alone.write_bytes(LOADER.read_bytes())
    bundle = signed(site.folder, site.private)
    words = (alone, bundle, site.target, "--key", site.public, "--docker", site.docker)
    changed = rewritten(bundle, lambda members: tamper(members, "images/one.tar"))
    refused = run(alone, changed, *words[2:])
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith("not loaded: images/one.tar: changed")
    assert "Traceback" not in refused.stderr
    done = run(*words)
    assert (done.returncode, done.stderr) == (0, "")
    assert run(alone, bundle, site.target).returncode == 2  # no key
    assert run(alone, site.folder / "none.tar", site.folder / "new", *words[3:]).returncode == 1


def test_the_loader_imports_the_standard_library_alone() -> None:
    imported = {
        name.split(".")[0]
        for node in ast.walk(ast.parse(LOADER.read_bytes()))
        for name in (
            [a.name for a in node.names] if isinstance(node, ast.Import)
            else [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        )
    }  # fmt: skip
    assert imported - {"__future__"} <= set(sys.stdlib_module_names)


def test_the_commands_that_the_page_gives_for_checking_by_hand_check(site: Site) -> None:
    """The first steps of docs/air-gap.md, run as they are printed there."""
    page = (ROOT / "docs/air-gap.md").read_text()
    (block,) = re.findall(r"```sh by hand\n(.*?)```", page, re.DOTALL)
    assert block.count("\n") == 3
    bundle = signed(site.folder, site.private, {"load.py": LOADER.read_bytes()})
    for number, (archive, code) in enumerate(
        {
            bundle: 0,
            rewritten(bundle, lambda members: tamper(members, "load.py")): 1,
        }.items()
    ):
        place = site.folder / str(number)
        place.mkdir()
        (place / "enigma-COMMIT.tar").write_bytes(archive.read_bytes())
        (place / "enigma.pub").write_bytes(site.public.read_bytes())
        done = subprocess.run(["sh", "-ec", block], cwd=place, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stderr
        assert ("load.py: OK" in done.stdout) is (code == 0)
        assert "Signature Verified Successfully" in done.stdout
        assert {p.name for p in place.iterdir()} == {"enigma-COMMIT.tar", "enigma.pub", MANIFEST, SIGNATURE, "load.py"}


def test_the_archive_has_one_time_no_owner_and_begins_with_the_signed_manifest(site: Site) -> None:
    bundle = signed(site.folder, site.private, FILES)
    with tarfile.open(bundle) as tar:
        members = tar.getmembers()
    assert [m.name for m in members[:3]] == [MANIFEST, SIGNATURE, CONTENTS]
    assert {(m.mtime, m.uid, m.gid, m.uname, m.gname, m.mode) for m in members} == {(COMMITTED, 0, 0, "", "", 0o644)}
    first = bundle.read_bytes()
    assert signed(site.folder, site.private, FILES).read_bytes() == first
