"""Frames of pandas, polars, pyarrow and others, with the answers as columns.

No library is imported but the one that the caller's object is of; what only speaks Arrow's C
interface (``__arrow_c_stream__``, ``__arrow_c_array__``) is read with pyarrow.

=====================================  =========================================================
given                                  given back
=====================================  =========================================================
pandas ``DataFrame``, ``Series``       a ``DataFrame`` with the index that was given
polars ``DataFrame``, ``Series``       a ``DataFrame``
pyarrow ``Table``, ``RecordBatch``     a ``Table``
pyarrow ``Array``, ``ChunkedArray``    a ``Table``
``datasets.Dataset``                   a ``Dataset``
numpy array of one axis                a dictionary of arrays
another object that speaks Arrow       a pyarrow ``Table``
=====================================  =========================================================
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from leanbert.errors import InputError, MissingExtraError, warn
from leanbert.records.model import described
from leanbert.records.repeats import distinct_names
from leanbert.shown import listed

__all__ = ["answered_frame"]

_MISSING = frozenset({"NAType", "NaTType"})  # of pandas


class _Frame(ABC):
    """A frame of one library.

    Args:
        data: as the caller gave it.
    """

    def __init__(self, data: Any) -> None:
        self.data = data

    @abstractmethod
    def names(self) -> list[str]:
        """Of its columns."""

    @abstractmethod
    def values(self, column: str) -> list[Any]:
        """Those of a column."""

    @abstractmethod
    def extended(self, columns: Mapping[str, list[Any]]) -> Any:
        """The frame with further columns; the caller's object stays as it is."""


class _Pandas(_Frame):
    def names(self) -> list[str]:
        return list(self.data.columns)

    def values(self, column: str) -> list[Any]:
        found = self.data[column]
        if len(found.shape) > 1:
            raise InputError(f"several columns are named {column!r}; rename them")
        return list(found)

    def extended(self, columns: Mapping[str, list[Any]]) -> Any:
        made = self.data.copy(deep=False)
        for name, values in columns.items():
            made[name] = values
        return made


class _Polars(_Frame):
    def names(self) -> list[str]:
        return list(self.data.columns)

    def values(self, column: str) -> list[Any]:
        return list(self.data[column].to_list())

    def extended(self, columns: Mapping[str, list[Any]]) -> Any:
        return self.data.hstack(type(self.data)(dict(columns)))


class _Arrow(_Frame):
    def names(self) -> list[str]:
        return list(self.data.column_names)

    def values(self, column: str) -> list[Any]:
        return list(self.data.column(column).to_pylist())

    def extended(self, columns: Mapping[str, list[Any]]) -> Any:
        made = self.data
        for name, values in columns.items():
            made = made.append_column(name, [values])
        return made


class _Dataset(_Frame):
    def names(self) -> list[str]:
        return list(self.data.column_names)

    def values(self, column: str) -> list[Any]:
        return list(self.data[column])

    def extended(self, columns: Mapping[str, list[Any]]) -> Any:
        made = self.data
        for name, values in columns.items():
            made = made.add_column(name, values)
        return made


class _Numpy(_Frame):
    def names(self) -> list[str]:
        return ["text"]

    def values(self, column: str) -> list[Any]:
        return list(self.data.tolist())

    def extended(self, columns: Mapping[str, list[Any]]) -> Any:
        found = {name: np.array(values) for name, values in columns.items()}
        return {"text": self.data, **found}


def answered_frame(
    data: Any,
    column: str | None,
    pair_column: str | None,
    answer: Callable[[list[Any]], Sequence[Any]],
    labels: Sequence[str],
) -> Any:
    """The caller's frame with the answers to a column of texts as further columns.

    Args:
        data: a frame, a series, an array: see the module's table.
        column: of the texts; a series needs none, and a frame has ``"text"`` by default.
        pair_column: of the second texts, if any.
        answer: gives the answers to texts, or to ``{"text", "text_pair"}``.
        labels: the model's labels, in order.

    Raises:
        InputError: it is no frame, or has no such column, or a value is not a text.
        MissingExtraError: pyarrow is needed and not installed.
    """
    frame, given = _frame_of(data)
    names = frame.names()
    chosen = given if column is None else column
    for wanted in (chosen, *([] if pair_column is None else [pair_column])):
        if wanted not in names:
            has = listed([repr(name) for name in names], "and") or "no columns"
            raise InputError(f"the frame has no column {wanted!r}; it has {has} (pass column=)")
    texts = frame.values(chosen)
    pairs = None if pair_column is None else frame.values(pair_column)
    there = [
        i for i, text in enumerate(texts)
        if not _missing(text) and (pairs is None or not _missing(pairs[i]))
    ]  # fmt: skip
    for name, column_values in ((chosen, texts), (pair_column, pairs or ())):
        for i, value in enumerate(column_values):
            if not isinstance(value, str) and not _missing(value):
                raise InputError(f"row {i}: {name!r} holds {described(value)}, not a text")
    if len(there) < len(texts):
        columns_read = repr(chosen) if pairs is None else f"{chosen!r} or {pair_column!r}"
        warn(
            f"{len(texts) - len(there):,} of {len(texts):,} values of {columns_read} are missing; "
            "their answers are missing, too"
        )
    answers = answer(
        [texts[i] if pairs is None else {"text": texts[i], "text_pair": pairs[i]} for i in there]
    )
    columns = _columns(answers, labels)
    taken = distinct_names(columns, names)
    spread = {}
    for name, values in zip(taken, columns.values(), strict=True):
        whole: list[Any] = [None] * len(texts)
        for i, value in zip(there, values, strict=True):
            whole[i] = value
        spread[name] = whole
    return frame.extended(spread)


def _frame_of(data: Any) -> tuple[_Frame, str]:
    """The frame, and which of its columns has the texts if the caller names none."""
    roots = {kind.__module__.partition(".")[0] for kind in type(data).__mro__}
    flat = len(getattr(data, "shape", (0, 0))) == 1
    if roots & {"pandas", "polars"}:
        if not hasattr(data, "to_frame") and not hasattr(data, "shape"):
            raise InputError(f"got a {type(data).__name__}; pass a frame, for example .collect()")
        kind = _Pandas if "pandas" in roots else _Polars
        if not flat:
            return kind(data), "text"
        name = data.name if data.name not in (None, "") else "text"
        if "polars" in roots:
            return kind(data.alias(name).to_frame()), name
        return kind(data.to_frame(name)), name
    if "datasets" in roots and hasattr(data, "column_names"):
        return _Dataset(data), "text"
    if "numpy" in roots and flat:
        return _Numpy(data), "text"
    if (
        "pyarrow" in roots
        or hasattr(data, "__arrow_c_stream__")
        or hasattr(data, "__arrow_c_array__")
    ):
        return _Arrow(_arrow_table(data)), "text"
    raise InputError(
        f"expected a frame, a series or an array, got {type(data).__name__}; call the pipeline "
        "with texts"
    )


def _arrow_table(data: Any) -> Any:
    try:
        import pyarrow  # noqa: ICN001 - it is no name of this module's
    except ImportError as error:
        raise MissingExtraError(
            f'reading a {type(data).__name__} needs pyarrow; pip install "leanbert[bulk]"'
        ) from error
    try:
        if isinstance(data, pyarrow.RecordBatch):
            return pyarrow.Table.from_batches([data])
        if isinstance(data, (pyarrow.Array, pyarrow.ChunkedArray)):
            return pyarrow.table({"text": data})
        return data if isinstance(data, pyarrow.Table) else pyarrow.table(data)
    except (pyarrow.ArrowException, TypeError, ValueError):
        return pyarrow.table({"text": _arrow_column(data, pyarrow)})


def _arrow_column(data: Any, pyarrow: Any) -> Any:
    """A column that speaks Arrow, and no frame."""
    try:
        whole = hasattr(data, "__arrow_c_stream__")
        return pyarrow.chunked_array(data) if whole else pyarrow.array(data)
    except (pyarrow.ArrowException, TypeError, ValueError) as error:
        raise InputError(
            f"a {type(data).__name__} cannot be read as a frame or a column "
            f"({str(error).splitlines()[0]})"
        ) from error


def _missing(value: object) -> bool:
    if isinstance(value, str):
        return False
    if value is None or type(value).__name__ in _MISSING:
        return True
    return isinstance(value, float) and math.isnan(value)


def _columns(answers: Sequence[Any], labels: Sequence[str]) -> dict[str, list[Any]]:
    """Answers as columns: their keys, or the best label with a column for each label."""
    first = answers[0] if len(answers) else {"label": None, "score": None}
    if isinstance(first, Mapping):
        return {key: [answer.get(key) for answer in answers] for key in first}
    if _is_ranking(first):
        scores = [{row["label"]: row["score"] for row in answer} for answer in answers]
        known = [label for label in labels if label not in {"label", "score"}]
        return {
            "label": [answer[0]["label"] for answer in answers],
            "score": [answer[0]["score"] for answer in answers],
            **{label: [row.get(label) for row in scores] for label in known},
        }
    return {"answer": list(answers)}


def _is_ranking(answer: object) -> bool:
    return (
        isinstance(answer, list)
        and bool(answer)
        and all(isinstance(row, Mapping) and {"label", "score"} <= row.keys() for row in answer)
    )
