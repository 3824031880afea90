"""The export from end to end."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from leanbert.bundle import Bundle
from leanbert.errors import BundleError, EngineError, InputError
from leanbert.records import ReadOptions
from leanbert.tokenization import TextInput
from leanbert_export import writing
from leanbert_export.checkpoint.finding import Checkpoint, find_checkpoint
from leanbert_export.checkpoint.heads import TASK_NAMES, canonical_task
from leanbert_export.checkpoint.labels import check_labels, labels_in_order
from leanbert_export.checkpoint.loading import LoadedCheckpoint, load_checkpoint
from leanbert_export.errors import ProofError
from leanbert_export.graph.operators import FINAL_OPSET, count_operators
from leanbert_export.graph.saving import replace_graph
from leanbert_export.layout.sealing import seal_with_layout
from leanbert_export.proof.comparison import Agreement, check_values, compare
from leanbert_export.proof.embeddings import check_embeddings
from leanbert_export.proof.examples import Examples, read_examples
from leanbert_export.proof.gate import GateReport
from leanbert_export.proof.golden import make_golden
from leanbert_export.proof.independence import check_independence
from leanbert_export.proof.reference import TorchReference
from leanbert_export.proof.tokenization import check_tokenization
from leanbert_export.quantizing import Judgement, quantize_bundle
from leanbert_export.recipe import RECIPES, Int8Settings
from leanbert_export.samples import sample_texts
from leanbert_export.source import GraphSource, find_source

STEPS = (
    "finding the checkpoint",
    "loading it in PyTorch",
    "making the graph",
    "comparing fp32 with PyTorch",
    "recording calibration texts",
    "quantizing",
    "judging int8 on held-back texts",
    "writing the bundle",
)

SHARES = dict(zip(STEPS, (1, 1, 1, 33, 11, 39, 9, 5), strict=True))
"""About how many percent of an int8 export's time each step takes (BERT-base, two cores)."""

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
    graph: str
    """Whether the graph was built from a description, or what traced it and how it was fused."""
    notes: Mapping[str, str]
    """Further lines of the card, by their titles."""
    calibration: str
    """Where the calibration texts came from; empty for fp32."""
    gate: GateReport | None
    """``None`` for fp32."""
    native: str
    """Whether the native engine can run the bundle, or why it cannot."""


def export(
    model: str,
    output: str | Path,
    *,
    recipe: str = "int8",
    revision: str | None = None,
    task: str | None = None,
    reduce_range: bool = False,
    force: bool = False,
    allow_pickle: bool = False,
    texts: Sequence[TextInput] | None = None,
    calibration: str | Path | Sequence[TextInput] | None = None,
    text_column: str = "text",
    label_column: str | None = None,
    pair_column: str | None = None,
    reading: ReadOptions | None = None,
    max_drop: float | None = None,
    tie_margin: float = 0.0,
    on_step: Callable[[str], None] = lambda _: None,
) -> Report:
    """Turn a checkpoint into a verified bundle.

    Args:
        model: a local directory or a hub id.
        output: the bundle's directory; it appears when everything has passed.
        recipe: ``"int8"``, ``"int8-per-tensor"`` (for comparison) or ``"fp32"``.
        revision: branch, tag or commit of a hub id.
        task: one of :data:`leanbert_export.checkpoint.heads.TASK_NAMES`; by default that of the
            checkpoint's own head.
        reduce_range: int8 weights in 7 bits, for x86 CPUs without VNNI.
        force: replace a bundle that is there; write one that fails its gate.
        allow_pickle: read pickled weights, if there are no others, by torch's restricted unpickler.
        texts: texts or pairs to compare the fp32 graph on, and for the golden answers; by default
            LeanBERT's own sample. For question answering, a lone text is made the question to those
            that follow it; for fill-mask, a word of each is hidden.
        calibration: a file that :mod:`leanbert.records` reads, or texts or pairs: two thirds
            calibrate, one third is held back to judge. By default LeanBERT's own sample.
        text_column: the column of texts in a calibration file.
        label_column: the column of labels in it; with labels the drop is one of accuracy.
        pair_column: the column of the second text of each row.
        reading: the file's format, encoding and delimiter; by default its name says them.
        max_drop: percentage points that accuracy (without labels, agreement) may drop on the
            held-back texts; ``None`` measures only.
        tie_margin: decisions that PyTorch holds by at most this much probability may flip without
            counting as lost.
        on_step: is called with each of :data:`STEPS` as it begins, and with details in between.

    Raises:
        ExportError: with its subclasses, whatever went wrong; nothing was written.
        InputError: an argument cannot be used.
    """
    output = Path(output)
    columns = {"label": label_column, "pair": pair_column}
    task = _check_arguments(recipe, task, calibration, columns, max_drop, tie_margin)
    writing.check_output(output, force=force)
    on_step(STEPS[0])
    checkpoint = find_checkpoint(model, revision=revision, task=task, allow_pickle=allow_pickle)
    texts = sample_texts() if texts is None else texts
    if not texts:
        raise InputError("texts is empty; there is nothing to compare with PyTorch on")
    examples = _examples(checkpoint, calibration, text_column, label_column, pair_column, reading)
    on_step(STEPS[1])
    loaded = load_checkpoint(checkpoint)
    check_labels(checkpoint)

    with tempfile.TemporaryDirectory(prefix="leanbert-export-") as scratch:
        work = Path(scratch)
        on_step(STEPS[2])
        source = find_source(loaded, work)

        with writing.new_directory(output, force=force) as folder, _without_path(folder):
            on_step(STEPS[3])
            bundle, reference, roles = _write_fp32(loaded, source, folder)
            fp32 = final = compare(bundle, reference, texts)
            check_values(fp32, quantized=False)
            check_tokenization(bundle, loaded, texts)
            check_independence(bundle, reference, texts)
            check_embeddings(bundle, loaded, texts)
            settings: dict[str, Any] = {"name": recipe, "opset": FINAL_OPSET}
            evidence = [{"dataset": "sample texts of the export", **asdict(fp32)}]
            card: dict[str, Any] = labels_in_order(checkpoint)
            calibrated_on, gate = "", None
            if recipe != "fp32":
                calibrated_on = _OWN_SAMPLE if calibration is None else _named(calibration)
                chosen = Int8Settings(per_token=recipe == "int8", reduce_range=reduce_range)
                judgement = Judgement(max_drop, tie_margin, force)
                steps = STEPS[4:7]
                done = quantize_bundle(
                    source, work, bundle, reference, examples, chosen, judgement, steps, on_step
                )
                gate, final, roles = done.gate, done.agreement, done.roles
                check_values(final, quantized=True)
                settings |= asdict(chosen) | {"calibration": calibrated_on} | done.details
                held_back = f"{calibrated_on}, held back from calibration"
                evidence = [{"dataset": held_back, **asdict(final)}]
                rows = done.details["calibration_rows"]
                card["calibration"] = f"{calibrated_on} ({rows} texts)"
                card["accuracy gate"] = gate.line
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
            notes = _notes(loaded)
            content["card"] = card
            card |= {"graph": source.line, **notes}
            card["native engine"] = seal_with_layout(folder, content, source.encoder, roles)
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
        graph=source.line,
        notes=notes,
        calibration=calibrated_on,
        gate=gate,
        native=str(card["native engine"]),
    )


def _write_fp32(
    loaded: LoadedCheckpoint, source: GraphSource, folder: Path
) -> tuple[Bundle, TorchReference, Mapping[str, str]]:
    """The bundle of the final fp32 graph, PyTorch beside it, and the roles of its tensors."""
    writing.write_parts(loaded, folder)
    final = source.build()
    replace_graph(folder, final.model)
    return Bundle.open(folder), TorchReference(loaded), final.roles


@contextmanager
def _without_path(folder: Path) -> Iterator[None]:
    """Let the runtime's errors on an unfinished bundle not name its temporary folder."""
    try:
        yield
    except (BundleError, EngineError) as error:
        message = str(error).replace(f"{folder}/", "").replace(str(folder), "the bundle")
        raise ProofError(message) from error


def _notes(loaded: LoadedCheckpoint) -> dict[str, str]:
    """What the card says of the checkpoint's origin, its tensors, and what follows the encoder."""
    checkpoint = loaded.checkpoint
    notes = {
        "license": checkpoint.origin.license,
        "base model": checkpoint.origin.base_model,
        **loaded.notes,
    }
    if checkpoint.modules is not None:
        title = "embeddings" if checkpoint.modules.pooling else "ranking"
        notes[title] = checkpoint.modules.line
    return notes


def _check_arguments(
    recipe: str,
    task: str | None,
    calibration: object,
    columns: Mapping[str, str | None],
    max_drop: float | None,
    tie_margin: float,
) -> str | None:
    """Check what can be checked before any work, and return the task under its own name.

    Raises:
        InputError: an argument cannot be used.
    """
    if recipe not in RECIPES:
        raise InputError(f"recipe is {recipe!r}; expected one of {', '.join(RECIPES)}")
    if task is not None and canonical_task(task) is None:
        raise InputError(f"task is {task!r}; expected one of {', '.join(TASK_NAMES)}")
    if max_drop is not None and not 0 <= max_drop <= 100:
        raise InputError(f"max_drop is {max_drop!r}; expected percentage points from 0 to 100")
    if not 0 <= tie_margin < 1:
        raise InputError(f"tie_margin is {tie_margin!r}; expected a probability from 0 to 1")
    if recipe == "fp32" and (calibration is not None or max_drop is not None or tie_margin):
        raise InputError("the fp32 recipe takes no calibration texts and has no gate")
    for name, column in columns.items():
        if column is not None and not isinstance(calibration, (str, Path)):
            raise InputError(f"a {name} column needs a calibration file")
    return None if task is None else canonical_task(task)


def _named(calibration: str | Path | Sequence[TextInput]) -> str:
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
