"""Answers are those of transformers' pipeline, for every kind of tokenizer and argument."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from leanbert import LeanBertWarning, pipeline
from leanbert.errors import InputError
from leanbert_export.samples import sample_texts
from tests.helpers.parity import check_same
from tests.helpers.real_texts import AWKWARD, LONG, questions

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning:transformers"),
    pytest.mark.filterwarnings("ignore::FutureWarning:transformers"),
]

TASK = "question-answering"
# Optimum exports no head for answers of ModernBERT.
FAMILIES = ["bert", "bert-cased", "roberta", "distilbert", "electra", "albert"]
FAMILIES += ["xlm-roberta", "mpnet", "deberta-v2"]
OF_EACH_KIND = ["bert", "roberta", "albert"]  # WordPiece, BPE of bytes, Unigram
DECODING: list[dict[str, Any]] = [
    {},
    {"top_k": 4},
    {"top_k": 25, "max_answer_len": 3},
    {"max_answer_len": 40, "align_to_words": False},
    {"top_k": 3, "handle_impossible_answer": True, "align_to_words": True},
]
CONTEXT = " ".join(sample_texts()[:12])
ASKED = "What did the board approve?"


def ours(workshop: Any, family: str, **options: Any) -> Any:
    with pytest.warns(LeanBertWarning, match=r"no leanbert\.json"):
        return pipeline(TASK, workshop.plain(family, TASK), threads=1, **options)


def possible(answer: Any) -> Any:
    """transformers' answer without the spans that it gives a probability of 0.

    Where a context has fewer spans than are asked for, it also returns some that cannot be: ends
    before starts, or in the question. LeanBERT gives fewer, as transformers' documentation says.
    """
    if not isinstance(answer, list):
        return answer
    nothing = {"score": 0.0, "start": 0, "end": 0, "answer": ""}
    found = [item for item in answer if item["score"] > 0] or [nothing]
    return found[0] if len(found) == 1 else found


def check_decoding(workshop: Any, family: str, pairs: list[tuple[str, str]]) -> None:
    """Every way of decoding; transformers runs the model once for all of them."""
    answer, reference = ours(workshop, family), workshop.reference(family, TASK)
    asked = [{"question": question, "context": context} for question, context in pairs]
    outputs = [[reference.forward(window) for window in reference.preprocess(q)] for q in asked]
    assert max(map(len, outputs)) > 1
    for options in DECODING:
        wanted = [possible(reference.postprocess(windows, **options)) for windows in outputs]
        got = answer(asked, **options)
        check_same(got, wanted)
        for item, (_, context) in zip(got, pairs, strict=True):
            for one in item if isinstance(item, list) else [item]:
                assert one["answer"] == context[one["start"] : one["end"]]
    texts = {one["answer"] for item in got for one in item if isinstance(item, list)}
    assert len(texts) > len(pairs)  # impossible answers are not all there is


@pytest.mark.parametrize("family", FAMILIES)
def test_answers_to_real_questions(real_families: Any, data_dir: Path, family: str) -> None:
    pairs = questions(data_dir, 12, seed=FAMILIES.index(family))
    awkward = [(pairs[0][0], text) for text in AWKWARD[len(family) % 3 + 1 :: 3]]
    check_decoding(real_families, family, [*pairs, *awkward])


@pytest.mark.parametrize("family", OF_EACH_KIND)
def test_answers_by_every_kind_of_tokenizer(families: Any, family: str) -> None:
    texts = [text for text in AWKWARD if text]
    pairs = [(ASKED, text) for text in [CONTEXT, LONG[:1500], *sample_texts()[::25], *texts]]
    pairs += [(text[:20], CONTEXT[:400]) for text in texts]
    pairs += [("London", "London"), ("e\u0301", "e\u0301")]
    check_decoding(families, family, pairs)


@pytest.mark.parametrize("family", OF_EACH_KIND)
def test_windows_of_long_contexts(families: Any, family: str) -> None:
    answer, reference = ours(families, family), families.reference(family, TASK)
    for options in (
        {"doc_stride": 0},
        {"doc_stride": 70},
        {"max_seq_len": 60},
        {"max_seq_len": 70, "doc_stride": 30, "top_k": 3},
        {"max_question_len": 2},
        {"max_seq_len": None, "doc_stride": None, "padding": "max_length", "max_question_len": 5},
    ):
        given = {"question": ASKED, "context": CONTEXT, **options}
        check_same(answer(**given), reference(**given))


def test_a_context_of_4000_words(families: Any) -> None:
    given = {"question": ASKED, "context": LONG, "top_k": 3}
    wanted = families.reference("bert", TASK)(**given)
    check_same(ours(families, "bert")(**given), wanted)


def test_results_have_transformers_structure(families: Any) -> None:
    answer, reference = ours(families, "bert"), families.reference("bert", TASK)
    one = {"question": ASKED, "context": CONTEXT}
    two = {"question": "Who?", "context": sample_texts()[3]}
    calls: list[tuple[list[Any], dict[str, Any]]] = [
        ([], one),
        ([], {**one, "top_k": 2}),
        ([], {"question": [ASKED], "context": CONTEXT}),
        ([], {"question": [ASKED, "Who?"], "context": CONTEXT}),
        ([], {"question": [ASKED, "Who?"], "context": [CONTEXT, sample_texts()[3]], "top_k": 2}),
        ([one], {}),
        ([[one]], {}),
        ([[one, two]], {"topk": 3}),
        ([one, two], {}),
        ([ASKED, CONTEXT], {}),
    ]
    for args, kwargs in calls:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # transformers deprecates some of these
            wanted = reference(*args, **kwargs)
        check_same(answer(*args, **kwargs), wanted)
    stream = answer(item for item in (one, two))
    assert isinstance(stream, Iterator)
    check_same(list(stream), reference([one, two]))
    check_same(list(answer.stream([one, two], top_k=2)), reference([one, two], top_k=2))
    assert answer([]) == []
    assert answer(**one, top_k=1) == answer(one)
    kept = ours(families, "bert", top_k=2, max_answer_len=2)
    check_same(kept(one), reference(one, top_k=2, max_answer_len=2))


def test_nothing_to_find_gives_the_empty_answer(families: Any) -> None:
    answer, reference = ours(families, "bert"), families.reference("bert", TASK)
    for options in ({}, {"top_k": 3}):
        got = answer(question="Who?", context=" \r\n ", **options)
        assert got == {"score": 0.0, "start": 0, "end": 0, "answer": ""}
    check_same(got, reference(question="Who?", context=" \r\n "))
    [streamed] = answer.stream([{"question": "Who?", "context": ""}])
    assert streamed == got


def test_a_tokenizer_that_pads_on_the_left_reads_the_context_first(
    families: Any, tmp_path: Path
) -> None:
    import torch

    folder = Path(shutil.copytree(families.plain("bert", TASK), tmp_path / "left"))
    path = folder / "tokenizer_config.json"
    said = {**json.loads(path.read_text("utf-8")), "padding_side": "left"}
    path.write_text(json.dumps(said), encoding="utf-8")
    with pytest.warns(LeanBertWarning):
        answer = pipeline(TASK, folder, threads=1)
    reference = families.reference("bert", TASK)
    reference.tokenizer.padding_side = "left"
    asked = {"question": ASKED, "context": CONTEXT}
    outputs = []
    for window in reference.preprocess(asked):
        # There transformers forgets to keep answers out of the question.
        outside = [place != 0 for place in window["encoding"].sequence_ids]
        window["p_mask"] = torch.tensor([[False, *outside[1:]]])
        outputs.append(reference.forward(window))
    for options in ({}, {"top_k": 3}, {"handle_impossible_answer": True}):
        check_same(answer(asked, **options), possible(reference.postprocess(outputs, **options)))
    assert ours(families, "bert")(asked) != answer(asked)


@pytest.mark.parametrize("mode", ["latency", "throughput"])
def test_batches_change_nothing(families: Any, mode: str) -> None:
    with pytest.warns(LeanBertWarning):
        answer = pipeline(TASK, families.plain("bert", TASK), threads=2, mode=mode)
    asked = [
        {"question": ASKED, "context": " ".join(sample_texts()[i : i + 1 + i * 7 % 13])}
        for i in range(40)
    ]
    alone = [answer(item, top_k=3) for item in asked]
    check_same(answer(asked, top_k=3), alone)
    check_same(answer(asked, top_k=3, batch_size=3), alone)


def test_a_question_that_leaves_no_room(families: Any) -> None:
    answer = ours(families, "bert")
    long = "profit " * 140
    for question, options in (
        (long, {}),
        ("profit " * 90, {}),
        (ASKED, {"max_seq_len": 12, "doc_stride": 5}),
    ):
        asked = {"question": question, "context": CONTEXT}
        with pytest.raises(InputError, match=r"^text 1: the part that is not cut has \d+ of"):
            answer([{"question": "a", "context": "b"}, asked], **options)
    short = {"question": "profit " * 90, "context": "It fell."}
    assert answer(short)["answer"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"top_k": 0}, "top_k is 0"),
        ({"topk": -1}, "top_k is -1"),
        ({"max_answer_len": 0}, "max_answer_len is 0"),
        ({"max_seq_len": 2.5}, "max_seq_len is 2.5"),
        ({"doc_stride": 200}, "doc_stride is 200; it must be a whole number from 0 to max_seq_len"),
        ({"doc_stride": 127}, "stride is 127; windows of 128 tokens"),
        ({"doc_stride": 115}, "has 12 of 128 tokens, which leaves no room for windows that"),
        ({"max_seq_len": 3}, "max_length is 3"),
        ({"answer_len": 3}, "unknown argument answer_len"),
    ],
)
def test_arguments_that_cannot_be_used(families: Any, options: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        ours(families, "bert")(question=ASKED, context=CONTEXT, **options)


@pytest.mark.parametrize(
    ("args", "kwargs", "message"),
    [
        ([], {}, "pass question and context, or"),
        ([], {"question": "a"}, "pass question and context, or"),
        ([], {"question": "a", "context": ""}, "text 0: context is empty"),
        ([], {"question": "", "context": "a"}, "text 0: question is empty"),
        ([], {"question": "a", "context": None}, "text 0: context is NoneType"),
        ([], {"question": ["a", "b"], "context": ["c"]}, "of different lengths"),
        ([], {"question": 3, "context": "a"}, "question is int"),
        ([{"question": "a"}], {}, "text 0: context is missing"),
        ([[{"question": "a", "id": 3}]], {}, "text 0: context is missing"),
        ([["a", "b"]], {}, r'text 0: expected \{"question"'),
        (["a"], {}, r'text 0: expected \{"question"'),
        ([3], {}, "got int"),
        ([{"question": "a", "context": "b"}], {"question": "a"}, "not both"),
    ],
)
def test_inputs_that_are_no_questions(
    families: Any, args: list[Any], kwargs: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        ours(families, "bert")(*args, **kwargs)
