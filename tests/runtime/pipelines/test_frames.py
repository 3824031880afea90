"""Frames of several libraries get the answers as columns; without a library its cases skip."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from leanbert import pipeline
from leanbert.errors import InputError, LeanBertWarning
from tests.helpers.processes import python

TEXTS = ["profit rose", None, "a bad loss"]


@pytest.fixture(scope="module")
def classify(tiny_bundle: Path) -> Any:
    return pipeline(model=tiny_bundle)


@pytest.fixture(scope="module")
def wanted(classify: Any) -> dict[str, list[Any]]:
    first, last = classify(["profit rose", "a bad loss"])
    return {key: [first[key], None, last[key]] for key in ("label", "score")}


def answered(classify: Any, data: Any, *args: Any, **options: Any) -> Any:
    with pytest.warns(LeanBertWarning, match=r"1 of 3 values of '\w+' are missing; their answers"):
        return classify.table(data, *args, **options)


def values(column: Any) -> list[Any]:
    return [None if value != value else value for value in column.tolist()]


def test_pandas(classify: Any, wanted: dict[str, list[Any]]) -> None:
    pandas = pytest.importorskip("pandas")
    data = pandas.DataFrame({"h": TEXTS, "label": [1, 2, 3]}, index=["x", "y", "z"])
    found = answered(classify, data, "h")
    assert type(found) is pandas.DataFrame
    assert list(found.columns) == ["h", "label", "predicted_label", "score"]
    assert list(found.index) == ["x", "y", "z"]
    assert values(found["predicted_label"]) == wanted["label"]
    assert values(found["score"]) == wanted["score"]
    assert list(data.columns) == ["h", "label"]
    series = answered(classify, data["h"].astype("string"))
    assert list(series.columns) == ["h", "label", "score"]
    assert list(series.index) == ["x", "y", "z"]
    assert list(classify.table(data[:0], "h").columns) == list(found.columns)
    ranked = answered(classify, data["h"], top_k=None)
    assert list(ranked.columns) == ["h", "label", "score", "positive", "negative", "neutral"]


def test_values_that_are_no_texts(classify: Any) -> None:
    pandas = pytest.importorskip("pandas")
    data = pandas.DataFrame({"h": ["profit", "loss"], "n": [1, 2], "o": ["a", ["b"]]})
    with pytest.raises(InputError, match=r"^row 0: 'n' holds the number 1, not a text$"):
        classify.table(data, "n")
    with pytest.raises(InputError, match=r"^row 1: 'o' holds a list, not a text$"):
        classify.table(data, "h", pair_column="o")


def test_missing_second_texts_are_named(classify: Any) -> None:
    pandas = pytest.importorskip("pandas")
    data = pandas.DataFrame({"h": ["profit", "loss"], "p": ["a", None]})
    with pytest.warns(LeanBertWarning, match="1 of 2 values of 'h' or 'p' are missing"):
        found = classify.table(data, "h", pair_column="p")
    assert [value is not None and value == value for value in found["label"]] == [True, False]


def test_polars(classify: Any, wanted: dict[str, list[Any]]) -> None:
    polars = pytest.importorskip("polars")
    found = answered(classify, polars.DataFrame({"text": TEXTS, "id": [1, 2, 3]}))
    assert found.columns == ["text", "id", "label", "score"]
    assert found["label"].to_list() == wanted["label"]
    assert found["score"].to_list() == wanted["score"]
    assert answered(classify, polars.Series(TEXTS)).columns == ["text", "label", "score"]
    with pytest.raises(InputError, match=r"got a LazyFrame; pass a frame, for example .collect()"):
        classify.table(polars.LazyFrame({"text": TEXTS}))


def test_pyarrow(classify: Any, wanted: dict[str, list[Any]]) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    table = pyarrow.table({"text": TEXTS})
    for data in (table, table.to_batches()[0], pyarrow.array(TEXTS), table.column("text")):
        found = answered(classify, data)
        assert isinstance(found, pyarrow.Table)
        assert found.to_pydict() == {"text": TEXTS, **wanted}


def test_what_speaks_arrow(classify: Any, wanted: dict[str, list[Any]]) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    table = pyarrow.table({"text": TEXTS})

    class Stream:
        def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
            return table.__arrow_c_stream__(requested_schema)

    class Column:
        def __arrow_c_array__(self, requested_schema: Any = None) -> Any:
            return pyarrow.array(TEXTS).__arrow_c_array__(requested_schema)

    for data in (Stream(), Column()):
        assert answered(classify, data).to_pydict() == {"text": TEXTS, **wanted}


def test_numpy(classify: Any) -> None:
    found = classify.table(np.array(["profit rose", "a bad loss"]))
    assert found["label"].tolist() == ["positive", "negative"]
    assert found["score"].dtype == np.float64


def test_datasets(classify: Any, wanted: dict[str, list[Any]]) -> None:
    datasets = pytest.importorskip("datasets")
    found = answered(classify, datasets.Dataset.from_dict({"text": TEXTS}))
    assert isinstance(found, datasets.Dataset)
    assert list(found["label"]) == wanted["label"]
    kinds = {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["bad", "good"])}
    given = {"text": [*TEXTS, "a gain"], "label": [1, 0, 0, 1]}
    data = datasets.Dataset.from_dict(given, datasets.Features(kinds))
    found = answered(classify, data.select([0, 1, 2]))
    assert found.column_names == ["text", "label", "predicted_label", "score"]
    assert (found.features["label"], list(found["label"])) == (kinds["label"], [1, 0, 0])
    assert list(found["predicted_label"]) == wanted["label"]
    assert list(found["score"]) == wanted["score"]
    assert data.column_names == ["text", "label"]
    column = data.select([0, 2])["text"]  # a lazy column, and rows that are drawn one by one
    labels = [label for label in wanted["label"] if label]
    assert [row["label"] for row in classify(column)] == labels
    rows = (row["text"] for row in data.select([0, 2]).to_iterable_dataset())
    assert [row["label"] for row in classify.stream(rows)] == labels


def test_refusals(classify: Any) -> None:
    with pytest.raises(InputError, match="expected a frame, a series or an array, got list"):
        classify.table(["profit"])
    pyarrow = pytest.importorskip("pyarrow")
    with pytest.raises(InputError, match=r"no column 'h'; it has 'a' and 'b' \(pass column=\)"):
        classify.table(pyarrow.table({"a": [1], "b": [2]}), "h")
    with (
        pytest.raises(InputError, match="row 0: 'text' holds the number 5"),
        warnings.catch_warnings(),
    ):
        classify.table(pyarrow.table({"text": [5]}))


def test_numpy_frames_import_no_other_library(tiny_bundle: Path, tmp_path: Path) -> None:
    script = """
import sys
import numpy as np
from leanbert import pipeline
pipeline(model=sys.argv[1]).table(np.array(["profit"]))
print({"pandas", "polars", "pyarrow", "duckdb", "datasets"} & set(sys.modules))
"""
    done = python(["-c", script, tiny_bundle], tmp_path)
    assert (done.stdout, done.returncode) == ("set()\n", 0)
