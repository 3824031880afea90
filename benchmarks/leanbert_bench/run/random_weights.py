"""Checkpoints with seeded weights: a real model's size without a download, for speed alone."""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from leanbert.errors import InputError
from leanbert_bench.backends import missing_packages
from leanbert_bench.run.preparing import make_once
from leanbert_bench.run.process import WorkerError, WorkerProcess
from leanbert_bench.run.worker import Message, serve

SHAPES: dict[str, dict[str, int]] = {
    "bert-base": {},
    "minilm": {
        "hidden_size": 384,
        "num_hidden_layers": 6,
        "num_attention_heads": 12,
        "intermediate_size": 1536,
    },
    "bert-tiny": {
        "hidden_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 512,
    },
}
"""What :func:`random_checkpoint` makes, by what differs from BERT-base: FinBERT's size, that of
all-MiniLM-L6-v2, and one to try the bench with."""

_LABELS = ("positive", "negative", "neutral")
_NEEDS = ("torch", "transformers")
_SPECIAL = {
    "unk_token": "[UNK]", "pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]",
    "mask_token": "[MASK]",
}  # fmt: skip


def random_checkpoint(shape: str, cache: Path, threads: int) -> Path:
    """Return a three-label BERT of a shape of :data:`SHAPES`, made once and kept in ``cache``.

    Speed does not depend on the values; what it answers means nothing. It is made in a process of
    its own, so that the caller stays small.

    Raises:
        InputError: there is no such shape, or it cannot be made.
    """
    if shape not in SHAPES:
        raise InputError(f"--random-weights {shape}: expected one of {', '.join(SHAPES)}")
    absent = missing_packages(_NEEDS)
    if absent:
        raise InputError(
            f"--random-weights needs {', '.join(absent)}; install with: "
            "pip install 'leanbert[bench]'"
        )

    def make(folder: Path) -> None:
        with WorkerProcess("", threads, __name__) as worker:
            worker.ask("make", sizes=SHAPES[shape], folder=str(folder))

    versions = [metadata.version(name) for name in _NEEDS]
    try:
        return make_once(cache / "-".join((f"random-{shape}", *versions)), make)
    except WorkerError as error:
        raise InputError(f"--random-weights {shape}: {error}") from error


def save_random_checkpoint(
    folder: Path, model_type: str = "bert", *, lower_case: bool = True, **config: Any
) -> None:
    """Save a three-label classifier with seeded weights and the embedded model's vocabulary.

    Args:
        folder: where its files go.
        model_type: transformers' name of the family.
        lower_case: whether a BERT's tokenizer makes texts lower case.
        config: what differs from the family's defaults, for example ``hidden_size``.
    """
    import torch
    from transformers import (
        AutoConfig,
        AutoModelForSequenceClassification,
        BertTokenizerFast,
        PreTrainedTokenizerFast,
    )

    from leanbert_models import default_model

    settings = AutoConfig.for_model(
        model_type,
        id2label=dict(enumerate(_LABELS)),
        label2id={label: i for i, label in enumerate(_LABELS)},
        problem_type="single_label_classification",
        **config,
    )
    file = str(default_model() / "tokenizer.json")
    if model_type == "bert":
        tokenizer = BertTokenizerFast(
            tokenizer_file=file, model_max_length=512, do_lower_case=lower_case
        )
    else:
        inputs = ["input_ids", "attention_mask"]
        tokenizer = PreTrainedTokenizerFast(
            tokenizer_file=file, model_max_length=512, model_input_names=inputs, **_SPECIAL
        )
        settings.pad_token_id = tokenizer.pad_token_id
    torch.manual_seed(0)
    AutoModelForSequenceClassification.from_config(settings).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _make(message: Message) -> Message:
    save_random_checkpoint(Path(message["folder"]), **message["sizes"])
    return {}


if __name__ == "__main__":
    serve({"make": _make})
    sys.exit(0)
