"""The accuracy gate: what it measures, and what an export does with it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest

from leanbert.bundle import Bundle
from leanbert.cli import main
from leanbert.engines import Batch, load_engine
from leanbert.tokenization import Tokenizer
from leanbert_export.errors import GateError
from leanbert_export.exporting import export
from leanbert_export.proof.examples import Examples
from leanbert_export.proof.gate import Gate, GateReport
from leanbert_export.proof.reference import TorchReference
from tests.export.conftest import Workshop, load

Floats = npt.NDArray[np.float32]


# What is measured.


@dataclass
class FakeReference:
    """In PyTorch's place: the engine's own outputs, changed by ``change``."""

    bundle: Bundle
    change: Callable[[Floats], Floats] = lambda output: output
    task: str = "text-classification"

    def run(self, batch: Batch) -> Floats:
        engine = load_engine(self.bundle)
        return self.change(engine.run(batch)[engine.output_names[0]])


def shifted(output: Floats) -> Floats:
    rolled: Floats = np.roll(output, 1, axis=-1)
    return rolled


@pytest.fixture(scope="module")
def held() -> list[str]:
    return [f"profit rose by {'very ' * (i % 7)}much in week {i}" for i in range(30)]


@pytest.fixture(scope="module")
def bundle(workshop: Workshop) -> Bundle:
    return Bundle.open(workshop.bundle("classifier"))


def labels_of(bundle: Bundle, texts: Sequence[str]) -> list[int]:
    batch = Tokenizer.of(bundle).encode(list(texts), truncation=True)
    return [int(i) for i in load_engine(bundle).run(batch)["logits"].argmax(axis=1)]


def measured(
    bundle: Bundle,
    reference: Any,
    examples: Examples,
    max_drop: float | None = None,
    tie_margin: float = 0.0,
) -> GateReport:
    return Gate(bundle, reference, examples, tie_margin).measure(bundle, max_drop)[0]


@pytest.mark.slow
def test_accuracy_with_labels(bundle: Bundle, held: list[str]) -> None:
    ours = labels_of(bundle, held)
    labels = [label if i % 3 else (label + 1) % 3 for i, label in enumerate(ours)]
    reference = FakeReference(bundle, shifted)  # right where ours is wrong
    report = measured(bundle, reference, Examples(held, labels))
    assert report.metric == "accuracy"
    assert report.rows == 30
    assert report.int8 == pytest.approx(20 / 30)
    assert report.fp32 == pytest.approx(10 / 30)
    assert report.drop == pytest.approx(-100 / 3)  # better than fp32
    assert report.passed
    assert measured(bundle, reference, Examples(held, labels), 0.0).passed
    wrong = [(label + 1) % 3 for label in ours]
    report = measured(bundle, reference, Examples(held, wrong), 99.0)
    assert (report.fp32, report.int8, report.drop) == (1.0, 0.0, 100.0)
    assert (report.decisions, report.lost, report.flips) == (30, 30, 30)
    assert not report.passed
    assert measured(bundle, reference, Examples(held, wrong), 100.0).passed


@pytest.mark.slow
def test_agreement_without_labels(bundle: Bundle, held: list[str]) -> None:
    same = measured(bundle, FakeReference(bundle), Examples(held), 0.0)
    assert (same.metric, same.fp32, same.int8, same.drop) == ("agreement", 1.0, 1.0, 0.0)
    assert same.passed
    assert same.bytes_before == same.bytes_after
    size = sum((bundle.path / f"model.onnx{end}").stat().st_size for end in ("", ".data"))
    assert same.bytes_after == size
    other = measured(bundle, FakeReference(bundle, shifted), Examples(held), 99.9)
    assert (other.int8, other.drop, other.passed) == (0.0, 100.0, False)


def flipped(count: int, lead: float) -> Callable[[Floats], Floats]:
    """Logits of which so many hold another label than ours, by ``lead`` of probability."""

    def change(output: Floats) -> Floats:
        made: Floats = output.copy()
        for row in made[:count]:
            best, other = np.argsort(row)[[-1, 0]]
            row[:] = -30.0
            row[other], row[best] = np.log((1 + lead) / (1 - lead)), 0.0
        return made

    return change


@pytest.mark.slow
@pytest.mark.parametrize(
    ("flips", "rows", "max_drop", "passed"),
    [
        (1, 100, 1.0, True),  # as a float 1.0000000000000009 points
        (2, 100, 1.0, False),
        (3, 1000, 0.3, True),
        (4, 1000, 0.3, False),
        (7, 100, 7.0, True),
        (0, 7, 0.0, True),
        (1, 7, 14.28, False),
        (1, 7, 14.29, True),
    ],
)
def test_decisions_are_counted(
    bundle: Bundle, flips: int, rows: int, max_drop: float, passed: bool
) -> None:
    texts = [f"profit rose in week {i % 10}" for i in range(rows)]  # of one length: one order
    reference = FakeReference(bundle, flipped_in_order(flips))
    report = measured(bundle, reference, Examples(texts), max_drop)
    assert (report.decisions, report.lost, report.flips) == (rows, flips, flips)
    assert report.drop == pytest.approx(100 * flips / rows)
    assert report.passed is passed


def flipped_in_order(count: int) -> Callable[[Floats], Floats]:
    """Of all batches together, the first so many labels are others."""
    left = [count]

    def change(output: Floats) -> Floats:
        here = min(left[0], len(output))
        left[0] -= here
        return flipped(here, 0.5)(output)

    return change


@pytest.mark.slow
def test_near_ties_need_not_count(bundle: Bundle, held: list[str]) -> None:
    near = FakeReference(bundle, flipped(30, 0.04))
    report = measured(bundle, near, Examples(held), 0.0)
    assert (report.flips, report.firm_flips, report.lost, report.passed) == (30, 0, 30, False)
    report = measured(bundle, near, Examples(held), 0.0, 0.05)
    assert (report.flips, report.firm_flips, report.lost, report.passed) == (30, 0, 0, True)
    assert (report.int8, report.tie_margin) == (1.0, 0.05)
    firm = FakeReference(bundle, flipped(30, 0.2))
    report = measured(bundle, firm, Examples(held), 0.0, 0.05)
    assert (report.flips, report.firm_flips, report.lost, report.passed) == (30, 30, 30, False)


@pytest.mark.slow
def test_near_ties_of_labelled_texts(bundle: Bundle, held: list[str]) -> None:
    near = FakeReference(bundle, flipped(30, 0.04))
    batch = Tokenizer.of(bundle).encode(held, truncation=True)
    wanted = [int(i) for i in near.run(batch).argmax(axis=1)]
    report = measured(bundle, near, Examples(held, wanted), 0.0)
    assert (report.fp32, report.int8, report.lost, report.passed) == (1.0, 0.0, 30, False)
    report = measured(bundle, near, Examples(held, wanted), 0.0, 0.05)
    assert (report.fp32, report.int8, report.lost, report.passed) == (1.0, 1.0, 0, True)


@pytest.mark.slow
def test_cosine_of_embeddings(workshop: Workshop, held: list[str]) -> None:
    features = Bundle.open(workshop.bundle("features"))
    same = FakeReference(features, task="feature-extraction")
    report = measured(features, same, Examples(held), 1e-3)
    assert (report.metric, report.fp32) == ("cosine", 1.0)
    assert report.int8 == pytest.approx(1.0, abs=1e-6)
    assert report.passed
    opposite = FakeReference(features, lambda output: -output, "feature-extraction")
    report = measured(features, opposite, Examples(held), 100.0)
    assert report.drop == pytest.approx(200, abs=1e-3)
    assert not report.passed


@pytest.mark.slow
def test_one_label_is_measured_by_its_distance(workshop: Workshop, held: list[str]) -> None:
    single = Bundle.open(workshop.bundle("one-label"))
    report = measured(single, FakeReference(single, lambda logits: logits + 100), Examples(held))
    assert report.metric == "agreement"
    assert 0 < report.int8 < 1
    assert measured(single, FakeReference(single), Examples(held)).int8 == 1.0


# In an export.

TEXTS = ["profit rose", "sales fell a lot", "the board met on Monday", "营业利润", "a new plan"]


def spoil(monkeypatch: pytest.MonkeyPatch, good_from: int) -> list[int]:
    """Let the gate see a loss of 30 points until so many matmuls are in fp32."""
    honest, seen = Gate.measure, []

    def measure(self: Gate, built: Bundle, max_drop: float | None) -> tuple[GateReport, float]:
        report, seconds = honest(self, built, max_drop)
        matmuls = load_matmuls(built)
        seen.append(matmuls)
        drop = 30.0 if matmuls < good_from else 0.5
        passed = max_drop is None or drop <= max_drop
        return replace(report, drop=drop, int8=report.fp32 - drop / 100, passed=passed), seconds

    monkeypatch.setattr(Gate, "measure", measure)
    return seen


def load_matmuls(built: Bundle) -> int:
    """How many matmuls are in fp32."""
    graph = onnx.load(str(built.path / "model.onnx"), load_external_data=False).graph
    return sum(node.op_type == "MatMul" for node in graph.node)


def exported(workshop: Workshop, output: Path, **options: Any) -> Any:
    given = {"texts": TEXTS, "calibration": TEXTS, "max_drop": 1.0, **options}
    return export(str(workshop.tiny()), output, **given)


@pytest.mark.slow
def test_an_export_returns_two_matmuls(
    workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = spoil(monkeypatch, 2)
    report = exported(workshop, tmp_path / "out")
    assert seen == [0, 5, 2, 1]
    assert report.gate.passed
    assert len(report.gate.fp32_matmuls) == 2
    assert report.operators["MatMul"] == 2
    assert report.operators["MatMulIntegerToFloat"] == 8
    manifest = json.loads((tmp_path / "out" / "leanbert.json").read_text(encoding="utf-8"))
    matmuls = manifest["recipe"]["products"]
    left = [name for name, plan in matmuls.items() if plan == "fp32"]
    assert sorted(left) == sorted(report.gate.fp32_matmuls)
    assert "; 2 matmuls in fp32 for it" in manifest["card"]["accuracy gate"]
    assert main(["verify", str(tmp_path / "out")]) == 0


@pytest.mark.slow
def test_a_failed_gate_writes_nothing(
    workshop: Workshop,
    tmp_path: Path,
    nothing_left: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen = spoil(monkeypatch, 99)
    with pytest.raises(GateError, match=r"^the accuracy gate does not hold: agreement drops by 30"):
        exported(workshop, tmp_path / "out")
    assert seen == [0, 5, 7, 8, 9]
    nothing_left()


@pytest.mark.slow
def test_force_writes_it_and_says_so(
    workshop: Workshop,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    spoil(monkeypatch, 99)
    output, texts = tmp_path / "out", tmp_path / "texts.txt"
    texts.write_text("\n".join(TEXTS), encoding="utf-8")
    arguments = ["export", str(workshop.tiny()), "-o", str(output), "--calibration", str(texts)]
    assert main(arguments) == 1
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert line.startswith("leanbert: the accuracy gate does not hold: agreement drops by 30.00")
    assert not output.exists()
    assert main([*arguments, "--force"]) == 0
    card = capsys.readouterr().out
    assert "  gate        FAILED, written with --force: at most 1 points may be lost" in card
    assert "  calibration texts.txt" in card
    assert main(["info", str(output)]) == 0
    card = capsys.readouterr().out
    assert "accuracy gate FAILED, written with --force" in card
    assert "calibration   texts.txt (3 texts)" in card


@pytest.mark.slow
def test_info_shows_calibration_and_gate(
    workshop: Workshop, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = workshop.bundle("classifier", "int8")
    assert main(["info", str(bundle)]) == 0
    text = capsys.readouterr().out
    assert "  calibration   LeanBERT's own sample (133 texts)\n" in text
    assert "  accuracy gate not set; agreement " in text
    assert "measured on LeanBERT's own sample, held back from calibration (67 texts)" in text
    assert main(["info", str(bundle), "--json"]) == 0
    card = json.loads(capsys.readouterr().out)
    assert card["card"]["calibration"] == "LeanBERT's own sample (133 texts)"
    assert card["recipe"]["gate"]["rows"] == 67
    assert len(card["recipe"]["products"]) == 10


@pytest.mark.slow
def test_the_gate_asks_pytorch(workshop: Workshop, held: list[str], bundle: Bundle) -> None:
    found = measured(bundle, TorchReference(load(workshop.tiny())), Examples(held), 0.0)
    assert (found.metric, found.int8, found.passed) == ("agreement", 1.0, True)
