"""leanbert.integrations.spark on a cluster of two executors of one core each."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from leanbert.errors import InputError
from tests.clusters.conftest import LAST, ROWS, as_bytes

pytest.importorskip("pyspark", reason="pyspark is not installed: make clusters")
if shutil.which("java") is None:
    pytest.skip("java is not installed; Spark needs Java 17 or newer", allow_module_level=True)

from leanbert.integrations.spark import Predictor, configuration

PARTITIONS = 8


@pytest.fixture(scope="module")
def session(asked_for: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from pyspark.sql import SparkSession

    work = tmp_path_factory.mktemp("spark")
    os.environ |= {
        "PYSPARK_PYTHON": sys.executable,
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_WORKER_DIR": str(work),
    }
    given = {
        "spark.ui.enabled": "false",
        "spark.local.dir": str(work),
        "spark.sql.shuffle.partitions": str(PARTITIONS),
        "spark.sql.adaptive.enabled": "false",
        **configuration(1),
    }
    builder = SparkSession.builder.master("local-cluster[2,1,1024]")
    made = builder.config(map=given).getOrCreate()
    made.sparkContext.setLogLevel("OFF")
    yield made
    made.stop()


@pytest.fixture(scope="module")
def frame(session: Any, news: Any) -> Any:
    return session.createDataFrame(news).repartition(PARTITIONS).cache()


class Watched:
    """``in_arrow`` that notes who computes, and ends its own process once where it is told to."""

    def __init__(self, predictor: Predictor, folder: Path, killing: str = "never") -> None:
        self.predictor, self.folder, self.killing = predictor, folder, killing

    def __call__(self, batches: Iterator[Any]) -> Iterator[Any]:
        model = self.predictor.opened()
        limit, _ = resource.getrlimit(resource.RLIMIT_AS)
        with (self.folder / "tasks").open("a") as file:
            file.write(f"{os.getpid()} {id(model)} {model.threads} {limit}\n")
        yield from self.predictor.in_arrow(self.watched(batches))

    def watched(self, batches: Iterator[Any]) -> Iterator[Any]:
        killed = self.folder / "killed"
        for batch in batches:
            if self.killing in batch.column("headline").to_pylist() and not killed.exists():
                killed.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            yield batch


def rows_of(frame: Any) -> list[Any]:
    return [row.asDict() for row in frame.collect()]


def tasks(folder: Path) -> list[list[str]]:
    return [line.split() for line in (folder / "tasks").read_text().splitlines()]


def test_answers_are_those_of_the_plain_run_and_a_worker_opens_once(
    frame: Any, plain: bytes, tmp_path: Path
) -> None:
    predictor = Predictor(frame, column="headline")
    found = rows_of(frame.mapInArrow(Watched(predictor, tmp_path), predictor.schema))
    assert as_bytes(found) == plain
    assert predictor.rows.value == ROWS
    assert predictor.missing.value == sum(row["score"] is None for row in found) > 0
    noted = tasks(tmp_path)
    assert len(noted) == PARTITIONS
    assert len({worker for worker, *_ in noted}) == 2  # one for each core
    assert len({(worker, model) for worker, model, *_ in noted}) == 2  # each opened it once
    assert {threads for *_, threads, _ in noted} == {"1"}
    assert {int(limit) for *_, limit in noted} == {2048 << 20}


def test_frames_of_pandas_and_the_udf_answer_the_same(frame: Any, plain: bytes) -> None:
    predictor = Predictor(frame, column="headline")
    assert as_bytes(rows_of(frame.mapInPandas(predictor.in_pandas, predictor.schema))) == plain
    scored = frame.withColumn("sentiment", predictor.udf()("headline"))
    flat = [
        {"id": row["id"], "headline": row["headline"], "label": row["label"],
         "predicted_label": row["sentiment"]["label"], "score": row["sentiment"]["score"]}
        for row in rows_of(scored)
    ]  # fmt: skip
    assert as_bytes(flat) == plain


def test_a_killed_worker_is_replaced_and_no_row_is_lost_or_doubled(
    frame: Any, plain: bytes, tmp_path: Path
) -> None:
    predictor = Predictor(frame, column="headline")
    watched = Watched(predictor, tmp_path, killing=LAST)
    assert as_bytes(rows_of(frame.mapInArrow(watched, predictor.schema))) == plain
    assert (tmp_path / "killed").exists()
    assert len(tasks(tmp_path)) == PARTITIONS + 1


def test_a_bundle_travels_to_workers_that_lack_it(
    frame: Any, plain: bytes, moving_bundle: Path
) -> None:
    predictor = Predictor(frame, moving_bundle, column="headline")
    moving_bundle.rename(moving_bundle.parent / "gone")
    assert as_bytes(rows_of(frame.mapInArrow(predictor.in_arrow, predictor.schema))) == plain


def test_what_cannot_be_used_is_refused(frame: Any) -> None:
    with pytest.raises(InputError, match="no column 'text'; it has id, headline, label"):
        Predictor(frame)
    with pytest.raises(InputError, match="3 cores of an executor are no multiple of 2 threads"):
        configuration(3, threads=2)
