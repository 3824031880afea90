"""The lower bounds of the dependencies, as ``make minimums`` installs them."""

from __future__ import annotations

import pytest

from tests.packaging.minimums import ROOT, minimums


def test_every_dependency_of_the_runtime_has_a_lower_bound() -> None:
    found = minimums((ROOT / "pyproject.toml").read_text("utf-8"))
    assert [name.partition("==")[0] for name in found] == ["numpy", "onnxruntime", "tokenizers"]


def test_other_bounds_are_left_out() -> None:
    text = 'name = "x"\ndependencies = [\n  "a>=1.2,!=1.3.*,<2",\n  "b-c>=0.1", # why\n]\n'
    assert minimums(text) == ["a==1.2", "b-c==0.1"]
    with pytest.raises(ValueError, match="b: has no lower bound"):
        minimums('dependencies = ["a>=1", "b"]')
