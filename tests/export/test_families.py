"""Every family and every head: what fuses, what is int8, who computes it, and how near it is."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from leanbert import verify
from leanbert.bundle import MANIFEST, Bundle
from leanbert.engines.native.binding import why_no_library
from leanbert.errors import BundleCorruptError, VerificationError
from leanbert_export import writing
from leanbert_export.checkpoint.finding import Checkpoint, find_checkpoint
from leanbert_export.checkpoint.heads import HEADS, canonical_task
from leanbert_export.checkpoint.labels import check_labels, labels_in_order
from leanbert_export.errors import CheckpointError
from leanbert_export.exporting import Report, export
from leanbert_export.proof.comparison import INT8_MEAN_DIFFERENCE
from leanbert_export.quiet import quiet
from leanbert_export.samples import sample_texts
from tests.helpers import families, family_checkpoints

pytestmark = pytest.mark.slow

TEXTS = list(sample_texts()[::9])
# The kernels take embeddings of 32 columns and more; narrower than the layers, as the real ones.
WIDE = {"hidden_size": 64, "intermediate_size": 128, "embedding_size": 32}
# All heads of one family, all families with one head or more, and masks where they are odd.
PAIRS = [
    *(("bert", task) for task in HEADS),
    ("bert-cased", "token-classification"),
    ("roberta", "question-answering"),
    ("distilbert", "text-classification"),
    ("electra", "text-classification"),
    ("electra", "fill-mask"),
    ("albert", "text-classification"),
    ("albert", "fill-mask"),
    ("xlm-roberta", "token-classification"),
    ("mpnet", "text-classification"),
    ("deberta-v2", "question-answering"),
    ("modernbert", "question-answering"),
    ("modernbert", "text-classification"),
]


@dataclass
class Exports:
    """Each checkpoint and bundle made once; what it gives is shared: copy it."""

    workshop: family_checkpoints.Workshop
    root: Path
    reports: dict[tuple[str, str], Report] = field(default_factory=dict)

    def report(self, family: str, task: str) -> Report:
        """The int8 export of a family's checkpoint."""
        key = family, task
        if key not in self.reports:
            self.reports[key] = export(
                str(self.checkpoint(family, task)),
                self.root / "bundles" / f"{family}-{task}",
                texts=TEXTS,
                calibration=TEXTS,
            )
        return self.reports[key]

    def checkpoint(self, family: str, task: str) -> Path:
        with pytest.MonkeyPatch.context() as patch:
            if family in ("albert", "electra"):
                made: Any = families.FAMILIES
                wide = replace(made[family], config={**made[family].config, **WIDE})
                patch.setitem(made, family, wide)
            return self.workshop.checkpoint(family, task)


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Exports:
    root = tmp_path_factory.mktemp("exports")
    return Exports(family_checkpoints.Workshop(root), root)


def manifest_of(bundle: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((bundle / MANIFEST).read_text(encoding="utf-8"))
    return content


@pytest.mark.parametrize(("family", "task"), PAIRS)
def test_every_family_and_head(exports: Exports, family: str, task: str) -> None:
    report = exports.report(family, task)
    assert report.checkpoint.task == task
    assert report.fp32.max_output_difference < 1e-4
    assert report.final.mean_difference < INT8_MEAN_DIFFERENCE
    if HEADS[task].agrees:
        assert report.final.agreement is not None
        assert report.final.agreement >= 0.7  # a few texts and random weights: near ties
    else:
        assert report.final.agreement is None
    manifest = manifest_of(report.path)
    assert manifest["task"] == task
    named = families.model_type(family)
    assert report.graph == f"built from the description of {named}, 2 layers"
    assert manifest["card"]["graph"] == report.graph
    assert report.operators["MultiHeadAttention"] == 2
    # Every matmul that was planned is int8; what is left in fp32 is a classifier of few labels.
    matmuls = manifest["recipe"]["products"]
    assert report.operators["MatMulIntegerToFloat"] == len(matmuls) >= 8
    model = onnx.load(str(report.path / "model.onnx"), load_external_data=False)
    shapes = {tensor.name: list(tensor.dims) for tensor in model.graph.initializer}
    left = [node.input[1] for node in model.graph.node if node.op_type in ("MatMul", "Gemm")]
    weights = [shapes[name] for name in left if len(shapes.get(name, ())) == 2]
    assert len(weights) <= 1
    assert all(shape[1] <= 64 for shape in weights)  # a vocabulary is no classifier


@pytest.mark.parametrize(("family", "task"), PAIRS)
def test_both_engines_prove_it(exports: Exports, family: str, task: str) -> None:
    report = exports.report(family, task)
    assert verify(report.path, engine="onnxruntime").golden_texts >= 20
    if (reason := why_no_library()) is not None:
        pytest.skip(f"no native engine here: {reason}")
    assert report.native.startswith("yes; ")
    found = verify(report.path, engine="native")
    assert found.engine == "native"
    assert found.golden_texts >= 20


def test_what_golden_references_keep(exports: Exports) -> None:
    def golden(task: str) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = manifest_of(exports.report("bert", task).path)["golden"][
            "texts"
        ]
        return items

    for task in ("text-classification", "feature-extraction"):
        assert all(set(item) == {"text", "text_pair", "reference"} for item in golden(task))
    for item in golden("token-classification"):
        assert len(item["reference"]) == len(item["positions"]) * len(families.ENTITIES)
        assert "columns" not in item
    for item in golden("question-answering"):
        assert item["text_pair"] is not None
        assert len(item["reference"]) == len(item["positions"]) * 2
    for item in golden("fill-mask"):
        assert len(item["positions"]) == 1
        assert len(item["columns"]) == len(item["reference"]) <= 32
    assert all("[MASK]" in item["text"] for item in golden("fill-mask"))


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("positions", [9999], "instead of"),
        ("columns", [0, 10**9], "instead of"),
        ("positions", [-1], "malformed manifest"),
        ("positions", ["0"], "malformed manifest"),
        ("columns", [0.5], "malformed manifest"),
        ("positions", 3, "malformed manifest"),
    ],
)
def test_golden_positions_that_are_not_there(
    exports: Exports, tmp_path: Path, key: str, value: Any, reason: str
) -> None:
    copy = Path(shutil.copytree(exports.report("bert", "fill-mask").path, tmp_path / "copy"))
    golden = manifest_of(copy)["golden"]
    golden["texts"][0][key] = value
    writing.amend_manifest(copy, golden=golden)
    with pytest.raises((VerificationError, BundleCorruptError), match=reason):
        verify(copy, engine="onnxruntime")


def test_a_changed_weight_of_the_vocabulary_is_seen(exports: Exports, tmp_path: Path) -> None:
    report = exports.report("bert", "fill-mask")
    copy = Path(shutil.copytree(report.path, tmp_path / "copy"))
    path = copy / "model.onnx"
    model = onnx.load(str(path))
    (scale,) = [
        tensor
        for tensor in model.graph.initializer
        if tensor.name.endswith("/scale") and len(tensor.dims) == 1 and tensor.dims[0] > 256
    ]
    spoiled = onnx.numpy_helper.to_array(scale) * np.float32(0.5)
    scale.CopyFrom(onnx.numpy_helper.from_array(spoiled, scale.name))
    (copy / "model.onnx.data").unlink()
    onnx.save(model, str(path), save_as_external_data=True, location="model.onnx.data")
    content = manifest_of(copy)
    for key in ("sha256", "format_version", "files"):
        del content[key]
    writing.write_manifest(copy, content)
    with pytest.raises(VerificationError, match="away from PyTorch"):
        verify(copy, engine="onnxruntime")


def test_fp32_of_a_family_with_a_bias_a_score(exports: Exports, tmp_path: Path) -> None:
    checkpoint = exports.checkpoint("mpnet", "text-classification")
    report = export(str(checkpoint), tmp_path / "fp32", recipe="fp32", texts=TEXTS)
    assert report.final.max_output_difference < 1e-4
    assert report.operators["MultiHeadAttention"] == 2


# A tokenizer of an older kind.


def test_a_sentencepiece_file_becomes_a_tokenizer(tmp_path: Path, data_dir: Path) -> None:
    pytest.importorskip("sentencepiece")
    import torch
    import transformers

    source = data_dir / "tokenizers" / "albert"
    if not source.is_dir():
        pytest.skip(f"no {source}")
    made = transformers.AlbertConfig(
        vocab_size=30000,
        embedding_size=16,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        initializer_range=0.2,
        id2label={0: "up", 1: "down"},
    )
    torch.manual_seed(1)
    checkpoint = tmp_path / "checkpoint"
    with quiet():
        transformers.AlbertForSequenceClassification(made).save_pretrained(checkpoint)
    for name in ("spiece.model", "tokenizer_config.json", "special_tokens_map.json"):
        shutil.copyfile(source / name, checkpoint / name)
    report = export(str(checkpoint), tmp_path / "bundle", recipe="fp32", texts=TEXTS[:4])
    theirs = transformers.AutoTokenizer.from_pretrained(checkpoint)
    from leanbert.tokenization import Tokenizer

    texts = [*TEXTS, "naïve ÉTÉ  café\t½", "营业利润"]
    ours = Tokenizer.of(Bundle.open(report.path)).encode(texts, truncation=True)
    assert [ids.tolist() for ids in ours.split(ours.input_ids)] == theirs(texts, truncation=True)[
        "input_ids"
    ]


# Tasks and labels.


def test_tasks_that_share_a_head() -> None:
    assert canonical_task("zero-shot-classification") == "text-classification"
    assert canonical_task("text-ranking") == "text-classification"
    assert canonical_task("ner") == "token-classification"
    assert all(canonical_task(task) == task for task in HEADS)
    assert canonical_task("translation") is None


def labelled(exports: Exports, tmp_path: Path, **changes: Any) -> Checkpoint:
    source = exports.checkpoint("bert", "text-classification")
    copy = Path(shutil.copytree(source, tmp_path / "checkpoint"))
    config = json.loads((copy / "config.json").read_text(encoding="utf-8"))
    (copy / "config.json").write_text(json.dumps({**config, **changes}), encoding="utf-8")
    return find_checkpoint(str(copy), revision=None, task=None)


def test_the_card_shows_the_labels_order(exports: Exports, tmp_path: Path) -> None:
    report = exports.report("bert", "text-classification")
    assert manifest_of(report.path)["card"]["labels"] == "0 positive, 1 negative, 2 neutral"
    assert "labels" not in manifest_of(exports.report("bert", "fill-mask").path)["card"]
    # FinBERT's other order (finbert-tone) is what its own config says.
    tone = {"0": "Neutral", "1": "Positive", "2": "Negative"}
    changed = labelled(
        exports, tmp_path, id2label=tone, label2id={v: int(k) for k, v in tone.items()}
    )
    check_labels(changed)
    assert labels_in_order(changed) == {"labels": "0 Neutral, 1 Positive, 2 Negative"}


def test_labels_that_contradict_each_other(exports: Exports, tmp_path: Path) -> None:
    wrong = {"negative": 0, "positive": 1, "neutral": 2}
    checkpoint = labelled(exports, tmp_path, label2id=wrong)
    with pytest.raises(CheckpointError, match="id2label calls label 0 'positive', label2id"):
        check_labels(checkpoint)
