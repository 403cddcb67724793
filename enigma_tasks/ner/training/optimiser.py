"""AdamW with its parameter groups, the learning rate schedule, and the training step."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, Any

import torch

from enigma_tasks.ner.batching import Example, collate, parts, targets
from enigma_tasks.ner.network.encoder import label_counts
from enigma_tasks.ner.network.half_precision import has_bf16

if TYPE_CHECKING:
    from collections.abc import Sequence

    from enigma_tasks.ner.model_folder import Model
    from enigma_tasks.ner.network.encoder import TokenClassifier
    from enigma_tasks.params.members import MemberParams

log = logging.getLogger(__name__)

_NO_DECAY = ("bias", "LayerNorm.weight", "layer_norm.weight", "norm.weight")
_ON_TOP = ("heads.", "crfs.")


def optimiser_of(network: TokenClassifier, recipe: MemberParams) -> torch.optim.AdamW:
    """AdamW (paper, appendix C); biases, norms and CRFs do not decay, heads and CRFs have their own learning rate.

    Groups in order: encoder with decay, encoder without, heads with decay, heads and CRFs without.
    """
    groups: list[dict[str, Any]] = []
    group_of: dict[tuple[bool, bool], dict[str, Any]] = {}
    for on_top, rate in ((False, recipe.learning_rate), (True, recipe.head_learning_rate or recipe.learning_rate)):
        for decays, decay in ((True, recipe.weight_decay), (False, 0.0)):
            group_of[on_top, decays] = {"params": [], "lr": rate, "weight_decay": decay}
            groups.append(group_of[on_top, decays])
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            decays = not (name.endswith(_NO_DECAY) or name.startswith("crfs."))
            group_of[name.startswith(_ON_TOP), decays]["params"].append(parameter)
    for group in groups:
        group["initial_lr"] = group["lr"]
    return torch.optim.AdamW(groups, fused=True)


def rate_factor(step: int, total: int, warmup_ratio: float) -> float:
    """Factor of the learning rates at `step`, from 0: rises over the warm-up, then falls linearly to near 0."""
    warm_up = math.ceil(total * warmup_ratio)
    return (step + 1) / warm_up if step < warm_up else (total - step) / max(1, total - warm_up)


class TrainingStep:
    """An optimiser step on a batch of windows."""

    def __init__(self, model: Model, total: int, device: torch.device) -> None:
        """`total`: steps of the whole training."""
        self.network = model.network
        self.total = total
        self._tokenizer, self._device = model.tokenizer, device
        self._recipe = model.card.recipe
        self._precision = effective_precision(self._recipe.precision, device)
        self.optimiser = optimiser_of(model.network, self._recipe)
        self.scaler = torch.amp.GradScaler(device.type, enabled=self._precision == torch.float16)

    def __call__(self, batch: Sequence[Example], step: int) -> torch.Tensor:
        """Run step number `step`, from 0, on the batch; returns the loss, detached."""
        for group in self.optimiser.param_groups:
            group["lr"] = group["initial_lr"] * rate_factor(step, self.total, self._recipe.warmup_ratio)
        batch_parts = list(parts(batch, self._recipe.batch_tokens))
        counts = None
        if len(batch_parts) > 1:
            counts = torch.stack([label_counts(torch.from_numpy(e.tags)[None]) for e in batch]).sum(0).to(self._device)
        self.optimiser.zero_grad(set_to_none=True)
        loss = torch.zeros((), device=self._device)
        for part in batch_parts:
            loss += self._backward(part, counts)
        self.scaler.unscale_(self.optimiser)
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), self._recipe.max_gradient_norm)
        self.scaler.step(self.optimiser)
        self.scaler.update()
        return loss

    def _backward(self, part: Sequence[Example], counts: torch.Tensor | None) -> torch.Tensor:
        network, device = self.network, self._device
        ids, attention, owner, words = collate([e.window for e in part], self._tokenizer)
        tags, soft = targets(part, words)
        with torch.autocast(device.type, dtype=self._precision, enabled=self._precision != torch.float32):
            scores = network(
                ids.to(device), None if attention is None else attention.to(device), owner.to(device), words
            )
        loss = network.loss(scores, tags.to(device), None if soft is None else soft.to(device), counts)
        torch.autograd.backward(self.scaler.scale(loss))
        return loss.detach()


def effective_precision(requested: str, device: torch.device) -> torch.dtype:
    """The number format of products: half precision only if the hardware has it, else float32 with a warning."""
    if requested == "fp16" and device.type == "cuda":
        return torch.float16
    if requested != "fp32" and has_bf16(device):
        return torch.bfloat16
    if requested != "fp32":
        log.warning("%s is not native on this %s: training in fp32", requested, device.type)
    return torch.float32


def hardware() -> dict[str, str]:
    """Device, number of threads and version of torch."""
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else torch.backends.cpu.get_cpu_capability()
    return {"device": device, "threads": str(torch.get_num_threads()), "torch": torch.__version__}
