"""What is not described is traced by PyTorch alone where Optimum is not installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from leanbert import verify
from leanbert_export.errors import CheckpointError
from leanbert_export.exporting import export
from leanbert_export.samples import sample_texts
from leanbert_export.tracing import tracers
from tests.export.tracing.test_optimum import LABELS, SIZES, checkpoint

pytestmark = pytest.mark.slow

TEXTS = list(sample_texts()[::20])


@pytest.fixture(autouse=True)
def _without_optimum(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracers, "optimum_version", lambda: None)


@pytest.mark.parametrize("task", ["text-classification", "token-classification"])
def test_an_architecture_that_is_not_described(tmp_path: Path, task: str) -> None:
    source = checkpoint(tmp_path / "source", "megatron-bert", task, **SIZES, **LABELS)
    report = export(str(source), tmp_path / "out", texts=TEXTS, calibration=TEXTS)
    assert report.graph.startswith("traced by PyTorch 2.")
    assert report.native == "no, the architecture is traced and not described"
    assert report.fp32.max_output_difference < 1e-4
    assert verify(report.path).golden_texts > 5


def test_why_it_cannot_be_traced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nothing_left: Any
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("no such operator\nand more")

    source = checkpoint(tmp_path.parent / "torn", "megatron-bert", "fill-mask", **SIZES)
    monkeypatch.setattr("torch.onnx.export", fail)
    with pytest.raises(CheckpointError) as caught:
        export(str(source), tmp_path / "out", texts=TEXTS)
    assert str(caught.value) == (
        f"{source}: there is no description of the architecture megatron-bert, and PyTorch cannot "
        "trace it (RuntimeError: no such operator); with pip install 'leanbert[export-optimum]' "
        "Optimum tries"
    )
    nothing_left()
