"""`enigma score` and `enigma vote` from their command lines to their reports and files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from enigma_tasks.cli import main
from enigma_tasks.documents import Document, EntityType, entity_at
from enigma_tasks.formats.corpora import write_corpus
from enigma_tasks.formats.standoff import TSV_HEADER

PARAMS = str(Path(__file__).parents[2] / "params.yaml")
TEXT = "Gota aguda con dolor. Se pide ecografía."
GOTA, AGUDA, DOLOR = ("DISEASE", 0, 4), ("DISEASE", 0, 10), ("SYMPTOM", 15, 20)
Span = tuple[str, int, int]


def enigma(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    code = main([arguments[0], "--params", PARAMS, "--json", *arguments[1:]])
    out = capsys.readouterr().out
    return code, json.loads(out) if out else {}


def tsv(path: Path, spans: dict[str, list[Span]]) -> str:
    rows = [f"{n}\t{lb}\t{s}\t{e}\t{TEXT[s:e]}\n" for n, found in spans.items() for lb, s, e in found]
    path.write_text(TSV_HEADER + "\n" + "".join(rows), encoding="utf-8")
    return str(path)


def corpus(folder: Path, spans: dict[str, list[Span]], *types: EntityType) -> str:
    documents = [
        Document(n, TEXT, tuple(entity_at(n, TEXT, *s) for s in found), None, frozenset(types))
        for n, found in spans.items()
    ]
    write_corpus(documents, folder, "by_entity")
    return str(folder)


def test_tsv_against_tsv_counts_documents_of_either_side(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gold = tsv(tmp_path / "gold.tsv", {"a": [GOTA, DOLOR], "b": [GOTA]})
    pred = tsv(tmp_path / "pred.tsv", {"a.txt": [GOTA], "c": [AGUDA]})
    code, report = enigma(capsys, "score", "--gold", gold, "--pred", pred, "--by", "document")
    assert code == 0
    assert (report["documents"], report["gold_spans"], report["predicted_spans"]) == (3, 3, 2)
    strict = report["strict"]
    assert (strict["tp"], strict["fp"], strict["fn"]) == (1, 1, 2)
    assert (strict["precision"], strict["recall"], strict["f1"]) == (0.5, 0.3333, 0.4)
    assert strict["f1_interval"]["low"] <= 0.4 <= strict["f1_interval"]["high"]
    assert [(r["document"], r["tp"], r["fp"], r["fn"]) for r in report["by_document"]] == [
        ("a", 1, 0, 1),
        ("b", 0, 0, 1),
        ("c", 0, 1, 0),
    ]


def test_a_gold_corpus_says_what_may_be_judged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gold = corpus(tmp_path / "gold", {"a": [GOTA], "b": []}, EntityType.DISEASE)
    pred = tsv(tmp_path / "pred.tsv", {"a": [GOTA, DOLOR], "elsewhere": [GOTA]})
    _, report = enigma(capsys, "score", "--gold", gold, "--pred", pred)
    assert report["documents"] == 2
    assert report["strict"]["f1"] == report["character"]["f1"] == 1
    assert report["outside_gold"] == 2


def test_predictions_may_be_a_corpus_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    types = (EntityType.DISEASE, EntityType.SYMPTOM)
    gold = corpus(tmp_path / "gold", {"a": [GOTA, DOLOR]}, *types)
    pred = corpus(tmp_path / "pred", {"a": [AGUDA, DOLOR]}, *types)
    _, report = enigma(capsys, "score", "--gold", gold, "--pred", pred, "--by", "label")
    assert [(r["label"], r["f1"]) for r in report["by_label"]] == [("DISEASE", 0.0), ("SYMPTOM", 1.0)]
    assert report["by_label"][0]["character_precision"] == 0.5714
    assert report["by_label"][0]["character_recall"] == 0.5714
    _, report = enigma(capsys, "score", "--gold", gold, "--pred", pred, "--label", "sintoma")
    assert report["strict"]["f1"] == 1


def test_gold_texts_that_share_an_id_are_judged_by_the_predictions_for_their_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus(tmp_path / "gold", {"a": [GOTA]}, EntityType.DISEASE)
    other = (entity_at("a", "Otro dolor", "SYMPTOM", 5, 10),)
    write_corpus(
        [Document("a", "Otro dolor", other, None, frozenset({EntityType.SYMPTOM}))], tmp_path / "gold", "by_entity"
    )
    pred = tsv(tmp_path / "pred.tsv", {"a": [GOTA]})
    with Path(pred).open("a") as rows:
        rows.write("a\tSYMPTOM\t5\t10\tdolor\n")
    _, report = enigma(capsys, "score", "--gold", str(tmp_path / "gold"), "--pred", pred, "--by", "document")
    assert report["strict"]["f1"] == 1
    assert [r["document"] for r in report["by_document"]] == ["a~disease", "a~symptom"]


@pytest.mark.parametrize(
    "change", [{"--label": "drug"}, {"--gold": "nowhere"}, {"--pred": "nowhere.tsv"}, {"--gold": "empty.tsv"}]
)
def test_what_cannot_be_scored_is_wrong_usage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, change: dict[str, str]
) -> None:
    monkeypatch.chdir(tmp_path)
    tsv(Path("gold.tsv"), {"a": [GOTA]})
    tsv(Path("empty.tsv"), {})
    options = {"--gold": "gold.tsv", "--pred": "gold.tsv", **change}
    if "empty.tsv" in change.values():
        options["--pred"] = "empty.tsv"
    assert enigma(capsys, "score", *(x for pair in options.items() for x in pair)) == (2, {})


def test_names_of_which_none_meets_are_an_error_that_shows_their_shape(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gold = tsv(tmp_path / "gold.tsv", {"S0004-17": [GOTA]})
    pred = tsv(tmp_path / "pred.tsv", {"Paciente con asma": [GOTA]})
    assert main(["score", "--params", PARAMS, "--gold", gold, "--pred", pred]) == 2
    err = capsys.readouterr().err
    assert "look like A9-9" in err
    assert "like Aa?a?a" in err
    assert "asma" not in err
    assert "S0004" not in err


def test_a_folder_of_which_nothing_is_read_is_no_score_and_no_pass(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gold = tsv(tmp_path / "gold.tsv", {"a": [GOTA]})
    (tmp_path / "empty" / "txt").mkdir(parents=True)
    (tmp_path / "empty" / "scan.pdf").write_bytes(b"%PDF")
    empty = str(tmp_path / "empty")
    assert enigma(capsys, "score", "--gold", gold, "--pred", empty)[0] == 2
    assert enigma(capsys, "validate", empty)[0] == 2
    assert enigma(capsys, "split", empty, "--out", str(tmp_path / "out"))[0] == 2


def test_a_vote_of_members_of_whom_none_scores_is_the_majoritys_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    members = [tsv(tmp_path / f"{i}.tsv", {"a": [GOTA] if i else [AGUDA]}) for i in range(3)]
    weights = ["weighted", "--weights", "0", "0", "0"]
    code, report = enigma(capsys, "vote", "--strategy", *weights, "--out", str(tmp_path / "out.tsv"), *members)
    assert (code, report["rule"], report["spans"]) == (0, {"strategy": "majority", "k": 2}, 1)
    assert "majority is used instead" in caplog.text


def test_a_row_of_no_text_is_named_by_its_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts = corpus(tmp_path / "gold", {"a": [GOTA]}, EntityType.DISEASE)
    member = tsv(tmp_path / "pred.tsv", {"Paciente con asma": [GOTA]})
    words = ["vote", "--params", PARAMS, "--strategy", "union", "--texts", texts, "--out", str(tmp_path / "o.tsv")]
    assert main([*words, member]) == 1
    err = capsys.readouterr().err
    assert "pred.tsv: document_unknown" in err
    assert "asma" not in err


def test_members_become_one_file_sorted_by_name_and_offset(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    members = [
        tsv(tmp_path / "1.tsv", {"b": [DOLOR, GOTA], "a": [GOTA]}),
        tsv(tmp_path / "2.tsv", {"b": [GOTA, DOLOR]}),
        tsv(tmp_path / "3.tsv", {"a": [AGUDA], "c": [GOTA]}),
    ]
    out = tmp_path / "new" / "out.tsv"
    code, report = enigma(capsys, "vote", "--strategy", "majority", "--out", str(out), *members)
    assert code == 0
    assert out.read_text(encoding="utf-8") == f"{TSV_HEADER}\nb\tDISEASE\t0\t4\tGota\nb\tSYMPTOM\t15\t20\tdolor\n"
    assert (report["documents"], report["spans"], report["rule"]) == (3, 2, {"strategy": "majority", "k": 2})
    assert [(m["documents"], m["spans"]) for m in report["members"]] == [(2, 3), (1, 2), (2, 2)]


@pytest.mark.parametrize(
    ("options", "spans"),
    [
        (["agreement", "--k", "2"], 1),
        (["union"], 1),
        (["majority", "--k", "1"], 1),
        (["weighted", "--weights", "0.9", "0.3"], 1),
        (["weighted", "--weights", "0.5", "0.5"], 0),
        (["weighted", "--threshold", "1", "--weights", "0.6", "0.5"], 0),
    ],
)
def test_every_strategy_can_be_called(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], spans: int
) -> None:
    members = [tsv(tmp_path / "1.tsv", {"a": [GOTA]}), tsv(tmp_path / "2.tsv", {"a": [AGUDA]})]
    code, report = enigma(capsys, "vote", "--strategy", *options, "--out", str(tmp_path / "out.tsv"), *members)
    assert (code, report["spans"]) == (0, spans)


@pytest.mark.parametrize(
    "options",
    [
        ["majority", "--k", "3"],
        ["majority", "--k", "0"],
        ["weighted", "--weights", "0.9"],
        ["weighted"],
        ["union", "--k", "1"],
    ],
)
def test_a_rule_that_does_not_fit_is_wrong_usage_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str]
) -> None:
    members = [tsv(tmp_path / "1.tsv", {"a": [GOTA]}), tsv(tmp_path / "2.tsv", {"a": [AGUDA]})]
    assert enigma(capsys, "vote", "--strategy", *options, "--out", str(tmp_path / "out.tsv"), *members) == (2, {})
    assert not (tmp_path / "out.tsv").exists()


def test_a_broken_row_is_named_by_its_line_and_never_quoted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bad.tsv").write_text(f"{TSV_HEADER}\na\tDISEASE\tzero\t4\tsecreto\n", encoding="utf-8")
    arguments = ["vote", "--params", PARAMS, "--strategy", "union", "--out", str(tmp_path / "o.tsv")]
    assert main([*arguments, str(tmp_path / "bad.tsv")]) == 1
    captured = capsys.readouterr()
    assert "bad.tsv: tsv_line_malformed at 2" in captured.err
    assert "secreto" not in captured.err + captured.out
