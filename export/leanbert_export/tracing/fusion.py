"""Make a traced graph fast: fuse the operators of each layer, and count what was fused.

ONNX Runtime's optimizer fuses by matching patterns. When an exporter changes its patterns, the
optimizer finds nothing and says nothing, so the card says how many were found. Three
of its fusions are switched off: SkipLayerNormalization and BiasGelu, which are scalar loops on a
CPU (docs/graph.md has the times), and EmbedLayerNormalization, which loses ``position_ids``.
"""

from __future__ import annotations

from pathlib import Path

import onnx
import onnx_ir as ir
from onnx_ir.passes.common import LiftConstantsToInitializersPass
from onnxruntime.transformers import optimizer
from onnxruntime.transformers.fusion_options import FusionOptions

from leanbert_export.checkpoint.finding import Checkpoint
from leanbert_export.graph.operators import ATTENTION, NORMALIZATION, count_operators
from leanbert_export.quiet import quiet
from leanbert_export.tracing.attention import fuse_attentions

_ACTIVATIONS = {"gelu": "Gelu", "gelu_new": "FastGelu", "gelu_pytorch_tanh": "FastGelu"}


def fuse(graph: Path, fused: Path, checkpoint: Checkpoint) -> str:
    """Write the fused form of ``graph`` to ``fused``.

    Returns:
        The card's line on what was fused.
    """
    raw = checkpoint.config.raw
    heads = int(raw.get("num_attention_heads") or raw.get("n_heads") or 0)
    options = FusionOptions("bert")
    options.enable_embed_layer_norm = False
    options.enable_skip_layer_norm = False
    options.enable_bias_skip_layer_norm = False
    options.enable_bias_gelu = False
    options.use_multi_head_attention = True
    with quiet():
        model = optimizer.optimize_model(
            str(_without_identities(graph)),
            model_type="bert",
            num_heads=heads,
            hidden_size=int(raw.get("hidden_size") or raw.get("dim") or 0),
            optimization_options=options,
            opt_level=0,
            use_gpu=False,
        )
        model.save_model_to_file(str(fused), use_external_data_format=False)
    if count_operators(fused).get(ATTENTION, 0) < checkpoint.num_layers:
        missed = ir.load(fused)
        LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(missed)
        if fuse_attentions(missed, heads):
            ir.save(missed, fused)
    return _counted(count_operators(fused), checkpoint)


def _counted(counts: dict[str, int], checkpoint: Checkpoint) -> str:
    """Say in a line how many operators of the layers were fused."""
    layers = checkpoint.num_layers
    wanted = {ATTENTION: layers, NORMALIZATION: 2 * layers + 1}
    raw = checkpoint.config.raw
    named = raw.get("hidden_act") or raw.get("activation") or raw.get("hidden_activation")
    activation = _ACTIVATIONS.get(str(named))
    if activation:
        wanted[activation] = layers
    found = {operator: min(counts.get(operator, 0), number) for operator, number in wanted.items()}
    line = ", ".join(f"{found[name]} of {number} {name}" for name, number in wanted.items())
    missing = [name for name, number in wanted.items() if found[name] < number]
    slower = f"; {', '.join(missing)} left as exported, which is right but slower"
    return line + (slower if missing else "")


def _without_identities(graph: Path) -> Path:
    """Write a graph beside ``graph`` in which no operator reads a weight through ``Identity``.

    Layers that share their weights (ALBERT's) read them through ``Identity``, where the patterns
    of the optimizer do not find them.

    Returns:
        The path of the new graph, or ``graph`` itself if nothing had to change.
    """
    model = onnx.load(str(graph))
    weights = {tensor.name for tensor in model.graph.initializer}
    same: dict[str, str] = {}
    for node in model.graph.node:
        if node.op_type == "Identity" and (same.get(node.input[0], node.input[0])) in weights:
            same[node.output[0]] = same.get(node.input[0], node.input[0])
    outputs = {value.name for value in model.graph.output}
    if not same or outputs & set(same):
        return graph
    for node in model.graph.node:
        for i, name in enumerate(node.input):
            node.input[i] = same.get(name, name)
    kept = [node for node in model.graph.node if node.output[0] not in same]
    del model.graph.node[:]
    model.graph.node.extend(kept)
    path = graph.with_name("plain.onnx")
    onnx.save(model, str(path), save_as_external_data=_is_large(model), location="plain.onnx.data")
    return path


def _is_large(model: onnx.ModelProto) -> bool:
    return bool(model.ByteSize() >= onnx.checker.MAXIMUM_PROTOBUF // 2)
