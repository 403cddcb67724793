"""A night whose temporary folder is full: exit code 3, the folder's name, and nothing anywhere else."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
from typing import TYPE_CHECKING

import pytest

from enigma_tasks.cli import main
from enigma_tasks.errors import ServiceError
from tests.integration.night_helpers import PARAMS, Nights

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SIZE = 256 * 1024


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A disk of its own, which TMPDIR names."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("no permission to mount a small disk")
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def fill(folder: Path) -> Path:
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"\0" * 4096)
    return filler


def test_a_night_on_a_full_disk_waits_for_space_and_then_ends_as_usual(
    small: Path, s3_root: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    nights = Nights(monkeypatch)
    nights.drop("es/2026-06-11/a.txt", "Ingresa por neumonía basal.")
    (shard,) = nights.plan("night-1")["shards"]
    filler = fill(small)
    for command in (["annotate", "--shard", shard], ["publish", "--batch", "night-1"]):
        assert main([*command, "--params", str(PARAMS)]) == 3
        assert f"folder {small} cannot be written: no space left on device" in capsys.readouterr().err
    with pytest.raises(ServiceError, match=str(small)):
        nights.annotate(shard)  # full only after the command began
    filler.unlink()
    nights.annotate(shard)
    filler = fill(small)
    with pytest.raises(ServiceError, match=str(small)):
        nights.publish("night-1")
    assert list(small.iterdir()) == [filler], "nothing is left behind"
    filler.unlink()
    assert nights.publish("night-1")["counts"]["annotated"] == 1
