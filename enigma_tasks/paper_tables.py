"""The paper's Tables 1 and 2 for whatever systems were evaluated, the paper's figures beside ours.

A system is a member or an ensemble of params.yaml. The paper's figure stands beside ours where language, entity type
and system are the same. Both are strict F1: ours on the gold that was evaluated, the paper's on the shared task's test
set.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import yaml
from pydantic import Field, TypeAdapter

from enigma_tasks.artifacts import EVALUATED, METRICS
from enigma_tasks.documents import EntityType
from enigma_tasks.errors import UsageError
from enigma_tasks.frozen import Frozen

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

PAPER_RESULTS = Path(__file__).with_name("paper_results.yaml")
NOTHING = "-"
STRICT = ("precision", "recall", "f1", "f1_low", "f1_high")


class StrictScore(Frozen):
    """Strict precision, recall and F1 with its 95 % interval, and the number of documents behind them."""

    precision: float
    recall: float
    f1: float
    f1_low: float
    f1_high: float
    documents: int = Field(gt=0)


class SystemScores(Frozen):
    """One system's scores by entity type, on one language's gold."""

    language: str
    system: str
    scores: dict[EntityType, StrictScore]


class Evaluated(Frozen):
    """`evaluated.json`: what the metrics beside it are of."""

    language: str
    """A code, or `all`."""
    system: str
    """A member or an ensemble of params.yaml; its members where it is neither."""
    members: tuple[str, ...]
    """Digests."""
    ensembles: dict[str, str]
    """Entity type -> the ensemble's digest; empty for a model alone."""
    gold: str
    """Digest of the documents."""


def read_evaluation(folder: Path) -> tuple[Evaluated, dict[EntityType, StrictScore]]:
    """An `--out` of `enigma evaluate`: what was scored, and the strict scores by entity type.

    Raises:
        UsageError: `evaluate` did not write it.
    """
    try:
        evaluated = Evaluated.model_validate_json((folder / EVALUATED).read_bytes())
        tree = json.loads((folder / METRICS).read_bytes())
        scores = {
            EntityType(kind): StrictScore(**{k: part["strict"][k] for k in STRICT}, documents=part["documents"])
            for kind, part in tree["by_entity"].items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise UsageError(f"{folder} is no --out of enigma evaluate") from None
    return evaluated, scores


def read_scores(folder: Path) -> SystemScores:
    """The scores of one system. Raises UsageError as `read_evaluation` does."""
    evaluated, scores = read_evaluation(folder)
    return SystemScores(language=evaluated.language, system=evaluated.system, scores=scores)


class PaperRow(Frozen):
    """A row of the paper's Table 1: strict F1 by type, where it gives one."""

    language: str
    model: str
    system: str
    disease: float | None = None
    procedure: float | None = None
    symptom: float | None = None


class PaperScore(Frozen):
    """A row of the paper's Table 2."""

    entity: EntityType
    system: str
    precision: float
    recall: float
    f1: float


class PaperResults(Frozen):
    """`paper_results.yaml`."""

    table_1: tuple[PaperRow, ...]
    table_2: tuple[PaperScore, ...]


@cache
def paper_results() -> PaperResults:
    """The paper's figures."""
    return TypeAdapter(PaperResults).validate_python(yaml.safe_load(PAPER_RESULTS.read_text(encoding="utf-8")))


def table_1(systems: Sequence[SystemScores]) -> list[dict[str, str]]:
    """A row for each language and system, a column for each type: `F1 [low, high] n (paper: F1)`.

    Rows of the paper that no system here answers to follow those of their language, with the paper's figure alone.
    """
    rows = []
    for language in _in_order([*(s.language for s in systems), *(r.language for r in paper_results().table_1)]):
        own = [s for s in systems if s.language == language]
        for system in own:
            cells = {t: _cell(system.scores.get(t), _paper_f1(language, system.system, t)) for t in _types(systems)}
            rows.append(_row(language, system.system, cells))
        for paper in paper_results().table_1:
            if paper.language == language and paper.system not in {s.system for s in own}:
                cells = {t: _cell(None, getattr(paper, t.value, None)) for t in _types(systems)}
                rows.append(_row(language, f"{paper.model} [{paper.system}]", cells))
    return rows


def table_2(systems: Iterable[SystemScores]) -> list[dict[str, str]]:
    """Precision, recall and F1 with its interval of each type: the paper's two systems, then ours."""
    rows = [
        {
            "entity": p.entity.value,
            "system": f"paper: {p.system}",
            "P": f"{p.precision:.3f}",
            "R": f"{p.recall:.3f}",
            "F1": f"{p.f1:.3f}",
            "documents": NOTHING,
        }
        for p in paper_results().table_2
    ]
    for system in systems:
        for entity_type, score in system.scores.items():
            rows.append(
                {
                    "entity": entity_type.value,
                    "system": f"{system.language} {system.system}",
                    "P": f"{score.precision:.3f}",
                    "R": f"{score.recall:.3f}",
                    "F1": _f1(score),
                    "documents": str(score.documents),
                }
            )
    return sorted(rows, key=lambda row: [t.value for t in EntityType].index(row["entity"]))


def _types(systems: Iterable[SystemScores]) -> list[EntityType]:
    found = {t for s in systems for t in s.scores}
    return [t for t in EntityType if t in found or t.value in PaperRow.model_fields]


def _paper_f1(language: str, system: str, entity_type: EntityType) -> float | None:
    """Two rows of one system, as for differently augmented text, give one figure a type."""
    rows = [r for r in paper_results().table_1 if (r.language, r.system) == (language, system)]
    return next((f1 for r in rows if (f1 := getattr(r, entity_type.value, None)) is not None), None)


def _row(language: str, system: str, cells: Mapping[EntityType, str]) -> dict[str, str]:
    return {"language": language, "system": system, **{f"{t.value} F1": cell for t, cell in cells.items()}}


def _cell(ours: StrictScore | None, paper: float | None) -> str:
    own = f"{_f1(ours)} n={ours.documents}" if ours else NOTHING
    return f"{own} (paper: {paper:.4f})" if paper is not None else own


def _f1(score: StrictScore) -> str:
    return f"{score.f1:.4f} [{score.f1_low:.4f}, {score.f1_high:.4f}]"


def _in_order(languages: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(languages))
