"""Options of calls: one class for each task, which takes what the types say and checks it."""

from __future__ import annotations

import dataclasses
from enum import Enum
from pathlib import Path
from typing import Any

import pytest

from leanbert import pipeline
from leanbert.errors import InputError, LeanBertWarning
from leanbert.pipelines import TASKS, base, keywords
from leanbert.pipelines.options import NOT_GIVEN, CallOptions
from leanbert.pipelines.question_answering import QuestionAnsweringOptions
from leanbert.pipelines.text_classification import TextClassificationOptions
from leanbert.pipelines.token_classification import TokenClassificationOptions

# Arguments on which the form of an answer depends stand in the overloads themselves.
IN_OVERLOADS = {
    "text-classification": {"top_k"},
    "token-classification": {"aggregation_strategy"},
    "question-answering": {"top_k"},
    "feature-extraction": {"pooling", "return_tensors"},
    "fill-mask": set[str](),
    "zero-shot-classification": {"candidate_labels"},
    "text-ranking": set[str](),
}


def options_type_of(task: str) -> type[CallOptions]:
    import leanbert.pipelines

    name = "".join(part.capitalize() for part in task.split("-")) + "Pipeline"
    found: type[base.Pipeline] = getattr(leanbert.pipelines, name)
    assert found.task == task
    return found.options_type


@pytest.mark.parametrize("task", TASKS)
def test_the_types_name_the_arguments_that_calls_take(task: str) -> None:
    name = "".join(part.capitalize() for part in task.split("-"))
    typed = set(getattr(keywords, f"{name}Keywords").__annotations__)
    assert not typed & IN_OVERLOADS[task]
    assert typed | IN_OVERLOADS[task] == options_type_of(task).names()
    opening = set(keywords.OpeningKeywords.__annotations__)
    assert set(getattr(keywords, f"{name}Defaults").__annotations__) == typed | opening


@pytest.mark.parametrize("task", TASKS)
def test_options_cannot_be_changed(task: str) -> None:
    options = options_type_of(task)()
    with pytest.raises(dataclasses.FrozenInstanceError):
        options.max_length = 3  # type: ignore[misc]


def test_an_alias_is_the_argument_that_it_means() -> None:
    canonical = QuestionAnsweringOptions.canonical
    assert canonical({"topk": 3}, "qa") == {"top_k": 3}
    assert canonical({"top_k": 2, "topk": 3}, "qa") == {"top_k": 2}
    assert canonical({"topk": 3, "top_k": 2}, "qa") == {"top_k": 2}
    assert canonical({"topk": None, "padding": True, "max_question_len": 9}, "qa") == {}


def test_none_is_the_same_as_not_given_but_where_it_has_a_meaning() -> None:
    canonical = TextClassificationOptions.canonical
    assert canonical({"function_to_apply": None, "window": None}, "t") == {}
    kept = {"top_k": None, "max_length": None, "truncation": None, "batch_size": None}
    assert canonical(kept, "t") == kept
    assert TextClassificationOptions().top_k is NOT_GIVEN


class Strategy(Enum):  # as transformers' AggregationStrategy
    SIMPLE = "simple"


class Function(Enum):  # as transformers' ClassificationFunction
    SIGMOID = 0


def test_a_member_of_an_enum_is_its_name() -> None:
    found = TokenClassificationOptions.canonical({"aggregation_strategy": Strategy.SIMPLE}, "ner")
    assert found == {"aggregation_strategy": "simple"}
    found = TextClassificationOptions.canonical({"function_to_apply": Function.SIGMOID}, "t")
    assert found == {"function_to_apply": "sigmoid"}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"top_k": 0}, "top_k is 0; it must be a whole number from 1 to"),
        ({"top_k": True}, "top_k is True"),
        ({"top_k": 2.0}, r"top_k is 2\.0"),
        ({"max_length": "9"}, "max_length is '9'"),
        ({"batch_size": -1}, "batch_size is -1"),
        ({"stride": -1}, "stride is -1; it must be a whole number from 0 to"),
        ({"window": 0}, "window is 0"),
        ({"combine": "median"}, "combine is 'median'; expected one of mean, max, length"),
        ({"function_to_apply": "tanh"}, "function_to_apply is 'tanh'; expected one of sigmoid"),
        ({"topk": 1}, "unknown argument topk; text-classification takes batch_size, combine"),
    ],
)
def test_a_wrong_value_is_refused_at_the_opening_and_in_a_call(
    tiny_bundle: Path, classify: Any, given: dict[str, Any], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        classify("profit", **given)
    with pytest.raises(InputError, match=said):
        pipeline("text-classification", tiny_bundle, threads=1, **given)


@pytest.mark.parametrize("name", ["handle_impossible_answer", "align_to_words"])
def test_a_flag_is_true_or_false(name: str) -> None:
    given: dict[str, Any] = {name: "false"}
    with pytest.raises(InputError, match=f"{name} is 'false'; expected True or False"):
        QuestionAnsweringOptions(**given)
    given = {name: 0}
    assert getattr(QuestionAnsweringOptions(**given), name) == 0


def test_a_call_without_arguments_makes_no_options(classify: Any) -> None:
    assert classify._call_options({}) is classify._default_options


def test_a_default_is_overridden_by_its_alias(make_bundle: Any) -> None:
    path = make_bundle(task="token-classification")
    with pytest.warns(LeanBertWarning, match="grouped_entities"):
        tag = pipeline("ner", path, threads=1, grouped_entities=True)
    assert tag._call_options({}).aggregation_strategy == "simple"
    assert tag._call_options({"aggregation_strategy": "first"}).aggregation_strategy == "first"
    ask = pipeline("question-answering", make_bundle(task="question-answering"), topk=3)
    assert ask._call_options({}).top_k == 3
    assert ask._call_options({"top_k": 2}).top_k == 2
    again = pipeline("question-answering", ask.bundle, top_k=3)
    assert again._call_options({"topk": 2}).top_k == 2
    embed = pipeline(
        "feature-extraction",
        make_bundle(task="feature-extraction"),
        tokenize_kwargs={"max_length": 9},
    )
    assert embed._call_options({}).max_length == 9
    assert embed._call_options({"max_length": 7}).max_length == 7
