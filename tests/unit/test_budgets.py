"""The cost of every reader, rule, splitter, post-processor and scorer grows at most as n log n with its input."""

from __future__ import annotations

from pathlib import Path

import pytest

from enigma_tasks import errors
from tests.unit import (
    budget_augmentation,
    budget_formats,
    budget_gold,
    budget_imports,
    budget_limits,
    budget_notes,
    budget_spans,
    budget_texts,
    budgets,
)
from tests.unit.budgets import CASES, LIMIT, Case, growth

SOURCES = (
    *(budget_augmentation, budget_formats, budget_gold, budget_imports, budget_notes, budget_spans),
    *(budget_limits, budget_texts),
)
FOLDERS = (
    "formats",
    "formats/imports",
    "gold",
    "notes",
    "ner",
    "ner/text",
    "ensembles",
    "members",
    "monitoring",
    "augmentation",
)
WITHOUT_CASES = {
    "reads files, all of them for a function that has cases": (
        *("formats.corpus_reader", "formats.imports.inception_layers"),
    ),
    "a record of the night's own, or counts: its form is checked, and it holds nothing from outside": (
        *("gold.refusals", "gold.summaries", "notes.commits", "notes.signing", "monitoring.review_manifest"),
    ),
    "models and their files, which only an administrator chooses": (
        *("ner.base_models", "ner.digests", "ner.model_files", "ner.model_folder", "ner.model_groups", "ner.pickles"),
        *("ensembles.card", "ensembles.folder", "ensembles.loaded_members", "ensembles.named", "ensembles.teachers"),
        *("ensembles.recorded_scores", "ensembles.voting_rule"),
    ),
    "runs a model on windows of bounded length; what it does with spans has cases of its own": (
        *("ner.batching", "ner.engine", "ensembles.runner", "members.gliner", "members.gliner_training"),
    ),
    "fits on dev by functions that have cases": (
        *("ensembles.calibration", "ensembles.candidates", "ensembles.dev_calibration", "ensembles.dev_sets"),
        *("ensembles.expected_matches", "ensembles.fitting", "ner.dev_scores"),
    ),
    "terms and rules that an administrator chooses; each sentence of a paraphrase is a request to a model": (
        *("augmentation.inflection", "augmentation.paraphrase"),
    ),
    "statistics of counts, by numpy": (
        *("monitoring.control_chart", "monitoring.drift", "monitoring.estimated_f1", "monitoring.f1_sums"),
        *("monitoring.measures", "monitoring.moments", "monitoring.reviewed"),
    ),
}
"""Why -> modules of those folders that have no case."""


@pytest.mark.slow
@pytest.mark.parametrize("one", CASES, ids=lambda one: one.name)
def test_four_times_the_input_costs_less_than_six_times(one: Case) -> None:
    found = growth(one)
    assert max(found.lines, found.seconds) < LIMIT, f"{found.lines:.1f} times the lines, {found.seconds:.1f} the time"


def test_every_module_that_meets_input_has_a_case() -> None:
    top = Path(errors.__file__).parent
    modules = {
        f"{folder.replace('/', '.')}.{path.stem}".removesuffix(".__init__")
        for folder in FOLDERS
        for path in (top / folder).glob("*.py")
        if "\ndef " in path.read_text() or "\nclass " in path.read_text()
    }
    excused = {module for group in WITHOUT_CASES.values() for module in group}
    measured = {one.module for one in CASES}
    assert not excused - modules, "a module of another name"
    assert not excused & measured, "it has a case"
    assert not modules - excused - measured, "write a case for it, see tests/unit/budgets.py"


def test_what_grows_faster_exceeds_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both measures: lines of the package, and time in C."""

    def pairs(n: int) -> None:
        from enigma_tasks.documents import canonical_label

        for _ in range(n * n // 100):
            canonical_label("x")

    def searches(n: int) -> None:
        text = "x" * (1000 * n)
        for _ in range(n):
            text.count("xy")

    def sums(n: int) -> None:
        sorted(range(n * 100), key=lambda i: -i)

    assert growth(Case(sums, lambda n: lambda: sums(n), 50)).seconds < LIMIT
    monkeypatch.setattr(budgets, "_TRIES", 1)  # each try of these takes longer
    assert growth(Case(pairs, lambda n: lambda: pairs(n), 50)).lines >= LIMIT
    assert growth(Case(searches, lambda n: lambda: searches(n), 50)).seconds >= LIMIT
