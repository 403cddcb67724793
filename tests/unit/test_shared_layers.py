"""Members that keep their base's lower layers share them in the engine, and answer as they do alone."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest
from transformers import AutoConfig

from enigma_tasks.documents import EntityType
from enigma_tasks.errors import UsageError
from enigma_tasks.ner.engine import Engine
from enigma_tasks.ner.model_folder import load_model, save_model
from enigma_tasks.ner.network.encoder import build_encoder
from enigma_tasks.ner.network.shared_layers import freeze, shared_layers
from enigma_tasks.ner.training.train import Task, train
from tests.unit.base_builders import FAMILIES, base_folder
from tests.unit.ner_builders import notes, recipe

if TYPE_CHECKING:
    import torch

    from enigma_tasks.ner.model_folder import Model
    from enigma_tasks.params.members import MemberParams

LAYERS = 3


def recipe_on(base: Path, **changes: Any) -> MemberParams:
    return recipe(base=str(base), scratch=None, epochs=4, learning_rate=2e-2, **changes)


@lru_cache
def members(family: str) -> tuple[Model, ...]:
    """On one base: two that keep two layers of three, one that keeps one, one with other windows, one all free."""
    own = [
        (1, {"frozen_layers": 2}),
        (2, {"frozen_layers": 2, "head": "crf"}),
        (3, {"frozen_layers": 1, "head_layers": 1}),
        (4, {"frozen_layers": 2, "overlap_tokens": 4}),
        (5, {}),
    ]
    with TemporaryDirectory() as scratch:
        base = base_folder(Path(scratch) / "base", family, layers=LAYERS)
        tasks = [Task("es", tuple(EntityType), "m", recipe_on(base, **changes), seed) for seed, changes in own]
        return tuple(train(t, notes(12), notes(3, 100))[0] for t in tasks)


def runs_of(module: torch.nn.Module) -> list[int]:
    """Grows by the batch's rows with every run of the module."""
    rows: list[int] = []
    module.register_forward_hook(lambda _, given, __: rows.append(len(given[0])))
    return rows


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("family", FAMILIES)
def test_members_that_share_layers_answer_as_each_does_alone(family: str, precision: Any) -> None:
    together, documents = Engine(members(family), 200, precision), notes(9, 30)
    assert [group.indexes for group in together._groups] == [[0, 1, 2], [3], [4]]
    found = together.read(documents, averaged=range(5))
    for place, model in enumerate(members(family)):
        alone = Engine([model], 200, precision).read(documents, averaged=[0])
        assert [r.entities[0] for r in alone] == [r.entities[place] for r in found]
        assert [r.word_probabilities[0].values.tolist() for r in alone] == [
            r.word_probabilities[place].values.tolist() for r in found
        ]
    assert all(r.characters_read == len(d.text) for r, d in zip(found, documents, strict=True))


def test_answers_come_in_the_order_of_the_models_whatever_shares() -> None:
    a, b, _, other, free = members("bert")
    models, documents = [a, free, other, b], notes(4, 30)
    engine = Engine(models, 200, "fp32")
    rows, answers = list(engine.probabilities(documents)), engine.predict(documents)
    for place, model in enumerate(models):
        alone = Engine([model], 200, "fp32")
        assert answers[place] == alone.predict(documents)[0]
        for row, (own,) in zip(rows, alone.probabilities(documents), strict=True):
            assert row[place].values.tolist() == own.values.tolist()
    assert rows[0][0].values.tolist() != rows[0][3].values.tolist()


def test_what_is_shared_is_run_once_and_the_rest_once_a_member() -> None:
    engine = Engine(members("xlm-roberta")[:3], 200, "fp32")
    (group,) = engine._groups
    assert group.shared_encoder is not None
    stack: Any = group.shared_encoder.encoder
    assert len(stack.layer) == 1
    lowest = runs_of(stack.layer[0])
    above = [runs_of(network.encoder.encoder.layer[0]) for network in group.networks]  # type: ignore[union-attr, index]
    engine.predict(notes(9, 30))
    assert lowest
    assert all(rows == lowest for rows in above)


def test_kept_layers_stay_bit_for_bit_through_training_and_folder_and_the_others_learn(tmp_path: Path) -> None:
    kept, free = members("roberta")[0], members("roberta")[4]
    base = base_folder(tmp_path / "base", "roberta", layers=LAYERS)
    untouched = train(
        Task("es", tuple(EntityType), "m", recipe_on(base, max_steps=1, frozen_layers=3), 1), notes(4), []
    )
    encoder = untouched[0].network.encoder
    assert shared_layers(encoder, kept.network.encoder) == 2
    assert shared_layers(encoder, free.network.encoder) == 0
    save_model(kept, tmp_path / "kept")
    assert shared_layers(encoder, load_model(tmp_path / "kept").network.encoder) == 2


def test_encoders_of_other_shapes_share_nothing() -> None:
    model = members("bert")[0]
    encoder = model.network.encoder
    assert shared_layers(encoder, encoder) == LAYERS
    config: Any = encoder.config
    changed = build_encoder(type(config).from_dict({**config.to_dict(), "num_attention_heads": 4}))
    changed.load_state_dict(encoder.state_dict())
    assert shared_layers(encoder, changed) == 0
    assert shared_layers(encoder, members("camembert")[0].network.encoder) == 0


def test_layers_that_are_not_there_are_refused(tmp_path: Path) -> None:
    base = base_folder(tmp_path / "base", layers=LAYERS)
    task = Task("es", tuple(EntityType), "m", recipe_on(base, frozen_layers=LAYERS), 1)
    with pytest.raises(UsageError, match="frozen_layers: 4 of an encoder with 3 layers"):
        train(replace(task, recipe=recipe_on(base, frozen_layers=LAYERS + 1)), notes(4), notes(1, 100))
    tiny = AutoConfig.for_model("albert", vocab_size=50, hidden_size=16, num_attention_heads=2, intermediate_size=16)
    with pytest.raises(UsageError, match="frozen_layers: not for albert"):
        freeze(build_encoder(tiny), 1)
    with pytest.raises(ValueError, match="not for an encoder from scratch"):
        recipe(frozen_layers=1)
