"""A model over a ``ray.data.Dataset``.

>>> import ray
>>> from leanbert.integrations.ray import Predictor, placement
>>> news = ray.data.read_parquet("news/")  # doctest: +SKIP
>>> news = news.repartition(target_num_rows_per_block=4096)  # doctest: +SKIP
>>> scored = news.map_batches(Predictor, **placement(column="headline"))  # doctest: +SKIP
>>> scored.write_parquet("scored/")  # doctest: +SKIP

Each worker is an actor that opens the model once and computes on the cores that it asked Ray for.
Ray hands whole blocks out, so a file that is read as one block keeps one worker busy alone.
The counters ``leanbert_rows``, ``leanbert_missing`` and ``leanbert_seconds`` stand beside Ray's own
in its dashboard and at its Prometheus end points.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import ray
from ray.data import ActorPoolStrategy
from ray.util.metrics import Counter

from leanbert.bundle import Bundle
from leanbert.errors import InputError
from leanbert.integrations.carrying import Recipe, packed, recipe_for

__all__ = ["Predictor", "placement"]


class Predictor:
    """Answers the texts of one column, batch by batch; for ``Dataset.map_batches``.

    Args:
        recipe: what to open, as :func:`placement` makes it.
        archive: reference to the bundle's archive in Ray's object store.
    """

    def __init__(self, recipe: Recipe, archive: Any) -> None:
        self._recipe = recipe
        self._model = recipe.opened(lambda: ray.get(archive))
        self._tags = {"model": recipe.path.name}
        self._rows = _counter("rows", "Rows that were answered")
        self._missing = _counter("missing", "Rows whose text is missing, and their answers, too")
        self._seconds = _counter("seconds", "Seconds that workers computed")

    def __call__(self, batch: Any) -> Any:
        """A pyarrow table with the answers as further columns: see ``Pipeline.table``."""
        began = time.perf_counter()
        answered = self._recipe.answered(self._model, batch)
        self._rows.inc(batch.num_rows, self._tags)
        missing = batch.column(self._recipe.column).null_count
        if missing:
            self._missing.inc(missing, self._tags)
        self._seconds.inc(time.perf_counter() - began, self._tags)
        return answered


def placement(
    model: str | Path | Bundle | None = None,
    *,
    column: str = "text",
    threads: int = 1,
    workers: int | None = None,
    batch_size: int = 4096,
    **options: Any,
) -> dict[str, Any]:
    """The arguments of ``map_batches`` for :class:`Predictor`.

    Args:
        model: as :func:`leanbert.pipeline` takes it; ``None`` is the embedded model.
        column: of the texts.
        threads: cores of each worker, which Ray is asked for.
        workers: how many actors; ``None`` for one at first, and more while cores are free, up to
            as many as the cluster has cores for now. Ray's own tasks, which read and write, need
            cores beside these.
        batch_size: rows of a batch.
        options: of :func:`leanbert.pipeline`: ``task``, and defaults for the arguments of a call.

    Raises:
        InputError: an argument cannot be used, or the model has no manifest.
        LeanBertError: the model cannot be opened.
    """
    recipe = recipe_for(model, column, threads, options)
    archive = ray.put(packed(recipe.path))  # it also starts Ray, where nothing has
    most = int(ray.cluster_resources().get("CPU", 0)) // threads
    if most < (workers or 1):
        raise InputError(
            f"{most} workers of {threads} threads have room in the cluster; change workers or "
            "threads"
        )
    return {
        "fn_constructor_args": (recipe, archive),
        "batch_format": "pyarrow",
        "batch_size": batch_size,
        "compute": ActorPoolStrategy(min_size=workers or 1, max_size=workers or most),
        "num_cpus": threads,
        "memory": recipe.memory,
    }


def _counter(name: str, description: str) -> Counter:
    return Counter(f"leanbert_{name}", description=description, tag_keys=("model",))
