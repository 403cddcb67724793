"""Seconds of transformers' Trainer on tokenised windows; run by training_against_trainer.py in a venv.

    python trainer_child.py GIVEN.json CHECKPOINT_FOLDER SCRATCH

As the library's token classification example with `--pad_to_max_length`: every window padded to the maximum, float32,
AdamW, linear schedule. Prints one line of JSON.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoModelForTokenClassification,
    PreTrainedTokenizerFast,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    default_data_collator,
)


class Clock(TrainerCallback):  # type: ignore[misc]
    """Seconds without the first step, which includes the set-up."""

    begun = 0.0
    seconds = 0.0

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """Called by Trainer."""
        if state.global_step == 1:
            self.begun = time.perf_counter()
        self.seconds = time.perf_counter() - self.begun


def main() -> None:
    """Train for the given number of steps."""
    given = json.loads(Path(sys.argv[1]).read_text())
    size, longest, steps = given["batch_size"], given["window"], given["steps"]
    pad = PreTrainedTokenizerFast.from_pretrained(sys.argv[2]).pad_token_id
    rows = []
    for ids, labels in given["windows"]:
        missing = longest - len(ids)
        rows.append(
            {
                "input_ids": ids + [pad] * missing,
                "attention_mask": [1] * len(ids) + [0] * missing,
                "labels": labels + [-100] * missing,
            }
        )
    clock = Clock()
    trainer = Trainer(
        AutoModelForTokenClassification.from_pretrained(sys.argv[2], dtype=torch.float32),
        TrainingArguments(
            sys.argv[3],
            per_device_train_batch_size=size,
            max_steps=steps,
            report_to=[],
            save_strategy="no",
            logging_strategy="no",
            disable_tqdm=True,
            seed=7,
            use_cpu=True,
        ),
        train_dataset=rows,
        data_collator=default_data_collator,
        callbacks=[clock],
    )
    trainer.train()
    real = sum(len(ids) for ids, _ in given["windows"]) / len(rows)
    print(json.dumps({"seconds": clock.seconds, "windows": (steps - 1) * size, "tokens_per_window": real}), flush=True)


if __name__ == "__main__":
    main()
