"""`make images` where there is no engine or nothing to build on: it says what is missing."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from infra.images import engine
from infra.images.__main__ import main
from infra.images.build import BuildError, Engine
from infra.images.engine import BASE, base_image, running_engine

if TYPE_CHECKING:
    from pathlib import Path


def stand_in(folder: Path, script: str) -> str:
    command = folder / "docker"
    command.write_text(f"#!/bin/sh\n{script}\n")
    command.chmod(0o755)
    return str(command)


@pytest.fixture
def user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.delenv("DOCKER_HOST", raising=False)


@pytest.mark.usefixtures("user")
def test_without_an_engine_the_command_says_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in (str(tmp_path / "none"), stand_in(tmp_path, "exit 1")):
        assert main(["--docker", command, "--out", str(tmp_path / "out")]) == 1
        assert "needs a running Docker engine; as root on Debian, it is made here" in capsys.readouterr().err


@pytest.mark.usefixtures("user")
def test_without_an_image_to_build_on_the_command_says_what_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--docker", stand_in(tmp_path, "exit 0"), "--out", str(tmp_path / "out")]) == 1
    assert "needs an image to build on: BASE=..." in capsys.readouterr().err


def test_an_engine_that_was_named_and_does_not_answer_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    monkeypatch.setattr(engine, "_install", lambda *_: pytest.fail("an engine was installed"))
    with pytest.raises(BuildError, match="no Docker engine answers at DOCKER_HOST"), running_engine("docker", tmp_path):
        pass


def test_the_engine_that_answers_and_the_base_that_is_there_are_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setattr(engine, "_install", lambda *_: pytest.fail("something was installed"))
    command = stand_in(tmp_path, '[ "$1" = version ] || echo 0123456789ab')
    with running_engine(command, tmp_path) as (found, started):
        assert found == Engine(command)
        assert started is None
        assert base_image(found) == BASE


def test_a_base_that_cannot_be_made_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "_install", lambda *_: None)
    (tmp_path / "debootstrap").write_text("#!/bin/sh\necho E: no such suite >&2\nexit 1\n")
    (tmp_path / "debootstrap").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(BuildError, match="debootstrap failed:\nE: no such suite"):
        base_image(Engine(stand_in(tmp_path, "exit 0")))
