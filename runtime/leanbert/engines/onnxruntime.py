"""The ONNX Runtime engine: runs every graph, on every CPU."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

import numpy as np
import onnxruntime as ort

from leanbert.bundle import Bundle
from leanbert.cpu import allowed_cores
from leanbert.engines.saturation import Products, choose_products, use_uint8_weights
from leanbert.errors import BundleCorruptError, EngineError

if TYPE_CHECKING:
    from leanbert.engines import ModelOutputs
    from leanbert.tokenization import ModelInputs

_KNOWN_INPUTS = frozenset({"input_ids", "attention_mask", "token_type_ids", "position_ids"})
_FATAL_ONLY = 4  # failures reach the caller as exceptions; nothing is printed beside them


class OnnxRuntimeEngine:
    """One session on the CPU provider.

    Args:
        bundle: what to run.
        intra_op_num_threads: threads of one call; ``None`` for all cores this process may use.

    Raises:
        BundleCorruptError: the graph cannot be read, or its logits do not match the labels.
        EngineError: the graph asks for an input that LeanBERT cannot give, or cannot be computed
            exactly on this CPU.
    """

    name = "onnxruntime"

    def __init__(self, bundle: Bundle, intra_op_num_threads: int | None = None) -> None:
        ort.disable_telemetry_events()
        options = self._options(bundle, intra_op_num_threads or allowed_cores())
        products = choose_products(bundle)
        self.products = products.value
        disabled = use_uint8_weights(options) if products is Products.UINT8 else []
        try:
            self._session = ort.InferenceSession(
                str(bundle.model_path),
                options,
                providers=["CPUExecutionProvider"],
                disabled_optimizers=disabled,
            )
        except Exception as error:  # ORT raises its own classes, all directly below Exception
            raise BundleCorruptError(
                f"{bundle.model_path}: ONNX Runtime cannot load it "
                f"({_first_line(error)}); copy or export it again"
            ) from error
        self._path = bundle.model_path
        self._dtypes = {
            node.name: np.int32 if node.type == "tensor(int32)" else np.int64
            for node in self._session.get_inputs()
        }
        self.input_names = frozenset(self._dtypes)
        outputs = self._session.get_outputs()
        self.output_names = tuple(node.name for node in outputs)
        self.output_ranks: Mapping[str, int | None] = {
            node.name: len(node.shape) or None for node in outputs
        }
        unknown = sorted(self.input_names - _KNOWN_INPUTS)
        if unknown:
            raise EngineError(
                f"{self._path}: needs the input {', '.join(unknown)}, which LeanBERT does not "
                f"make; it knows {', '.join(sorted(_KNOWN_INPUTS))}"
            )
        self._check_labels(bundle)

    def _options(self, bundle: Bundle, threads: int) -> ort.SessionOptions:
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = _FATAL_ONLY
        # Threads stop spinning when a run ends: no slower, and idle means 0% CPU.
        options.add_session_config_entry("session.force_spinning_stop", "1")
        # Lengths vary, so a plan of memory for one shape never fits the next.
        options.enable_mem_pattern = False
        if bundle.manifest and bundle.manifest.optimized:
            # The graph is final; the runtime's own passes would fuse slower operators back in.
            options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        return options

    def _check_labels(self, bundle: Bundle) -> None:
        """Where the graph declares the width of its logits, it must equal the labels' number."""
        for node in self._session.get_outputs():
            width = node.shape[-1] if node.shape else None
            labelled = len(node.shape) == 2 or bundle.task == "token-classification"
            if node.name == "logits" and labelled and isinstance(width, int):
                bundle.check_num_labels(width)

    def run(self, inputs: ModelInputs) -> ModelOutputs:
        """Compute one padded batch; see :class:`leanbert.engines.Engine`.

        Raises:
            EngineError: the runtime failed, for example on an id outside the vocabulary.
        """
        if "position_ids" in self.input_names and "position_ids" not in inputs:
            rows, length = inputs["input_ids"].shape
            inputs = {**inputs, "position_ids": np.tile(np.arange(length), (rows, 1))}
        feed = {
            name: inputs[name].astype(dtype, copy=False) for name, dtype in self._dtypes.items()
        }
        try:
            outputs = self._session.run(None, feed)
        except Exception as error:  # as above
            raise EngineError(f"{self._path}: failed to run ({_first_line(error)})") from error
        return cast("ModelOutputs", dict(zip(self.output_names, outputs, strict=True)))


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
