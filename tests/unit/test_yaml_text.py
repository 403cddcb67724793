"""YAML that cannot be read, or that a few bytes make endless."""

from __future__ import annotations

import pytest

from enigma_tasks.yaml_text import parsed_yaml

LAUGHS = "\n".join(["a0: &a0 [x, x]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12))])
LONG = f"a: &a {'x' * 10_000}\nb: &b [{', '.join(['*a'] * 1000)}]\nc: [{', '.join(['*b'] * 1000)}]"


@pytest.mark.parametrize("text", [LAUGHS, LONG, "&a [*a]", "a: &a {b: *a}", "[" * 3000 + "]" * 3000, "a: 2026-01-45"])
def test_what_is_no_value_or_far_larger_than_its_text_is_one_exception(text: str) -> None:
    with pytest.raises(ValueError, match="no YAML"):
        parsed_yaml(text)


def test_aliases_of_a_file_by_hand_are_read() -> None:
    assert parsed_yaml("a: &a {b: 1}\nc: *a\nd: [*a, *a]") == {"a": {"b": 1}, "c": {"b": 1}, "d": [{"b": 1}, {"b": 1}]}
