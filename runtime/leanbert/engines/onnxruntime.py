"""The ONNX Runtime engine: runs every graph, on every CPU."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from leanbert.bundle import Bundle
from leanbert.closing import refuse_closed
from leanbert.cpu import allowed_cores
from leanbert.engines.batch import Batch
from leanbert.engines.forking import leak, watch_forks
from leanbert.engines.ort import ort
from leanbert.engines.padding import pad, strip
from leanbert.engines.report import EngineReport
from leanbert.engines.saturation import Matmuls, choose_matmuls, use_uint8_weights
from leanbert.engines.sessions import first_line, open_session
from leanbert.errors import EngineError
from leanbert.leaving import hold_if_leaving
from leanbert.log import log_debug

if TYPE_CHECKING:
    from leanbert.engines import ModelOutputs
    from leanbert.engines.ceiling import Ceiling

_KNOWN_INPUTS = frozenset({"input_ids", "attention_mask", "token_type_ids", "position_ids"})
# What other exporters call the outputs: Optimum for sentence-transformers, and ONNX's own examples.
_OTHER_NAMES = {"token_embeddings": "last_hidden_state"}
_DTYPES = {
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(bool)": np.bool_,
    "tensor(float)": np.float32,
}
_SPAN = frozenset({"start_logits", "end_logits"})  # one number per token: two axes
_FATAL_ONLY = 4  # failures reach the caller as exceptions; nothing is printed beside them


class OnnxRuntimeEngine:
    """One session on the CPU provider.

    Args:
        bundle: what to run.
        intra_op_num_threads: threads of one call; ``None`` for all cores this process may use.
        why_not_native: for the report: why the native engine was passed over.

    Raises:
        BundleCorruptError: the graph cannot be read, or its logits do not match the labels.
        EngineError: the graph asks for an input that LeanBERT cannot give, or cannot be computed
            exactly on this CPU.
    """

    name = "onnxruntime"
    ceiling: Ceiling | None = None
    """See :class:`leanbert.engines.Engine`."""
    _run_options: ort.RunOptions | None = None

    def __init__(
        self,
        bundle: Bundle,
        intra_op_num_threads: int | None = None,
        *,
        why_not_native: str | None = None,
    ) -> None:
        self._bundle = bundle
        self._threads = intra_op_num_threads or allowed_cores()
        matmuls = choose_matmuls(bundle)
        self.report = EngineReport(self.name, matmuls.value, None, why_not_native)
        """See :class:`leanbert.engines.Engine`."""
        self._uint8 = matmuls is Matmuls.UINT8
        self._opened: ort.InferenceSession | None = None
        self._opening = threading.Lock()
        self._closed = False
        session = self._session
        watch_forks(self)
        self._path = bundle.model_path
        self._dtypes: dict[str, Any] = {
            node.name: _DTYPES.get(node.type, np.int64) for node in session.get_inputs()
        }
        self._pad_token_id = bundle.config.pad_token_id
        self._first_position = bundle.config.first_position
        outputs = session.get_outputs()
        names = [node.name for node in outputs]
        self.output_names = tuple(
            other if (other := _OTHER_NAMES.get(name, name)) not in names else name
            for name in names
        )
        self.output_ranks: Mapping[str, int | None] = {
            name: len(node.shape) or None
            for name, node in zip(self.output_names, outputs, strict=True)
        }
        unknown = sorted(set(self._dtypes) - _KNOWN_INPUTS)
        if unknown:
            raise EngineError(
                f"{self._path}: needs the input {', '.join(unknown)}, which LeanBERT does not "
                f"make; it knows {', '.join(sorted(_KNOWN_INPUTS))}"
            )
        self._check_labels(bundle)

    @property
    def _session(self) -> ort.InferenceSession:
        """The session of this process, which a forked child opens at its first call.

        A caller's reference keeps it from being freed, whoever closes the engine meanwhile.

        Raises:
            BundleError: the bundle cannot be opened again, or has changed meanwhile.
            EngineError: the engine is closed.
        """
        opened = self._opened
        if opened is not None:
            return opened
        with self._opening:
            if self._closed:
                refuse_closed()
            if self._opened is None:
                self._opened = self._open()
            return self._opened

    def _open(self) -> ort.InferenceSession:
        log_debug("%s: opening a session of ONNX Runtime", self._bundle.path)
        options = self._options(self._bundle, self._threads)
        disabled = use_uint8_weights(options) if self._uint8 else []
        return open_session(self._bundle, options, disabled)

    def close(self) -> None:
        """See :class:`leanbert.engines.Engine`."""
        with self._opening:
            self._closed = True
            self._opened = None

    def abandon(self) -> None:
        """See :class:`leanbert.engines.forking.Forkable`."""
        leak(self._opened)
        self._opened = None
        self._opening = threading.Lock()  # the other one may be held by a thread of the parent

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

    def run(self, batch: Batch) -> ModelOutputs:
        """Compute one batch; see :class:`leanbert.engines.Engine`.

        Padding is put in before and taken out after.

        Raises:
            EngineError: the runtime failed, for example on an id outside the vocabulary, or the
                engine is closed.
        """
        hold_if_leaving()
        session = self._session
        inputs = pad(batch, self._pad_token_id)
        if "position_ids" in self._dtypes:
            rows, length = inputs["input_ids"].shape
            first = self._first_position
            inputs["position_ids"] = np.tile(np.arange(first, first + length), (rows, 1))
        feed = {
            name: inputs[name].astype(dtype, copy=False) for name, dtype in self._dtypes.items()
        }
        try:
            found = session.run(None, feed, self._run_options)
        except Exception as error:  # ORT raises its own classes, all directly below Exception
            raise EngineError(f"{self._path}: failed to run ({first_line(error)})") from error
        outputs: ModelOutputs = {}
        for name, value in zip(self.output_names, found, strict=True):
            rows_of = np.asarray(value).astype(np.float32, copy=False)  # half precision exports
            per_token = rows_of.ndim == 3 or name in _SPAN
            outputs[name] = strip(rows_of, batch) if per_token else rows_of
        return outputs
