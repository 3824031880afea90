"""A BERT in PyTorch whose matmuls compute what they would with rounded weights and activations.

Activations are rounded as the native engine rounds them: one scale and one zero point per token,
u8, zero exact. Everything between matmuls stays fp32.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from leanbert_export.int8.ranges import Sample, choose_smoothing
from studies.int4.packing import Shapes
from studies.int4.rounding import Doubles, Floats, Grid, round_compensated, round_nearest

_LEAST_SCALE = 1e-20


def round_rows(rows: torch.Tensor) -> torch.Tensor:
    """Round rows to u8 and restore them. *Shape:* ``(..., inputs)`` both."""
    flat = rows.reshape(-1, rows.shape[-1])
    low, high = flat.amin(-1).clamp(max=0), flat.amax(-1).clamp(min=0)
    scale = ((high - low) / 255).clamp(min=_LEAST_SCALE)
    zero = (-low / scale).round().int()
    found = torch.fake_quantize_per_channel_affine(flat, scale, zero, 0, 0, 255)
    return found.reshape(rows.shape)


@dataclass(frozen=True)
class Site:
    """Linear layers that read the same rows, and are one matmul in a bundle."""

    name: str
    linears: Sequence[nn.Linear]

    @property
    def down(self) -> bool:
        """Whether it is the second of a feed-forward pair."""
        return self.name.endswith("ffn_down")

    @property
    def smoothed(self) -> bool:
        """Whether it reads a LayerNorm, so that the recipe may smooth it."""
        return self.name.endswith(("qkv", "ffn_up", "dense"))

    def weight(self) -> Floats:
        """The weights of all of them. *Shape:* ``(inputs, outputs)``."""
        joined = torch.cat([linear.weight.detach() for linear in self.linears])
        return np.ascontiguousarray(joined.numpy().T)


def sites_of(model: Any) -> list[Site]:
    """The matmuls that a bundle of this BERT quantizes, in the order of computation."""
    bert = getattr(model, "bert", model)
    found = []
    for i, layer in enumerate(bert.encoder.layer):
        attention = layer.attention
        own = attention.self
        found += [
            Site(f"layer.{i}.qkv", [own.query, own.key, own.value]),
            Site(f"layer.{i}.attention_output", [attention.output.dense]),
            Site(f"layer.{i}.ffn_up", [layer.intermediate.dense]),
            Site(f"layer.{i}.ffn_down", [layer.output.dense]),
        ]
    if hasattr(model, "classifier"):
        found.append(Site("head.dense", [bert.pooler.dense]))
    return found


def shapes_of(model: Any) -> Shapes:
    """What the size of a bundle of this BERT depends on."""
    bert = getattr(model, "bert", model)
    sites = sites_of(model)
    sizes = {site.name: site.weight().shape for site in sites}
    words = bert.embeddings.word_embeddings.weight
    positions = bert.embeddings.position_embeddings.weight
    used = model if hasattr(model, "classifier") else nn.ModuleList([bert.embeddings, bert.encoder])
    numbers = sum(p.numel() for p in used.parameters()) - words.numel() - positions.numel()
    # A bundle has no biases of keys and values, and a smoothing of most matmuls behind a norm.
    hidden, layers = words.shape[1], len(bert.encoder.layer)
    smoothings = sum(sizes[site.name][0] for site in sites if site.smoothed)
    return Shapes(
        [(k, n) for k, n in sizes.values()],
        [(k, n) for name, (k, n) in sizes.items() if name.endswith("ffn_down")],
        [(words.shape[0], hidden)],
        (positions.shape[0], hidden),
        numbers - sum(k * n for k, n in sizes.values()) - 2 * layers * hidden + smoothings,
    )


@torch.inference_mode()
def record(
    model: Any, sites: Sequence[Site], batches: Sequence[Mapping[str, torch.Tensor]]
) -> dict[str, Sample]:
    """Run batches through the fp32 model, and record the rows that every site reads."""
    rows: dict[str, list[Any]] = {site.name: [] for site in sites}
    first: dict[str, list[Any]] = {site.name: [] for site in sites}
    mask = torch.zeros(0)

    def keep(name: str) -> Any:
        def hook(_: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
            (read,) = inputs
            if read.ndim == 3:
                starts = torch.zeros(mask.shape, dtype=torch.bool)
                starts[:, 0] = True
                rows[name].append(read[mask].half().numpy())
                first[name].append(starts[mask].numpy())
            else:
                rows[name].append(read.half().numpy())
                first[name].append(np.ones(len(read), bool))

        return hook

    hooks = [site.linears[0].register_forward_pre_hook(keep(site.name)) for site in sites]
    for batch in batches:
        mask = batch["attention_mask"].bool()
        model(**batch)
    for hook in hooks:
        hook.remove()
    return {
        site.name: Sample(np.concatenate(rows[site.name]), np.concatenate(first[site.name]))
        for site in sites
    }


@dataclass(frozen=True)
class Prepared:
    """What all ways of rounding one site's weights share."""

    weight: Floats
    """Multiplied by the smoothing. *Shape:* ``(inputs, outputs)``."""
    smoothing: Floats | None
    gram: Doubles
    """Of the smoothed and rounded rows."""
    means: tuple[Doubles, Doubles]
    """Of the rows, and of the rounded rows. *Shape:* ``(inputs,)`` both."""


def prepare(site: Site, sample: Sample, limit: int) -> Prepared:
    """Choose the smoothing of a site for weights of ``limit`` levels, and sum up its rows."""
    weight = site.weight()
    smoothing = choose_smoothing(sample, weight, limit) if site.smoothed else None
    rows = sample.rows.astype(np.float32)
    if smoothing is not None:
        weight, rows = weight * smoothing[:, None], rows / smoothing
    rounded = round_rows(torch.from_numpy(rows)).numpy()
    gram = (rounded.T @ rounded).astype(np.float64)
    means = (rows.mean(axis=0, dtype=np.float64), rounded.mean(axis=0, dtype=np.float64))
    return Prepared(weight, smoothing, gram, means)


class RoundedLinear(nn.Module):
    """A linear layer that rounds the rows that it reads."""

    def __init__(self, weight: Floats, bias: torch.Tensor, smoothing: Floats | None) -> None:
        super().__init__()
        self.weight = torch.from_numpy(np.ascontiguousarray(weight.T))
        self.bias = bias
        self.smoothing = None if smoothing is None else torch.from_numpy(1 / smoothing)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Round the rows and multiply them. *Shape:* ``(..., inputs)`` -> ``(..., outputs)``."""
        if self.smoothing is not None:
            rows = rows * self.smoothing
        return nn.functional.linear(round_rows(rows), self.weight, self.bias)


def rounded(site: Site, prepared: Prepared, grid: Grid, *, compensated: bool) -> list[nn.Module]:
    """Round a site's weights, and return what stands in for its linear layers.

    With ``compensated``, weights are rounded by GPTQ, and biases take back the mean error.
    """
    weight = prepared.weight
    if compensated:
        levels, steps = round_compensated(weight, prepared.gram, grid)
    else:
        levels, steps = round_nearest(weight, grid)
    kept = steps.restored(levels)
    change = np.zeros(weight.shape[1])
    if compensated:
        change = prepared.means[0] @ weight - prepared.means[1] @ kept
    ends = np.cumsum([linear.out_features for linear in site.linears])[:-1]
    parts = zip(site.linears, np.split(kept, ends, axis=1), np.split(change, ends), strict=True)
    return [
        RoundedLinear(
            part, linear.bias.detach() + torch.from_numpy(moved).float(), prepared.smoothing
        )
        for linear, part, moved in parts
    ]


def rounded_rows(table: torch.Tensor, grid: Grid) -> torch.Tensor:
    """Round an embedding, whose rows have scales of their own. *Shape:* ``(rows, width)`` both."""
    levels, steps = round_nearest(np.ascontiguousarray(table.detach().numpy().T), grid)
    return torch.from_numpy(np.ascontiguousarray(steps.restored(levels).T))


@contextmanager
def replaced(model: nn.Module, changes: Mapping[nn.Module, nn.Module]) -> Iterator[None]:
    """Put other modules in the place of some of a model's, and restore them at the end."""
    places = [
        (parent, name, child)
        for parent in model.modules()
        for name, child in parent.named_children()
        if child in changes
    ]
    for parent, name, child in places:
        setattr(parent, name, changes[child])
    try:
        yield
    finally:
        for parent, name, child in places:
            setattr(parent, name, child)
