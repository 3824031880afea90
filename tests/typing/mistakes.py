"""Mistakes that a type checker must notice: checked by mypy and pyright, never run.

Both checkers refuse an ``ignore`` that silences nothing, so each line here is wrong to both.
"""

from __future__ import annotations

from pathlib import Path

from leanbert import pipeline
from leanbert.pipelines.answers import LabelScore, Token


def mistakes(path: Path) -> None:
    """One mistake on each line."""
    classify = pipeline("text-classification")
    wrong_answer: LabelScore = classify("one text")  # type: ignore[assignment]
    wrong_key = classify("text")[0]["lable"]  # type: ignore[typeddict-item]
    classify("text", top_n=3)  # type: ignore[call-overload]
    classify("text", function_to_apply="softmaxx")  # type: ignore[call-overload]
    classify(3)  # type: ignore[call-overload]
    classify.document("text", split="paragraphs")  # type: ignore[call-overload]
    classify.explain("text", split="windows")  # type: ignore[call-overload]

    tag = pipeline("ner", path, aggregation_strategy="simple")
    wrong_kind: list[Token] = tag("text")  # type: ignore[assignment]
    tag("text", aggregation_strategy="longest")  # type: ignore[call-overload]

    pipeline("text-classification", 3)  # type: ignore[call-overload]
    pipeline("question-answering", path)(question="who")  # type: ignore[call-overload]
    pipeline("feature-extraction", path)("text", pooling="median")  # type: ignore[call-overload]
    pipeline("zero-shot-classification", path)("text", labels=["a"])  # type: ignore[call-overload]
    del wrong_answer, wrong_key, wrong_kind
