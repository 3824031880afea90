"""A model that gives NaN or infinite numbers is refused by name, in every task."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from leanbert import cli, pipeline
from leanbert.errors import EngineError
from tests.helpers import tiny_bundles
from tests.helpers.tiny_bundles import Tiny
from tests.helpers.tiny_words import VOCABULARY

WORD = "growth"
NLI = ("contradiction", "neutral", "entailment")
CALLS: list[tuple[str, Tiny, Any, dict[str, Any]]] = [
    ("text-classification", Tiny(), "{} rose", {}),
    ("text-classification", Tiny(), "{} rose", {"top_k": None, "function_to_apply": "sigmoid"}),
    (
        "text-classification",
        Tiny(),
        {"text": "a", "text_pair": "{}"},
        {"function_to_apply": "none"},
    ),
    ("text-classification", Tiny(), "{} rose", {"window": 8}),
    ("token-classification", Tiny(task="token-classification"), "the {} rose", {}),
    (
        "question-answering",
        Tiny(task="question-answering"),
        {"question": "a bank", "context": "the {} rose"},
        {},
    ),
    ("feature-extraction", Tiny(task="feature-extraction"), "{} rose", {}),
    (
        "feature-extraction",
        Tiny(task="feature-extraction"),
        "{} rose",
        {"pooling": "mean", "normalize": True},
    ),
    ("fill-mask", Tiny(task="fill-mask"), "{} [MASK]", {"targets": ["rose"]}),
    ("zero-shot-classification", Tiny(labels=NLI), "{} rose", {"candidate_labels": ["up", "down"]}),
    ("text-ranking", Tiny(labels=("score",)), {"text": "{}", "text_pair": "b"}, {}),
    ("text-ranking", Tiny(labels=("score",)), {"query": "a", "documents": ["{}", "b"]}, {}),
]


def damaged(folder: Path, tiny: Tiny, value: float) -> Path:
    """A bundle one of whose words has no number; its seal is sound."""
    path = tiny_bundles.build(folder / "tiny", tiny)
    model = onnx.load(path / "model.onnx")
    [words] = [tensor for tensor in model.graph.initializer if tensor.name == "words"]
    numbers = numpy_helper.to_array(words).copy()
    numbers[VOCABULARY.index(WORD)] = value
    words.CopyFrom(numpy_helper.from_array(numbers, "words"))
    onnx.save(model, path / "model.onnx")
    tiny_bundles.reseal(path, tiny_bundles.read_content(path))
    return path


def filled(given: Any, word: str) -> Any:
    """The input with the word in the place of ``{}``."""
    if isinstance(given, str):
        return given.replace("{}", word)
    if isinstance(given, dict):
        return {key: filled(value, word) for key, value in given.items()}
    return [filled(item, word) for item in given]


@pytest.mark.parametrize("value", [np.nan, np.inf], ids=["NaN", "infinite"])
@pytest.mark.parametrize(("task", "tiny", "given", "options"), CALLS)
def test_the_text_is_named_and_the_others_are_answered(
    tmp_path: Path, task: str, tiny: Tiny, given: Any, options: dict[str, Any], value: float
) -> None:
    answerer = pipeline(task, damaged(tmp_path, tiny, value), threads=1, **options)
    sound, broken = filled(given, "bank"), filled(given, WORD)
    if task != "fill-mask":  # there every text's logits have one for the damaged word
        assert json.dumps(answerer(sound), allow_nan=False)
    for inputs in (broken, [sound, broken]):
        with pytest.raises(
            EngineError, match=r"gives NaN or infinite (\w+_|)(logits|state)"
        ) as caught:
            answerer(inputs)
        message = str(caught.value)
        assert "\n" not in message
        assert "leanbert verify" in message
        quoted = message.split(" for ")[1]
        assert quoted.startswith("'")
        assert task == "fill-mask" or WORD in quoted or not isinstance(given, str)


def test_the_command_prints_no_nan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = damaged(tmp_path, Tiny(), np.nan)
    assert cli.main(["predict", "-m", str(path), "--json", "the bank", WORD]) == 1
    out, err = capsys.readouterr()
    assert "NaN" not in out
    assert err.startswith("leanbert: ")
    assert f"NaN or infinite logits for '{WORD}'" in err
    assert err.count("\n") == 1


def test_minus_infinity_is_no_number_either(
    tmp_path: Path, make_bundle: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    classify = pipeline("text-classification", make_bundle(), threads=1)

    def run(batch: Iterable[Any]) -> dict[str, Any]:
        return {"logits": np.array([[1.0, -np.inf, 0.0]], np.float32)}

    monkeypatch.setattr(classify.runner.engine, "run", run)
    with pytest.raises(EngineError, match="NaN or infinite logits for 'profit'"):
        classify("profit")
