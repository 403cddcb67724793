"""A `pytorch_model.bin` of a download -> safetensors, in a child process that has no credentials and no other file."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import torch
from safetensors.torch import save_file

from enigma_tasks.children import run_child
from enigma_tasks.config import bare_environment
from enigma_tasks.errors import ModelError

if TYPE_CHECKING:
    from pathlib import Path

_SECONDS = 1800.0
_REFUSED = {3: "contains more than tensors; nothing in it was executed", 4: "is not a dictionary of tensors"}
"""The child's exit codes: its output might quote the file."""


def convert_pickle(pickle: Path, target: Path) -> None:
    """Write the tensors of a `pytorch_model.bin` as safetensors with their types; the same file gives the same bytes.

    torch's restricted unpickler builds tensors and plain containers only and executes nothing from the file; should it
    fail to, what runs has neither this process's memory nor its credentials.

    Raises:
        ModelError: the file contains anything else.
    """
    # -P: a file of the download's folder is no module
    command = [sys.executable, "-P", "-m", "enigma_tasks.ner.pickles", str(pickle.resolve()), str(target.resolve())]
    try:
        done = run_child(command, folder=pickle.parent, environment=bare_environment(), seconds=_SECONDS)
    except subprocess.TimeoutExpired:
        raise ModelError(f"{pickle.name} was not converted within {_SECONDS:g} s") from None
    if done.returncode:
        raise ModelError(f"{pickle.name} {_REFUSED.get(done.returncode, 'cannot be converted')}")


def main(pickle: str, target: str) -> int:
    """What the child runs; returns its exit code."""
    try:
        state = torch.load(pickle, map_location="cpu", weights_only=True)
    except Exception:  # noqa: BLE001 - whatever the file does to the unpickler
        return 3
    if not isinstance(state, dict) or not all(isinstance(v, torch.Tensor) for v in state.values()):
        return 4
    # Tied weights are one tensor under several names, which safetensors refuses: only the embedding's name is written.
    unique: dict[tuple[int, torch.Size, tuple[int, ...], torch.dtype], str] = {}
    for name in sorted(state, key=lambda name: ("embeddings" not in name, name)):
        value = state[name]
        unique.setdefault((value.data_ptr(), value.shape, value.stride(), value.dtype), name)
    save_file({n: state[n].clone().contiguous() for n in sorted(unique.values())}, target, metadata={"format": "pt"})
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
