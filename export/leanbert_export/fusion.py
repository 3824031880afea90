"""Make the fp32 graph fast: fuse what ONNX Runtime fuses rightly, and count that it did.

Fusion works by matching patterns, and finds nothing, silently, when an exporter changes its
patterns; so every layer's operators are counted. Left out on purpose (measured, see
docs/bundles.md): SkipLayerNormalization and BiasGelu, which are scalar loops on the CPU, and
EmbedLayerNormalization, which loses ``position_ids``.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import onnx
from onnxruntime.transformers import optimizer
from onnxruntime.transformers.fusion_options import FusionOptions

from leanbert_export.checkpoint import Checkpoint
from leanbert_export.errors import FusionError
from leanbert_export.fp32 import quiet

ATTENTION = "MultiHeadAttention"
NORMALIZATION = "LayerNormalization"
_ACTIVATIONS = {"gelu": "Gelu", "gelu_new": "FastGelu", "gelu_pytorch_tanh": "FastGelu"}


def fuse(graph: Path, fused: Path, checkpoint: Checkpoint) -> None:
    """Write the fused form of ``graph`` to ``fused``.

    Raises:
        FusionError: the attention, normalization or activation of a layer was not found.
    """
    raw = checkpoint.config.raw
    options = FusionOptions("bert")
    options.enable_embed_layer_norm = False
    options.enable_skip_layer_norm = False
    options.enable_bias_skip_layer_norm = False
    options.enable_bias_gelu = False
    options.use_multi_head_attention = True
    with quiet():
        model = optimizer.optimize_model(
            str(graph),
            model_type="bert",
            num_heads=int(raw.get("num_attention_heads") or raw.get("n_heads") or 0),
            hidden_size=int(raw.get("hidden_size") or raw.get("dim") or 0),
            optimization_options=options,
            opt_level=0,
            use_gpu=False,
        )
        model.save_model_to_file(str(fused), use_external_data_format=False)
    check_fusion(count_operators(fused), checkpoint)


def count_operators(path: Path) -> dict[str, int]:
    """How often each operator stands in the graph, most frequent first; weights are not read."""
    nodes = onnx.load(str(path), load_external_data=False).graph.node
    return dict(Counter(node.op_type for node in nodes).most_common())


def check_fusion(counts: dict[str, int], checkpoint: Checkpoint) -> None:
    """Raise FusionError unless every layer's operators are there."""
    layers = checkpoint.num_layers
    wanted = {ATTENTION: layers, NORMALIZATION: 2 * layers + 1}
    raw = checkpoint.config.raw
    activation = _ACTIVATIONS.get(str(raw.get("hidden_act") or raw.get("activation")))
    if activation:
        wanted[activation] = layers
    for operator, number in wanted.items():
        found = counts.get(operator, 0)
        if found < number:
            raise FusionError(
                f"{checkpoint.model}: {found} of {number} {operator} fused "
                f"({layers} layers, {checkpoint.config.model_type}); this family or this version "
                "of transformers exports another pattern: please report it"
            )
