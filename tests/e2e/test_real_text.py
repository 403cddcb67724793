"""Real clinical text and a real encoder through the whole night: train, register, drop, DAG, check every offset."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from infra.local.stack import Stack
from infra.local.user import Night, User

if TYPE_CHECKING:
    from collections.abc import Iterator

SHARED = Path(__file__).parents[3] / "shared"
CORPUS = SHARED / "corpora/spaccc-es-train"
ENCODER = SHARED / "models/multilingual-e5-small-latin"
TRAIN, DEV, NIGHT = 96, 12, 40
FEW_STEPS = ["--set", "members.e5-small.max_steps=100"]
LINE = re.compile(r"T(\d+)\t([A-Z]+) (\d+) (\d+)\t(.*)")

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.skipif(not (CORPUS.exists() and ENCODER.exists()), reason="needs the shared corpora and encoder"),
]


def copy_part(ids: list[str], folder: Path) -> None:
    for entity in ("disease", "procedure", "symptom"):
        for kind in ("txt", "ann"):
            place = folder / entity / kind
            place.mkdir(parents=True)
            for name in ids:
                (place / f"{name}.{kind}").write_bytes((CORPUS / entity / kind / f"{name}.{kind}").read_bytes())


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[User]:
    stack = Stack(tmp_path_factory.mktemp("stack"), {"s3": 0, "mlflow": 0, "airflow": 0})
    stack.start()
    yield User(stack)
    stack.stop()


@pytest.fixture(scope="module")
def texts(user: User, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Trains, registers and drops; gives the dropped notes, by key below drops/."""
    folder = tmp_path_factory.mktemp("corpus")
    ids = sorted(p.stem for p in (CORPUS / "disease/txt").iterdir())
    copy_part(ids[:TRAIN], folder / "train")
    copy_part(ids[TRAIN : TRAIN + DEV], folder / "dev")
    who = ["--language", "es", "--entity", "all"]
    user.enigma(
        "train", *who, "--member", "e5-small", "--set", f"members.e5-small.base={ENCODER}",
        *FEW_STEPS,
        "--train", str(folder / "train"), "--dev", str(folder / "dev"), "--out", str(folder / "model"),
    )  # fmt: skip
    user.enigma("register", *who, "--model", str(folder / "model"), "--first")
    unseen = ids[-NIGHT:]
    notes = {f"es/2026-06-11/ward-1/{i}.txt": (CORPUS / "disease/txt" / f"{i}.txt").read_bytes() for i in unseen}
    user.drop(notes)
    return {key: data.decode() for key, data in notes.items()}


@pytest.fixture(scope="module")
def night(user: User, texts: dict[str, str]) -> Night:
    return user.night(900)


def test_the_night_over_real_notes_ends_well(user: User, night: Night) -> None:
    assert night.state == "success", user.failure(night)
    counts = user.counts(night)
    assert (counts["annotated"], counts["quarantined"]) == (NIGHT, 0)


def test_the_night_finds_something_in_real_notes(user: User, night: Night) -> None:
    assert user.counts(night)["entities"] > NIGHT


def test_the_offsets_of_every_ann_line_give_its_surface(user: User, night: Night, texts: dict[str, str]) -> None:
    lines = 0
    for key, text in texts.items():
        ann = user.read(f"annotations/{key.removesuffix('.txt')}.ann").decode()
        for number, line in enumerate(ann.split("\n")[:-1], 1):
            found = LINE.fullmatch(line)
            assert found is not None
            assert int(found[1]) == number
            assert text[int(found[3]) : int(found[4])].replace("\r", " ").replace("\n", " ") == found[5]
            lines += 1
    assert lines == user.counts(night)["entities"]


def test_each_note_has_exactly_one_outcome_and_the_tables_agree_with_the_files(
    user: User, night: Night, texts: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from enigma_tasks.adapters.night_table import read_notes, read_spans
    from enigma_tasks.config import load_settings

    for name, value in user.stack.variables.items():
        monkeypatch.setenv(name, value)
    tables = load_settings().require("tables")
    notes = read_notes(tables, night.batch_id).to_pylist()
    assert Counter(n["key"] for n in notes) == Counter({f"drops/{key}": 1 for key in texts})
    spans = read_spans(tables, night.batch_id).to_pylist()
    for note in notes:
        text = texts[note["key"].removeprefix("drops/")]
        mine = [s for s in spans if s["key"] == note["key"]]
        assert note["outcome"] == "annotated"
        assert (note["characters"], note["characters_read"]) == (len(text), len(text))
        assert note["entities"] == len(mine)
        ann = user.read(f"annotations/{note['key'].removeprefix('drops/').removesuffix('.txt')}.ann").decode()
        in_file = {(m[2], int(m[3]), int(m[4])) for m in map(LINE.fullmatch, ann.split("\n")) if m}
        assert in_file == {(s["label"], s["char_start"], s["char_end"]) for s in mine}
        assert all(text[s["char_start"] : s["char_end"]] == s["text"] for s in mine)
