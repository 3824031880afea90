"""The accuracy gate: what it measures, and how matmuls go back to fp32 until it holds."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest

from leanbert.bundle import Bundle
from leanbert.cli import main
from leanbert.engines import Batch, load_engine
from leanbert.errors import InputError
from leanbert.tokenization import Tokenizer
from leanbert_export import exporting
from leanbert_export.checkpoint.finding import find_checkpoint
from leanbert_export.errors import GateError
from leanbert_export.exporting import export, gate_line
from leanbert_export.proof import gate
from leanbert_export.proof.examples import Examples
from leanbert_export.proof.gate import Gate, GateReport, pass_gate, rank_matmuls
from leanbert_export.proof.reference import TorchReference

if TYPE_CHECKING:
    from tests.export.conftest import Workshop

Floats = npt.NDArray[np.float32]
NAMES = [f"layer.{i}.ffn_down" for i in range(6)]
REPORT = GateReport("accuracy", 100, 0.9, 0.9, 0.0, 1.0, passed=True, bytes_before=5, bytes_after=5)


# Matmuls go back.


@dataclass
class FakeGate:
    """A model that loses four points until ``needed`` of its matmuls are in fp32."""

    needed: int

    def measure(self, built: frozenset[str], max_drop: float | None) -> tuple[GateReport, float]:
        drop = 4.0 if len(built) < self.needed else 0.25
        passed = max_drop is None or drop <= max_drop
        size = 1000 + 100 * len(built)
        found = replace(REPORT, int8=0.9 - drop / 100, drop=drop, max_drop=max_drop, passed=passed)
        return replace(found, bytes_before=size, bytes_after=size), 2.0 + len(built)


@dataclass
class Attempt:
    needed: int
    max_drop: float | None = 1.0
    names: Sequence[str] = tuple(NAMES)

    def __post_init__(self) -> None:
        self.built: list[list[str]] = []
        self.ranked = 0
        self.told: list[str] = []

    def build(self, kept: frozenset[str]) -> Any:
        self.built.append(sorted(kept))
        return kept

    def rank(self) -> Sequence[str]:
        self.ranked += 1
        return self.names

    def run(self, *, force: bool = False) -> GateReport:
        fake: Any = FakeGate(self.needed)
        return pass_gate(
            fake,
            self.build,
            max_drop=self.max_drop,
            rank=self.rank,
            force=force,
            on_step=self.told.append,
        )


@pytest.mark.parametrize("max_drop", [None, 4.0, 100.0])
def test_it_passes_at_once(max_drop: float | None) -> None:
    attempt = Attempt(3, max_drop)
    report = attempt.run()
    assert report.passed
    assert report.drop == 4.0
    assert report.fp32_matmuls == []
    assert report.slowdown == 1.0
    assert attempt.built == [[]]
    assert attempt.ranked == 0  # ranking is slow
    assert attempt.told == []


TRIES = [
    (1, [1]),
    (2, [1, 2]),
    (3, [1, 2, 4]),
    (4, [1, 2, 4]),
    (5, [1, 2, 4, 6]),
    (6, [1, 2, 4, 6]),
]


@pytest.mark.parametrize(("needed", "tries"), TRIES)
def test_it_passes_with_the_worst_products_in_fp32(needed: int, tries: list[int]) -> None:
    attempt = Attempt(needed)
    report = attempt.run()
    assert attempt.built == [[], *(NAMES[:count] for count in tries)]
    assert attempt.ranked == 1
    assert report.passed
    assert report.drop == 0.25
    assert report.fp32_matmuls == NAMES[: tries[-1]]
    assert report.bytes_before == 1000
    assert report.bytes_after == 1000 + 100 * tries[-1]
    assert report.slowdown == (2 + tries[-1]) / 2
    assert attempt.told == [
        "ranking the matmuls by sensitivity",
        *(f"returning {count} of 6 matmuls to fp32" for count in tries),
    ]


def test_it_never_passes() -> None:
    with pytest.raises(GateError) as caught:
        Attempt(7).run()
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith("the accuracy gate does not hold: accuracy drops by 4.00 points")
    assert "on 100 texts with every matmul in fp32, allowed is 1;" in message
    assert "--max-drop" in message
    assert "--force" in message
    attempt = Attempt(7)
    report = attempt.run(force=True)
    assert not report.passed
    assert report.fp32_matmuls == NAMES
    assert len(attempt.built) == 5


def test_the_line_on_the_card() -> None:
    assert gate_line(replace(REPORT, max_drop=None)).startswith("not set; accuracy 90.00% in int8")
    passed = Attempt(2).run()
    line = gate_line(passed)
    assert line.startswith("passed: at most 1 points may be lost; accuracy 89.75% in int8, 90.00%")
    assert line.endswith("; 2 matmuls in fp32 for it, which cost 0.0 MB and +100% time")
    assert gate_line(Attempt(9).run(force=True)).startswith("FAILED, written with --force: at most")


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
    return np.roll(output, 1, axis=-1)


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
    bundle: Bundle, reference: Any, examples: Examples, max_drop: float | None = None
) -> GateReport:
    return Gate(bundle, reference, examples).measure(bundle, max_drop)[0]


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


@pytest.mark.slow
def test_products_are_ranked_by_what_they_move(
    bundle: Bundle, held: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    moves = {None: 0.0, "a": 0.1, "b": -3.0, "c": 0.0, "d": 0.5}
    seen: list[str] = []

    class Engine:
        output_names = ("logits",)

        def __init__(self, name: Any, engine: str) -> None:
            assert engine == "onnxruntime"
            self.name = name

        def run(self, batch: Batch) -> dict[str, Floats]:
            made = np.full((len(batch), 3), moves[self.name], np.float32)
            return {"logits": made}

    tokenizer = Tokenizer(bundle.path / "tokenizer.json", 512)
    monkeypatch.setattr(gate, "load_engine", Engine)
    monkeypatch.setattr(Tokenizer, "of", lambda _: tokenizer)
    build: Any = lambda name: name  # noqa: E731
    found = rank_matmuls(["a", "b", "c", "d"], build, held, seen.append)
    assert found == ["b", "d", "a", "c"]
    assert seen == ["a", "b", "c", "d"]


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
    workshop: Workshop, tmp_path: Path, already_traced: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = spoil(monkeypatch, 2)
    report = exported(workshop, tmp_path / "out")
    assert seen == [0, 1, 2]
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
    already_traced: None,
    nothing_left: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen = spoil(monkeypatch, 99)
    with pytest.raises(GateError, match=r"^the accuracy gate does not hold: agreement drops by 30"):
        exported(workshop, tmp_path / "out")
    assert seen == [0, 1, 2, 4, 8, 10]
    nothing_left()


@pytest.mark.slow
def test_force_writes_it_and_says_so(
    workshop: Workshop,
    tmp_path: Path,
    already_traced: None,
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


# Calibration on the command line.


@pytest.fixture
def unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Arguments are refused before any work is done."""

    def trace(*_: Any) -> Any:
        raise AssertionError("the export began")

    monkeypatch.setattr(exporting, "export_fp32", trace)


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["txt", "csv", "jsonl"])
def test_calibration_files(
    suffix: str,
    workshop: Workshop,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    already_traced: None,
) -> None:
    labels = ["positive", "negative", "neutral"]
    rows = [{"text": text, "label": labels[i % 3]} for i, text in enumerate(TEXTS)]
    lines = {
        "txt": TEXTS,
        "csv": ["text,label", *(f"{row['text']},{row['label']}" for row in rows)],
        "jsonl": [json.dumps(row) for row in rows],
    }
    path = tmp_path / f"news.{suffix}"
    path.write_text("\n".join(lines[suffix]) + "\n", encoding="utf-8")
    output = tmp_path / "out"
    labelled = [] if suffix == "txt" else ["--label-column", "label"]
    arguments = ["export", str(workshop.tiny()), "-o", str(output), "--json", "--max-drop", "100"]
    assert main([*arguments, "--calibration", str(path), *labelled]) == 0
    card = json.loads(capsys.readouterr().out)
    assert card["calibration"] == path.name
    assert card["gate"]["metric"] == ("agreement" if suffix == "txt" else "accuracy")
    assert card["gate"]["rows"] == card["rows"] == 2
    assert card["gate"]["max_drop"] == 100
    recipe = json.loads((output / "leanbert.json").read_text(encoding="utf-8"))["recipe"]
    assert (recipe["calibration"], recipe["calibration_rows"]) == (path.name, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--calibration", "words.csv"], "no column 'text'; it has 'words' and 'label' (pass"),
        (
            ["--calibration", "words.csv", "--text-column", "words", "--label-column", "mood"],
            "words.csv: no column 'mood'; it has 'words' and 'label'",
        ),
        (
            ["--calibration", "words.csv", "--text-column", "words", "--label-column", "label"],
            "words.csv: line 3: the label 'sad' is not the model's; it has 0 pos",
        ),
        (["--label-column", "label"], "a label column needs a calibration file"),
        (["--recipe", "fp32", "--calibration", "words.csv"], "the fp32 recipe takes no calib"),
        (["--recipe", "fp32", "--max-drop", "1"], "the fp32 recipe takes no calib"),
        (["--max-drop", "-0.1"], "max_drop is -0.1; expected percentage points from 0 to 100"),
        (["--max-drop", "101"], "max_drop is 101.0; expected percentage points from 0 to 100"),
        (["--max-drop", "nan"], "max_drop is nan; expected percentage points from 0 to 100"),
        (["--calibration", "nowhere.csv"], "nowhere.csv: No such file or directory"),
        (
            ["--task", "feature-extraction", "--calibration", "words.csv", "--label-column", "x"],
            "feature-extraction has no labels; leave the label column out",
        ),
    ],
)  # fmt: skip
def test_calibration_arguments_are_refused(
    arguments: list[str],
    message: str,
    workshop: Workshop,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    capsys: pytest.CaptureFixture[str],
    unreachable: None,
    nothing_left: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = tmp_path_factory.mktemp("data")
    monkeypatch.chdir(data)
    (data / "words.csv").write_text("words,label\ngood,0\nbad,sad\n", encoding="utf-8")
    output = tmp_path / "out"
    assert main(["export", str(workshop.tiny()), "-o", str(output), *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert captured.err.startswith("leanbert: ")
    assert message in captured.err
    nothing_left()


@pytest.mark.parametrize("calibration", [[], ["one"], ["one", 2]])
def test_calibration_texts_are_refused(
    calibration: list[Any], workshop: Workshop, tmp_path: Path, unreachable: None
) -> None:
    with pytest.raises(InputError, match=r"^calibration: expected two texts or more$"):
        export(str(workshop.tiny()), tmp_path / "out", calibration=calibration)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_the_gate_asks_pytorch(workshop: Workshop, held: list[str], bundle: Bundle) -> None:
    checkpoint = find_checkpoint(str(workshop.tiny()), revision=None, task=None)
    found = measured(bundle, TorchReference(checkpoint), Examples(held), 0.0)
    assert (found.metric, found.int8, found.passed) == ("agreement", 1.0, True)
