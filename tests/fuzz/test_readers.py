"""Damaged and forged files of every reader end in a result or a typed error, and no message quotes a text."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING

import pytest

from tests.fuzz.gold_readers import GOLD_READERS
from tests.fuzz.model_readers import MODEL_READERS
from tests.fuzz.reader import try_case
from tests.fuzz.stored_readers import STORED_READERS

if TYPE_CHECKING:
    from collections.abc import Iterator

READERS = GOLD_READERS | STORED_READERS | MODEL_READERS
SEED = int(os.environ.get("SEED") or 1)
CASE = os.environ.get("CASE", "")
MUTANTS = 50_000
FEW = 100
"""Of a reader of weight 1, in `make test`."""
SHOWN = 20
NAMES = [pytest.param(n, marks=pytest.mark.training) if n in MODEL_READERS else n for n in READERS]


def cases(total: int) -> Iterator[str]:
    """So many cases over all readers, by their weights."""
    weights = sum(reader.weight for reader in READERS.values())
    for name, reader in READERS.items():
        yield from (f"{name}:{SEED}:{n}" for n in range(math.ceil(total * reader.weight / weights)))


@pytest.mark.parametrize("name", NAMES)
def test_some_mutants_of_each_reader(name: str) -> None:
    outcomes = {try_case(READERS, f"{name}:1:{n}") for n in range(math.ceil(FEW * READERS[name].weight))}
    assert frozenset() in outcomes
    assert len(outcomes) > 1, "no mutant is refused"


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_many_mutants() -> None:
    """`CASE=doccano:1:166` plays one, `SEED=2` others."""
    played = [CASE] if CASE else list(cases(MUTANTS))
    print(f"seed {SEED}, {len(played)} mutants of {len(READERS)} readers")  # noqa: T201
    failed: list[str] = []
    for case in played:
        try:
            try_case(READERS, case)
        except AssertionError as error:
            if CASE:
                raise
            failed.append(str(error))
    assert not failed, f"{len(failed)} of {len(played)}:\n" + "\n".join(failed[:SHOWN])
