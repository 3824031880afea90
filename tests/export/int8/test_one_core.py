"""Matmuls on one core: the threads of numpy's library within the block and after it."""

from __future__ import annotations

import numpy as np
import pytest

from leanbert_export.int8 import one_core


def test_threads_are_one_within_and_as_before_afterwards() -> None:
    library = one_core._openblas()
    if library is None:
        pytest.skip("numpy computes with another library here")
    before = one_core._call(library, "get_num_threads")
    one_core._call(library, "set_num_threads", 2)
    try:
        with one_core.matmuls_on_one_core() as apart:
            assert apart
            assert one_core._call(library, "get_num_threads") == 1
        with pytest.raises(ZeroDivisionError), one_core.matmuls_on_one_core():
            raise ZeroDivisionError
        assert one_core._call(library, "get_num_threads") == 2
    finally:
        one_core._call(library, "set_num_threads", before)


def test_another_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(np, "__file__", "/nowhere/numpy/__init__.py")
    with one_core.matmuls_on_one_core() as apart:
        assert not apart
