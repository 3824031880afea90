"""studies.int4.simulating: a tiny BERT whose matmuls are rounded."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch: Any = pytest.importorskip("torch")
transformers: Any = pytest.importorskip("transformers")

from studies.int4 import simulating  # noqa: E402 - needs torch
from studies.int4.measuring import Subject, labels  # noqa: E402
from studies.int4.rounding import Grid  # noqa: E402
from studies.int4.variants import INT8, VARIANTS, Variant  # noqa: E402


@pytest.fixture(scope="module")
def subject() -> Subject:
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=50, hidden_size=64, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=96, max_position_embeddings=32, num_labels=3,
    )  # fmt: skip
    model = transformers.BertForSequenceClassification(config).eval()
    ids = torch.randint(1, 50, (12, 9))
    mask = torch.ones_like(ids)
    mask[6:, 5:] = 0
    batch = (list(range(12)), {"input_ids": ids, "attention_mask": mask})
    return Subject(model, [batch], {"twitter": [batch]})


def test_rows_are_rounded_as_the_engine_rounds_them() -> None:
    rows = torch.tensor([[-1.0, 0.0, 2.0, 0.8], [0.0, 0.0, 0.0, 0.0]])
    found = simulating.round_rows(rows)
    scale = 3 / 255  # zero point 85
    np.testing.assert_allclose(found[0], [-85 * scale, 0, 170 * scale, 68 * scale], rtol=1e-5)
    assert found[0, 1] == 0
    assert not found[1].any()


def test_the_matmuls_of_a_bundle_are_found(subject: Subject) -> None:
    names = [site.name for site in subject.sites]
    assert names[:4] == [
        "layer.0.qkv", "layer.0.attention_output", "layer.0.ffn_up", "layer.0.ffn_down",
    ]  # fmt: skip
    assert names[-1] == "head.dense"
    assert len(names) == 9
    assert subject.sites[0].weight().shape == (64, 192)
    assert [site.name for site in subject.sites if site.down] == [
        "layer.0.ffn_down", "layer.1.ffn_down",
    ]  # fmt: skip
    assert subject.tokens == 6 * 9 + 6 * 5  # padding is not recorded


def answers(subject: Subject, variant: Variant) -> Any:
    return subject.answers(variant, embeddings=INT8, sets=("twitter",))["twitter"]


def test_more_levels_are_nearer_to_fp32(subject: Subject) -> None:
    def error(variant: Variant) -> float:
        found = labels(answers(subject, variant), subject.reference["twitter"])
        return float(found["mean_difference"])

    assert 0 < error(Variant(INT8)) < 1e-3
    assert error(Variant(INT8)) < 0.5 * error(Variant(Grid(group=32)))
    assert error(Variant(Grid(group=32), down=INT8)) < error(Variant(Grid(), compensated=False))


def test_the_model_is_as_before_afterwards(subject: Subject) -> None:
    from studies.int4.measuring import outputs

    answers(subject, Variant(Grid(), compensated=False))
    again = outputs(subject.model, subject.texts["twitter"])
    np.testing.assert_array_equal(again, subject.reference["twitter"])


def test_names_differ() -> None:
    assert len({variant.name for variant in VARIANTS}) == len(VARIANTS)
