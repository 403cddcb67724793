"""Names from files: none leads out of its folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enigma_tasks.errors import DataError
from enigma_tasks.paths import below, refuse_links


@pytest.mark.parametrize("name", ["a", "a/b.txt", "a/./b", "..a", "a..", "a/...", "señal/é.txt", "a\\..\\b"])
def test_a_name_below_the_folder_is_its_path(tmp_path: Path, name: str) -> None:
    assert below(tmp_path, name, "plan") == tmp_path / name


@pytest.mark.parametrize(
    "name", ["", ".", "./", "..", "../x", "a/../../x", "a/..", "/etc/passwd", "//x", "a\0b", "\ud800", "a" * 256]
)
def test_a_name_that_leaves_the_folder_is_refused_and_not_quoted(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError) as refused:
        below(tmp_path, name, "plan")
    assert (refused.value.record, refused.value.rule) == ("plan", "path_outside")
    assert str(refused.value) == "plan: path_outside"


def test_a_link_out_of_the_folder_is_refused_and_one_within_is_followed(tmp_path: Path) -> None:
    root, other = tmp_path / "root", tmp_path / "other"
    root.mkdir()
    other.mkdir()
    (root / "out").symlink_to(other)
    (root / "loop").symlink_to(root)
    for name in ("out", "out/x", "loop/out/x"):
        with pytest.raises(DataError, match="path_outside"):
            below(root, name, "plan")
    assert below(root, "loop/x", "plan").resolve() == (root / "x").resolve()


def test_a_root_that_is_a_link_itself_is_the_callers(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert below(tmp_path / "link", "x", "plan") == tmp_path / "link/x"


@given(st.text(alphabet=st.sampled_from("./\\a\0é\ud800"), max_size=12))
def test_whatever_the_name_the_path_is_below_or_there_is_an_error(name: str) -> None:
    root = Path("/nowhere/root")
    try:
        path = below(root, name, "plan")
    except DataError:
        return
    assert path.resolve().is_relative_to(root)
    assert path.resolve() != root


@pytest.mark.parametrize("place", ["model.safetensors", "members/a/config.json", "members/folder"])
def test_a_link_anywhere_in_a_folder_is_found(tmp_path: Path, place: str) -> None:
    folder = tmp_path / "model"
    (folder / "members/a").mkdir(parents=True)
    (folder / "members/a/weights").write_text("x")
    refuse_links(folder, "model m")
    (folder / place).symlink_to(tmp_path)
    with pytest.raises(DataError, match="model m: symbolic_link"):
        refuse_links(folder, "model m")
