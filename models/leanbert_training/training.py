"""The training loop of the teachers and of the students."""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from tqdm import tqdm

from leanbert_training.augmenting import KEEP_LINKS, SWAPS, augment, cashtags, without_links
from leanbert_training.rows import Row

MAX_LENGTH = 128
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Settings:
    """The settings of one training; README.md lists them all."""

    epochs: int
    learning_rate: float
    layer_decay: float = 0.9
    """The learning rate of a layer divided by that of the layer above it."""
    batch_size: int = 32
    weight_decay: float = 0.01
    warmup: float = 0.06
    """Share of the steps in which the learning rate rises."""
    last_rate: float = 0.0
    """Share of the learning rate that is left after the last step; it falls linearly."""
    finbert_weight: float = 0.5
    """The weight of the second head's loss, whose target is FinBERT's answer to the text."""
    swaps: float = SWAPS
    """Share of the texts whose cashtags are swapped; the same share has its names swapped."""
    seed: int = 0


class TwoHeads(torch.nn.Module):
    """A BERT classifier with a second head that answers as FinBERT does. Only the first head ships.

    A tweet has two labels, one by people and one by FinBERT, and they differ for a third of the
    tweets. With two heads the layers below them learn from both.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model
        self.second = torch.nn.Linear(model.config.hidden_size, model.config.num_labels)

    def forward(self, inputs: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """The logits of both heads.

        *Shape:* ``(rows, labels)`` each.
        """
        pooled = self.model.dropout(self.model.bert(**inputs)[1])
        return self.model.classifier(pooled).float(), self.second(pooled).float()


def batches(lengths: Sequence[int], size: int, seed: int) -> list[list[int]]:
    """Cut the rows into shuffled batches of similar lengths, so that little is padded.

    The rows are shuffled, then sorted by length in groups of 50 batches.

    Returns:
        The indices of the rows of each batch.
    """
    rng = random.Random(seed)
    order = list(range(len(lengths)))
    rng.shuffle(order)
    group = size * 50
    cut: list[list[int]] = []
    for start in range(0, len(order), group):
        part = sorted(order[start : start + group], key=lengths.__getitem__)
        cut += [part[i : i + size] for i in range(0, len(part), size)]
    rng.shuffle(cut)
    return cut


def soft_cross_entropy(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """The cross-entropy of each row, which is 0 where the target is all zeros.

    *Shape:* ``(rows, labels)`` both -> ``(rows,)``.
    """
    return -(target * torch.log_softmax(logits, dim=-1)).sum(dim=-1)


def parameter_groups(network: TwoHeads, settings: Settings) -> Iterator[dict[str, Any]]:
    """One group per parameter: only matrices decay (arXiv 1810.04805), low layers learn slower."""
    layers = network.model.config.num_hidden_layers
    for name, parameter in network.named_parameters():
        place = re.search(r"encoder\.layer\.(\d+)\.", name)
        depth = layers - 1 - int(place[1]) if place else layers if "embeddings" in name else 0
        yield {
            "params": [parameter],
            "lr": settings.learning_rate * settings.layer_decay**depth,
            "weight_decay": settings.weight_decay if parameter.ndim > 1 else 0.0,
        }


def rate_at(step: int, total: int, warmup: int, last: float) -> float:
    """The learning rate of a step of ``total``, by the highest one, which is that of ``warmup``."""
    left = max(0.0, (total - step) / (total - warmup))
    return min((step + 1) / warmup, last + (1 - last) * left)


def encode(tokenizer: Any, texts: list[str]) -> dict[str, torch.Tensor]:
    """The padded ``input_ids`` and ``attention_mask`` of ``texts``, *shape* ``(texts, length)``."""
    inputs = tokenizer(
        texts, padding=True, truncation=True, max_length=MAX_LENGTH, return_tensors="pt"
    )
    return {name: inputs[name] for name in ("input_ids", "attention_mask")}


def predict_logits(
    network: TwoHeads, tokenizer: Any, texts: Sequence[str], size: int = 32
) -> Floats:
    """The logits of both heads, computed without dropout.

    *Shape:* ``(texts, heads, labels)``.
    """
    network.eval()
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    result = np.empty((len(texts), 2, network.model.config.num_labels), dtype=np.float32)
    for start in tqdm(range(0, len(order), size), desc="logits", mininterval=5, leave=False):
        rows = order[start : start + size]
        with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
            heads = network(encode(tokenizer, [texts[i] for i in rows]))
        result[rows] = torch.stack(heads, dim=1).numpy()
    return result


def _origin(network: TwoHeads, rows: Sequence[Row], settings: Settings) -> str:
    """A hash of the weights, rows and settings with which training starts."""
    found = hashlib.sha256(repr((settings, rows)).encode())
    for name, value in network.state_dict().items():
        found.update(name.encode() + value.numpy().tobytes())
    return found.hexdigest()


def train(
    network: TwoHeads,
    tokenizer: Any,
    rows: Sequence[Row],
    settings: Settings,
    state_path: Path,
) -> None:
    """Train ``network`` in place.

    The state after each epoch is written to ``state_path``, and an interrupted training continues
    from it. Training starts anew if that state belongs to other weights, rows or settings.

    Args:
        network: the classifier.
        tokenizer: a fast tokenizer of transformers.
        rows: the rows to learn from.
        settings: how to train.
        state_path: the file that holds the state.
    """
    tags = cashtags([row.text for row in rows])
    lengths = [len(without_links(row.text)) for row in rows]
    first = np.array([row.target for row in rows], dtype=np.float32)
    second = np.array([row.finbert or (0.0, 0.0, 0.0) for row in rows], dtype=np.float32)
    steps = len(batches(lengths, settings.batch_size, 0))
    total = steps * settings.epochs
    warmup = max(1, int(total * settings.warmup))
    optimizer = torch.optim.AdamW(parameter_groups(network, settings), fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: rate_at(step, total, warmup, settings.last_rate)
    )
    done, origin = 0, _origin(network, rows, settings)
    state = torch.load(state_path, weights_only=True) if state_path.exists() else {}
    if state and state.get("origin") != origin:
        print(f"{state_path} is of other weights, rows or settings: beginning anew")
    elif state:
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
        schedule.load_state_dict(state["schedule"])
        done = state["epoch"]
        print(f"resuming after epoch {done}")
    for epoch in range(done, settings.epochs):
        torch.manual_seed(settings.seed + 1 + epoch)  # dropout is the same after a resume
        rng = random.Random(settings.seed * 1000 + epoch)
        network.train()
        progress = tqdm(
            batches(lengths, settings.batch_size, settings.seed + epoch),
            desc=f"epoch {epoch + 1}/{settings.epochs}",
            mininterval=10,
        )
        for batch in progress:
            links = rng.random() < KEEP_LINKS  # for a whole batch, as one link would pad all rows
            texts = [
                augment(rows[i].text, tags, rng, links=links, swaps=settings.swaps) for i in batch
            ]
            inputs = encode(tokenizer, texts)
            with torch.autocast("cpu", dtype=torch.bfloat16):
                ours, theirs = network(inputs)
            loss = soft_cross_entropy(ours, torch.from_numpy(first[batch])).mean()
            loss = (
                loss
                + settings.finbert_weight
                * soft_cross_entropy(theirs, torch.from_numpy(second[batch])).mean()
            )
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
            progress.set_postfix(loss=f"{loss.item():.3f}", refresh=False)
        partial = state_path.with_suffix(".tmp")
        torch.save(
            {
                "network": network.state_dict(),
                "optimizer": optimizer.state_dict(),
                "schedule": schedule.state_dict(),
                "epoch": epoch + 1,
                "origin": origin,
            },
            partial,
        )
        partial.replace(state_path)
