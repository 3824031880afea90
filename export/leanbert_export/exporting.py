"""The export from end to end."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from leanbert.bundle import Bundle
from leanbert.errors import InputError
from leanbert.records import ReadOptions
from leanbert.tokenization import TextInput, Tokenizer
from leanbert_export import writing
from leanbert_export.checkpoint.finding import Checkpoint, find_checkpoint
from leanbert_export.checkpoint.heads import HEADS, TASK_NAMES, canonical_task
from leanbert_export.checkpoint.labels import check_labels, labels_in_order
from leanbert_export.graph.fusion import count_operators, fuse
from leanbert_export.graph.operators import FINAL_OPSET
from leanbert_export.graph.rewriting import rewrite
from leanbert_export.graph.saving import save_with_weights
from leanbert_export.graph.tracing import export_fp32
from leanbert_export.int8.calibration import record_inputs
from leanbert_export.int8.matmuls import find_matmuls
from leanbert_export.int8.quantization import (
    check_matmuls,
    is_classifier,
    quantize_graph,
)
from leanbert_export.int8.weights import QuantizedMatmul, quantize_matmuls
from leanbert_export.layout.sealing import seal_with_layout
from leanbert_export.proof.comparison import Agreement, check_values, compare, make_golden
from leanbert_export.proof.examples import Examples, read_examples
from leanbert_export.proof.gate import Gate, GateReport, pass_gate, rank_matmuls
from leanbert_export.proof.predictions import Answers
from leanbert_export.proof.reference import TorchReference
from leanbert_export.recipe import RECIPES, Int8Settings
from leanbert_export.samples import sample_texts

STEPS = (
    "finding the checkpoint",
    "exporting to ONNX",
    "fusing operators",
    "comparing fp32 with PyTorch",
    "watching the calibration texts",
    "quantizing",
    "judging int8 on held-back texts",
    "writing the bundle",
)

_OWN_SAMPLE = "LeanBERT's own sample"


@dataclass(frozen=True)
class Report:
    """What the export made."""

    path: Path
    checkpoint: Checkpoint
    recipe: str
    checkpoint_bytes: int
    bundle_bytes: int
    fp32: Agreement
    final: Agreement
    operators: dict[str, int]
    fused: str
    """How many of each layer's operators were fused."""
    calibration: str
    """Where the calibration texts came from; empty for fp32."""
    gate: GateReport | None
    """``None`` for fp32."""
    native: str
    """Whether the native engine can run the bundle, or why it cannot."""


@dataclass(frozen=True)
class _Graphs:
    """Writes one checkpoint's graph in any state of quantization."""

    fused: Path
    folder: Path
    plans: dict[str, QuantizedMatmul]
    settings: Int8Settings

    def write(self, names: frozenset[str] | set[str]) -> Bundle:
        """The bundle with the named matmuls in int8 and every other in fp32."""
        model = rewrite(self.fused)
        if names:
            quantize_graph(model, {name: self.plans[name] for name in names}, self.settings)
        _replace_graph(self.folder, model)
        return Bundle.open(self.folder)

    def without(self, names: frozenset[str]) -> Bundle:
        """The bundle with the named matmuls in fp32 and every other in int8."""
        return self.write(set(self.plans) - names)


def _replace_graph(folder: Path, model: Any) -> None:
    for path in folder.glob("model.onnx*"):
        path.unlink()
    save_with_weights(model, folder / "model.onnx")


def export(
    model: str,
    output: str | Path,
    *,
    recipe: str = "int8",
    revision: str | None = None,
    task: str | None = None,
    reduce_range: bool = False,
    force: bool = False,
    texts: Sequence[TextInput] | None = None,
    calibration: str | Path | Sequence[TextInput] | None = None,
    text_column: str = "text",
    label_column: str | None = None,
    pair_column: str | None = None,
    reading: ReadOptions | None = None,
    max_drop: float | None = None,
    on_step: Callable[[str], None] = lambda _: None,
) -> Report:
    """Turn a checkpoint into a verified bundle.

    Args:
        model: a local directory or a hub id.
        output: the bundle's directory; it appears when everything has passed.
        recipe: ``"int8"``, ``"int8-per-tensor"`` (for comparison) or ``"fp32"``.
        revision: branch, tag or commit of a hub id.
        task: one of :data:`leanbert_export.checkpoint.heads.TASK_NAMES`; by default the head's own.
        reduce_range: int8 weights in 7 bits, for x86 CPUs without VNNI.
        force: replace a bundle that is there; write one that fails its gate.
        texts: texts or pairs to compare the fp32 graph on, and for the golden answers; by default
            LeanBERT's own sample. For answers, lone texts are made questions to those that follow;
            for masks, a word of each is hidden.
        calibration: a file that :mod:`leanbert.records` reads, or texts or pairs: two thirds
            calibrate, one third is held back to judge. By default LeanBERT's own sample.
        text_column: the column of texts in a calibration file.
        label_column: of the same; with it the drop is one of accuracy.
        pair_column: of the same, the second text of each row.
        reading: the file's format, encoding and delimiter; by default its name says them.
        max_drop: percentage points that accuracy (without labels, agreement) may drop on the
            held-back texts; ``None`` measures only.
        on_step: called with each of :data:`STEPS` as it begins, and with details in between.

    Raises:
        ExportError: with its subclasses, whatever went wrong; nothing was written.
        InputError: an argument cannot be used.
    """
    output = Path(output)
    task = _check_arguments(
        recipe, task, calibration, {"label": label_column, "pair": pair_column}, max_drop
    )
    writing.check_output(output, force=force)
    on_step(STEPS[0])
    checkpoint = find_checkpoint(model, revision=revision, task=task)
    check_labels(checkpoint)
    texts = sample_texts() if texts is None else texts
    if not texts:
        raise InputError("texts is empty; there is nothing to compare with PyTorch on")
    examples = _examples(checkpoint, calibration, text_column, label_column, pair_column, reading)

    with tempfile.TemporaryDirectory(prefix="leanbert-export-") as scratch:
        work = Path(scratch)
        on_step(STEPS[1])
        exported = export_fp32(checkpoint, work / "exported")
        on_step(STEPS[2])
        fused = fuse(exported, work / "fused.onnx", checkpoint)

        with writing.new_directory(output, force=force) as folder:
            writing.copy_parts(work / "exported", folder, checkpoint)
            on_step(STEPS[3])
            _replace_graph(folder, rewrite(work / "fused.onnx"))
            bundle = Bundle.open(folder)
            reference = TorchReference(checkpoint)
            fp32 = final = compare(bundle, reference, texts)
            check_values(fp32, quantized=False)
            settings: dict[str, Any] = {"name": recipe, "opset": FINAL_OPSET}
            evidence = [{"dataset": "sample texts of the export", **asdict(fp32)}]
            card: dict[str, Any] = labels_in_order(checkpoint)
            source, gate = "", None
            if recipe != "fp32":
                source = _OWN_SAMPLE if calibration is None else _source(calibration)
                chosen = Int8Settings(per_token=recipe == "int8", reduce_range=reduce_range)
                gate, final, details = _quantize(
                    work, bundle, reference, examples, chosen, max_drop, force, on_step
                )
                check_values(final, quantized=True)
                settings |= asdict(chosen) | {"calibration": source} | details
                evidence = [{"dataset": f"{source}, held back from calibration", **asdict(final)}]
                card["calibration"] = f"{source} ({details['calibration_rows']} texts)"
                card["accuracy gate"] = gate_line(gate)
            on_step(STEPS[-1])
            golden, bounds = make_golden(bundle, reference, texts)
            operators = count_operators(folder / "model.onnx")
            content = writing.manifest_content(
                checkpoint,
                recipe=settings,
                max_length=bundle.max_length,
                operators=operators,
                golden=golden,
                bounds=bounds,
                evidence=evidence,
            )
            content["card"] = card
            card["fused"] = fused
            card["native engine"] = seal_with_layout(folder, content)
            writing.write_manifest(folder, content)
            bundle_bytes = Bundle.open(folder).size
    return Report(
        path=output,
        checkpoint=checkpoint,
        recipe=recipe,
        checkpoint_bytes=checkpoint.weights_bytes,
        bundle_bytes=bundle_bytes,
        fp32=fp32,
        final=final,
        operators=operators,
        fused=fused,
        calibration=source,
        gate=gate,
        native=str(card["native engine"]),
    )


def _check_arguments(
    recipe: str,
    task: str | None,
    calibration: object,
    columns: Mapping[str, str | None],
    max_drop: float | None,
) -> str | None:
    """Raise InputError for what cannot be used; returns the task under its own name."""
    if recipe not in RECIPES:
        raise InputError(f"recipe is {recipe!r}; expected one of {', '.join(RECIPES)}")
    if task is not None and canonical_task(task) is None:
        raise InputError(f"task is {task!r}; expected one of {', '.join(TASK_NAMES)}")
    if max_drop is not None and not 0 <= max_drop <= 100:
        raise InputError(f"max_drop is {max_drop!r}; expected percentage points from 0 to 100")
    if recipe == "fp32" and (calibration is not None or max_drop is not None):
        raise InputError("the fp32 recipe takes no calibration texts and has no gate")
    for name, column in columns.items():
        if column is not None and not isinstance(calibration, (str, Path)):
            raise InputError(f"a {name} column needs a calibration file")
    return None if task is None else canonical_task(task)


def _source(calibration: str | Path | Sequence[TextInput]) -> str:
    return Path(calibration).name if isinstance(calibration, (str, Path)) else "texts given"


def _examples(
    checkpoint: Checkpoint,
    calibration: str | Path | Sequence[TextInput] | None,
    text_column: str,
    label_column: str | None,
    pair_column: str | None,
    reading: ReadOptions | None,
) -> Examples:
    if calibration is None:
        return Examples(sample_texts())
    if isinstance(calibration, (str, Path)):
        if label_column is not None and checkpoint.task != "text-classification":
            raise InputError(f"{checkpoint.task} has no labels; leave the label column out")
        return read_examples(
            Path(calibration),
            checkpoint.config.id2label,
            text_column=text_column,
            label_column=label_column,
            pair_column=pair_column,
            reading=reading,
        )
    texts = list(calibration)
    if len(texts) < 2 or not all(isinstance(text, (str, tuple)) for text in texts):
        raise InputError("calibration: expected two texts or more")
    return Examples(texts)


def _quantize(
    work: Path,
    bundle: Bundle,
    reference: TorchReference,
    examples: Examples,
    settings: Int8Settings,
    max_drop: float | None,
    force: bool,
    on_step: Callable[[str], None],
) -> tuple[GateReport, Agreement, dict[str, Any]]:
    """Quantize ``bundle`` until it passes its gate."""
    calibrating, held = examples.split(HEADS[reference.task].most_held)
    watched = Answers(reference.task, bundle).prepare(calibrating.texts)
    on_step(STEPS[4])
    fused = work / "fused.onnx"
    model = rewrite(fused)
    matmuls = [matmul for matmul in find_matmuls(model.graph) if not is_classifier(matmul)]
    check_matmuls(len(matmuls), model.graph)
    samples = (
        record_inputs(model, Tokenizer.of(bundle), watched, work) if settings.per_token else {}
    )
    on_step(STEPS[5])
    plans = quantize_matmuls(matmuls, samples, settings, lambda name: on_step(f"{STEPS[5]} {name}"))
    del samples, model
    graphs = _Graphs(fused, bundle.path, plans, settings)
    on_step(STEPS[6])
    names = list(plans)
    gate = Gate(bundle, reference, held)

    def rank() -> list[str]:
        return rank_matmuls(
            names,
            lambda name: graphs.write(set() if name is None else {name}),
            watched,
            lambda name: on_step(f"ranking the matmuls: {name}"),
        )

    report = pass_gate(
        gate, graphs.without, max_drop=max_drop, rank=rank, force=force, on_step=on_step
    )
    final = compare(bundle, reference, held.texts)
    details = {
        "calibration_rows": len(calibrating.texts),
        "products": {
            name: "fp32"
            if name in report.fp32_matmuls
            else plan.summary()
            if settings.per_token
            else "int8"
            for name, plan in plans.items()
        },
        "gate": report.as_dict(),
    }
    return report, final, details


def gate_line(gate: GateReport) -> str:
    """The card's sentence on the gate."""
    told = (
        f"{gate.metric} {gate.int8:.2%} in int8, {gate.fp32:.2%} in fp32 on {gate.rows} texts held "
        "back"
    )
    if gate.max_drop is None:
        return f"not set; {told}"
    verdict = "passed" if gate.passed else "FAILED, written with --force"
    line = f"{verdict}: at most {gate.max_drop:g} points may be lost; {told}"
    if gate.fp32_matmuls:
        line += (
            f"; {len(gate.fp32_matmuls)} matmuls in fp32 for it, which cost "
            f"{(gate.bytes_after - gate.bytes_before) / 1e6:.1f} MB and "
            f"{gate.slowdown - 1:+.0%} time"
        )
    return line
