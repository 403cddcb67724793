"""Base models as a hostile hub would hold them: nothing of them runs, no prompt appears, no other file is opened."""

from __future__ import annotations

import ast
import io
import json
import pickle
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from enigma_tasks.config import bare_environment
from enigma_tasks.errors import ModelError
from enigma_tasks.members.gliner import load_checkpoint
from enigma_tasks.ner.base_models import load_base
from enigma_tasks.ner.model_files import check_model_files
from enigma_tasks.ner.model_folder import load_model
from enigma_tasks.ner.pickles import convert_pickle
from tests.unit.base_builders import base_folder
from tests.unit.gliner_builders import checkpoint
from tests.unit.ner_builders import model_folder, recipe

PACKAGE = Path(__file__).parents[2] / "enigma_tasks"
OWN = recipe(base="x", scratch=None)
RUNS = "from pathlib import Path\nPath(__file__).with_name('it-ran').touch()\n"
AUTO_MAP = {"AutoConfig": "code.Config", "AutoModel": "code.Model", "AutoTokenizer": ["code.Tokenizer", None]}


def change(path: Path, **settings: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_bytes()), **settings}))


@pytest.fixture(autouse=True)
def yes_to_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    """A person who answers every prompt with yes."""
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n" * 9))


@pytest.fixture
def base(tmp_path: Path) -> Path:
    folder = base_folder(tmp_path / "base")
    (folder / "code.py").write_text(RUNS)
    return folder


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json", "generation_config.json"])
def test_a_base_model_that_names_code_is_refused_and_its_code_does_not_run(base: Path, name: str) -> None:
    if not (base / name).exists():
        (base / name).write_text("{}")
    change(base / name, auto_map=AUTO_MAP)
    with pytest.raises(ModelError, match=rf"model base: model_code \({name} has auto_map"):
        load_base(base, OWN)
    assert not list(base.rglob("it-ran"))


@pytest.mark.parametrize(
    "settings",
    [
        {"sub_config": {"deep": [{"auto_map": AUTO_MAP}]}},
        {"attn_implementation": "someone/kernel"},
        {"_attn_implementation": "someone/kernel@main:layer"},
        {"transformers_weights": "other.bin"},
    ],
)
def test_settings_that_lead_to_code_or_other_weights_by_another_way_are_refused(
    base: Path, settings: dict[str, Any]
) -> None:
    change(base / "config.json", **settings)
    with pytest.raises(ModelError, match="model_code"):
        load_base(base, OWN)


def test_an_adapter_that_names_another_base_is_refused(base: Path) -> None:
    (base / "adapter_config.json").write_text('{"base_model_name_or_path": "someone/else"}')
    with pytest.raises(ModelError, match="model_code"):
        load_base(base, OWN)


@pytest.mark.parametrize("content", ["[]", "{", "[" * 100_000, '"auto_map"', "\xff"])
def test_settings_that_are_no_object_are_a_typed_error(base: Path, content: str) -> None:
    (base / "config.json").write_bytes(content.encode("latin-1"))
    with pytest.raises(ModelError, match="settings_damaged"):
        load_base(base, OWN)


@pytest.mark.parametrize(
    "settings", [{"vocab_size": 2**31}, {"num_hidden_layers": 10**6}, {"x": {"hidden_size": 10**400}}]
)
def test_sizes_that_would_fill_the_memory_are_refused_before_anything_is_built(
    base: Path, settings: dict[str, Any]
) -> None:
    change(base / "config.json", **settings)
    with pytest.raises(ModelError, match=r"settings_damaged \(config.json asks for"):
        load_base(base, OWN)


def test_a_vocabulary_whose_numbers_would_fill_the_memory_is_refused(base: Path) -> None:
    tokenizer = (base / "tokenizer.json").read_bytes()
    (base / "tokenizer.json").write_bytes(tokenizer.replace(b'"<mask>": 4', b'"<mask>": 2147483648', 1))
    with pytest.raises(ModelError, match=r"settings_damaged \(tokenizer.json"):
        load_base(base, OWN)


@pytest.mark.parametrize("kind", ["unheard-of", "clip", None, 3])
def test_a_config_of_no_known_encoder_is_a_typed_error(base: Path, kind: object) -> None:
    change(base / "config.json", model_type=kind)
    with pytest.raises(ModelError, match="model base"):
        load_base(base, OWN)


@pytest.mark.parametrize("shard", ["../outside.safetensors", "weights.bin", "/x.safetensors", "a/b.safetensors", "", 3])
def test_an_index_that_names_anything_but_safetensors_beside_it_is_refused(base: Path, shard: object) -> None:
    """transformers opens such a file with `torch.load`."""
    weights = load_file(base / "model.safetensors")
    (base / "model.safetensors").rename(base.parent / "outside.safetensors")
    (base / "a").mkdir()
    save_file(weights, base / "a/b.safetensors")
    torch.save(weights, base / "weights.bin")
    index = {"metadata": {}, "weight_map": dict.fromkeys(weights, shard)}
    (base / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ModelError, match=r"weights_unsafe|path_outside"):
        load_base(base, OWN)


def test_an_index_of_files_beside_it_is_read(base: Path) -> None:
    (base / "model.safetensors").rename(base / "model-1.safetensors")
    names = load_file(base / "model-1.safetensors")
    index = {"metadata": {}, "weight_map": dict.fromkeys(names, "model-1.safetensors")}
    (base / "model.safetensors.index.json").write_text(json.dumps(index))
    load_base(base, OWN)


def test_a_link_in_a_base_model_is_refused(base: Path, tmp_path: Path) -> None:
    (base / "model.safetensors").rename(tmp_path / "w")
    (base / "model.safetensors").symlink_to(tmp_path / "w")
    with pytest.raises(ModelError, match="symbolic_link"):
        load_base(base, OWN)


def test_a_gliner_checkpoint_whose_encoder_names_code_is_refused(tmp_path: Path) -> None:
    """GLiNER itself loads encoders with `trust_remote_code=True`."""
    folder = checkpoint(tmp_path / "gliner")
    (folder / "code.py").write_text(RUNS)
    tree = json.loads((folder / "gliner_config.json").read_bytes())
    change(folder / "gliner_config.json", encoder_config={**tree["encoder_config"], "auto_map": AUTO_MAP})
    with pytest.raises(ModelError, match="model_code"):
        load_checkpoint(folder, None)


def test_a_gliner_backbone_that_names_code_is_refused(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "gliner", backbone=tmp_path / "backbone")
    change(tmp_path / "backbone/config.json", auto_map=AUTO_MAP)
    with pytest.raises(ModelError, match="model backbone: model_code"):
        load_checkpoint(folder, tmp_path / "backbone")


@pytest.mark.parametrize("settings", [{"auto_map": AUTO_MAP}, {"attn_implementation": "someone/kernel"}])
def test_a_model_folder_that_names_code_is_refused_whatever_its_card_says(
    tmp_path: Path, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = model_folder(tmp_path / "model")
    monkeypatch.setattr("enigma_tasks.ner.model_folder.verify_files", lambda *_: "digest")
    change(folder / "config.json", **settings)
    with pytest.raises(ModelError, match="model_code"):
        load_model(folder)


def test_a_tokenizer_setting_that_names_a_file_is_not_passed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = model_folder(tmp_path / "model")
    monkeypatch.setattr("enigma_tasks.ner.model_folder.verify_files", lambda *_: "digest")
    change(folder / "tokenizer_config.json", gguf_file="/etc/passwd", tokenizer_object="x", slow_tokenizer="y")
    load_model(folder)


class Planted:
    """Unpickled, it makes a folder."""

    def __init__(self, canary: Path) -> None:
        self.canary = str(canary)

    def __reduce__(self) -> tuple[Any, ...]:
        return (__import__("os").mkdir, (self.canary,))


def test_a_pickle_is_read_in_a_process_without_credentials_and_nothing_in_it_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    assert not [name for name in bare_environment() if name.startswith(("AWS", "ENIGMA", "MLFLOW"))]
    folder = tmp_path / "download"
    folder.mkdir()
    (folder / "torch.py").write_text(RUNS)  # a module of the download's folder
    (folder / "x.bin").write_bytes(pickle.dumps(Planted(tmp_path / "it-ran")))
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("unpickled in this process"))
    with pytest.raises(ModelError, match="nothing in it was executed"):
        convert_pickle(folder / "x.bin", folder / "model.safetensors")
    assert not list(tmp_path.rglob("it-ran"))


def calls(name: str) -> list[tuple[str, ast.Call]]:
    return [
        (path.relative_to(PACKAGE).as_posix(), node)
        for path in sorted(PACKAGE.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == name
    ]


@pytest.mark.parametrize("name", ["from_pretrained", "from_config"])
def test_every_call_that_could_load_code_says_that_it_must_not(name: str) -> None:
    assert calls(name)
    for place, call in calls(name):
        words = {k.arg: getattr(k.value, "value", None) for k in call.keywords}
        assert words.get("trust_remote_code") is False, place


def test_only_the_child_process_for_pickles_unpickles() -> None:
    loads = [(place, call) for place, call in calls("load") if ast.unparse(call.func).startswith(("torch", "pickle"))]
    assert [place for place, _ in loads] == ["ner/pickles.py"]
    assert "weights_only=True" in ast.unparse(loads[0][1])


def test_a_sound_folder_passes(base: Path) -> None:
    check_model_files(base)
