"""What counts as one input, a list of them, or a lazy iterable; tables are refused."""

from __future__ import annotations

from collections import UserList
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from leanbert.errors import InputError
from leanbert.pipelines.inputs import several
from tests.helpers.processes import ROOT, python

TEXTS = ["profit rose", "a bad loss", "sales fell"]


class ByIndex:
    """As ``torch.utils.data.Dataset``: no iterator, and no end but its length."""

    def __init__(self, items: list[Any], key: str | None = None) -> None:
        self.items = items
        self.key = key

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, i: int) -> Any:
        item = self.items[i % len(self.items)]
        return item if self.key is None else item[self.key]


def library(root: str, name: str, **attributes: Any) -> Any:
    """An object of a class that says it is another library's."""
    return type(name, (), {"__module__": f"{root}.core.frame", **attributes})()


class TestLists:
    @pytest.mark.parametrize(
        "given",
        [
            TEXTS,
            tuple(TEXTS),
            UserList(TEXTS),
            np.array(TEXTS),
            np.array(TEXTS, dtype=object),
            library("pandas", "Series", shape=(3,), tolist=lambda _: TEXTS),
            library("polars", "Series", shape=(3,), to_list=lambda _: TEXTS),
            library("pyarrow", "ChunkedArray", to_pylist=lambda _: TEXTS),
        ],
        ids=lambda given: f"{type(given).__module__}.{type(given).__name__}",
    )
    def test_a_column_gives_a_list(self, classify: Any, given: Any) -> None:
        found = classify(given)
        assert isinstance(found, list)
        assert found == classify(TEXTS)

    def test_a_real_series_gives_a_list(self, classify: Any) -> None:
        pandas = pytest.importorskip("pandas")
        frame = pandas.DataFrame({"text": TEXTS, "label": [1, 2, 3]}, index=[7, 8, 9])
        assert classify(frame["text"]) == classify(TEXTS)
        with pytest.raises(InputError, match="text 1: expected a string"):
            classify(pandas.Series(["a", None]))


class TestIterators:
    def test_a_data_set_by_index_gives_an_iterator(self, classify: Any) -> None:
        for given in (ByIndex(TEXTS), ByIndex([{"text": text} for text in TEXTS], "text")):
            found = classify(given, batch_size=2)
            assert isinstance(found, Iterator)
            assert list(found) == classify(TEXTS)
        assert list(classify.stream(ByIndex(TEXTS))) == classify(TEXTS)

    def test_rows_of_a_data_set_are_drawn_lazily(self, classify: Any) -> None:
        """As Hugging Face's data sets: rows are dictionaries, and the whole may be large."""
        rows = library(
            "datasets",
            "Dataset",
            shape=(3, 1),
            column_names=["text"],
            to_list=lambda _: pytest.fail("it was read whole"),
            __iter__=lambda _: iter([{"text": text} for text in TEXTS]),
        )
        found = classify(rows)
        assert isinstance(found, Iterator)
        assert list(found) == classify(TEXTS)

    def test_rows_are_drawn_lazily(self) -> None:
        items = several(ByIndex(TEXTS))
        assert isinstance(items, Iterator)
        assert next(items) == TEXTS[0]

    @pytest.mark.parametrize("given", ["profit rose", {"text": "profit rose"}])
    def test_a_stream_of_one_text_is_refused(self, classify: Any, given: Any) -> None:
        with pytest.raises(InputError, match=r"expected several texts, got one (str|dict); call"):
            classify.stream(given)


class TestTables:
    @pytest.mark.parametrize(
        "given",
        [
            library("pandas", "DataFrame", shape=(3, 2), columns=["headline", "label"]),
            library("polars", "DataFrame", shape=(3, 2), columns=["headline", "label"]),
            library(
                "pyarrow", "Table", shape=(3, 2), columns=[], column_names=["headline", "label"]
            ),
        ],
        ids=lambda given: type(given).__module__,
    )
    def test_a_table_is_refused_with_its_columns(self, classify: Any, given: Any) -> None:
        said = r"got a \w+ with the columns headline, label; .* for example data\['headline'\]$"
        for call in (classify, classify.stream, classify.document):
            with pytest.raises(InputError, match=said):
                call(given)

    def test_a_real_frame_and_what_derives_from_it(self, classify: Any) -> None:
        pandas: Any = pytest.importorskip("pandas")
        derived = type("Derived", (pandas.DataFrame,), {})  # as geopandas' is
        for kind in (pandas.DataFrame, derived):
            with pytest.raises(InputError, match=f"got a {kind.__name__} with the columns text, y"):
                classify(kind({"text": TEXTS, "y": [1, 2, 3]}))
            with pytest.raises(InputError, match="with the columns ; pass the column"):
                classify(kind())


def test_recognizing_them_imports_none_of_their_libraries(tiny_bundle: Any) -> None:
    script = f"""
import sys
sys.modules["torch"] = sys.modules["datasets"] = sys.modules["polars"] = None
from leanbert import pipeline
classify = pipeline("text-classification", {str(tiny_bundle)!r}, threads=1)
kind = type("Series", (), {{"__module__": "polars.series", "to_list": lambda self: ["profit"]}})
print(len(classify(kind())), "pandas" in sys.modules)
"""
    done = python(["-c", script], ROOT)
    assert (done.stdout, done.stderr) == ("1 False\n", "")
