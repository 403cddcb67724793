"""Temporary folders: where TMPDIR says, private, and typed where they cannot be written."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from pathlib import Path

import pytest

from enigma_tasks.cli import main
from enigma_tasks.errors import ServiceError
from enigma_tasks.workfolder import disk_errors, private_folder, require_temporary_root, scratch_folder

PARAMS = Path(__file__).parents[2] / "params.yaml"
UNWRITABLE = ("/proc", "/dev/null", "/nowhere/at/all")
"""Also for root."""


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_private_folder_and_its_files_are_of_this_user_only_and_are_removed(temporary: Path) -> None:
    before = os.umask(0o022)
    try:
        with private_folder() as folder:
            (folder / "text").write_text("t")
            (folder / "deeper").mkdir()
            assert folder.parent == temporary
            assert (mode(folder), mode(folder / "text"), mode(folder / "deeper")) == (0o700, 0o600, 0o700)
        with scratch_folder() as folder:
            (folder / "model").write_text("m")
            assert (mode(folder), mode(folder / "model")) == (0o700, 0o644)
        with pytest.raises(RuntimeError), private_folder():
            raise RuntimeError
        assert os.umask(0o022) == 0o022, "the usual permissions are back"
    finally:
        os.umask(before)
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("place", UNWRITABLE)
def test_a_temporary_folder_that_cannot_be_written_is_named_and_no_other_is_taken(
    temporary: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    assert require_temporary_root() == temporary
    monkeypatch.setenv("TMPDIR", place)
    for attempt in (require_temporary_root, lambda: private_folder().__enter__()):
        with pytest.raises(ServiceError, match=place):
            attempt()
    assert tempfile.gettempdir() == place, "libraries look at no other folder either"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO])
def test_a_disk_that_fails_inside_the_block_is_a_service_error_that_names_the_folder(
    temporary: Path, number: int
) -> None:
    with pytest.raises(ServiceError, match=str(temporary)) as caught, private_folder():
        raise OSError(number, "of a library, perhaps with a text", "surface.txt")
    assert "surface" not in str(caught.value)
    assert list(temporary.iterdir()) == []
    with pytest.raises(FileNotFoundError), private_folder() as folder:
        (folder / "missing").read_text()


def test_a_write_to_a_full_device_is_recognised(temporary: Path) -> None:
    with (
        pytest.raises(ServiceError, match="no space left"),
        disk_errors(temporary),
        Path("/dev/full").open("wb", buffering=0) as full,
    ):
        full.write(b"x")


@pytest.mark.parametrize("command", [["plan", "--batch", "b"], ["publish", "--batch", "b"], ["validate", "none"]])
def test_a_command_ends_with_3_and_names_the_folder_before_it_does_anything(
    temporary: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    monkeypatch.setenv("TMPDIR", "/proc")
    assert main([*command, "--params", str(PARAMS)]) == 3
    assert "folder /proc cannot be written" in capsys.readouterr().err
