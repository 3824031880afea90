"""``pipeline(task, model)``: what a user calls, one module a task."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, overload

from leanbert.bundle import Bundle
from leanbert.bundle.reading import status
from leanbert.errors import InputError, TaskError

if TYPE_CHECKING:  # it is also how PyInstaller finds the tasks' modules
    from typing_extensions import Unpack

    from leanbert.pipelines import keywords
    from leanbert.pipelines.answers import (
        Answers,
        Array,
        Embedding,
        Entity,
        LabelScore,
        TokenVectors,
    )
    from leanbert.pipelines.base import Pipeline
    from leanbert.pipelines.feature_extraction import FeatureExtractionPipeline
    from leanbert.pipelines.fill_mask import FillMaskPipeline
    from leanbert.pipelines.question_answering import QuestionAnsweringPipeline
    from leanbert.pipelines.text_classification import TextClassificationPipeline
    from leanbert.pipelines.text_ranking import TextRankingPipeline
    from leanbert.pipelines.token_classification import TokenClassificationPipeline
    from leanbert.pipelines.zero_shot_classification import ZeroShotClassificationPipeline

__all__ = [
    "TASKS",
    "FeatureExtractionPipeline",
    "FillMaskPipeline",
    "Pipeline",
    "QuestionAnsweringPipeline",
    "TextClassificationPipeline",
    "TextRankingPipeline",
    "TokenClassificationPipeline",
    "ZeroShotClassificationPipeline",
    "embedded_bundle",
    "pipeline",
]

# A task's module has its name, and loads when a pipeline of it is made: all seven take 4 ms more.
# numpy loads with it, while a thread hashes the bundle's files.
_CLASSES = {
    "text-classification": "TextClassificationPipeline",
    "token-classification": "TokenClassificationPipeline",
    "question-answering": "QuestionAnsweringPipeline",
    "feature-extraction": "FeatureExtractionPipeline",
    "fill-mask": "FillMaskPipeline",
    "zero-shot-classification": "ZeroShotClassificationPipeline",
    "text-ranking": "TextRankingPipeline",
}
_ALIASES = {"sentiment-analysis": "text-classification", "ner": "token-classification"}
TASKS = tuple(_CLASSES)

_Model: TypeAlias = "str | Path | Bundle | None"
_Classify: TypeAlias = Literal["text-classification", "sentiment-analysis"]
_Tag: TypeAlias = Literal["token-classification", "ner"]
_Extract: TypeAlias = Literal["question-answering"]
_Embed: TypeAlias = Literal["feature-extraction"]


@overload
def pipeline(
    task: _Classify,
    model: _Model = None,
    **defaults: Unpack[keywords.TextClassificationDefaults],
) -> TextClassificationPipeline: ...
@overload
def pipeline(
    task: _Classify,
    model: _Model = None,
    *,
    top_k: int | None,
    **defaults: Unpack[keywords.TextClassificationDefaults],
) -> TextClassificationPipeline[list[LabelScore]]: ...
@overload
def pipeline(
    task: _Tag,
    model: _Model = None,
    *,
    aggregation_strategy: Literal["none"] = "none",
    **defaults: Unpack[keywords.TokenClassificationDefaults],
) -> TokenClassificationPipeline: ...
@overload
def pipeline(
    task: _Tag,
    model: _Model = None,
    *,
    aggregation_strategy: keywords.Aggregation,
    **defaults: Unpack[keywords.TokenClassificationDefaults],
) -> TokenClassificationPipeline[Entity]: ...
@overload
def pipeline(
    task: _Extract,
    model: _Model = None,
    **defaults: Unpack[keywords.QuestionAnsweringDefaults],
) -> QuestionAnsweringPipeline: ...
@overload
def pipeline(
    task: _Extract,
    model: _Model = None,
    *,
    top_k: int | None,
    **defaults: Unpack[keywords.QuestionAnsweringDefaults],
) -> QuestionAnsweringPipeline[Answers]: ...
@overload
def pipeline(
    task: _Embed,
    model: _Model = None,
    **defaults: Unpack[keywords.FeatureExtractionDefaults],
) -> FeatureExtractionPipeline: ...
@overload
def pipeline(
    task: _Embed,
    model: _Model = None,
    *,
    pooling: None,
    **defaults: Unpack[keywords.FeatureExtractionDefaults],
) -> FeatureExtractionPipeline[TokenVectors, list[TokenVectors]]: ...
@overload
def pipeline(
    task: _Embed,
    model: _Model = None,
    *,
    pooling: keywords.Pooling,
    **defaults: Unpack[keywords.FeatureExtractionDefaults],
) -> FeatureExtractionPipeline[Embedding, list[Embedding]]: ...
@overload
def pipeline(
    task: _Embed,
    model: _Model = None,
    *,
    return_tensors: keywords.Tensors,
    **defaults: Unpack[keywords.FeatureExtractionDefaults],
) -> FeatureExtractionPipeline[Array, Array | list[Array]]: ...
@overload
def pipeline(
    task: _Embed,
    model: _Model = None,
    *,
    pooling: None,
    return_tensors: keywords.Tensors,
    **defaults: Unpack[keywords.FeatureExtractionDefaults],
) -> FeatureExtractionPipeline[Array, list[Array]]: ...
@overload
def pipeline(
    task: _Embed,
    model: _Model = None,
    *,
    pooling: keywords.Pooling,
    return_tensors: keywords.Tensors,
    **defaults: Unpack[keywords.FeatureExtractionDefaults],
) -> FeatureExtractionPipeline[Array, Array]: ...
@overload
def pipeline(
    task: Literal["fill-mask"],
    model: _Model = None,
    **defaults: Unpack[keywords.FillMaskDefaults],
) -> FillMaskPipeline: ...
@overload
def pipeline(
    task: Literal["zero-shot-classification"],
    model: _Model = None,
    *,
    candidate_labels: str | Sequence[str] = ...,
    **defaults: Unpack[keywords.ZeroShotClassificationDefaults],
) -> ZeroShotClassificationPipeline: ...
@overload
def pipeline(
    task: Literal["text-ranking"],
    model: _Model = None,
    **defaults: Unpack[keywords.TextRankingDefaults],
) -> TextRankingPipeline: ...
@overload
def pipeline(
    task: None = None,
    model: None = None,
    **defaults: Unpack[keywords.TextClassificationDefaults],
) -> TextClassificationPipeline: ...
@overload
def pipeline(
    task: str | None = None,
    model: _Model = None,
    *,
    mode: str = "latency",
    threads: int | None = None,
    engine: str = "auto",
    max_memory_mb: int | None = None,
    **defaults: Any,
) -> Any: ...  # the class of a task that only the run knows


def pipeline(
    task: str | None = None,
    model: str | Path | Bundle | None = None,
    *,
    mode: str = "latency",
    threads: int | None = None,
    engine: str = "auto",
    max_memory_mb: int | None = None,
    **defaults: Any,
) -> Pipeline[Any]:
    """Open a model for a task; a drop-in for ``transformers.pipeline``.

    Args:
        task: one of :data:`TASKS`, or transformers' other names ``"sentiment-analysis"`` and
            ``"ner"``; ``None`` takes the task that the bundle was exported for.
        model: a bundle directory, or an opened :class:`~leanbert.bundle.Bundle`; ``None`` for the
            embedded financial-sentiment model. A string ``"owner/name"`` under which nothing
            exists here is a repository on the Hugging Face hub; nothing else asks the network.
        mode: ``"latency"`` computes one batch at a time on all cores, soonest done for one text
            or a few. ``"throughput"`` computes a batch on each core at the same time, for many
            texts; the next ones are drawn and tokenized meanwhile. Two pipelines of one bundle
            may differ in it.
        threads: cores that one call computes on: ``intra_op_num_threads`` in latency mode, workers
            in throughput mode; ``None`` for all that this process may use, counted by affinity,
            cgroup quota and ``OMP_NUM_THREADS``. Pass 1 in each of several worker processes.
        engine: ``"native"`` is LeanBERT's own int8 engine (64-bit ARM, or x86-64 with AVX2 or
            better; bundles whose manifest has a layout for it). ``"onnxruntime"`` runs
            every bundle on every CPU; ``"auto"`` takes the native one wherever it can.
        max_memory_mb: a ceiling, in MiB, of the memory that the process takes more than without the
            pipeline: modules, weights, tokenizer, and what calls take. Batches shrink to keep to
            it; a text that does not fit is an InputError, and so is a ceiling that is too low for
            the model. Texts and answers that the caller holds are not counted.
        defaults: defaults for the arguments of a call, for example ``top_k=None``. And arguments
            of the opening: ``revision`` (branch, tag or commit) and ``token`` for a repository on
            the hub; ``file_name`` and ``subfolder``, which choose one of several ONNX files, as
            Optimum names them; ``output_name``, the name or number of the output to decode, for a
            plain export whose graph calls it otherwise. And those of ``transformers.pipeline`` that
            choose a device, a number format or files: accepted where they ask for what is done
            anyway (``device="cpu"``, ``framework="pt"``), refused in one line where they cannot be
            obeyed (see :mod:`leanbert.pipelines.drop_in`).

    Returns:
        A callable :class:`~leanbert.pipelines.base.Pipeline`, safe to share between threads.

    Raises:
        BundleError: the model is missing, changed, or of an unknown format.
        TaskError: the task is unknown, or not this model's.
        InputError: an argument cannot be used.
        EngineError: ``engine="native"``, and it cannot run the bundle here.
    """
    if task is not None:
        task = _ALIASES.get(task, task)
        if task not in TASKS:
            raise TaskError(f"unknown task {task!r}; this LeanBERT does {', '.join(TASKS)}")
    if model is None:
        model = embedded_bundle(task)
    elif not isinstance(model, (str, Path, Bundle)):
        raise InputError(f"model must be a path or a Bundle, got {type(model).__name__}")
    with _opening(model, defaults) as bundle:
        defaults = _without_opening(defaults, bundle)
        if task is None:
            task = bundle.task or bundle.config.head_task
            if task not in TASKS:
                said = (
                    f"is for {task}; LeanBERT does"
                    if task
                    else "does not say its task; pass task=NAME:"
                )
                raise TaskError(f"{bundle.path}: the bundle {said} {', '.join(TASKS)}")
        return pipeline_class(task)(
            bundle,
            mode=mode,
            threads=threads,
            engine=engine,
            max_memory_mb=max_memory_mb,
            **defaults,
        )


def _opening(
    model: str | Path | Bundle, defaults: dict[str, Any]
) -> AbstractContextManager[Bundle]:
    """Open the model; of ``defaults``, what chooses it is taken out."""
    if isinstance(model, Bundle):
        return nullcontext(model)
    chosen: dict[str, Any]
    chosen = {name: defaults.pop(name, None) for name in ("file_name", "subfolder")}
    if isinstance(model, str) and "/" in model and status(Path(model)) is None:
        from leanbert.bundle import hub  # late: who opens a local model waits for no module

        if hub.is_repository(model):
            asked = {name: defaults.pop(name, None) for name in ("revision", "token")}
            found = hub.fetch(model, **asked, **chosen)
            model, chosen = found.path, {"file_name": found.graph, "hashed": found.hashed}
    return Bundle.checked_while_loading(model, **chosen)


def _without_opening(defaults: dict[str, Any], bundle: Bundle) -> dict[str, Any]:
    """The arguments of calls alone, after those that only the opening has were checked.

    Raises:
        InputError: one of these cannot be obeyed.
    """
    if not defaults:
        return defaults
    from leanbert.pipelines.drop_in import OPENING, check_opening

    check_opening({name: defaults[name] for name in defaults if name in OPENING}, bundle)
    return {name: value for name, value in defaults.items() if name not in OPENING}


def __getattr__(name: str) -> Any:
    if name == "Pipeline":
        return import_module("leanbert.pipelines.base").Pipeline
    for task, class_name in _CLASSES.items():
        if name == class_name:
            return pipeline_class(task)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def pipeline_class(task: str) -> type[Pipeline[Any]]:
    """The class of a task of :data:`TASKS`; its module loads now."""
    module = import_module(f"leanbert.pipelines.{task.replace('-', '_')}")
    found: type[Pipeline[Any]] = getattr(module, _CLASSES[task])
    return found


def embedded_bundle(task: str | None = None) -> Path:
    """The bundle that ships with LeanBERT: financial sentiment, for text-classification.

    Raises:
        TaskError: there is none for ``task``.
    """
    from leanbert_models import DEFAULT_TASK, default_model

    if task not in (None, DEFAULT_TASK):
        raise TaskError(
            f"no embedded model does {task}; pass model=DIR "
            "(leanbert export MODEL -o DIR makes one)"
        )
    return default_model()
