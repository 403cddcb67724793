"""Every row of docs/gold.md on what is read of Label Studio and doccano, tried; and those of other tools, listed."""

from __future__ import annotations

import json
import re
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enigma_tasks.documents import EntityType
from enigma_tasks.formats.imports import read_export
from tests.unit.import_cases import LABEL_STUDIO
from tests.unit.import_cases_brat import BRAT
from tests.unit.import_cases_doccano import DOCCANO
from tests.unit.import_cases_inception import INCEPTION

if TYPE_CHECKING:
    from tests.unit.import_builders import Case, Outcome

CASES = LABEL_STUDIO | DOCCANO
GUIDE = Path(__file__).parents[2] / "docs" / "gold.md"


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_an_export_is_read_right_or_refused_by_its_rule(case: Case) -> None:
    found = read_export(case.name, case.data, "es", frozenset(EntityType))
    outcomes = [tuple(e.text for e in f.document.entities) if f.document else f.defects[0].rule for f in found]
    assert outcomes == case.outcomes


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_no_message_holds_a_word_of_the_note(case: Case) -> None:
    for one in read_export(case.name, case.data, "es", frozenset(EntityType)):
        for defect in one.defects:
            message = f"{defect} {defect.hint} {one.document_id}"
            assert not re.search(r"asma|fiebre|bronquial|neumon|Tiene|severa\b", message)


TABLES: dict[str, dict[str, list[Outcome]]] = {
    "Label Studio": {name: case.outcomes for name, case in LABEL_STUDIO.items()},
    "doccano": {name: case.outcomes for name, case in DOCCANO.items()},
    "BRAT": {name: list(case.outcomes.values()) for name, case in BRAT.items()},
    "INCEpTION and WebAnno": {name: case.outcomes for name, case in INCEPTION.items()},
}


@pytest.mark.parametrize("tool", TABLES)
def test_the_guide_lists_every_case_with_its_rules(tool: str) -> None:
    section = re.split(r"^#+ ", GUIDE.read_text(), flags=re.MULTILINE)
    (own,) = [part for part in section if part.startswith(f"{tool}\n")]
    rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in own.splitlines() if row.startswith("|")]
    assert all(re.search(r"`[^`]+`", tests) for _, _, tests in rows[2:]), "a row without a test"
    listed = {case: outcome for _, outcome, tests in rows[2:] for case in re.findall(r"`([^`]+)`", tests)}
    functions = {name for name in listed if name.startswith("test_")}
    sources = "".join(path.read_text() for path in GUIDE.parents[1].glob("tests/*/test_*.py"))
    assert all(f"def {name}(" in sources for name in functions)
    assert set(listed) - functions == set(TABLES[tool])
    for name, outcomes in TABLES[tool].items():
        rules = {outcome for outcome in outcomes if isinstance(outcome, str)}
        assert rules <= set(re.findall(r"`([^`]+)`", listed[name])), name


junk = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=4)
    | st.just([])
    | st.just({})
    | st.just([[1]])
)


def places(tree: Any) -> list[tuple[Any, Any]]:
    """(container, key) of every value inside."""
    items = list(tree.items()) if isinstance(tree, dict) else list(enumerate(tree)) if isinstance(tree, list) else []
    return [place for key, value in items for place in [(tree, key), *places(value)]]


@settings(max_examples=300)
@given(st.sampled_from([c for c in CASES.values() if not isinstance(c.content, bytes)]), junk, junk, st.data())
def test_a_value_that_is_something_else_is_a_refusal_and_never_a_crash(
    case: Case, first: Any, second: Any, data: st.DataObject
) -> None:
    tree = json.loads(case.data)
    for value in (first, second):
        if found := places(tree):
            container, key = data.draw(st.sampled_from(found))
            container[key] = deepcopy(value)
    for one in read_export(case.name, json.dumps(tree).encode(), "es", frozenset(EntityType)):
        assert (one.document is None) == bool(one.defects)


@given(
    st.sampled_from([c for c in CASES.values() if isinstance(c.content, bytes)]),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=3),
)
def test_a_byte_that_is_another_is_a_refusal_and_never_a_crash(case: Case, changes: list[tuple[float, int]]) -> None:
    data = bytearray(case.data)
    for at, byte in changes:
        data[min(int(at * len(data)), len(data) - 1)] = byte
    for one in read_export(case.name, bytes(data), "es", frozenset(EntityType)):
        assert (one.document is None) == bool(one.defects)
