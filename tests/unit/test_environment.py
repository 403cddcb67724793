"""The environment from standard input, and smaller batches after a want of memory."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest

from enigma_tasks.cli import main
from enigma_tasks.config import load_params, load_settings
from enigma_tasks.environment import take_from_standard_input
from enigma_tasks.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path


def test_variables_come_from_the_first_line() -> None:
    environment = {"ENIGMA_ENVIRONMENT": "stdin", "HOME": "/x"}
    take_from_standard_input(environment, io.StringIO('{"A": "1", "B": "ř"}\nthe rest'))
    assert environment == {"HOME": "/x", "A": "1", "B": "ř"}


def test_without_the_variable_nothing_is_read() -> None:
    environment = {"HOME": "/x"}
    take_from_standard_input(environment, io.StringIO('{"A": "1"}'))
    assert environment == {"HOME": "/x"}


@pytest.mark.parametrize("line", ["", "secret", "[]", '{"A": 1}', '{"A": "secret"'])
def test_anything_else_is_refused_unquoted(line: str) -> None:
    with pytest.raises(UsageError) as error:
        take_from_standard_input({"ENIGMA_ENVIRONMENT": "stdin"}, io.StringIO(line))
    assert "secret" not in str(error.value)
    with pytest.raises(UsageError):
        take_from_standard_input({"ENIGMA_ENVIRONMENT": "file"}, io.StringIO("{}"))


def test_batches_are_halved_and_never_grow() -> None:
    sizes = load_params().annotate
    once, often = sizes.halved(1), sizes.halved(30)
    assert (once.batch_tokens, once.chunk_notes) == (sizes.batch_tokens // 2, sizes.chunk_notes // 2)
    assert (often.batch_tokens, often.read_threads, often.chunk_notes) == (256, 1, 1)
    small = sizes.model_copy(update={"batch_tokens": 64})
    assert small.halved(1).batch_tokens == 64


def test_how_often_memory_was_short_is_a_setting() -> None:
    assert load_settings({"ENIGMA_OUT_OF_MEMORY": "2"}).out_of_memory == 2
    with pytest.raises(UsageError):
        load_settings({"ENIGMA_OUT_OF_MEMORY": "many"})


def test_a_command_that_was_killed_for_want_of_memory_says_how_small_its_batches_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("ENIGMA_OUT_OF_MEMORY", "1")
    assert main(["sample", "--notes", "1", "--language", "es", "--seed", "1", "--out", str(tmp_path)]) == 0
    half = load_params().annotate.batch_tokens // 2
    assert f"killed for want of memory 1 time(s) before: batches of {half} sub-words" in caplog.messages
