"""A checkpoint with seeded weights: FinBERT's size without a download, for speed alone."""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path

from leanbert.errors import InputError
from leanbert_bench.backends import missing_packages
from leanbert_bench.run.preparing import make_once
from leanbert_bench.run.process import WorkerError, WorkerProcess
from leanbert_bench.run.worker import Message, serve

__all__ = ["SHAPES", "random_checkpoint"]

SHAPES = ("bert-base", "bert-tiny")
"""What :func:`random_checkpoint` can make: FinBERT's size, and one to try the bench with."""

_TINY = {
    "hidden_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 512,
}
_LABELS = ("positive", "negative", "neutral")
_NEEDS = ("torch", "transformers")


def random_checkpoint(shape: str, cache: Path, threads: int) -> Path:
    """A three-label BERT with seeded weights and the embedded model's WordPiece vocabulary.

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
            worker.ask("make", shape=shape, folder=str(folder))

    versions = [metadata.version(name) for name in _NEEDS]
    try:
        return make_once(cache / "-".join((f"random-{shape}", *versions)), make)
    except WorkerError as error:
        raise InputError(f"--random-weights {shape}: {error}") from error


def _make(message: Message) -> Message:
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

    from leanbert_models import default_model

    config = BertConfig(
        id2label=dict(enumerate(_LABELS)),
        label2id={label: i for i, label in enumerate(_LABELS)},
        problem_type="single_label_classification",
        **(_TINY if message["shape"] == "bert-tiny" else {}),
    )
    torch.manual_seed(0)
    BertForSequenceClassification(config).save_pretrained(message["folder"])
    file = str(default_model() / "tokenizer.json")
    tokenizer = BertTokenizerFast(tokenizer_file=file, model_max_length=512)
    tokenizer.save_pretrained(message["folder"])
    return {}


if __name__ == "__main__":
    serve({"make": _make})
    sys.exit(0)
