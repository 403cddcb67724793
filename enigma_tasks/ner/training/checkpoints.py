"""Checkpoints after each epoch, from which a killed training is resumed with the same result.

A checkpoint is a safetensors file with JSON in its header, which cannot execute code. It is replaced atomically.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from enigma_tasks import artifacts

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor

    from enigma_tasks.ner.training.optimiser import TrainingStep

log = logging.getLogger(__name__)

_STATE = "state"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What `Checkpoints.read` returns: `state` as it was passed to `write`, and the best epoch's weights."""

    state: dict[str, Any]
    best: dict[str, Tensor]


class Checkpoints:
    """The checkpoint of one training in its model folder; without a folder there is none.

    `identity`: data, recipe, code and seed; the checkpoint of a training with another identity is not read.
    """

    def __init__(self, out: Path | None, identity: Mapping[str, Any]) -> None:
        self._folder = None if out is None else out / artifacts.TRAINING_STATE
        self._digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()

    def write(
        self, network: torch.nn.Module, step: TrainingStep, best: Mapping[str, Tensor], state: Mapping[str, Any]
    ) -> None:
        """Save weights, optimiser, random state and `state` (a JSON object)."""
        if self._folder is None:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        tensors = {f"network.{k}": v for k, v in network.state_dict().items()}
        tensors |= {f"best.{k}": v for k, v in best.items()}
        for i, moments in step.optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{i}.{name}": value for name, value in moments.items()}
        tensors["random.cpu"] = torch.random.get_rng_state()
        if torch.cuda.is_available():
            tensors["random.cuda"] = torch.cuda.get_rng_state()
        # Tied tensors share memory under several names, which safetensors refuses: copy each.
        tensors = {k: v.detach().cpu().clone().contiguous() for k, v in tensors.items()}
        text = json.dumps({"digest": self._digest, "scaler": step.scaler.state_dict(), "state": state})
        target = self._folder / artifacts.CHECKPOINT
        unfinished = target.with_suffix(".unfinished")
        save_file(tensors, unfinished, metadata={_STATE: text})
        with unfinished.open("rb") as file:
            os.fsync(file.fileno())
        unfinished.replace(target)

    def read(self, network: torch.nn.Module, step: TrainingStep) -> Checkpoint | None:
        """Restore weights, optimiser and random state; None if there is no checkpoint of this training."""
        if self._folder is None or not (path := self._folder / artifacts.CHECKPOINT).is_file():
            return None
        try:
            with safe_open(path, framework="pt") as file:
                tree = json.loads((file.metadata() or {}).get(_STATE, "{}"))
                if tree.get("digest") != self._digest:
                    log.warning("the checkpoint is of another training: starting from the beginning")
                    return None
                tensors: dict[str, Tensor] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, ValueError):
            log.warning("the checkpoint cannot be read: starting from the beginning")
            return None
        network.load_state_dict(_under("network.", tensors))
        moments: dict[int, dict[str, Tensor]] = {}
        for name, value in _under("optimiser.", tensors).items():
            index, _, field = name.partition(".")
            moments.setdefault(int(index), {})[field] = value
        groups = step.optimiser.state_dict()["param_groups"]
        step.optimiser.load_state_dict({"state": moments, "param_groups": groups})
        step.scaler.load_state_dict(tree["scaler"])
        torch.random.set_rng_state(tensors["random.cpu"])
        if "random.cuda" in tensors and torch.cuda.is_available():
            torch.cuda.set_rng_state(tensors["random.cuda"])
        return Checkpoint(tree["state"], _under("best.", tensors))


def discard(out: Path) -> None:
    """Delete the checkpoint, once the model is saved."""
    shutil.rmtree(out / artifacts.TRAINING_STATE, ignore_errors=True)


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
