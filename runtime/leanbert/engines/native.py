"""The native engine: LeanBERT's own int8 encoder, for bundles whose manifest has its table.

It computes ragged batches: padding is taken out before and put back after. A text's answer is the
same bits whatever else is in the batch.
"""

from __future__ import annotations

import ctypes
import os
import weakref
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from leanbert.bundle import Bundle
from leanbert.cpu import allowed_cores
from leanbert.engines.binding import load_library, why_no_library
from leanbert.engines.table import Table, describe
from leanbert.errors import EngineError

if TYPE_CHECKING:
    from leanbert.engines import ModelOutputs
    from leanbert.tokenization import ModelInputs

__all__ = ["NativeEngine", "why_not_native"]

_MOST_THREADS = 64  # of one call, leanbert_native.h
_MESSAGE = 256  # bytes
_SPAN = ("start_logits", "end_logits")


def why_not_native(bundle: Bundle) -> str | None:
    """Why the native engine cannot run ``bundle`` here, in a clause; ``None`` where it should.

    Reads no weight: :class:`NativeEngine` may still find something.
    """
    reason = why_no_library()
    if reason is not None:
        return reason
    if bundle.manifest is None:
        return "the bundle has no manifest"
    if bundle.manifest.native is None:
        told = str(bundle.manifest.card.get("native engine", ""))
        return told.removeprefix("no, ") or "the bundle has no table for it; export it again"
    try:
        _table(bundle)
    except EngineError as error:
        return str(error)
    return None


class NativeEngine:
    """One handle of the native library; calls from several threads at once are its strength.

    Args:
        bundle: what to run.
        threads: cores of one call, at most 64; ``None`` for all this process may use.

    Raises:
        BundleCorruptError: the logits do not match the labels.
        EngineError: the library, its table in the manifest or this CPU does not allow it.
    """

    name = "native"

    def __init__(self, bundle: Bundle, threads: int | None = None) -> None:
        self._library = load_library()
        self._path = bundle.path
        self._table = table = _table(bundle)
        if table.head == "first_token":
            bundle.check_num_labels(table.num_labels)
        self._width = table.num_labels if table.head != "none" else table.hidden_size
        self._a_text = table.head == "first_token"
        self.output_names = _output_names(bundle, table)
        rank = 2 if self._a_text or len(self.output_names) > 1 else 3
        self.output_ranks: Mapping[str, int | None] = dict.fromkeys(self.output_names, rank)
        types = {"token_type_ids"} if table.token_type_ids else set()
        self.input_names = frozenset({"input_ids", "attention_mask"} | types)
        path = os.fsencode(bundle.path / table.file)
        cores = min(_MOST_THREADS, threads or allowed_cores())
        model = describe(table, path, cores)
        self._handle = ctypes.c_void_p()
        message = ctypes.create_string_buffer(_MESSAGE)
        status = self._library.lb_open(
            ctypes.byref(model), ctypes.byref(self._handle), message, _MESSAGE
        )
        if status:
            raise EngineError(f"{bundle.path}: the native engine refuses it ({_line(message)})")
        # Not at exit: a daemon thread may still be computing then.
        weakref.finalize(self, self._library.lb_close, self._handle).atexit = False
        isa: bytes = self._library.lb_encoder_isa(self._handle)
        self.products = f"int8 weights, exact, kernels for {isa.decode()}"

    def run(self, inputs: ModelInputs) -> ModelOutputs:
        """Compute one padded batch; see :class:`leanbert.engines.Engine`.

        Padded places of ``(batch_size, seq_len, …)`` outputs are 0. The head of question answering
        has two columns, which are given apart: ``start_logits`` and ``end_logits``, as in ONNX.

        Raises:
            EngineError: a mask is not 1 for a text and 0 behind it, an id is outside the
                vocabulary, a text is too long, or the library failed.
        """
        input_ids, mask = inputs["input_ids"], inputs["attention_mask"] != 0
        lengths = mask.sum(axis=1, dtype=np.int32)
        rows, longest = mask.shape
        if rows and (not lengths.all() or (mask != (np.arange(longest) < lengths[:, None])).any()):
            raise EngineError(
                f"{self._path}: the native engine takes padding on the right only; "
                'use engine="onnxruntime"'
            )
        ids = self._packed(input_ids, mask, self._table.vocab_size, "token id")
        types = None
        if self._table.token_type_ids and "token_type_ids" in inputs:
            most = int(self._table.model.type_vocab_size)
            types = self._packed(inputs["token_type_ids"], mask, most, "token type")
        tokens = len(ids)
        out = np.empty((rows if self._a_text else tokens, self._width), np.float32)
        message = ctypes.create_string_buffer(_MESSAGE)
        status = self._library.lb_run(
            self._handle,
            rows,
            lengths.ctypes.data,
            tokens,
            ids.ctypes.data,
            None if types is None else types.ctypes.data,
            out.ctypes.data,
            out.size,
            message,
            _MESSAGE,
        )
        if status:
            raise EngineError(f"{self._path}: failed to run ({_line(message)})")
        if not self._a_text:
            if tokens == rows * longest:
                out = out.reshape(rows, longest, self._width)
            else:
                padded = np.zeros((rows, longest, self._width), np.float32)
                padded[mask] = out
                out = padded
        if len(self.output_names) == 1:
            return {self.output_names[0]: out}
        return {name: out[..., i] for i, name in enumerate(self.output_names)}

    def _packed(
        self, values: npt.NDArray[np.int64], mask: npt.NDArray[np.bool_], most: int, what: str
    ) -> npt.NDArray[np.int32]:
        """The values of real tokens, text after text, checked before 64 bits become 32."""
        kept = values[mask]
        if kept.size and (kept.min() < 0 or kept.max() >= most):
            wrong = kept[(kept < 0) | (kept >= most)][0]
            raise EngineError(f"{self._path}: {what} {wrong} is outside 0 to {most - 1}")
        return kept.astype(np.int32)


def _output_names(bundle: Bundle, table: Table) -> tuple[str, ...]:
    if table.head == "none":
        return ("last_hidden_state",)
    if bundle.task == "question-answering" and table.head == "every_token":
        if table.num_labels != len(_SPAN):
            raise EngineError(
                f"{bundle.path}: its table has {table.num_labels} columns for question-answering, "
                f"not one each for {' and '.join(_SPAN)}"
            )
        return _SPAN
    return ("logits",)


def _table(bundle: Bundle) -> Table:
    manifest = bundle.manifest
    if manifest is None or manifest.native is None:
        raise EngineError(f"{bundle.path}: has no table for the native engine")
    sizes = {name: entry.size for name, entry in manifest.files.items()}
    try:
        return Table(manifest.native, sizes)
    except (KeyError, TypeError, ValueError) as error:
        raise EngineError(f"its table for the native engine is unusable ({error})") from error


def _line(message: ctypes.Array[ctypes.c_char]) -> str:
    return bytes(message.value).decode(errors="replace")
