"""`enigma ensemble` from its command line to the folder that `vote`, the annotator and the registry use."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from enigma_tasks.cli import main
from enigma_tasks.documents import Document, Entity, EntityType, entity_at
from enigma_tasks.ensembles.folder import read_ensemble
from enigma_tasks.ensembles.runner import EnsembleAnnotator
from enigma_tasks.formats.corpora import write_corpus
from enigma_tasks.formats.standoff import format_rows
from enigma_tasks.ner.model_folder import model_digest
from tests.unit.ner_builders import model_folder, notes

PARAMS = str(Path(__file__).parents[2] / "params.yaml")
PLANTED = "zyxwvutia"


def enigma(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, dict[str, Any], str]:
    code = main([str(arguments[0]), "--params", PARAMS, "--json", *map(str, arguments[1:])])
    said = capsys.readouterr()
    return code, json.loads(said.out) if said.out else {}, said.err


TEXT = " ".join([f"{PLANTED}{i:02}" for i in range(12)])
PLACES = [(i * 12, i * 12 + 11) for i in range(12)]


@pytest.fixture
def dev(tmp_path: Path) -> Path:
    """Ten texts with gold at the first six places, and what three members of equal skill say."""
    luck = random.Random(3)
    documents = [
        Document(f"n{n}", TEXT, tuple(entity_at("n", TEXT, "DISEASE", *p) for p in PLACES[:6]), "es",
                 frozenset({EntityType.DISEASE}))
        for n in range(10)
    ]  # fmt: skip
    write_corpus(documents, tmp_path / "gold", "by_entity")
    for m in range(3):
        rows = [
            (d.id, [Entity("DISEASE", a, b, TEXT[a:b]) for i, (a, b) in enumerate(PLACES)
                    if luck.random() < (0.85 if i < 6 else 0.1)])
            for d in documents
        ]  # fmt: skip
        (tmp_path / f"m{m}.tsv").write_text(format_rows(rows), encoding="utf-8")
    return tmp_path


def fit(dev: Path, *more: str | Path, members: list[Path] | None = None) -> list[str | Path]:
    files = members or [dev / f"m{m}.tsv" for m in range(3)]
    common: list[str | Path] = ["ensemble", "--language", "es", "--entity", "disease", "--gold", dev / "gold"]
    return [*common, "--out", dev / "out", "--predictions", *files, *more]


def test_an_ensemble_that_is_no_better_than_a_member_is_said_to_be(
    dev: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    perfect = [(f"n{n}", [Entity("DISEASE", a, b, TEXT[a:b]) for a, b in PLACES[:6]]) for n in range(10)]
    (dev / "able.tsv").write_text(format_rows(perfect), encoding="utf-8")
    code, report, _ = enigma(capsys, *fit(dev, members=[dev / "m0.tsv", dev / "able.tsv", dev / "m1.tsv"]))
    row = report["ensembles"][0]
    assert (code, row["best_member"], row["best_member_f1"]) == (0, "2 (able)", 1)
    assert row["expected_gain"] == pytest.approx(row["expected_f1"] - 1, abs=1e-3)
    assert "disease: member 2 (able) alone scores as high on dev" in caplog.text
    assert enigma(capsys, *fit(dev))[1]["ensembles"][0]["expected_gain"] > 0
    assert caplog.text.count("scores as high") == 1


def test_a_rule_fitted_on_files_is_what_vote_uses(dev: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, report, _ = enigma(capsys, *fit(dev))
    assert code == 0
    row = report["ensembles"][0]
    assert (row["rule"], row["documents"]) == ("majority k=2", 10)
    assert row["expected_f1"] > row["best_member_f1"]
    assert row["best_member"] in {"1 (m0)", "2 (m1)", "3 (m2)"}
    card = json.loads((dev / "out" / "disease" / "rule.json").read_bytes())
    assert card["rule"] == {"strategy": "majority", "k": 2}
    assert {r["rule"] for r in card["fitted"]["rules"]} >= {
        "majority k=2",
        "agreement k=2",
        "union",
        "weighted",
        "learned",
    }
    assert PLANTED not in json.dumps(card)
    files = [dev / f"m{m}.tsv" for m in range(3)]
    assert enigma(capsys, "vote", "--rule", dev / "out" / "disease", "--out", dev / "v.tsv", *files)[0] == 0
    named = ["vote", "--strategy", "majority", "--k", "2", "--texts", dev / "gold", "--out", dev / "n.tsv", *files]
    assert enigma(capsys, *named)[0] == 0
    assert (dev / "v.tsv").read_bytes() == (dev / "n.tsv").read_bytes()


def test_fitting_again_gives_the_same_bytes(dev: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written = []
    for _ in range(2):
        assert enigma(capsys, *fit(dev, "--strategy", "learned"))[0] == 0
        written.append((dev / "out" / "disease" / "rule.json").read_bytes())
    assert written[0] == written[1]
    files = [dev / f"m{m}.tsv" for m in range(3)]
    code, report, _ = enigma(capsys, "vote", "--rule", dev / "out" / "disease", "--out", dev / "v.tsv", *files)
    assert (code, report["rule"]["strategy"]) == (0, "learned")


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        ("no prediction at all", 2, "member 2 (x) has no prediction for any of the 10"),
        ("another label set", 2, "member 2 (x) has no DISEASE span, only SYMPTOM"),
        ("other documents", 1, "predictions: document_unknown (a name like a; texts: a9)"),
        ("outside the text", 1, "n1: span_outside_text at 990"),
        ("another text", 1, "n1: surface_differs at 0"),
        ("the same file twice", 2, "named twice"),
        ("one member missing", 2, "nowhere.tsv is no file"),
        ("gold outside the text", 1, "n1: span_outside_text at 990"),
        ("gold that is nowhere", 2, "nowhere is neither a folder"),
    ],
)
def test_members_that_do_not_fit_are_refused_by_name_and_without_their_text(
    dev: Path, capsys: pytest.CaptureFixture[str], change: str, code: int, message: str
) -> None:
    rows: dict[str, list[tuple[str, list[Entity]]]] = {
        "no prediction at all": [],
        "another label set": [("n1", [Entity("SYMPTOM", 0, 11, TEXT[:11])])],
        "other documents": [("other", [Entity("DISEASE", 0, 11, TEXT[:11])])],
        "gold outside the text": [("n1", [Entity("DISEASE", 990, 999, PLANTED)])],
        "outside the text": [("n1", [Entity("DISEASE", 990, 999, PLANTED)])],
        "another text": [("n1", [Entity("DISEASE", 0, 9, f"{PLANTED[:-1]}x")])],
    }
    (dev / "x.tsv").write_text(format_rows(rows.get(change, [])), encoding="utf-8")
    second = {"the same file twice": dev / "m0.tsv", "one member missing": dev / "nowhere.tsv"}.get(
        change, dev / "x.tsv"
    )
    arguments = fit(dev, members=[dev / "m0.tsv", second])
    if change == "gold that is nowhere":
        arguments[arguments.index("--gold") + 1] = dev / "nowhere"
    if change == "gold outside the text":
        arguments[arguments.index("--gold") + 1] = dev / "x.tsv"
        arguments[-1] = dev / "m1.tsv"
        arguments += ["--texts", dev / "gold"]
    found, _, said = enigma(capsys, *arguments)
    assert (found, PLANTED in said) == (code, False)
    assert message in said
    assert not (dev / "out").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--strategy", "majority", "--k", "4"], "majority with k 4 does not fit these 3 members"),
        (["--strategy", "majority", "--k", "0"], "majority with k 0 does not fit these 3 members"),
        (["--k", "2"], "--k is only for --strategy majority or agreement"),
        (["--strategy", "union", "--k", "2"], "--k is only for --strategy majority or agreement"),
        (["--strategy", "mean"], "mean needs models"),
        (["--name", "nobody"], "no ensemble 'nobody' in params.yaml"),
        (["--set", "ensemble.folds=11"], "10 dev documents cannot be divided into 11 folds"),
    ],
)
def test_a_rule_that_does_not_fit_is_wrong_usage(
    dev: Path, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    code, _, said = enigma(capsys, *fit(dev, *options))
    assert code == 2
    assert message in said


def test_an_output_folder_that_holds_something_else_is_left_alone(
    dev: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (dev / "out" / "disease").mkdir(parents=True)
    (dev / "out" / "disease" / "thesis.txt").write_text("years of work")
    code, _, said = enigma(capsys, *fit(dev))
    assert (code, "is not an ensemble" in said) == (2, True)
    assert (dev / "out" / "disease" / "thesis.txt").exists()


def test_an_ensemble_that_was_cut_short_is_made_anew(dev: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (dev / "out" / "disease" / "members" / ("0a" * 32)).mkdir(parents=True)
    assert enigma(capsys, *fit(dev))[0] == 0
    assert [p.name for p in (dev / "out" / "disease").iterdir()] == ["rule.json"]


def test_somebodys_own_members_are_not_taken_for_those_of_an_ensemble_cut_short(
    dev: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    theirs = dev / "out" / "disease" / "members" / "best-model"
    theirs.mkdir(parents=True)
    code, _, said = enigma(capsys, *fit(dev))
    assert (code, "is not an ensemble" in said) == (2, True)
    assert theirs.exists()


def test_vote_refuses_a_member_of_other_documents_and_says_who_never_names_a_label(
    dev: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (dev / "other.tsv").write_text(format_rows([("z", [Entity("DISEASE", 0, 3, "abc")])]), encoding="utf-8")
    (dev / "symptoms.tsv").write_text(format_rows([("n1", [Entity("SYMPTOM", 0, 3, "abc")])]), encoding="utf-8")
    vote = ["vote", "--strategy", "majority", "--out", dev / "v.tsv", dev / "m0.tsv"]
    code, _, said = enigma(capsys, *vote, dev / "other.tsv")
    assert (code, "has none of the other members'" in said) == (2, True)
    code, report, _ = enigma(capsys, *vote, dev / "symptoms.tsv")
    assert code == 0
    assert [m["lacks"] for m in report["members"]] == ["SYMPTOM", "DISEASE"]
    (dev / "outside.tsv").write_text(format_rows([("n1", [Entity("DISEASE", 990, 993, "abc")])]), encoding="utf-8")
    code, _, said = enigma(capsys, *vote, dev / "outside.tsv", "--texts", dev / "gold")
    assert (code, "n1: span_outside_text at 990" in said) == (1, True)


def test_vote_refuses_a_file_named_twice_and_a_fitted_rules_files_in_another_order(
    dev: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [dev / f"m{m}.tsv" for m in range(3)]
    code, _, said = enigma(capsys, "vote", "--strategy", "union", "--out", dev / "v.tsv", files[0], *files)
    assert (code, "named twice" in said) == (2, True)
    for strategy, expected in (("weighted", 2), ("majority", 0)):
        assert enigma(capsys, *fit(dev, "--strategy", strategy))[0] == 0
        fitted = ["vote", "--rule", dev / "out" / "disease", "--out", dev / "v.tsv"]
        assert enigma(capsys, *fitted, *files)[0] == 0
        code, _, said = enigma(capsys, *fitted, *reversed(files))
        assert (code, "m0, m1, m2" in said) == (expected, bool(expected))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"rule": {"strategy": "chance"}}, "unknown voting strategy"),
        ({"quota": 1}, "quota"),
        ({"rule": 1}, "rule: dict_type"),
    ],
)
def test_a_damaged_rule_is_wrong_usage_and_says_where(
    dev: Path, capsys: pytest.CaptureFixture[str], change: dict[str, object], said: str
) -> None:
    files = sorted(dev.glob("*.tsv"))[:3]
    folder = dev / "damaged"
    folder.mkdir(exist_ok=True)
    card = {"language": "es", "entity_type": "disease", "members": ["a", "b", "c"], "rule": {"strategy": "majority"}}
    (folder / "rule.json").write_text(json.dumps(card | change))
    code, _, message = enigma(capsys, "vote", "--rule", folder, "--out", dev / "v.tsv", *files)
    assert code == 2
    assert "rule.json is damaged" in message
    assert said in message


@pytest.mark.parametrize("strategy", ["learned", "mean"])
def test_rules_that_need_more_than_spans_say_what(dev: Path, capsys: pytest.CaptureFixture[str], strategy: str) -> None:
    code, _, said = enigma(capsys, "vote", "--strategy", strategy, "--out", dev / "v.tsv", dev / "m0.tsv")
    assert (code, f"--strategy {strategy} needs" in said) == (2, True)


def test_an_empty_member_votes_for_nothing_and_no_member_at_all_is_an_empty_answer(
    dev: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (dev / "empty.tsv").write_text(format_rows([]), encoding="utf-8")
    vote = ["vote", "--strategy", "union", "--out", dev / "v.tsv", dev / "empty.tsv"]
    assert enigma(capsys, *vote, dev / "m0.tsv")[1]["spans"] > 0
    code, report, _ = enigma(capsys, *vote)
    assert (code, report["spans"], report["documents"]) == (0, 0, 0)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    root = tmp_path_factory.mktemp("models")
    return [model_folder(root / str(seed), seed=seed, able=True) for seed in (1, 2, 3)]


def test_models_become_an_ensemble_that_annotates_by_the_fitted_rule(
    models: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_corpus(notes(15, first=200), tmp_path / "dev")
    fitted = ["ensemble", "--language", "es", "--entity", "all", "--gold", tmp_path / "dev", "--out", tmp_path / "out"]
    fitted += [word for folder in models for word in ("--model", folder)]
    code, report, said = enigma(capsys, *fitted)
    assert code == 0, said
    assert [r["entity"] for r in report["ensembles"]] == [t.value for t in EntityType]
    ensembles = [read_ensemble(tmp_path / "out" / t.value) for t in EntityType]
    assert [m.digest for m in ensembles[0].members] == [model_digest(folder) for folder in models]
    assert ensembles[0].fitted is not None
    assert "mean" in {score.rule for score in ensembles[0].fitted.rules}
    annotated = EnsembleAnnotator(ensembles, 500).annotate(notes(6, first=300))
    assert any(a.entities for a in annotated)
    for ensemble, row in zip(ensembles, report["ensembles"], strict=True):
        assert ensemble.calibration is not None
        assert ensemble.calibration.dev.documents == 15
        assert row["estimated_f1"] == pytest.approx(ensemble.calibration.dev.estimated, abs=1e-4)
        assert ensemble.calibration.dev.measured == pytest.approx(row["expected_f1"], abs=0.1)
    in_turn = EnsembleAnnotator(ensembles, 500, resident_mib=1).annotate(notes(6, first=300))
    assert in_turn == annotated

    assert enigma(capsys, *fitted, "--strategy", "mean")[0] == 0
    averaged = [read_ensemble(tmp_path / "out" / t.value) for t in EntityType]
    assert averaged[0].rule.to_json() == {"strategy": "mean"}
    assert any(a.entities for a in EnsembleAnnotator(averaged, 500).annotate(notes(6, first=300)))
    code, _, said = enigma(capsys, *fitted, "--model", models[0])
    assert (code, "named twice" in said) == (2, True)


def test_the_ensembles_of_params_yaml_want_their_own_members(
    models: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_corpus(notes(6, first=200), tmp_path / "dev")
    named = ["--set", "ensembles.two={language: es, members: [tiny, e5-small], strategy: union}"]
    command = [
        "ensemble",
        "--name",
        "two",
        "--entity",
        "disease",
        "--gold",
        tmp_path / "dev",
        "--out",
        tmp_path / "out",
    ]
    code, _, said = enigma(capsys, *command, *named, "--model", models[0], "--model", models[1])
    assert (code, "the ensemble's members are e5-small, tiny; given: smallest, smallest" in said) == (2, True)
    code, _, said = enigma(capsys, *command, "--set", "ensembles.two={language: es, members: [nobody]}")
    assert (code, "ensembles.two: no member nobody under members" in said) == (2, True)
    code, _, said = enigma(capsys, *command, "--set", "ensembles.two={language: xx, members: [tiny]}")
    assert (code, "no language xx" in said) == (2, True)
