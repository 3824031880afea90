"""The native engine: LeanBERT's own int8 encoder, for bundles whose manifest has its layout.

A text's answer is the same bits whatever else is in the batch.
"""

from __future__ import annotations

import ctypes
import os
import threading
import weakref
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from leanbert.bundle import Bundle
from leanbert.cpu import allowed_cores
from leanbert.engines.batch import Batch
from leanbert.engines.native.binding import load_library, why_no_library
from leanbert.engines.native.layout import Table, describe
from leanbert.errors import EngineError

if TYPE_CHECKING:
    from leanbert.engines import ModelOutputs

__all__ = ["NativeEngine", "why_not_native"]

_MOST_THREADS = 64  # of one call, leanbert_native.h
_MESSAGE = 256  # bytes
_SPAN = ("start_logits", "end_logits")
_Bytes = ctypes.c_char * 0  # an address, whatever the array's size


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
        self._per_text = table.head == "first_token"
        self.output_names = _output_names(bundle, table)
        rank = 2 if self._per_text or len(self.output_names) > 1 else 3
        self.output_ranks: Mapping[str, int | None] = dict.fromkeys(self.output_names, rank)
        self._typed = table.token_type_ids
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
        self._lb_run = self._library.lb_run
        self._messages = threading.local()  # the library writes an error's line there
        isa: bytes = self._library.lb_encoder_isa(self._handle)
        self.products = f"int8 weights, exact, kernels for {isa.decode()}"

    def run(self, batch: Batch) -> ModelOutputs:
        """Compute one batch; see :class:`leanbert.engines.Engine`.

        The arrays go to the library as they are, which checks every number. The head of question
        answering has two columns, which are given apart: ``start_logits`` and ``end_logits``.

        Raises:
            EngineError: an id or a type is outside its vocabulary, a text is too long, or the
                library failed.
        """
        texts, tokens = len(batch.lengths), len(batch.input_ids)
        out = np.empty((texts if self._per_text else tokens, self._width), np.float32)
        try:
            message = self._messages.buffer
        except AttributeError:  # this thread's first call
            message = self._messages.buffer = ctypes.create_string_buffer(_MESSAGE)
        status = self._lb_run(
            self._handle,
            texts,
            _pointer(batch.lengths),
            tokens,
            _pointer(batch.input_ids),
            _pointer(batch.token_type_ids) if self._typed else None,
            _pointer(out),
            out.size,
            message,
            _MESSAGE,
        )
        if status:
            raise EngineError(f"{self._path}: failed to run ({_line(message)})")
        if len(self.output_names) == 1:
            return {self.output_names[0]: out}
        return {name: out[:, i] for i, name in enumerate(self.output_names)}


def _pointer(array: npt.NDArray[Any]) -> Any:
    """What ctypes passes as the address of the array's first number."""
    try:
        return _Bytes.from_buffer(array)  # type: ignore[arg-type]  # a quarter of the time that array.ctypes takes
    except TypeError:  # the array may not be written to
        return array.ctypes.data


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
