"""The native engine: LeanBERT's own int8 encoder, for bundles whose manifest has its layout.

A text's answer is the same bits whatever else is in the batch.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from leanbert.bundle import Bundle
from leanbert.closing import refuse_closed
from leanbert.cpu import allowed_cores
from leanbert.engines.batch import Batch
from leanbert.engines.native.binding import (
    Handle,
    Messages,
    address_of,
    load_library,
    why_no_library,
)
from leanbert.engines.native.layout import Layout
from leanbert.engines.report import EngineReport
from leanbert.errors import EngineError
from leanbert.leaving import hold_if_leaving

if TYPE_CHECKING:
    from leanbert.engines import ModelOutputs
    from leanbert.engines.ceiling import Ceiling

__all__ = ["MOST_THREADS", "NativeEngine", "layout_of"]

MOST_THREADS = 64
"""Of one call, as leanbert_native.h says."""

_PER_TEXT = ("first_token", "mean")  # heads with one row per text
_SPAN = ("start_logits", "end_logits")


class NativeEngine:
    """One handle of the native library; calls from several threads at once are its strength.

    Args:
        bundle: what to run.
        threads: cores of one call, at most 64; ``None`` for all this process may use.

    Raises:
        BundleCorruptError: the logits do not match the labels.
        EngineError: the library, the bundle's layout or this CPU does not allow it; the message
            is the reason, a clause.
    """

    name = "native"
    ceiling: Ceiling | None = None
    """See :class:`leanbert.engines.Engine`."""

    def __init__(self, bundle: Bundle, threads: int | None = None) -> None:
        layout = layout_of(bundle)
        if layout.head in _PER_TEXT:
            bundle.check_num_labels(layout.num_labels)
        self._path = bundle.path
        self._width = layout.num_labels if layout.head != "none" else layout.hidden_size
        self._per_text = layout.head in _PER_TEXT
        self._typed = layout.token_type_ids
        self.output_names = _output_names(bundle, layout)
        rank = 2 if self._per_text or len(self.output_names) > 1 else 3
        self.output_ranks: Mapping[str, int | None] = dict.fromkeys(self.output_names, rank)
        library = load_library()
        path = os.fsencode(bundle.path / layout.file)
        model = layout.describe(path, min(MOST_THREADS, threads or allowed_cores()))
        pointer = ctypes.c_void_p()
        self._messages = messages = Messages()
        if library.lb_open(
            *(ctypes.byref(model), ctypes.byref(pointer), messages.buffer, messages.size)
        ):
            raise EngineError(f"its layout is refused ({messages.line()})")
        self._handle: Handle | None = Handle(pointer, library.lb_close)
        bundle.check_unchanged()  # what was read is what was checked
        self._lb_run = library.lb_run
        isa: str = library.lb_encoder_isa(pointer).decode()
        matmuls = f"int8 weights, exact, kernels for {isa}"
        self.report = EngineReport(self.name, matmuls, isa, None)
        """See :class:`leanbert.engines.Engine`."""

    def run(self, batch: Batch) -> ModelOutputs:
        """Compute one batch; see :class:`leanbert.engines.Engine`.

        The arrays go to the library as they are, which checks every number. The head of question
        answering has two columns, which are given apart: ``start_logits`` and ``end_logits``.

        Raises:
            EngineError: an id or a type is outside its vocabulary, a text is too long, or the
                library failed, or the engine is closed.
        """
        hold_if_leaving()
        handle = self._handle  # this call's own reference: closing meanwhile does not free it
        if handle is None:
            refuse_closed()
        texts, tokens = len(batch.lengths), len(batch.input_ids)
        out = np.empty((texts if self._per_text else tokens, self._width), np.float32)
        messages = self._messages
        status = self._lb_run(
            handle.pointer,
            texts,
            address_of(batch.lengths),
            tokens,
            address_of(batch.input_ids),
            address_of(batch.token_type_ids) if self._typed else None,
            address_of(out),
            out.size,
            messages.buffer,
            messages.size,
        )
        if status:
            raise EngineError(f"{self._path}: failed to run ({messages.line()})")
        if len(self.output_names) == 1:
            return {self.output_names[0]: out}
        return {name: out[:, i] for i, name in enumerate(self.output_names)}

    def close(self) -> None:
        """See :class:`leanbert.engines.Engine`."""
        self._handle = None


def layout_of(bundle: Bundle) -> Layout:
    """The layout of a bundle that this machine can run.

    Raises:
        EngineError: there is none, or the library cannot run here.
    """
    reason = why_no_library()
    if reason is not None:
        raise EngineError(reason)
    manifest = bundle.manifest
    if manifest is None:
        raise EngineError("the bundle has no manifest")
    if manifest.native is None:
        said = str(manifest.card.get("native engine", "")).removeprefix("no, ")
        raise EngineError(said or "the bundle has no layout for it; export it again")
    try:
        return Layout(manifest.native, manifest.files)
    except (KeyError, TypeError, ValueError) as error:
        raise EngineError(f"its layout for the native engine is unusable ({error})") from error


def _output_names(bundle: Bundle, layout: Layout) -> tuple[str, ...]:
    if layout.head == "none":
        return ("last_hidden_state",)
    if bundle.task == "question-answering" and layout.head == "every_token":
        if layout.num_labels != len(_SPAN):
            raise EngineError(
                f"its layout has {layout.num_labels} columns for question-answering, "
                f"not one each for {' and '.join(_SPAN)}"
            )
        return _SPAN
    return ("logits",)
