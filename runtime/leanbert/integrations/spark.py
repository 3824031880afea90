"""A model over a ``pyspark.sql.DataFrame``.

>>> from leanbert.integrations.spark import Predictor, configuration
>>> spark = SparkSession.builder.config(map=configuration(4)).getOrCreate()  # doctest: +SKIP
>>> predictor = Predictor(news, column="headline")  # doctest: +SKIP
>>> scored = news.mapInArrow(predictor.in_arrow, predictor.schema)  # doctest: +SKIP
>>> news.withColumn("sentiment", predictor.udf()("headline"))  # doctest: +SKIP

Each Python worker of Spark opens the model once, however many tasks it does. The accumulators
``predictor.rows`` and ``predictor.missing`` count on the driver what the workers answered. Tasks
that Spark does again count again, as Spark's documentation says of accumulators.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pyspark import SparkFiles
from pyspark.sql.functions import pandas_udf
from pyspark.sql.pandas.types import from_arrow_schema

from leanbert.bundle import Bundle
from leanbert.errors import InputError
from leanbert.integrations.carrying import packed, recipe_for
from leanbert.pipelines import Pipeline
from leanbert.records.repeats import distinct_names

__all__ = ["Predictor", "configuration"]

_sent: dict[tuple[str, str], tempfile.TemporaryDirectory[str]] = {}  # until the driver ends


class Predictor:
    """Answers the texts of one column of frames that have the columns of ``frame``.

    Args:
        frame: whose session and columns count; its rows are not read.
        model: as :func:`leanbert.pipeline` takes it; ``None`` is the embedded model.
        column: of the texts.
        options: of :func:`leanbert.pipeline`: ``task``, and defaults for the arguments of a call.

    Raises:
        InputError: an argument cannot be used, or the model has no manifest.
        LeanBertError: the model cannot be opened.
    """

    def __init__(
        self,
        frame: Any,
        model: str | Path | Bundle | None = None,
        *,
        column: str = "text",
        **options: Any,
    ) -> None:
        session, names = frame.sparkSession, list(frame.columns)
        context = session.sparkContext
        if column not in names:
            raise InputError(f"the frame has no column {column!r}; it has {', '.join(names)}")
        threads = int(context.getConf().get("spark.task.cpus", "1"))
        self._recipe = recipe_for(model, column, threads, options)
        self._answers = from_arrow_schema(self._recipe.answers)
        self.schema = type(self._answers)(list(frame.schema.fields))
        """Of the frames that come back from ``mapInArrow`` and ``mapInPandas``."""
        taken = distinct_names(self._answers.names, names)
        for name, answer in zip(taken, self._answers.fields, strict=True):
            self.schema.add(name, answer.dataType)
        self.rows, self.missing = context.accumulator(0), context.accumulator(0)
        key = context.applicationId, self._recipe.digest
        if key not in _sent:
            _sent[key] = tempfile.TemporaryDirectory(prefix="leanbert-")
            archive = Path(_sent[key].name, self._recipe.file_name)
            archive.write_bytes(packed(self._recipe.path))
            context.addFile(str(archive))

    def in_arrow(self, batches: Iterator[Any]) -> Iterator[Any]:
        """For ``mapInArrow``: record batches with the answers as further columns."""
        model = self.opened()
        for batch in batches:
            self._count(batch.num_rows, batch.column(self._recipe.column).null_count)
            yield from self._recipe.answered(model, batch).to_batches()

    def in_pandas(self, frames: Iterator[Any]) -> Iterator[Any]:
        """For ``mapInPandas``: frames with the answers as further columns."""
        model = self.opened()
        for frame in frames:
            self._count(len(frame), int(frame[self._recipe.column].isna().sum()))
            yield model.table(frame, self._recipe.column)

    def udf(self) -> Any:
        """A pandas UDF from a column of texts to a column of structs, ``label`` and ``score``."""

        def answers(columns: Iterator[Any]) -> Iterator[Any]:
            model = self.opened()
            for texts in columns:
                self._count(len(texts), int(texts.isna().sum()))
                answered = model.table(texts.rename(None)).iloc[:, 1:]
                yield answered.set_axis(self._answers.names, axis="columns")

        # Spark reads from the types of a function what it gives it.
        import pandas  # noqa: ICN001 - late: mapInArrow does without it

        kinds = Iterator[pandas.Series], Iterator[pandas.DataFrame]
        answers.__annotations__ = dict(zip(("columns", "return"), kinds, strict=True))
        return pandas_udf(answers, self._answers)

    def opened(self) -> Pipeline[Any]:
        """The model in a worker, which opens it once."""
        folder = Path(SparkFiles.getRootDirectory())
        return self._recipe.opened((folder / self._recipe.file_name).read_bytes, folder)

    def _count(self, rows: int, missing: int) -> None:
        self.rows += rows
        self.missing += missing


def configuration(
    executor_cores: int, *, threads: int = 1, worker_memory_mb: int = 2048
) -> dict[str, str]:
    """What to configure a session with, so that Spark gives each worker its cores and memory.

    Args:
        executor_cores: of each executor; it runs ``executor_cores // threads`` workers.
        threads: cores of each worker.
        worker_memory_mb: address space of each worker in MiB, which Spark limits it to.

    Raises:
        InputError: ``executor_cores`` is no multiple of ``threads``.
    """
    if threads < 1 or executor_cores < 1 or executor_cores % threads:
        raise InputError(
            f"{executor_cores} cores of an executor are no multiple of {threads} threads of a "
            "worker; change one of them"
        )
    return {
        "spark.executor.cores": str(executor_cores),
        "spark.task.cpus": str(threads),
        "spark.executor.pyspark.memory": f"{worker_memory_mb * (executor_cores // threads)}m",
        "spark.python.worker.reuse": "true",
    }
