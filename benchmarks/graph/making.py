"""Make the models that are timed: a seeded checkpoint, its bundle, and the peers' forms of it.

Each is made in a process of its own (``python -m making``), so that the parent stays small, and in
a folder that takes its name when all is in it.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import contestants
from graphs import LOGITS
from leanbert.cpu import allowed_cores
from leanbert.errors import InputError
from leanbert_bench.backends.optimum import optimum_preset
from leanbert_bench.run.process import WorkerProcess
from leanbert_bench.run.worker import Message, serve
from tokens import tokenize, write_tokens

SHAPES: dict[str, dict[str, int]] = {
    "bert-base": {},
    "minilm": {
        "hidden_size": 384,
        "num_hidden_layers": 6,
        "num_attention_heads": 12,
        "intermediate_size": 1536,
    },
}
"""What :func:`random_checkpoint` can make: what differs from ``BertConfig``'s defaults."""

_TOKENIZER = "bert-base-uncased"  # of both

_SAMPLE = Path(__file__).resolve().parents[2] / "export" / "leanbert_export" / "sample_texts.txt"


def random_checkpoint(work: Path, data: Path, name: str = "bert-base") -> Path:
    """A three-label classifier of a shape of :data:`SHAPES`, with seeded weights.

    Speed does not depend on the values. A checkpoint that is there is taken as it is.

    Raises:
        InputError: ``data`` has no tokenizer for it.
        WorkerError: it cannot be made.
    """
    tokenizer = data / "tokenizers" / _TOKENIZER / "tokenizer.json"
    if not tokenizer.is_file():
        raise InputError(f"{tokenizer}: missing; --data is the folder of the public sets")

    def make(folder: Path) -> None:
        _ask("checkpoint", tokenizer=str(tokenizer.absolute()), folder=str(folder), shape=name)

    return _once(work / name, make)


def bundle(checkpoint: Path, work: Path) -> Path:
    """Export a checkpoint, always anew: an old bundle may be of an older recipe.

    Raises:
        WorkerError: the export failed.
    """
    folder = (work / f"{checkpoint.name}-leanbert").absolute()
    _ask("bundle", checkpoint=str(checkpoint.absolute()), folder=str(folder))
    return folder


def optimum(checkpoint: Path, work: Path) -> Path:
    """Optimum's int8 preset of a checkpoint; one that is there is taken as it is.

    Raises:
        WorkerError: Optimum failed.
    """
    folder = work / f"{checkpoint.resolve().name}-optimum-{optimum_preset()}"
    return _once(
        folder, lambda empty: contestants.prepare("optimum", checkpoint, empty, LOGITS, None)
    )


def openvino(checkpoint: Path, work: Path) -> Path:
    """OpenVINO's int8 form of a checkpoint, calibrated on LeanBERT's own sample texts.

    For speed alone: what it is calibrated on changes its numbers, not its operators.

    Raises:
        LeanBertError: the checkpoint has no tokenizer.
        WorkerError: OpenVINO or NNCF failed.
    """

    def make(folder: Path) -> None:
        texts = _SAMPLE.read_text(encoding="utf-8").splitlines()
        tokens = tokenize(checkpoint, [text for text in texts if text.strip()])
        kept = write_tokens(folder.with_suffix(".npz"), tokens)
        try:
            contestants.prepare("openvino", checkpoint, folder, LOGITS, kept)
            for name in ("config.json", "tokenizer.json"):  # sentences.py tokenizes with them
                shutil.copy(checkpoint / name, folder)
        finally:
            kept.unlink()

    return _once(work / f"{checkpoint.resolve().name}-openvino", make)


def _once(folder: Path, make: Callable[[Path], object]) -> Path:
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = folder.absolute().with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    make(partial)
    return partial.rename(folder)


def _ask(do: str, **arguments: Any) -> None:
    with WorkerProcess("", allowed_cores(), "making") as worker:
        worker.ask(do, **arguments)


def _make_checkpoint(message: Message) -> Message:
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

    torch.manual_seed(0)
    config = BertConfig(num_labels=3, **SHAPES[message["shape"]])
    BertForSequenceClassification(config).save_pretrained(message["folder"])
    tokenizer = BertTokenizerFast(tokenizer_file=message["tokenizer"], model_max_length=512)
    tokenizer.save_pretrained(message["folder"])
    return {}


def _make_bundle(message: Message) -> Message:
    from leanbert_export.exporting import export

    export(message["checkpoint"], message["folder"], force=True)
    return {}


if __name__ == "__main__":
    serve({"checkpoint": _make_checkpoint, "bundle": _make_bundle})
    sys.exit(0)
