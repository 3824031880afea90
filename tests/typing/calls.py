"""What a type checker knows of each task: checked by mypy and pyright, never run.

One function for each task: one input, a list, an iterator, and the options on which the form of
the answer depends. That mistakes are noticed: ``tests/typing/mistakes.py``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from typing_extensions import assert_type

from leanbert import Bundle, pipeline
from leanbert.pipelines import (
    FeatureExtractionPipeline,
    FillMaskPipeline,
    QuestionAnsweringPipeline,
    TextClassificationPipeline,
    TextRankingPipeline,
    TokenClassificationPipeline,
    ZeroShotClassificationPipeline,
)
from leanbert.pipelines.answers import (
    Answer,
    Answers,
    Array,
    Embedding,
    Entity,
    ExplainedDocument,
    ExplainedPart,
    Explanation,
    FilledMask,
    FilledMasks,
    LabelScore,
    RankedDocument,
    Score,
    ScoredPart,
    SentenceDocument,
    Token,
    TokenVectors,
    Vectors,
    WindowDocument,
    WordShare,
    ZeroShotAnswer,
)


def opening(bundle: Bundle, path: Path, task: str) -> None:
    """``pipeline`` gives the class of the task, under each of its names."""
    assert_type(pipeline(), TextClassificationPipeline[LabelScore])
    assert_type(pipeline(threads=1, mode="throughput"), TextClassificationPipeline[LabelScore])
    assert_type(pipeline("text-classification"), TextClassificationPipeline[LabelScore])
    assert_type(pipeline("sentiment-analysis", path), TextClassificationPipeline[LabelScore])
    assert_type(pipeline("token-classification", bundle), TokenClassificationPipeline[Token])
    assert_type(pipeline("ner", "bundle", engine="native"), TokenClassificationPipeline[Token])
    assert_type(pipeline("question-answering", path), QuestionAnsweringPipeline[Answer])
    assert_type(
        pipeline("feature-extraction", path),
        FeatureExtractionPipeline[Vectors, list[Vectors]],
    )
    assert_type(
        pipeline("feature-extraction", path, pooling=None),
        FeatureExtractionPipeline[TokenVectors, list[TokenVectors]],
    )
    assert_type(pipeline("fill-mask", path, top_k=3), FillMaskPipeline)
    assert_type(pipeline("zero-shot-classification", path), ZeroShotClassificationPipeline)
    assert_type(pipeline("text-ranking", path, truncation=True), TextRankingPipeline)
    assert_type(pipeline(task, path), Any)
    assert_type(pipeline(model=path), Any)


def opening_with_defaults(path: Path) -> None:
    """Arguments of a call that are given at the opening change what its calls answer."""
    everything = pipeline("text-classification", top_k=None)
    assert_type(everything, TextClassificationPipeline[list[LabelScore]])
    assert_type(everything(["text"]), list[list[LabelScore]])
    entities = pipeline("ner", path, aggregation_strategy="simple")
    assert_type(entities, TokenClassificationPipeline[Entity])
    assert_type(entities("text"), list[Entity])
    assert_type(pipeline("question-answering", path, top_k=3), QuestionAnsweringPipeline[Answers])
    embed = pipeline("feature-extraction", path, pooling="mean", normalize=True)
    assert_type(embed("text"), Embedding)
    assert_type(embed(["text"]), list[Embedding])
    arrays = pipeline("feature-extraction", path, pooling="mean", return_tensors="np")
    assert_type(arrays("text"), Array)
    assert_type(arrays(["text"]), Array)
    tokens = pipeline("feature-extraction", path, pooling=None, return_tensors="np")
    assert_type(tokens(["text"]), list[Array])
    either = pipeline("feature-extraction", path, return_tensors="np")
    assert_type(either(["text"]), Array | list[Array])
    judge = pipeline("zero-shot-classification", path, candidate_labels=["a", "b"])
    assert_type(judge("text"), ZeroShotAnswer)


class Rows:
    """As PyTorch's data sets."""

    def __len__(self) -> int:
        return 0

    def __getitem__(self, index: int) -> str:
        return ""


def columns_and_data_sets(array: npt.NDArray[np.str_], path: Path) -> None:
    """A column gives a list, a data set by index an iterator."""
    classify = pipeline("text-classification")
    assert_type(classify(array), list[LabelScore])
    assert_type(classify(array, top_k=2), list[list[LabelScore]])
    assert_type(classify(Rows()), Iterator[LabelScore])
    assert_type(classify.stream(Rows(), top_k=2), Iterator[list[LabelScore]])
    assert_type(pipeline("ner", path)(Rows()), Iterator[list[Token]])
    assert_type(pipeline("fill-mask", path).stream(Rows()), Iterator[FilledMasks])


def text_classification(texts: list[str], feed: Iterable[str], pairs: list[dict[str, str]]) -> None:
    """One text, a pair, a list, an iterator; ``top_k``; documents; explanations."""
    classify = pipeline("text-classification")
    assert_type(classify("text"), list[LabelScore])
    assert_type(classify({"text": "a", "text_pair": "b"}), LabelScore)
    assert_type(classify(texts), list[LabelScore])
    assert_type(classify(tuple(texts)), list[LabelScore])
    assert_type(classify(pairs), list[LabelScore])
    assert_type(classify(iter(texts)), Iterator[LabelScore])
    assert_type(classify(text for text in texts), Iterator[LabelScore])
    assert_type(classify(feed, batch_size=8), Iterator[LabelScore])
    assert_type(classify.stream(texts), Iterator[LabelScore])

    assert_type(classify("text", top_k=None), list[LabelScore])
    assert_type(classify({"text": "a", "text_pair": "b"}, top_k=2), list[LabelScore])
    assert_type(classify(texts, top_k=None), list[list[LabelScore]])
    assert_type(classify(iter(texts), top_k=2), Iterator[list[LabelScore]])
    assert_type(classify.stream(texts, top_k=2), Iterator[list[LabelScore]])

    assert_type(classify(texts, truncation=True, max_length=64, padding=True), list[LabelScore])
    assert_type(classify("text", function_to_apply="none"), list[LabelScore])
    assert_type(classify("text", window=64, stride=8, combine="max"), list[LabelScore])
    assert_type(classify("text")[0]["label"], str)
    assert_type(classify("text")[0]["score"], float)

    assert_type(classify.document("text"), SentenceDocument)
    assert_type(classify.document("text")["sentences"], list[ScoredPart])
    assert_type(classify.document("text", split="windows", window=64), WindowDocument)
    assert_type(classify.document(texts, combine="length"), list[SentenceDocument])
    assert_type(classify.document(iter(texts), split="windows"), Iterator[WindowDocument])
    assert_type(classify.document("text")["sentiment_score"], float | None)
    assert_type(classify.explain("text"), Explanation)
    assert_type(classify.explain("text", label="negative", window=64)["words"], list[WordShare])
    assert_type(classify.explain(texts), list[Explanation])
    assert_type(classify.explain(iter(texts)), Iterator[Explanation])
    assert_type(classify.explain("text", split="sentences"), ExplainedDocument)
    assert_type(classify.explain("text", split="sentences")["sentences"], list[ExplainedPart])
    assert_type(classify.explain(texts, split="sentences"), list[ExplainedDocument])


def token_classification(path: Path, texts: list[str]) -> None:
    """Tokens, and entities under a strategy; texts that come as words."""
    tag = pipeline("ner", path)
    assert_type(tag("text"), list[Token])
    assert_type(tag(texts), list[list[Token]])
    assert_type(tag(iter(texts)), Iterator[list[Token]])
    assert_type(tag.stream(texts, ignore_labels=[]), Iterator[list[Token]])
    assert_type(tag([["some", "words"]], is_split_into_words=True), list[list[Token]])
    assert_type(tag("text")[0]["entity"], str)

    assert_type(tag("text", aggregation_strategy="simple"), list[Entity])
    assert_type(tag(texts, aggregation_strategy="first", stride=16), list[list[Entity]])
    assert_type(tag(iter(texts), aggregation_strategy="max"), Iterator[list[Entity]])
    assert_type(tag.stream(texts, aggregation_strategy="average"), Iterator[list[Entity]])
    assert_type(tag("text", aggregation_strategy="max")[0]["entity_group"], str)

    entities = pipeline("ner", path, aggregation_strategy="simple")
    assert_type(entities("text", aggregation_strategy="none"), list[Token])
    assert_type(entities.stream(texts, aggregation_strategy="none"), Iterator[list[Token]])


def question_answering(path: Path, items: list[dict[str, str]]) -> None:
    """A question by position, by name, as a dictionary; several; ``top_k``."""
    ask = pipeline("question-answering", path)
    assert_type(ask(question="who", context="text"), Answer)
    assert_type(ask("who", "text"), Answer)
    assert_type(ask({"question": "who", "context": "text"}), Answer)
    assert_type(ask(question="who", context="text", max_answer_len=3)["answer"], str)
    assert_type(ask(question="who", context="text", top_k=1), Answer)
    assert_type(ask(question="who", context="text", top_k=3), Answers)
    assert_type(ask("who", "text", top_k=3), Answers)
    # A single question in a list is answered without a list around it, as transformers does.
    assert_type(ask(question=["who", "what"], context="text"), list[Answer] | Any)
    assert_type(ask(items), list[Answer] | Any)
    assert_type(ask(items, top_k=3), list[Answers] | Any)
    assert_type(ask(iter(items)), Iterator[Answer])
    assert_type(ask(iter(items), top_k=3), Iterator[Answers])
    assert_type(ask.stream(items, handle_impossible_answer=True), Iterator[Answer])


def feature_extraction(path: Path, texts: list[str]) -> None:
    """Vectors of tokens, embeddings, arrays."""
    embed = pipeline("feature-extraction", path)
    assert_type(embed("text"), Vectors)
    assert_type(embed(texts), list[Vectors])
    assert_type(embed(iter(texts)), Iterator[Vectors])
    assert_type(embed.stream(texts), Iterator[Vectors])
    assert_type(embed("text", pooling=None), TokenVectors)

    assert_type(embed("text", pooling="mean"), Embedding)
    assert_type(embed(texts, pooling="cls", normalize=True), list[Embedding])
    assert_type(embed(texts, pooling="mean", precision="int8", truncate_dim=9), list[Embedding])
    assert_type(embed(texts, prompt_name="query", normalize_embeddings=True), list[Vectors])
    assert_type(embed(iter(texts), pooling="max"), Iterator[Embedding])
    assert_type(embed.stream(texts, pooling="max"), Iterator[Embedding])

    assert_type(embed("text", return_tensors="np"), Array)
    assert_type(embed("text", pooling="mean", return_tensors=True), Array)
    assert_type(embed(texts, pooling="mean", return_tensors="np"), Array)
    assert_type(embed(texts, pooling=None, return_tensors="np"), list[Array])
    assert_type(embed.stream(texts, return_tensors="np"), Iterator[Array])


def fill_mask(path: Path, texts: list[str]) -> None:
    """Tokens in the place of masks."""
    fill = pipeline("fill-mask", path)
    assert_type(fill("a [MASK]"), FilledMasks)
    assert_type(fill("a [MASK]", top_k=3, targets=["b", "c"]), list[FilledMask] | Any)
    assert_type(fill(texts), list[FilledMasks] | Any)
    assert_type(fill(iter(texts), targets="b"), Iterator[FilledMasks])
    assert_type(fill.stream(texts), Iterator[FilledMasks])


def zero_shot_classification(path: Path, texts: list[str]) -> None:
    """Labels by position or by name."""
    judge = pipeline("zero-shot-classification", path)
    assert_type(judge("text", ["a", "b"]), ZeroShotAnswer)
    assert_type(judge("text", candidate_labels="a, b"), ZeroShotAnswer)
    assert_type(judge(texts, candidate_labels=["a"], multi_label=True), list[ZeroShotAnswer])
    assert_type(judge(iter(texts), ["a", "b"]), Iterator[ZeroShotAnswer])
    assert_type(judge.stream(texts, candidate_labels=["a", "b"]), Iterator[ZeroShotAnswer])
    assert_type(judge("text", ["a"])["labels"], list[str])


def text_ranking(path: Path, pairs: list[tuple[str, str]]) -> None:
    """Scores of pairs, and documents in order."""
    rank = pipeline("text-ranking", path)
    assert_type(rank(("query", "document")), Score)
    assert_type(rank({"text": "query", "text_pair": "document"}), float | Any)
    assert_type(rank(pairs, function_to_apply="none"), list[Score])
    assert_type(rank(iter(pairs)), Iterator[Score])
    assert_type(rank({"query": "q", "documents": ["a", "b"]}, top_k=1), list[RankedDocument])
    assert_type(
        rank([{"query": "q", "documents": ["a", "b"]}], return_documents=True),
        list[list[RankedDocument]],
    )
    assert_type(rank.stream([{"query": "q", "documents": ["a"]}]), Iterator[list[RankedDocument]])
    assert_type(rank.stream(pairs), Iterator[Score])
