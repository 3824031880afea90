"""The export from end to end."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from leanbert.bundle import Bundle
from leanbert.errors import InputError
from leanbert_export import writing
from leanbert_export.checkpoint import Checkpoint, find_checkpoint
from leanbert_export.fp32 import OPSET, export_fp32
from leanbert_export.fusion import count_operators, fuse
from leanbert_export.proof import Agreement, check_values, compare, make_golden
from leanbert_export.quantization import RECIPES, Int8Settings, quantize, save_with_weights
from leanbert_export.reference import OUTPUT, TorchReference, sample_texts

STEPS = (
    "finding the checkpoint",
    "exporting to ONNX",
    "fusing operators",
    "comparing fp32 with PyTorch",
    "quantizing",
    "comparing int8 with PyTorch",
    "writing the bundle",
)


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


def export(
    model: str,
    output: str | Path,
    *,
    recipe: str = "int8",
    revision: str | None = None,
    task: str | None = None,
    reduce_range: bool = False,
    force: bool = False,
    texts: Sequence[str] | None = None,
    on_step: Callable[[str], None] = lambda _: None,
) -> Report:
    """Turn a checkpoint into a verified bundle.

    Args:
        model: a local directory or a hub id.
        output: the bundle's directory; it appears when everything has passed.
        recipe: ``"int8"`` or ``"fp32"``.
        revision: branch, tag or commit of a hub id.
        task: ``"text-classification"`` or ``"feature-extraction"``; by default the head's own.
        reduce_range: int8 weights in 7 bits, for x86 CPUs without VNNI.
        force: replace a bundle that is there.
        texts: texts to compare on; by default LeanBERT's own sample.
        on_step: called with each of :data:`STEPS` as it begins.

    Raises:
        ExportError: with its subclasses, whatever went wrong; nothing was written.
        InputError: an argument cannot be used.
    """
    output = Path(output)
    if recipe not in RECIPES:
        raise InputError(f"recipe is {recipe!r}; expected one of {', '.join(RECIPES)}")
    if task is not None and task not in OUTPUT:
        raise InputError(f"task is {task!r}; expected one of {', '.join(OUTPUT)}")
    writing.check_output(output, force=force)
    on_step(STEPS[0])
    checkpoint = find_checkpoint(model, revision=revision, task=task)
    texts = sample_texts() if texts is None else texts
    if not texts:
        raise InputError("texts is empty; there is nothing to compare with PyTorch on")
    name = OUTPUT[checkpoint.task]

    with tempfile.TemporaryDirectory(prefix="leanbert-export-") as scratch:
        work = Path(scratch)
        on_step(STEPS[1])
        exported = export_fp32(checkpoint, work / "exported")
        on_step(STEPS[2])
        fuse(exported, work / "fused.onnx", checkpoint)

        with writing.new_directory(output, force=force) as folder:
            writing.copy_parts(work / "exported", folder, checkpoint)
            on_step(STEPS[3])
            save_with_weights(work / "fused.onnx", folder / "model.onnx")
            bundle = Bundle.open(folder)
            reference = TorchReference(checkpoint)
            fp32 = final = compare(bundle, reference, texts, name)
            check_values(fp32, quantized=False)
            settings: dict[str, Any] = {"name": recipe, "opset": OPSET}
            if recipe == "int8":
                on_step(STEPS[4])
                chosen = Int8Settings(reduce_range=reduce_range)
                for path in folder.glob("model.onnx*"):
                    path.unlink()
                settings |= asdict(chosen)
                settings["products"] = quantize(work / "fused.onnx", folder / "model.onnx", chosen)
                on_step(STEPS[5])
                final = compare(bundle, reference, texts, name)
                check_values(final, quantized=True)
            on_step(STEPS[6])
            golden, bounds = make_golden(bundle, reference, texts)
            operators = count_operators(folder / "model.onnx")
            evidence = {"dataset": "sample texts of the export", **asdict(final)}
            content = writing.manifest_content(
                checkpoint,
                recipe=settings,
                max_length=bundle.max_length,
                operators=operators,
                golden=golden,
                bounds=bounds,
                evidence=[evidence],
            )
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
    )
