"""Layouts of MPNet, ModernBERT and DeBERTa: what they say, and that both engines answer alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers.models.deberta_v2.modeling_deberta_v2 import build_relative_position
from transformers.models.mpnet.modeling_mpnet import MPNetEncoder

from leanbert.bundle import Bundle
from leanbert.engines import load_engine
from leanbert.tokenization import Tokenizer
from leanbert_export.architectures.describing import describe
from leanbert_export.architectures.description import Encoder, Rotary
from leanbert_export.exporting import Report, export
from leanbert_export.layout.architecture import NoLayoutError, architecture_of
from leanbert_export.proof.reference import TorchReference
from leanbert_export.samples import sample_texts
from tests.export.conftest import load
from tests.export.layout.test_layout import answers, manifest_of, native_or_skip, read
from tests.helpers import families, family_checkpoints

pytestmark = pytest.mark.slow

FAMILIES = ("mpnet", "modernbert", "deberta-v2")
CALIBRATION = sample_texts()[::9]


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> family_checkpoints.Workshop:
    return family_checkpoints.Workshop(tmp_path_factory.mktemp("distances"))


@pytest.fixture(scope="module")
def exports(workshop: family_checkpoints.Workshop) -> Callable[[str], Report]:
    """The export of each family's checkpoint, made once."""
    made: dict[str, Report] = {}

    def report(family: str) -> Report:
        if family not in made:
            made[family] = export(
                str(workshop.checkpoint(family, "feature-extraction")),
                workshop.root / f"{family}-bundle",
                texts=list(CALIBRATION),
                calibration=CALIBRATION,
            )
        return made[family]

    return report


def encoder_of(workshop: family_checkpoints.Workshop, family: str) -> Encoder:
    return describe(load(workshop.checkpoint(family, "feature-extraction")))


@pytest.mark.parametrize("family", FAMILIES)
def test_both_engines_answer_as_pytorch(
    exports: Callable[[str], Report], workshop: family_checkpoints.Workshop, family: str
) -> None:
    native_or_skip()
    report = exports(family)
    assert report.native.startswith("yes; ")
    opened = Bundle.open(report.path)
    assert load_engine(opened, 1).name == "native"  # it is what "auto" chooses
    texts = [*sample_texts()[:40], " ".join(sample_texts()[:12])]  # the last one is cut at the most
    reference = TorchReference(load(workshop.checkpoint(family, "feature-extraction")))
    wanted = read(opened, texts, reference.run)
    native, other = (answers(report.path, name, texts) for name in ("native", "onnxruntime"))
    distances = [float(np.abs(found - wanted).mean()) for found in (native, other)]
    assert max(distances) < 0.03
    assert distances[0] < 1.3 * distances[1]
    lengths = Tokenizer.of(opened).encode(texts, truncation=True).lengths
    assert max(lengths) > 100  # windows end, and distances share rows


def test_the_mean_of_the_tokens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What ModernBERT's published configs ask of a classifier."""
    native_or_skip()
    known: Any = families.FAMILIES
    modern = known["modernbert"]
    config = {**modern.config, "classifier_pooling": "mean"}
    monkeypatch.setitem(known, "modernbert", replace(modern, config=config))
    task = "text-classification"
    checkpoint = family_checkpoints.Workshop(tmp_path).checkpoint("modernbert", task)
    texts = list(CALIBRATION)
    report = export(str(checkpoint), tmp_path / "out", texts=texts, calibration=CALIBRATION)
    assert report.native.startswith("yes; ")
    layout = manifest_of(report.path)["native"]
    assert (layout["format"], layout["architecture"]["head"]) == (2, "mean")
    wanted = read(Bundle.open(report.path), texts, TorchReference(load(checkpoint)).run)
    native, other = (answers(report.path, name, texts) for name in ("native", "onnxruntime"))
    distances = [float(np.abs(found - wanted).mean()) for found in (native, other)]
    assert max(distances) < 0.05
    assert distances[0] < 1.3 * distances[1]


def test_what_the_layouts_say(exports: Callable[[str], Report]) -> None:
    modern, deberta, mpnet = (
        manifest_of(exports(family).path)["native"]
        for family in ("modernbert", "deberta-v2", "mpnet")
    )
    assert {layout["format"] for layout in (modern, deberta, mpnet)} == {2}
    told = modern["architecture"]
    assert (told["pre_norm"], told["gated"]) == (True, True)
    assert (told["windows"], told["rotary"]) == ([0, 8], [1, 2])
    assert modern["tensors"]["layer.0.ffn_up.weight"]["shape"] == [32, 2 * 64]
    assert modern["tensors"]["rotary.2.sin"]["shape"] == [told["max_positions"], 8]
    assert not any("beta" in role or "position" in role for role in modern["tensors"])
    assert deberta["tensors"]["layer.0.position_key.weight"]["shape"] == [64, 32]
    assert mpnet["tensors"]["relative.bias"]["shape"] == [32, 2]


def expanded(architecture: dict[str, Any], length: int) -> Any:
    """The rows of all distances key - query, as the native engine reads the list."""
    buckets = np.array(architecture["relative_buckets"])
    ends = len(buckets) // 2
    positions = np.arange(length)
    return buckets[(positions[None, :] - positions[:, None]).clip(-ends, ends) + ends]


def test_buckets_are_those_of_transformers(workshop: family_checkpoints.Workshop) -> None:
    encoder = encoder_of(workshop, "mpnet")
    positions = torch.arange(encoder.max_tokens)
    wanted = MPNetEncoder.relative_position_bucket(positions[None, :] - positions[:, None], 32)
    found = expanded(architecture_of(encoder), encoder.max_tokens)
    np.testing.assert_array_equal(found, wanted.numpy())

    encoder = encoder_of(workshop, "deberta-v2")
    rows = torch.zeros(encoder.max_tokens, 1)
    relative = build_relative_position(rows, rows, bucket_size=32, max_position=160)[0]
    wanted = (relative + 32).clamp(0, 63)
    found = expanded(architecture_of(encoder), encoder.max_tokens)
    np.testing.assert_array_equal(found, wanted.numpy())


def _layers(encoder: Encoder, **changes: Any) -> Encoder:
    return replace(
        encoder,
        layers=[
            replace(layer, attention=replace(layer.attention, **changes))
            for layer in encoder.layers
        ],
    )


def _partly_rotary(encoder: Encoder) -> Encoder:
    return _layers(encoder, rotary=Rotary(1e4, np.ones(4, np.float32)))


def _many_rotaries(encoder: Encoder) -> Encoder:
    (layer, *_) = encoder.layers
    rotaries = [Rotary(10.0**i, np.ones(8, np.float32)) for i in range(3)]
    return replace(
        encoder,
        layers=[
            replace(layer, attention=replace(layer.attention, rotary=rotary)) for rotary in rotaries
        ],
    )


def _half_gated(encoder: Encoder) -> Encoder:
    first, *others = encoder.layers
    plain = replace(first, feed_forward=replace(first.feed_forward, multiplier=None))
    return replace(encoder, layers=[plain, *others])


@pytest.mark.parametrize(
    ("family", "change", "reason"),
    [
        ("modernbert", _partly_rotary, "rotary positions turn a part of each head"),
        ("modernbert", _many_rotaries, "its layers have more than 2 kinds of rotary positions"),
        ("modernbert", _half_gated, "some layers are gated, others are not"),
        ("mpnet", lambda e: _layers(e, window=9), "attention has both a window and relative pos"),
        ("deberta-v2", lambda e: _layers(e, position_key=None), "queries are not compared with"),
        (
            "deberta-v2",
            lambda e: _layers(e, position_query=None),
            "attention has another scale than the root",
        ),
    ],
)
def test_what_the_native_engine_does_not_compute(
    workshop: family_checkpoints.Workshop,
    family: str,
    change: Callable[[Encoder], Encoder],
    reason: str,
) -> None:
    encoder = encoder_of(workshop, family)
    assert architecture_of(encoder)["num_layers"] == 2
    with pytest.raises(NoLayoutError, match=f"^{reason}"):
        architecture_of(change(encoder))
