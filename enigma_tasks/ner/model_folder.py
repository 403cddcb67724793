"""Read and write model folders; the card, `enigma.json`, has the digest of every file."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from pydantic import Field, ValidationError
from safetensors.torch import load_file, save_file

from enigma_tasks import artifacts
from enigma_tasks.documents import EntityType  # noqa: TC001 - pydantic reads it
from enigma_tasks.errors import ModelError
from enigma_tasks.frozen import Frozen
from enigma_tasks.ner.dev_scores import DevScore  # noqa: TC001 - pydantic reads it
from enigma_tasks.ner.digests import file_digest
from enigma_tasks.ner.model_files import check_model_files, refused_unless_loaded
from enigma_tasks.ner.network.encoder import TokenClassifier, build_encoder
from enigma_tasks.ner.network.transformers_import import import_modelling
from enigma_tasks.ner.text.tokenizer import TextTokenizer
from enigma_tasks.params.members import MemberParams
from enigma_tasks.paths import model_file, refuse_model_links

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


Recipe = TypeVar("Recipe")
SomeCard = TypeVar("SomeCard", bound="Card[Any]")
FITTED_WEIGHTS = "no text; weights that were fitted to all notes"
"""What `Card.training_text` says of them."""
_SPECIAL_TOKENS = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token", "bos_token", "eos_token")


class Card(Frozen, Generic[Recipe]):
    """`enigma.json`: what is needed to run a model of any kind and to trace its origin; no times or paths."""

    schema_version: Literal[1] = 1
    languages: tuple[str, ...]
    entity_types: tuple[EntityType, ...]
    member: str
    recipe: Recipe
    """Its `kind` is the kind of model in the folder."""
    seed: int
    steps: int
    best_epoch: int
    dev: dict[EntityType, DevScore]
    digests: dict[str, str]
    """sha256 of the training data, the dev data, the recipe, the code and the base's weights."""
    tokenizer_fingerprint: str = ""
    training_text: dict[str, str] = Field(default_factory=dict)
    """File of the folder -> what it holds of the training notes."""
    files: dict[str, str] = Field(default_factory=dict)
    """sha256 of every other file of the folder."""


class ModelCard(Card[MemberParams]):
    """The card of a token classifier."""


@dataclass(frozen=True)
class Model:
    """A token classifier, ready to run."""

    card: ModelCard
    network: TokenClassifier
    tokenizer: TextTokenizer
    digest: str = ""
    """`model_digest` of its folder; empty while it is being trained."""


def save_model(model: Model, folder: Path) -> Model:
    """Write the model folder; returns the model with the card and digest as written.

    The same weights, tokenizer and card give the same bytes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config = {k: v for k, v in model.network.encoder.config.to_dict().items() if k != "_name_or_path"}  # type: ignore[union-attr, operator]
    write_json(folder / artifacts.ENCODER_CONFIG, config)
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in model.network.state_dict().items()}
    save_file(weights, folder / artifacts.MODEL_WEIGHTS, metadata={"format": "pt"})
    shutil.copymode(folder / artifacts.ENCODER_CONFIG, folder / artifacts.MODEL_WEIGHTS)  # 0600 by itself
    pretrained = model.tokenizer.pretrained
    pretrained.backend_tokenizer.save(str(folder / artifacts.TOKENIZER))
    write_json(folder / artifacts.TOKENIZER_CONFIG, tokenizer_config(pretrained))
    fingerprint = _load_tokenizer(folder).fingerprint
    card = model.card.model_copy(update={"tokenizer_fingerprint": fingerprint})
    card, digest = write_card(card, folder, artifacts.MODEL_FILES)
    return replace(model, card=card, digest=digest)


def load_model(folder: Path, digest: str | None = None) -> Model:
    """Check every digest of a model folder and load the model on the CPU.

    Raises:
        ModelError: a file is missing, damaged or does not fit the others, which it names; or the digest is another.
    """
    card = read_card(folder)
    found = verify_files(card, folder, digest)
    check_model_files(folder)
    tokenizer = _load_tokenizer(folder)
    if tokenizer.fingerprint != card.tokenizer_fingerprint:
        raise ModelError(f"model {folder.name}: {artifacts.TOKENIZER} tokenises differently than when it was saved")
    network = _load_network(folder, card)
    if tokenizer.vocabulary > network.encoder.config.vocab_size:  # type: ignore[union-attr, operator]
        raise ModelError(f"model {folder.name}: {artifacts.TOKENIZER} has more pieces than the encoder")
    return Model(card, network, tokenizer, found)


def verify_files(card: Card[Any], folder: Path, digest: str | None) -> str:
    """Check every file against the card; returns the folder's digest.

    Raises:
        ModelError: a file is missing, damaged or outside the folder, or the folder's digest is not `digest`.
    """
    for name, expected in card.files.items():
        if not model_file(folder, name).is_file():
            raise ModelError(f"model {folder.name}: {name} is missing")
        if file_digest(folder / name) != expected:
            raise ModelError(f"model {folder.name}: {name} is damaged (its digest is not the card's)")
    found = digest_by_card(card, folder)
    if digest is not None and found != digest:
        raise ModelError(f"model {folder.name}: its digest is {found[:12]}, expected {digest[:12]}")
    return found


def write_card(card: SomeCard, folder: Path, names: Sequence[str]) -> tuple[SomeCard, str]:
    """Write the card with the digests of the folder's files `names`; returns it as written, and the folder's digest."""
    files = {name: file_digest(folder / name) for name in sorted(names)}
    card = card.model_copy(update={"files": files})
    write_json(folder / artifacts.MODEL_CARD, card.model_dump(mode="json"))
    return card, model_digest(folder)


def model_digest(folder: Path) -> str:
    """sha256 over the names and digests of the folder's files, the card included: the model's address.

    Raises:
        ModelError: the card or a file it names is missing or outside the folder.
    """
    card = read_any_card(folder)
    for name in card.files:
        if not model_file(folder, name).is_file():
            raise ModelError(f"model {folder.name}: {name} is missing")
    files = {name: file_digest(folder / name) for name in card.files}
    return digest_by_card(card.model_copy(update={"files": files}), folder)


def read_card(folder: Path) -> ModelCard:
    """The card of a token classifier's folder. Raises ModelError as `read_card_as` does."""
    return read_card_as(ModelCard, folder, artifacts.MODEL_FILES)


def read_any_card(folder: Path) -> Card[Any]:
    """The card of a model folder of any kind, its recipe unread. Raises ModelError as `read_card_as` does."""
    return read_card_as(Card[Any], folder, ())


def read_card_as(card_type: type[SomeCard], folder: Path, names: Sequence[str]) -> SomeCard:
    """The card of a model folder of one kind, which must have digests of `names`.

    Raises:
        ModelError: it is missing, or this version does not understand it; `symbolic_link`: the folder holds one.
    """
    refuse_model_links(folder)
    path = folder / artifacts.MODEL_CARD
    try:
        card = card_type.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise ModelError(f"model {folder.name}: {artifacts.MODEL_CARD} is missing") from None
    except ValidationError as error:
        where = ", ".join(".".join(map(str, e["loc"])) for e in error.errors()[:3])
        raise ModelError(f"model {folder.name}: {artifacts.MODEL_CARD} is damaged at: {where}") from None
    absent = set(names) - set(card.files)
    if absent:
        raise ModelError(f"model {folder.name}: {artifacts.MODEL_CARD} has no digest of {min(absent)}")
    return card


def digest_by_card(card: Card[Any], folder: Path) -> str:
    """`model_digest` by the digests that the card has of the other files, which need not be there."""
    files = {**card.files, artifacts.MODEL_CARD: file_digest(folder / artifacts.MODEL_CARD)}
    return hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()


def _load_tokenizer(folder: Path) -> TextTokenizer:
    from transformers import PreTrainedTokenizerFast

    with refused_unless_loaded(f"model {folder.name}: {artifacts.TOKENIZER} cannot be read"):
        # `from_pretrained` takes four times as long, and may build a tokenizer that is not the file's.
        tree = json.loads((folder / artifacts.TOKENIZER_CONFIG).read_bytes())
        special = {name: tree[name] for name in _SPECIAL_TOKENS if name in tree}  # no setting that names a file
        tokenizer = TextTokenizer(PreTrainedTokenizerFast(tokenizer_file=str(folder / artifacts.TOKENIZER), **special))
        _ = tokenizer.fingerprint  # it tokenises a text, on which a damaged vocabulary fails
        return tokenizer


def _load_network(folder: Path, card: ModelCard) -> TokenClassifier:
    import_modelling()
    from transformers import AutoConfig
    from transformers.initialization import no_init_weights

    tree = json.loads((folder / artifacts.ENCODER_CONFIG).read_bytes())
    with refused_unless_loaded(f"model {folder.name}: {artifacts.ENCODER_CONFIG} describes no known encoder"):
        config = AutoConfig.for_model(**tree)
        recipe = card.recipe
        with no_init_weights():  # every weight is read from the file
            network = TokenClassifier(build_encoder(config), len(card.entity_types), recipe.head, recipe.head_layers)
    with refused_unless_loaded(f"model {folder.name}: {artifacts.MODEL_WEIGHTS} does not fit its config"):
        report = network.load_state_dict(load_file(folder / artifacts.MODEL_WEIGHTS), strict=False)
    wrong = [*report.missing_keys, *report.unexpected_keys]
    if wrong:
        raise ModelError(
            f"model {folder.name}: {artifacts.MODEL_WEIGHTS} does not fit its config: "
            f"{len(report.missing_keys)} weights missing, {len(report.unexpected_keys)} unexpected, e.g. {wrong[0]}"
        )
    return network.eval()


def tokenizer_config(pretrained: Any) -> dict[str, Any]:
    """The settings that `PreTrainedTokenizerFast` needs beside tokenizer.json, without versions and folders."""
    special = {name: str(value) for name in _SPECIAL_TOKENS if (value := getattr(pretrained, name, None)) is not None}
    return {"tokenizer_class": "PreTrainedTokenizerFast", **special}


def write_json(path: Path, tree: Mapping[str, Any]) -> None:
    """Write JSON with sorted keys: the same tree gives the same bytes."""
    path.write_text(json.dumps(tree, sort_keys=True, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
