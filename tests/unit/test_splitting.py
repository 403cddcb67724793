"""Cases stay whole, folds are alike, and what is frozen stays frozen; through the command where folders matter."""

from __future__ import annotations

import hashlib
import json
import random
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enigma_tasks.cli import main
from enigma_tasks.documents import Document, EntityType, entity_at
from enigma_tasks.formats.corpora import read_corpus, write_corpus
from enigma_tasks.gold.cases import case_id, group_cases
from enigma_tasks.gold.splitting import Case, assign, case_of, document_key

if TYPE_CHECKING:
    from collections.abc import Sequence

CODES = {"cs", "cz", "es", "nl"}
PARAMS = ["--params", str(Path(__file__).parents[2] / "params.yaml")]
WORDS = [f"{a}{b}{c}" for a in ("ka", "lo", "mi", "ne") for b in ("ra", "su", "ti", "vo") for c in ("l", "n", "r", "s")]


def prose(seed: int, words: int = 120) -> str:
    """Invented words, the same for the same seed."""
    return " ".join(random.Random(seed).choices(WORDS, k=words)) + "."


def note(name: str, text: str, spans: int = 3, language: str | None = None) -> Document:
    entities = tuple(entity_at(name, text, "DISEASE", 7 * i, 7 * i + 3) for i in range(spans))
    return Document(name, text, entities, language)


def names(documents: Sequence[Document], cases: list[list[int]]) -> set[frozenset[str]]:
    return {frozenset(document_key(documents[i]) for i in case) for case in cases}


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("multiclinner-es-train-0012", "multiclinner-cz-train-0012", True),
        ("7_disease", "7_symptom", True),
        ("case-7~disease", "case-7", True),
        ("multiclinner-es-train-0012", "multiclinner-es-train-0013", False),
        ("nl-es", "cz", False),
    ],
)
def test_an_id_tells_the_case_whatever_its_language_and_type(one: str, other: str, *, same: bool) -> None:
    assert (case_id(one, CODES) == case_id(other, CODES)) is same


def test_equal_texts_edited_copies_and_versions_by_id_are_one_case() -> None:
    text = prose(1)
    documents = [
        note("a", text),
        note("b", text),
        note("c", text.replace(text.split()[10], "otro", 1)),
        note("d", prose(2)),
        note("e-es", prose(3), language="es"),
        note("e-nl", prose(4), language="nl"),
        note("blank-1", "", 0),
        note("other", prose(5)[:200] + prose(6)[200:]),
    ]
    assert names(documents, group_cases(documents, CODES, 0.7)) == {
        frozenset({"a", "b", "c"}),
        frozenset({"d"}),
        frozenset({"es/e-es", "nl/e-nl"}),
        frozenset({"blank-1"}),
        frozenset({"other"}),
    }


@pytest.mark.parametrize("similarity", [1.0, 0.99])
def test_a_similarity_of_one_asks_for_the_same_words_whatever_stands_between_them(similarity: float) -> None:
    text = "Refiere tos seca y fiebre alta desde ayer"
    texts = [text, f"{text}.", text.replace(" y ", ", y\n"), f"{text} noche"]
    assert group_cases([Document(f"n{i}", t) for i, t in enumerate(texts)], frozenset(), similarity) == [[0, 1, 2], [3]]


def test_similarity_is_the_share_of_word_triples_in_common() -> None:
    text = prose(7, 60)
    half = " ".join(text.split()[:45]) + " " + prose(8, 15)
    assert len(group_cases([note("a", text), note("b", half)], CODES, 0.7)) == 2
    assert len(group_cases([note("a", text), note("b", half)], CODES, 0.4)) == 1


cases_strategy = st.lists(
    st.builds(
        Case,
        key=st.integers(0, 10**6).map(str),
        documents=st.integers(1, 4),
        stratum=st.sampled_from([("language es",), ("language nl",)]),
        density=st.floats(0, 1),
    ),
    unique_by=lambda c: c.key,
    min_size=1,
    max_size=60,
)


@settings(max_examples=60)
@given(cases_strategy, st.randoms())
def test_shares_hold_to_within_a_case_and_order_does_not_matter(cases: list[Case], shuffler: random.Random) -> None:
    shares = {"train": 0.7, "dev": 0.2, "test": 0.1}
    folds = assign(cases, shares, 5, 1)
    shuffled = list(cases)
    shuffler.shuffle(shuffled)
    assert assign(shuffled, shares, 5, 1) == folds
    total = sum(c.documents for c in cases)
    for fold, share in shares.items():
        got = sum(c.documents for c in cases if folds[c.key] == fold)
        assert abs(got - share * total) <= 2 * 4


def test_folds_are_alike_in_density_and_another_seed_splits_differently() -> None:
    documents = [note(f"n{i:03}", prose(i), spans=i % 10) for i in range(200)]
    cases = [case_of([d]) for d in documents]
    folds = assign(cases, {"train": 0.8, "dev": 0.2}, 5, 1)
    density = {f: [c.density for c in cases if folds[c.key] == f] for f in ("train", "dev")}
    assert len(density["dev"]) == 40
    means = {f: sum(values) / len(values) for f, values in density.items()}
    assert abs(means["dev"] / means["train"] - 1) < 0.05
    assert assign(cases, {"train": 0.8, "dev": 0.2}, 5, 2) != folds


def split(corpus: Path, out: Path, *arguments: str) -> int:
    return main(["split", str(corpus), "--out", str(out), "--quiet", *arguments, *PARAMS])


def card(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "split.json").read_bytes())
    return found


def digests(folder: Path) -> dict[str, str]:
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def by_id(folder: Path) -> dict[str, Document]:
    return {document_key(d): d for d in read_corpus(folder)}


def test_the_command_writes_every_document_once_and_the_same_bytes_again(tmp_path: Path) -> None:
    documents = [note(f"n{i:02}", prose(i), spans=i % 5) for i in range(40)]
    write_corpus(documents, tmp_path / "gold")
    assert split(tmp_path / "gold", tmp_path / "a") == 0
    assert split(tmp_path / "gold", tmp_path / "b") == 0
    assert digests(tmp_path / "a") == digests(tmp_path / "b")
    train, dev = by_id(tmp_path / "a" / "train"), by_id(tmp_path / "a" / "dev")
    assert (len(train), len(dev)) == (32, 8)
    assert {**train, **dev} == {d.id: d for d in documents}
    assert sorted(p.name for p in (tmp_path / "a" / "dev").iterdir()) == ["ann", "txt"]
    assert card(tmp_path / "a")["documents"]["dev"] == sorted(dev)
    assert prose(0)[:20] not in (tmp_path / "a" / "split.json").read_text()


def test_the_source_s_shape_and_languages_are_kept_and_versions_of_a_case_stay_together(tmp_path: Path) -> None:
    for number, language in enumerate(("es", "nl")):
        disease = frozenset({EntityType.DISEASE})
        documents = [
            Document(d.id, d.text, d.entities, language, disease)
            for d in (note(f"case-{i:02}-{language}", prose(100 * number + i)) for i in range(20))
        ]
        write_corpus(documents, tmp_path / "gold" / language, "by_entity")
    assert split(tmp_path / "gold", tmp_path / "out") == 0
    assert (tmp_path / "out" / "dev" / "nl" / "disease" / "disease.tsv").is_file()
    folds = {name: {k.split("-")[1] for k in by_id(tmp_path / "out" / name)} for name in ("train", "dev")}
    assert not folds["train"] & folds["dev"]
    assert {len(c) for c in card(tmp_path / "out")["cases"]} == {2}


def test_frozen_sets_stay_as_they_are_and_nothing_of_their_cases_is_trained_on(tmp_path: Path) -> None:
    documents = [note(f"n{i:02}", prose(i)) for i in range(30)]
    write_corpus(documents, tmp_path / "gold")
    test_share = ["--set", "split.test_share=0.1"]
    assert split(tmp_path / "gold", tmp_path / "one", *test_share) == 0
    dev, test = card(tmp_path / "one")["documents"]["dev"], card(tmp_path / "one")["documents"]["test"]
    copies = [
        note("copy-of-dev", by_id(tmp_path / "one" / "dev")[dev[0]].text + " fin"),
        note("copy-of-test", by_id(tmp_path / "one" / "test")[test[0]].text + " fin"),
    ]
    new = [note(f"new{i:02}", prose(1000 + i)) for i in range(20)]
    write_corpus([*copies, *new], tmp_path / "gold")
    (tmp_path / "gold" / "txt" / f"{dev[1]}.txt").unlink()
    (tmp_path / "gold" / "ann" / f"{dev[1]}.ann").unlink()
    assert split(tmp_path / "gold", tmp_path / "two", "--frozen", str(tmp_path / "one")) == 0
    for fold in ("dev", "test"):
        assert digests(tmp_path / "two" / fold) == digests(tmp_path / "one" / fold)
    assert card(tmp_path / "two")["left_out"] == ["copy-of-dev", "copy-of-test"]
    frozen = {*dev, *test}
    expected = {d.id for d in [*documents, *new]} - frozen
    assert set(by_id(tmp_path / "two" / "train")) == expected


def test_a_folder_of_something_else_is_not_overwritten_and_an_old_split_is_replaced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_corpus([note(f"n{i:02}", prose(i)) for i in range(20)], tmp_path / "gold")
    assert split(tmp_path / "gold", tmp_path / "gold") == 2
    assert split(tmp_path / "gold", tmp_path / "out") == 0
    (tmp_path / "gold" / "txt" / "n00.txt").unlink()
    (tmp_path / "gold" / "ann" / "n00.ann").unlink()
    assert split(tmp_path / "gold", tmp_path / "out") == 0
    assert sum(len(by_id(tmp_path / "out" / f)) for f in ("train", "dev")) == 19
    assert split(tmp_path / "gold", tmp_path / "new", "--frozen", str(tmp_path / "gold")) == 2
    assert "--frozen" in capsys.readouterr().err


def test_too_few_cases_are_refused_instead_of_an_empty_dev(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_corpus([note("one", prose(1)), note("two", prose(1))], tmp_path / "gold")
    assert split(tmp_path / "gold", tmp_path / "out") == 2
    assert "dev" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
