"""The training loop: of the six layers in full width, and of the narrower students."""

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

from augmenting import KEEP_LINKS, SWAPS, augment, cashtags, without_links
from data import Row

MAX_LENGTH = 128
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Settings:
    """What a stage is trained with; every field is on the card or in the README."""

    epochs: int
    learning_rate: float
    layer_decay: float = 0.9
    """Each layer below the last learns this much slower than the one above it."""
    batch_size: int = 32
    weight_decay: float = 0.01
    warmup: float = 0.06
    finbert_weight: float = 0.5
    """Of the second head's loss: FinBERT's answer to the same text."""
    swaps: float = SWAPS
    seed: int = 0


class TwoHeads(torch.nn.Module):
    """A BERT classifier with a second head that answers as FinBERT would; only the first ships.

    Tweets carry two labels, people's and FinBERT's, which differ in a third of them: two heads let
    the layers below learn from both.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model
        self.second = torch.nn.Linear(model.config.hidden_size, model.config.num_labels)

    def forward(self, inputs: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits of both heads, each ``(rows, labels)``."""
        pooled = self.model.dropout(self.model.bert(**inputs)[1])
        return self.model.classifier(pooled).float(), self.second(pooled).float()


def batches(lengths: Sequence[int], size: int, seed: int) -> list[list[int]]:
    """Shuffle, then sort by length within windows of 50 batches, so that little is padded."""
    rng = random.Random(seed)
    order = list(range(len(lengths)))
    rng.shuffle(order)
    window = size * 50
    cut: list[list[int]] = []
    for start in range(0, len(order), window):
        part = sorted(order[start : start + window], key=lengths.__getitem__)
        cut += [part[i : i + size] for i in range(0, len(part), size)]
    rng.shuffle(cut)
    return cut


def soft_cross_entropy(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """``-sum(target * log_softmax(logits))`` of each row; a target of zeros costs nothing."""
    return -(target * torch.log_softmax(logits, dim=-1)).sum(dim=-1)


def parameter_groups(network: TwoHeads, settings: Settings) -> Iterator[dict[str, Any]]:
    """Weight decay on matrices only (arXiv 1810.04805, A.2), lower layers slower."""
    layers = network.model.config.num_hidden_layers
    for name, parameter in network.named_parameters():
        place = re.search(r"encoder\.layer\.(\d+)\.", name)
        depth = layers - 1 - int(place[1]) if place else layers if "embeddings" in name else 0
        yield {
            "params": [parameter],
            "lr": settings.learning_rate * settings.layer_decay**depth,
            "weight_decay": settings.weight_decay if parameter.ndim > 1 else 0.0,
        }


def encode(tokenizer: Any, texts: list[str]) -> dict[str, torch.Tensor]:
    """Padded ids and mask of ``texts``."""
    inputs = tokenizer(
        texts, padding=True, truncation=True, max_length=MAX_LENGTH, return_tensors="pt"
    )
    return {name: inputs[name] for name in ("input_ids", "attention_mask")}


def answers(network: TwoHeads, tokenizer: Any, texts: Sequence[str], size: int = 32) -> Floats:
    """Both heads' logits, ``(texts, heads, labels)``, without dropout."""
    network.eval()
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    result = np.empty((len(texts), 2, network.model.config.num_labels), dtype=np.float32)
    for start in tqdm(range(0, len(order), size), desc="answers", mininterval=5, leave=False):
        rows = order[start : start + size]
        with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
            heads = network(encode(tokenizer, [texts[i] for i in rows]))
        result[rows] = torch.stack(heads, dim=1).numpy()
    return result


def _origin(network: TwoHeads, rows: Sequence[Row], settings: Settings) -> str:
    """A hash of the weights, rows and settings that training starts from."""
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
    """Train ``network`` in place; a stop after any epoch is resumed from ``state_path``.

    What is there of other weights, rows or settings is begun anew.
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
        optimizer, lambda s: min((s + 1) / warmup, max(0.0, (total - s) / (total - warmup)))
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
            links = rng.random() < KEEP_LINKS  # a batch alike: one link would pad all its rows
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
