"""A model as a function of DuckDB.

>>> import duckdb
>>> from leanbert.integrations.duckdb import register
>>> register(duckdb.connect(), name="sentiment")  # doctest: +SKIP

Then ``SELECT sentiment(headline).label FROM news`` answers whole vectors of rows at once.
"""

from __future__ import annotations

from typing import Any

from leanbert.errors import MissingExtraError, TaskError
from leanbert.pipelines import pipeline

__all__ = ["register"]


def register(connection: Any, model: Any = None, *, name: str = "sentiment") -> None:
    """Register a text classifier as a function from a text to ``STRUCT(label, score)``.

    A text that is NULL has NULL for its answer.

    Args:
        connection: of DuckDB.
        model: a pipeline, or what :func:`leanbert.pipeline` opens; ``None`` is the embedded model.
        name: of the function.

    Raises:
        TaskError: the pipeline is not for text-classification.
        MissingExtraError: pyarrow, which carries the vectors, is not installed.
        LeanBertError: the model cannot be opened.
    """
    try:
        import pyarrow  # noqa: ICN001 - it is no name of this module's
    except ImportError as error:
        raise MissingExtraError(
            'functions of DuckDB need pyarrow; install it with: pip install "leanbert[bulk]"'
        ) from error
    classify = model if callable(model) else pipeline(model=model, mode="throughput")
    if classify.task != "text-classification":
        raise TaskError(f"{classify.task}: only text-classification has a label and a score")
    kind = pyarrow.struct([("label", pyarrow.string()), ("score", pyarrow.float64())])

    def answer(texts: Any) -> Any:
        values = texts.to_pylist()
        answers = iter(classify([text for text in values if text is not None]))
        return pyarrow.array([None if text is None else next(answers) for text in values], kind)

    connection.create_function(
        name,
        answer,
        ["VARCHAR"],
        connection.struct_type({"label": "VARCHAR", "score": "DOUBLE"}),
        type="arrow",
        null_handling="special",
    )
