"""params.yaml and its overrides as they should not be: one error each."""

from __future__ import annotations

from pathlib import Path

import pytest

from enigma_tasks.config import load_params
from enigma_tasks.errors import UsageError

PARAMS = Path(__file__).parents[2] / "params.yaml"
UNREADABLE = [
    "a: [",
    "a: 2026-13-45",
    f"a: {'9' * 5000}",
    "a: !!bool 7",
    "a: !!int ''",
    "a: !!timestamp x",
    "a: !!python/object:os.system {}",
    "? [a]\n: 7",
    'a: "\\ud800"',
    "a: " + "[" * 2000 + "]" * 2000,
    "\0",
]


@pytest.mark.parametrize("text", UNREADABLE)
def test_what_yaml_cannot_read_is_a_usage_error(text: str, tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(UsageError, match="is not YAML"):
        load_params(tmp_path / "params.yaml")


@pytest.mark.parametrize("text", ["", "7", "[a, b]", "text"])
def test_a_file_without_sections_is_a_usage_error(text: str, tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(UsageError, match="has no sections"):
        load_params(tmp_path / "params.yaml", ["seed=7"])


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("seed", "--set takes"),
        ("seed.x=1", "no section"),
        *((f"seed={t.partition(': ')[2]}", "is not YAML") for t in UNREADABLE[:7]),
    ],
)
def test_an_override_that_cannot_be_applied_is_a_usage_error(override: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        load_params(PARAMS, [override])
