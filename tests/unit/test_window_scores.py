"""Scores of windows kept between runs: the same spans, bounded, and of no use without the key or after a change."""

from __future__ import annotations

import sqlite3
import stat
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from enigma_tasks.ner.engine import Engine
from enigma_tasks.ner.model_folder import load_model
from enigma_tasks.ner.window_scores import FILE, WindowScores
from tests.unit.ner_builders import model_folder, notes

if TYPE_CHECKING:
    from pathlib import Path

KEY, OTHER = b"k" * 32, b"o" * 32
VALUES = np.arange(9, dtype=np.float32)


def kept(folder: Path, key: bytes = KEY, limit_mib: int = 1) -> WindowScores:
    return WindowScores(folder, key, limit_mib)


def get(
    scores: WindowScores, window: bytes = b"w", model: str = "m", precision: str = "cpu fp32", values: int = 9
) -> Any:
    return scores.get(model, precision, [window], [values]).get(window)


def test_scores_are_found_again_in_another_process_and_by_no_other_key_model_or_format(tmp_path: Path) -> None:
    kept(tmp_path).put("m", "cpu fp32", {b"w": VALUES})
    again = kept(tmp_path)
    np.testing.assert_array_equal(get(again), VALUES)
    assert (again.found, again.asked) == (1, 1)
    others = [get(again, window=b"v"), get(again, model="n"), get(again, precision="cpu bf16"), get(again, values=6)]
    assert [*others, get(kept(tmp_path, OTHER))] == [None] * 5


def test_the_file_is_private_and_names_no_window(tmp_path: Path) -> None:
    kept(tmp_path / "cache").put("model-digest", "cpu fp32", {b"zanahoria": VALUES})
    assert stat.S_IMODE((tmp_path / "cache").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "cache" / FILE).stat().st_mode) == 0o600
    stored = b"".join(p.read_bytes() for p in (tmp_path / "cache").iterdir())
    assert b"zanahoria" not in stored
    assert b"model-digest" not in stored


def test_what_was_changed_in_the_file_is_not_believed(tmp_path: Path) -> None:
    kept(tmp_path).put("m", "cpu fp32", {b"w": VALUES, b"v": -VALUES})
    with sqlite3.connect(tmp_path / FILE) as file:
        rows = dict(file.execute("SELECT window, scores FROM scores").fetchall())
        swapped = list(zip(rows, reversed(rows.values()), strict=True))
        file.executemany("UPDATE scores SET scores = ?2 WHERE window = ?1", swapped)
    assert [get(kept(tmp_path)), get(kept(tmp_path), window=b"v")] == [None, None]


def test_the_file_is_bounded_and_the_least_recently_used_go_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = {f"{i}".encode(): np.zeros(2_000, dtype=np.float32) for i in range(30)}
    day = 24 * 60 * 60
    for when in range(4):
        monkeypatch.setattr("time.time", lambda when=when: when * day)
        scores = kept(tmp_path)
        if when == 2:
            assert get(scores, b"0 0", values=2_000) is not None  # used again
        scores.put("m", "cpu fp32", {f"{when} ".encode() + k: v for k, v in many.items()})
    assert get(scores, b"0 0", values=2_000) is not None
    assert get(scores, b"0 1", values=2_000) is None
    assert all(get(scores, b"3 " + k, values=2_000) is not None for k in many)
    with sqlite3.connect(tmp_path / FILE) as file:
        (size,) = file.execute("SELECT sum(length(scores)) FROM scores").fetchone()
    assert size < 1 << 20


@pytest.mark.parametrize("damage", ["no database", "a folder"])
def test_a_file_that_cannot_be_used_is_gone_without(
    damage: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    if damage == "a folder":
        (tmp_path / FILE).mkdir()
    else:
        (tmp_path / FILE).write_bytes(b"no database" * 1000)
    scores = kept(tmp_path)
    scores.put("m", "cpu fp32", {b"w": VALUES})
    assert get(scores) is None
    assert "scores of windows are not kept" in caplog.text


@pytest.mark.training
def test_an_engine_with_kept_scores_finds_the_same_and_runs_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = [load_model(model_folder(tmp_path / str(seed), seed=seed, able=True)) for seed in (1, 2)]
    documents = notes(12, first=300)
    expected = Engine(models, 256, "fp32").predict(documents)
    assert any(entities for of_model in expected for entities in of_model)
    passes = []
    for model in models:
        forward = type(model.network).forward
    monkeypatch.setattr(type(models[0].network), "forward", lambda *a: passes.append(1) or forward(*a))
    first = Engine(models, 256, "fp32", kept(tmp_path)).predict(documents[:6])
    assert passes
    second = Engine(models, 256, "fp32", kept(tmp_path)).predict(documents)
    after = len(passes)
    scores = kept(tmp_path)
    third = Engine(models, 256, "fp32", scores).predict(documents)
    assert len(passes) == after
    assert scores.found == scores.asked > 0
    assert first == [of_model[:6] for of_model in expected]
    assert second == expected
    assert third == expected
