"""Errors that are also Python's own kinds, and warnings that name the caller's line."""

from __future__ import annotations

import inspect
import pickle
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from leanbert import pipeline
from leanbert.errors import BundleNotFoundError, LeanBertError, LeanBertWarning, MissingExtraError
from leanbert.pipelines.base import Pipeline
from tests.helpers.tiny_bundles import MAX_LENGTH

LONG = "profit rose and sales fell " * MAX_LENGTH


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [(BundleNotFoundError, FileNotFoundError), (MissingExtraError, ImportError)],
)
def test_an_error_is_also_pythons_own_and_keeps_its_line(
    kind: type[LeanBertError], builtin: type[Exception]
) -> None:
    line = "models/finbert: no such directory; leanbert export MODEL -o DIR makes one"
    with pytest.raises(builtin) as caught:
        raise kind(line)
    assert isinstance(caught.value, LeanBertError)
    assert str(caught.value) == line
    copy = pickle.loads(pickle.dumps(caught.value))  # noqa: S301 - made in this line
    assert type(copy) is kind
    assert str(copy) == line


def test_a_missing_bundle_is_a_missing_file(tmp_path: Path) -> None:
    missing = tmp_path / "nowhere"
    with pytest.raises(FileNotFoundError, match=r"nowhere: ") as caught:
        pipeline("text-classification", missing)
    assert isinstance(caught.value, BundleNotFoundError)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(str(missing))


@pytest.mark.parametrize("kind", [LeanBertError, BundleNotFoundError, MissingExtraError])
def test_an_error_is_one_line_that_no_terminal_obeys(kind: type[LeanBertError]) -> None:
    error = kind("a\nb \x1b[31mred \u202edne é猫")
    assert str(error) == "a\\nb \\x1b[31mred \\u202edne é猫"


def own_line() -> int:
    """The line that calls this function."""
    frame = inspect.currentframe()
    assert frame is not None
    assert frame.f_back is not None
    return frame.f_back.f_lineno


def of_one(classify: Pipeline) -> int:
    return (classify(LONG), own_line())[1]


def of_a_list(classify: Pipeline) -> int:
    return (classify(["profit", LONG]), own_line())[1]


def of_a_lazy_iterator(classify: Pipeline) -> int:
    answers: Iterator[Any] = classify(iter(["profit", LONG]))
    return (list(answers), own_line())[1]


def of_a_stream(classify: Pipeline) -> int:
    answers = classify.stream(["profit", LONG])
    return (next(answers), own_line())[1]


def of_windows(classify: Pipeline) -> int:
    return (classify.document([LONG], split="sentences"), own_line())[1]  # type: ignore[attr-defined]


@pytest.mark.parametrize("mode", ["latency", "throughput"])
@pytest.mark.parametrize(
    "call",
    [of_one, of_a_list, of_a_lazy_iterator, of_a_stream, of_windows],
    ids=lambda f: f.__name__,
)
def test_a_warning_names_the_callers_line(
    call: Callable[[Pipeline], int], mode: str, tiny_bundle: Path
) -> None:
    classify = pipeline("text-classification", tiny_bundle, threads=1, mode=mode)
    with pytest.warns(LeanBertWarning, match="cut to") as caught:
        line = call(classify)
    assert [(Path(w.filename), w.lineno) for w in caught] == [(Path(__file__), line)]


def test_a_warning_of_opening_names_the_callers_line(make_bundle: Callable[..., Path]) -> None:
    bundle = make_bundle(manifest=False)
    with pytest.warns(LeanBertWarning, match=r"no leanbert\.json") as caught:
        line = (pipeline("text-classification", bundle), own_line())[1]
    assert [(Path(w.filename), w.lineno) for w in caught] == [(Path(__file__), line)]


def test_pythons_default_filter_shows_a_warning_once_for_each_line(tiny_bundle: Path) -> None:
    classify = pipeline("text-classification", tiny_bundle, threads=1)
    with warnings.catch_warnings(record=True) as caught:
        warnings.resetwarnings()
        warnings.simplefilter("default")
        for _ in range(3):
            classify(LONG)
        classify(LONG)
    assert len(caught) == 2
