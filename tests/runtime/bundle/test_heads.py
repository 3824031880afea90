"""The task of a checkpoint by the names of its model classes."""

from __future__ import annotations

import pytest

from leanbert.bundle.heads import HEAD_OF_TASK, task_of
from leanbert.pipelines import TASKS


@pytest.mark.parametrize(
    ("architectures", "task"),
    [
        (["BertForSequenceClassification"], "text-classification"),
        (["XLMRobertaForTokenClassification"], "token-classification"),
        (["DebertaV2ForQuestionAnswering"], "question-answering"),
        (["RobertaForMaskedLM"], "fill-mask"),
        (["MPNetModel"], "feature-extraction"),
        (["XLMWithLMHeadModel"], "fill-mask"),
        (["FlaubertForQuestionAnsweringSimple"], "question-answering"),
        (["BertLMHeadModel"], None),
        (["GPT2DoubleHeadsModel"], None),
        (["BertForMultipleChoice"], None),
        (["ElectraForPreTraining"], None),
        (["BertForPreTraining", "BertForMaskedLM"], "fill-mask"),
        ([5, None, "BertModel"], "feature-extraction"),
        ([], None),
        (None, None),
        (5, None),
        ("BertModel", None),
        ({"BertModel": 1}, None),
    ],
)
def test_the_task_of_an_architecture(architectures: object, task: str | None) -> None:
    assert task_of(architectures) == task


def test_every_head_is_one_of_a_task_that_a_pipeline_does() -> None:
    assert set(HEAD_OF_TASK) <= set(TASKS)
