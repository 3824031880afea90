"""``lb_scores`` of leanbert_native.h: calls that lie get a status and a line."""

from __future__ import annotations

import ctypes
import math
from typing import Any

import numpy as np
import pytest

from tests.helpers.native_library import INVALID_ARGUMENT, OK, load_library_with

SOFTMAX, SIGMOID = 0, 1
ROWS, LABELS = 3, 2


@pytest.fixture(scope="module")
def library() -> ctypes.CDLL:
    return load_library_with("lb_scores")


class Call:
    """A call that is right, of which a test changes one argument."""

    def __init__(self) -> None:
        self.logits = np.array([[0, 0], [1, math.nan], [-50, 50]], np.float32)
        self.scores = np.full((ROWS, LABELS), -1, np.float32)
        self.unsound = ctypes.c_uint64(9)
        self.message = ctypes.create_string_buffer(512)
        self.arguments: dict[str, Any] = {
            "function": SOFTMAX,
            "n_rows": ROWS,
            "n_labels": LABELS,
            "logits": self.logits.ctypes.data,
            "scores": self.scores.ctypes.data,
            "unsound": ctypes.addressof(self.unsound),
        }

    def status(self, library: ctypes.CDLL, **changes: Any) -> int:
        arguments = {**self.arguments, **changes}.values()
        return int(library.lb_scores(*arguments, self.message, len(self.message)))


@pytest.mark.parametrize(("function", "last"), [(SOFTMAX, [0, 1]), (SIGMOID, [0, 1])])
def test_a_right_call_counts_the_rows_without_numbers(
    library: ctypes.CDLL, function: int, last: list[float]
) -> None:
    call = Call()
    assert call.status(library, function=function) == OK
    assert call.unsound.value == 1
    assert call.scores[0].tolist() == [0.5, 0.5]
    assert np.isnan(call.scores[1]).all()
    assert call.scores[2] == pytest.approx(last, abs=1e-6)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"function": 2}, "no function has the number 2"),
        ({"n_labels": 2**20 + 1}, "more than 2^20 labels"),
        ({"logits": None}, "a pointer is NULL"),
        ({"scores": None}, "a pointer is NULL"),
        ({"unsound": None}, "a pointer is NULL"),
    ],
)
def test_a_wrong_call_is_refused_and_writes_nothing(
    library: ctypes.CDLL, changes: dict[str, Any], line: str
) -> None:
    call = Call()
    assert call.status(library, **changes) == INVALID_ARGUMENT
    assert call.message.value.decode() == line
    assert (call.scores == -1).all()
    assert call.unsound.value == 9


@pytest.mark.parametrize("changes", [{"n_rows": 0}, {"n_labels": 0}])
def test_no_logits_need_no_memory(library: ctypes.CDLL, changes: dict[str, Any]) -> None:
    call = Call()
    assert call.status(library, **changes, logits=None, scores=None) == OK
    assert call.unsound.value == 0
