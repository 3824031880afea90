"""The keyword arguments of each task's calls, as types; their meaning stands at ``__call__``.

Only type checkers and editors read this module. What decides at run time are the options of each
task, which are checked by :mod:`leanbert.pipelines.options`; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from typing import Any, Literal, Protocol, TypeAlias, TypedDict, TypeVar

__all__ = [
    "Aggregation",
    "DataSet",
    "FeatureExtractionDefaults",
    "FeatureExtractionKeywords",
    "FillMaskDefaults",
    "FillMaskKeywords",
    "Function",
    "Lazy",
    "Many",
    "OpeningKeywords",
    "Pair",
    "Pooling",
    "QuestionAnsweringDefaults",
    "QuestionAnsweringKeywords",
    "RankingPair",
    "RankingQuery",
    "SharedKeywords",
    "Tensors",
    "TextClassificationDefaults",
    "TextClassificationKeywords",
    "TextPair",
    "TextRankingDefaults",
    "TextRankingKeywords",
    "TokenClassificationDefaults",
    "TokenClassificationKeywords",
    "ZeroShotClassificationDefaults",
    "ZeroShotClassificationKeywords",
]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class ToList(Protocol):
    """A column of Polars."""

    def to_list(self) -> Any:
        """The items as a list."""


class Tolist(Protocol):
    """A column of pandas, or an array of numpy."""

    def tolist(self) -> Any:
        """The items as a list."""


class ToPylist(Protocol):
    """A column of PyArrow."""

    def to_pylist(self) -> Any:
        """The items as a list."""


class DataSet(Protocol[T_co]):
    """A data set by index, as PyTorch's are."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> T_co: ...


Many: TypeAlias = "Sequence[T] | ToList | Tolist | ToPylist"
"""What gives a list of answers."""
Lazy: TypeAlias = "Iterable[T] | DataSet[T]"
"""What gives an iterator."""

TextPair: TypeAlias = Mapping[str, str]
"""``{"text": …, "text_pair": …}``."""

Function: TypeAlias = "Literal['sigmoid', 'softmax', 'none'] | Enum"
Aggregation: TypeAlias = Literal["simple", "first", "average", "max"]
"""The strategies that form entities."""
Tensors: TypeAlias = Literal["np", True]
Pooling: TypeAlias = Literal[
    "mean",
    "cls",
    "max",
    "mean_sqrt_len_tokens",
    "weightedmean",
    "lasttoken",
    "sentence_embedding",
]


class RankingQuery(TypedDict):
    """``text-ranking``: a query and the documents to be ranked for it."""

    query: str
    documents: Sequence[str]


class RankingPair(TypedDict):
    """``text-ranking``: a query and one document."""

    text: str
    text_pair: str


Pair: TypeAlias = "tuple[str, str] | list[str]"
"""A query and one document."""


class OpeningKeywords(TypedDict, total=False):
    """How :func:`leanbert.pipeline` opens a model."""

    mode: Literal["latency", "throughput"]
    threads: int | None
    engine: Literal["auto", "native", "onnxruntime"]
    max_memory_mb: int | None
    # Which of several ONNX files, as Optimum names it.
    file_name: str | None
    subfolder: str | None
    # Which output of a plain export's graph is decoded.
    output_name: str | int | None
    # From here on transformers' own: see leanbert.pipelines.drop_in.
    binary_output: bool
    code_revision: str | None
    config: object
    device: object
    device_map: object
    dtype: object
    feature_extractor: object
    framework: str | None
    image_processor: object
    model_kwargs: object
    pipeline_class: object
    processor: object
    revision: str | None
    token: str | bool | None
    tokenizer: object
    torch_dtype: object
    trust_remote_code: bool | None
    use_fast: bool | None
    video_processor: object


class SharedKeywords(TypedDict, total=False):
    """The arguments of every task's calls."""

    truncation: bool | str | Enum | None
    max_length: int | None
    batch_size: int | None
    max_wait_ms: float | None
    deduplicate: bool
    padding: bool | str | Enum | None
    num_workers: int | None


class TextClassificationKeywords(SharedKeywords, total=False):
    """Beside ``top_k``, on which the answer's form depends."""

    function_to_apply: Function | None
    window: int | None
    stride: int | None
    combine: Literal["mean", "max", "length"] | None
    text_pair: str | None
    return_all_scores: bool | None


class TokenClassificationKeywords(SharedKeywords, total=False):
    """Beside ``aggregation_strategy``, on which the answer's form depends."""

    ignore_labels: Sequence[str] | None
    stride: int | None
    is_split_into_words: bool
    delimiter: str | None
    grouped_entities: bool | None
    ignore_subwords: bool | None


class QuestionAnsweringKeywords(SharedKeywords, total=False):
    """Beside ``top_k``, on which the answer's form depends."""

    topk: int | None
    doc_stride: int | None
    max_answer_len: int | None
    max_seq_len: int | None
    max_question_len: int | None
    handle_impossible_answer: bool | None
    align_to_words: bool | None


class FeatureExtractionKeywords(SharedKeywords, total=False):
    """Beside ``pooling`` and ``return_tensors``, on which the answer's form depends."""

    normalize: bool
    normalize_embeddings: bool
    prompt: str | None
    prompt_name: str | None
    truncate_dim: int | None
    precision: Literal["float32", "int8", "uint8", "binary", "ubinary"]
    ranges: object
    calibration_embeddings: object
    tokenize_kwargs: Mapping[str, object] | None


class FillMaskKeywords(SharedKeywords, total=False):
    """All of the task's."""

    targets: str | Sequence[str] | None
    top_k: int | None
    tokenizer_kwargs: Mapping[str, object] | None


class ZeroShotClassificationKeywords(SharedKeywords, total=False):
    """Beside ``candidate_labels``, which may be given by position."""

    hypothesis_template: str
    multi_label: bool
    multi_class: bool | None


class TextRankingKeywords(SharedKeywords, total=False):
    """All of the task's."""

    top_k: int | None
    return_documents: bool
    function_to_apply: Function | None
    prompt: str | None
    prompt_name: str | None


class TextClassificationDefaults(OpeningKeywords, TextClassificationKeywords, total=False):
    """What ``leanbert.pipeline`` takes for the task."""


class TokenClassificationDefaults(OpeningKeywords, TokenClassificationKeywords, total=False):
    """What ``leanbert.pipeline`` takes for the task."""


class QuestionAnsweringDefaults(OpeningKeywords, QuestionAnsweringKeywords, total=False):
    """What ``leanbert.pipeline`` takes for the task."""


class FeatureExtractionDefaults(OpeningKeywords, FeatureExtractionKeywords, total=False):
    """What ``leanbert.pipeline`` takes for the task."""


class FillMaskDefaults(OpeningKeywords, FillMaskKeywords, total=False):
    """What ``leanbert.pipeline`` takes for the task."""


class ZeroShotClassificationDefaults(OpeningKeywords, ZeroShotClassificationKeywords, total=False):
    """What ``leanbert.pipeline`` takes for the task."""


class TextRankingDefaults(OpeningKeywords, TextRankingKeywords, total=False):
    """What ``leanbert.pipeline`` takes for the task."""
