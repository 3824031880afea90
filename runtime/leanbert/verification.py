"""Prove a bundle on this CPU: its bytes, what its manifest says, and its golden answers.

The golden texts are answered by every engine that can run here, since ``engine="auto"`` may choose
another one tomorrow, on this machine or the next.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from leanbert.bundle import Bundle, Golden, Manifest
from leanbert.bundle.graph_file import parse_graph
from leanbert.bundle.values import WrongValueError, brief, is_whole
from leanbert.cpu import cpu_name
from leanbert.engines import ENGINES, Engine, load_engine
from leanbert.engines.native.binding import why_no_library
from leanbert.engines.native.layout import LAYOUT_FORMATS, Layout
from leanbert.engines.outputs import task_output
from leanbert.errors import (
    BundleCorruptError,
    BundleError,
    EngineError,
    InputError,
    VerificationError,
)
from leanbert.numerics import Floats, mean_pool
from leanbert.tokenization import Tokenizer

__all__ = [
    "EngineProof",
    "Verification",
    "golden_answer",
    "golden_values",
    "verify",
    "verify_opened",
]

_LABELLED = ("text-classification", "token-classification")
_RECORDED = "the export's record, which needs the checkpoint and the data"


@dataclass(frozen=True)
class EngineProof:
    """What one engine answered to the golden texts."""

    engine: str
    """``"native"`` or ``"onnxruntime"``."""
    matmuls: str
    """How it computed the matrix multiplications on this CPU."""
    max_difference: float
    """Largest absolute difference of a value from PyTorch's fp32 answers."""
    mean_difference: float
    """Mean of the same over all golden texts."""


@dataclass(frozen=True)
class Verification:
    """What :func:`verify` found; every difference was within ``atol``."""

    path: Path
    files: int
    """How many files have the size and the sha256 that the manifest says."""
    checked: Sequence[str]
    """What else of the manifest was compared with the files, and agreed."""
    unchecked: Mapping[str, str]
    """What of the manifest could not be checked here, each with the reason."""
    golden_texts: int
    proofs: Sequence[EngineProof]
    """One for each engine that ran, first the one that ``engine="auto"`` takes here."""
    not_run: Mapping[str, str]
    """The engines that were wanted and could not run here, each with the reason."""
    max_difference: float
    """The largest of all engines' ``max_difference``."""
    mean_difference: float
    """The largest of all engines' ``mean_difference``."""
    atol: float
    """The bound on ``max_difference`` that the export measured for this bundle."""
    mean_atol: float
    """The bound on ``mean_difference``."""
    engine: str
    """The first proof's engine."""
    products: str
    """Its ``matmuls``."""
    cpu: str


def verify(path: str | Path, threads: int | None = None, engine: str = "auto") -> Verification:
    """Check every byte of a bundle, what its manifest says, and its golden answers on this CPU.

    The labels, the operators of the graph, the longest input and the native engine's layout are
    compared with the files. The source, the evidence and the versions cannot be: the result names
    them as unchecked.

    Args:
        path: the bundle's directory.
        threads: cores to compute on; ``None`` for all that this process may use.
        engine: ``"native"`` or ``"onnxruntime"`` proves that one; ``"auto"`` proves both wherever
            they can run the bundle.

    Raises:
        BundleError: the bundle is missing, changed, or has no manifest to be checked against.
        VerificationError: the manifest says something else than the files, or an answer differs
            from PyTorch's fp32 by more than the manifest allows, as it does where a CPU's int8
            instructions saturate.
        EngineError: the engine asked for cannot run the bundle here.
    """
    if engine not in ENGINES:
        raise InputError(f"engine is {engine!r}; expected one of {', '.join(ENGINES)}")
    return verify_opened(Bundle.open(path), threads, engine)


def verify_opened(bundle: Bundle, threads: int | None, engine: str) -> Verification:
    """The same of a bundle whose bytes were all checked when it was opened.

    Args:
        bundle: as :meth:`Bundle.open` gives it.
        threads: as in :func:`verify`.
        engine: likewise, one of :data:`ENGINES`.

    Raises:
        LeanBertError: as :func:`verify`.
    """
    manifest = bundle.manifest
    if manifest is None:
        raise BundleError(
            f"{bundle.path}: has no leanbert.json, so there is nothing to verify it against; "
            "leanbert export makes verified bundles"
        )
    if not manifest.golden:
        raise BundleError(
            f"{bundle.path}: its manifest has no golden texts, so its answers cannot be verified; "
            "export it again"
        )
    checked, unchecked = _check_manifest(bundle, manifest)
    not_run = _not_run(manifest) if engine == "auto" else {}
    names = [name for name in ENGINES[1:] if engine in ("auto", name) and name not in not_run]
    if not names:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in not_run.items())
        raise EngineError(f"{bundle.path}: no engine can run here ({reasons})")
    proofs = [_prove(bundle, manifest, load_engine(bundle, threads, name)) for name in names]
    return Verification(
        path=bundle.path,
        files=len(manifest.files),
        checked=checked,
        unchecked=unchecked,
        golden_texts=len(manifest.golden),
        proofs=proofs,
        not_run=not_run,
        max_difference=max(proof.max_difference for proof in proofs),
        mean_difference=max(proof.mean_difference for proof in proofs),
        atol=manifest.atol,
        mean_atol=manifest.mean_atol,
        engine=proofs[0].engine,
        products=proofs[0].matmuls,
        cpu=cpu_name(),
    )


def _check_manifest(bundle: Bundle, manifest: Manifest) -> tuple[list[str], dict[str, str]]:
    """Compare what the manifest says with the files.

    Returns:
        What agreed, and what could not be checked, with the reason.
    """
    checked = ["operators", "max_length"]
    unchecked = dict.fromkeys(("source", "evidence", "versions"), _RECORDED)
    _check_operators(bundle, manifest)
    longest = bundle.config.max_tokens
    if longest is not None and manifest.max_length > longest:
        raise _differs(
            bundle, f"max_length is {manifest.max_length}, config.json allows {longest} tokens"
        )
    said = manifest.card.get("labels")
    if said is not None:
        if said != bundle.config.labels_in_order:
            found = brief(bundle.config.labels_in_order)
            raise _differs(bundle, f"the labels are {brief(said)}, in config.json {found}")
        checked.append("labels")
    elif manifest.task in _LABELLED:
        unchecked["labels"] = "its card does not have them"
    if manifest.native is not None:
        newer = manifest.native.get("format")
        if is_whole(newer) and newer > LAYOUT_FORMATS[-1]:
            unchecked["native layout"] = f"its format {newer} is newer than this LeanBERT"
        else:
            _check_layout(bundle, manifest.native, manifest)
            checked.append("native layout")
    return checked, unchecked


def _check_operators(bundle: Bundle, manifest: Manifest) -> None:
    try:
        found = parse_graph(bundle.graph_bytes()).operators
    except WrongValueError as error:
        raise BundleCorruptError(
            f"{bundle.model_path}: {error}; copy or export it again"
        ) from error
    for name, count in manifest.operators.items():
        if found.get(name, 0) != count:
            raise _differs(
                bundle, f"{count} operators {brief(name)}, model.onnx has {found.get(name, 0)}"
            )


def _check_layout(bundle: Bundle, native: Mapping[str, object], manifest: Manifest) -> None:
    """Read the layout as the native engine does, on machines without its library too."""
    try:
        Layout(native, manifest.files)
    except (KeyError, TypeError, ValueError) as error:
        raise _differs(bundle, f"its layout for the native engine is unusable ({error})") from error


def _differs(bundle: Bundle, what: str) -> VerificationError:
    return VerificationError(
        f"{bundle.path}: its files are not what its manifest says: {what}; export it again"
    )


def _not_run(manifest: Manifest) -> dict[str, str]:
    """The engines that cannot run this bundle on this machine, each with the reason."""
    reasons = {}
    native = why_no_library()
    if manifest.native is None:
        said = str(manifest.card.get("native engine", "")).removeprefix("no, ")
        native = said or "the bundle has no layout for it"
    elif manifest.native.get("format") not in LAYOUT_FORMATS:
        native = "the format of its layout is newer than this LeanBERT"
    if native is not None:
        reasons["native"] = native
    if find_spec("onnxruntime") is None:
        reasons["onnxruntime"] = "the package onnxruntime is not installed"
    return reasons


def _prove(bundle: Bundle, manifest: Manifest, engine: Engine) -> EngineProof:
    """Compare one engine's golden answers with PyTorch's.

    Raises:
        VerificationError: they are further away than the manifest allows.
    """
    tokenizer = Tokenizer.of(bundle)
    largest = 0.0
    means: list[float] = []
    wrong = (
        f"this CPU ({cpu_name()}) computes the model wrongly on the {engine.name} engine: use an "
        "fp32 bundle here (--recipe fp32)"
    )
    for i, golden in enumerate(manifest.golden):
        try:
            answer = golden_answer(engine, tokenizer, golden)
        except (IndexError, KeyError, ValueError) as error:
            raise VerificationError(
                f"{bundle.path}: golden text {i}: the graph's outputs are not those of "
                f"{manifest.task} ({error!r}); export the bundle again"
            ) from error
        reference = np.asarray(golden.reference, dtype=np.float32)
        if answer.shape != reference.shape:
            raise VerificationError(
                f"{bundle.path}: golden text {i}: {answer.size} values instead of "
                f"{reference.size}; export the bundle again"
            )
        differences = np.abs(answer - reference)
        difference = float(differences.max())
        if not difference <= manifest.atol:  # NaN fails too
            raise VerificationError(
                f"{bundle.path}: golden text {i} ({brief(golden.text[:40])}): {difference:.4g} "
                f"away from PyTorch, allowed is {manifest.atol:.4g}; {wrong}"
            )
        largest = max(largest, difference)
        means.append(float(differences.mean()))
    mean = float(np.mean(means))
    if not mean <= manifest.mean_atol:
        raise VerificationError(
            f"{bundle.path}: the golden texts are {mean:.4g} away from PyTorch on average, "
            f"allowed is {manifest.mean_atol:.4g}; {wrong}"
        )
    return EngineProof(engine.name, engine.report.matmuls, largest, mean)


def golden_answer(engine: Engine, tokenizer: Tokenizer, golden: Golden) -> Floats:
    """What a graph answers to a golden text alone, the part that its reference keeps.

    *Shape:* as :func:`golden_values`.
    """
    text = golden.text if golden.text_pair is None else (golden.text, golden.text_pair)
    output = task_output(engine.run(tokenizer.encode([text], truncation=True)))
    return golden_values(output, golden.positions, golden.columns)


def golden_values(
    output: Floats, positions: Sequence[int] | None = None, columns: Sequence[int] | None = None
) -> Floats:
    """The part of one text's output that a golden reference keeps.

    Positions and columns that are not there are left out, so that the size tells of them.

    *Shape:* ``(1, labels)`` -> ``(labels,)``; ``(tokens, width)`` -> ``(width,)``, the mean, or
    with positions ``(positions * width,)``; columns narrow ``labels`` and ``width``.
    """
    if positions is not None:
        rows = output[[i for i in positions if i < len(output)]]
    else:
        rows = output if len(output) == 1 else mean_pool(output)[None]
    if columns is not None:
        rows = rows[:, [i for i in columns if i < rows.shape[1]]]
    values: Floats = rows.reshape(-1)
    return values
