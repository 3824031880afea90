"""Tiny models for tests: built from numbers here, answered by numpy beside ONNX Runtime.

A text's words are looked up, averaged under the attention mask and multiplied into logits. Words
of three kinds pull towards three labels; every input of the graph changes the answer.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from leanbert.bundle import MANIFEST, seal
from tests.helpers.tiny_words import NEGATIVE, NEUTRAL, POSITIVE, VOCABULARY, tokenizer

LABELS = ("positive", "negative", "neutral")
WIDTH = 8
MAX_LENGTH = 32

GOLDEN: list[tuple[str, str | None]] = [
    ("Operating profit rose to EUR 13.1 mn.", None),
    ("Sales fell and the debt is bad", None),
    ("The company said so in a report today.", None),
    ("growth", None),
    ("Revenue was higher", "but net margin fell in the second quarter"),
]

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Tiny:
    """A bundle to build; the defaults are the classifier of most tests."""

    task: str = "text-classification"
    labels: tuple[str, ...] = LABELS
    logits: int | None = None
    """Width of the graph's logits; as many as labels if not given."""
    declared: bool = True
    """Whether the graph declares that width."""
    token_types: bool = True
    problem_type: str | None = None
    config: dict[str, Any] = field(default_factory=dict)
    manifest: bool = True

    @property
    def width(self) -> int:
        return len(self.labels) if self.logits is None else self.logits


def weights(tiny: Tiny) -> dict[str, Floats]:
    """The model's numbers; RandomState's stream is frozen in numpy."""
    random = np.random.RandomState(20)
    words = 0.3 * random.standard_normal((len(VOCABULARY), WIDTH))
    for axis, group in enumerate((POSITIVE, NEGATIVE, NEUTRAL)):
        for word in group:
            words[VOCABULARY.index(word), axis] += 8.0
    types = 0.5 * random.standard_normal((2, WIDTH))
    matrix = 0.1 * random.standard_normal((WIDTH, 6))
    matrix[:6, :6] += 2.0 * np.eye(6)
    bias = 0.2 * random.standard_normal(6)
    return {
        "words": words.astype(np.float32),
        "types": types.astype(np.float32),
        "matrix": matrix[:, : tiny.width].astype(np.float32),
        "bias": bias[: tiny.width].astype(np.float32),
    }


def graph(tiny: Tiny) -> onnx.ModelProto:
    """The ONNX graph of the model."""
    inputs = ["input_ids", "attention_mask"] + ["token_type_ids"] * tiny.token_types
    nodes = [
        helper.make_node("Gather", ["words", "input_ids"], ["looked_up"]),
        helper.make_node("Cast", ["attention_mask"], ["mask2"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["mask2", "axis2"], ["mask3"]),
    ]
    if tiny.token_types:
        nodes += [
            helper.make_node("Gather", ["types", "token_type_ids"], ["typed"]),
            helper.make_node("Add", ["looked_up", "typed"], ["embedded"]),
        ]
    else:
        nodes += [helper.make_node("Identity", ["looked_up"], ["embedded"])]
    nodes += [
        helper.make_node("Mul", ["embedded", "mask3"], ["masked"]),
        helper.make_node("ReduceSum", ["masked", "axis1"], ["sum"], keepdims=1),
        helper.make_node("ReduceSum", ["mask3", "axis1"], ["count"], keepdims=1),
        helper.make_node("Div", ["sum", "count"], ["mean"]),
    ]
    if tiny.task != "text-classification":
        nodes.append(helper.make_node("Add", ["embedded", "mean"], ["last_hidden_state"]))
    each = ["batch", "length"]
    outputs: dict[str, list[Any]] = {"last_hidden_state": [*each, WIDTH]}
    if tiny.task == "fill-mask":  # the words' own vectors judge what fits
        nodes += [
            helper.make_node("Transpose", ["words"], ["turned"], perm=[1, 0]),
            helper.make_node("MatMul", ["last_hidden_state", "turned"], ["logits"]),
        ]
        outputs = {"logits": [*each, len(VOCABULARY)]}
    elif tiny.task == "token-classification":
        nodes += [
            helper.make_node("MatMul", ["last_hidden_state", "matrix"], ["product"]),
            helper.make_node("Add", ["product", "bias"], ["logits"]),
        ]
        outputs = {"logits": [*each, tiny.width]}
    elif tiny.task == "question-answering":
        nodes += [
            helper.make_node("MatMul", ["last_hidden_state", "matrix"], ["product"]),
            helper.make_node("Gather", ["product", "first"], ["start_logits"], axis=2),
            helper.make_node("Gather", ["product", "second"], ["end_logits"], axis=2),
        ]
        outputs = {"start_logits": each, "end_logits": each}
    elif tiny.task == "text-classification":
        nodes += [
            helper.make_node("Squeeze", ["mean", "axis1"], ["pooled"]),
            helper.make_node("MatMul", ["pooled", "matrix"], ["product"]),
            helper.make_node("Add", ["product", "bias"], ["logits"]),
        ]
        outputs = {"logits": ["batch", tiny.width if tiny.declared else "labels"]}
    used = {name for node in nodes for name in node.input}
    constants = {
        **weights(tiny),
        "axis1": np.array([1], dtype=np.int64),
        "axis2": np.array([2], dtype=np.int64),
        "first": np.array(0, dtype=np.int64),
        "second": np.array(1, dtype=np.int64),
    }
    model = helper.make_model(
        helper.make_graph(
            nodes,
            "tiny",
            [
                helper.make_tensor_value_info(n, TensorProto.INT64, ["batch", "length"])
                for n in inputs
            ],
            [
                helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
                for name, shape in outputs.items()
            ],
            [numpy_helper.from_array(v, name) for name, v in constants.items() if name in used],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    onnx.checker.check_model(model)
    return model


def reference(tiny: Tiny, text: str, pair: str | None = None) -> npt.NDArray[np.float64]:
    """The model's answer by numpy in float64: logits, or ``last_hidden_state`` of the text.

    The logits of fill-mask are ``(tokens, words)``.
    """
    made = tokenizer()
    made.enable_truncation(MAX_LENGTH)
    encoding = made.encode(text, pair)
    numbers = {name: value.astype(np.float64) for name, value in weights(tiny).items()}
    embedded = numbers["words"][encoding.ids]
    if tiny.token_types:
        embedded = embedded + numbers["types"][encoding.type_ids]
    mean = embedded.mean(axis=0)
    if tiny.task == "feature-extraction":
        hidden: npt.NDArray[np.float64] = embedded + mean
        return hidden
    if tiny.task == "fill-mask":
        every: npt.NDArray[np.float64] = (embedded + mean) @ numbers["words"].T
        return every
    logits: npt.NDArray[np.float64] = mean @ numbers["matrix"] + numbers["bias"]
    return logits


def probabilities(tiny: Tiny, text: str, pair: str | None = None) -> list[float]:
    """Softmax of :func:`reference`, label by label."""
    exponentials = [float(np.exp(value)) for value in reference(tiny, text, pair)]
    return [value / sum(exponentials) for value in exponentials]


def build(folder: Path, tiny: Tiny | None = None) -> Path:
    """Write the bundle into ``folder``, which is made."""
    tiny = tiny or Tiny()
    folder.mkdir(parents=True)
    config: dict[str, Any] = {
        "model_type": "bert",
        "max_position_embeddings": MAX_LENGTH,
        "pad_token_id": 0,
        **({"problem_type": tiny.problem_type} if tiny.problem_type else {}),
    }
    if tiny.task in {"text-classification", "token-classification"}:
        config["id2label"] = {str(i): label for i, label in enumerate(tiny.labels)}
    (folder / "config.json").write_text(json.dumps({**config, **tiny.config}), encoding="utf-8")
    tokenizer().save(str(folder / "tokenizer.json"))
    (folder / "model.onnx").write_bytes(graph(tiny).SerializeToString())
    if tiny.manifest:
        reseal(folder, content(tiny))
    return folder


def content(tiny: Tiny) -> dict[str, Any]:
    """What the manifest says but the files, as leanbert_export.writing words it."""
    golden = []
    for text, pair in GOLDEN:
        answer = reference(tiny, text, pair)
        pooled = answer.mean(axis=0) if answer.ndim == 2 else answer
        golden.append({"text": text, "text_pair": pair, "reference": [*map(float, pooled)]})
    return {
        "task": tiny.task,
        "source": {"model": "tiny", "revision": None, "weights_sha256": "1" * 64},
        "recipe": {"name": "fp32", "opset": 17},
        "max_length": MAX_LENGTH,
        "optimized": True,
        "operators": {"Gather": 2},
        "golden": {"atol": 1e-5, "texts": golden},
        "evidence": [{"dataset": "words", "rows": 5, "accuracy": {"fp32": 1.0, "int8": 0.98}}],
        "card": {"licence": "Apache-2.0"},
        "versions": {"leanbert": "0.1.0"},
    }


def read_content(folder: Path) -> dict[str, Any]:
    """The manifest of a bundle without its seal, to be changed and given to :func:`reseal`."""
    made: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    del made["sha256"]
    return made


def reseal(folder: Path, manifest: dict[str, Any], *, hash_files: bool = True) -> None:
    """Write the manifest with a valid seal, and valid digests unless those shall stay."""
    if hash_files:
        files = {}
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.name != MANIFEST:
                data = path.read_bytes()
                name = path.relative_to(folder).as_posix()
                files[name] = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
        manifest = {**manifest, "files": files}
    (folder / MANIFEST).write_bytes(seal(manifest))
