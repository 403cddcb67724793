"""The paper's tables: our figures, and the paper's beside them where language, type and system are the same."""

from __future__ import annotations

from pathlib import Path

from enigma_tasks.config import load_params
from enigma_tasks.documents import EntityType
from enigma_tasks.paper_tables import StrictScore, SystemScores, paper_results, table_1, table_2

DISEASE, PROCEDURE = EntityType("disease"), EntityType("procedure")
SCORE = StrictScore(precision=0.7, recall=0.6, f1=0.6462, f1_low=0.6, f1_high=0.69, documents=50)


def test_every_system_of_the_paper_is_a_member_or_ensemble_of_params() -> None:
    params = load_params(Path("params.yaml"), [])
    ensembles = {name: e.language for name, e in params.ensembles.items()}
    for row in paper_results().table_1:
        assert row.system in params.members or ensembles.get(row.system) == row.language, row.model


def test_the_paper_s_figure_stands_beside_ours_where_language_type_and_system_are_the_same() -> None:
    ours = SystemScores(language="es", system="clin-x-es", scores={DISEASE: SCORE})
    row = next(r for r in table_1([ours]) if r["system"] == "clin-x-es")
    assert row["disease F1"] == "0.6462 [0.6000, 0.6900] n=50 (paper: 0.6845)"
    assert row["procedure F1"] == "- (paper: 0.6734)"


def test_another_language_or_system_has_no_figure_of_the_paper() -> None:
    elsewhere = SystemScores(language="it", system="clin-x-es", scores={DISEASE: SCORE})
    unknown = SystemScores(language="es", system="e5-small", scores={DISEASE: SCORE})
    rows = table_1([elsewhere, unknown])
    for language, system in (("it", "clin-x-es"), ("es", "e5-small")):
        row = next(r for r in rows if (r["language"], r["system"]) == (language, system))
        assert row["disease F1"] == "0.6462 [0.6000, 0.6900] n=50"
        assert row["procedure F1"] == "-"


def test_rows_of_the_paper_without_a_system_of_ours_stay_in_the_table() -> None:
    assert len(table_1([])) == len(paper_results().table_1)
    ours = SystemScores(language="nl", system="nl-five", scores={DISEASE: SCORE})
    assert len(table_1([ours])) == len(paper_results().table_1)


def test_every_row_has_the_same_columns() -> None:
    ours = SystemScores(language="sv", system="tiny", scores={PROCEDURE: SCORE})
    assert len({tuple(row) for row in table_1([ours])}) == 1


def test_table_2_lists_types_in_their_order_the_paper_s_systems_first() -> None:
    ours = SystemScores(language="cs", system="cs-four", scores={PROCEDURE: SCORE, DISEASE: SCORE})
    rows = table_2([ours])
    assert [r["entity"] for r in rows] == ["disease"] * 3 + ["procedure"] * 3 + ["symptom"] * 2
    assert rows[2] == {
        "entity": "disease", "system": "cs cs-four", "P": "0.700", "R": "0.600",
        "F1": "0.6462 [0.6000, 0.6900]", "documents": "50",
    }  # fmt: skip
