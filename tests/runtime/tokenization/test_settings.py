"""What tokenizer_config.json says beside tokenizer.json counts as with transformers."""

from __future__ import annotations

import contextlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import AddedToken, normalizers

from leanbert import pipeline
from leanbert.errors import BundleCorruptError, InputError
from leanbert.tokenization import Tokenizer, segment
from tests.helpers import tiny_words
from tests.helpers.parity import AS_BEFORE, is_newer

LONGEST = 24
TEXTS = [
    "Operating profit rose to EUR 13.1 mn.",
    "Ünïcode CAFÉ: Österreichs ÉTÉ, naïve I\u0307stanbul",
    "营业利润 rose 营业",
    "",
    "  spaces   here  ",
    "Sales fell in the second quarter, the company said in its report, " * 4 + "and rose again.",
]
PAIRS = [(TEXTS[0], TEXTS[1]), (TEXTS[5], TEXTS[0]), (TEXTS[0], TEXTS[5]), (TEXTS[5], TEXTS[5])]
LEFT = {"truncation_side": "left"}
UNTYPED = {"model_input_names": ["input_ids", "attention_mask"]}

CASES: list[tuple[str, dict[str, Any]]] = [
    ("bert", LEFT),
    ("bert", {"truncation_side": "right"}),
    ("bert", UNTYPED),
    ("bert", {"do_lower_case": False}),
    ("bert", {"strip_accents": False}),
    ("bert", {"strip_accents": True, "do_lower_case": False}),
    ("bert", {"tokenize_chinese_chars": False}),
    ("bert", {"tokenizer_class": "DistilBertTokenizer"}),
    ("bert", {"tokenizer_class": "PreTrainedTokenizerFast", "do_lower_case": False}),
    ("bert", {"split_special_tokens": True}),
    ("bert-cased", {"do_lower_case": True}),
    ("bert-cased", {"do_lower_case": None}),
    ("electra", {"do_lower_case": False, **LEFT}),
    ("mpnet", {"do_lower_case": False, "tokenize_chinese_chars": False}),
    ("roberta", {"add_prefix_space": True}),
    ("roberta", LEFT),
    ("albert", {"do_lower_case": False, "keep_accents": True}),
    ("xlm-roberta", LEFT),
    ("modernbert", {"add_prefix_space": True}),
]


def changed(source: Path, target: Path, changes: dict[str, Any]) -> Path:
    """A copy of a directory with another tokenizer_config.json; ``None`` takes a key away."""
    shutil.copytree(source, target)
    path = target / "tokenizer_config.json"
    content = {**json.loads(path.read_text(encoding="utf-8")), **changes}
    kept = {key: value for key, value in content.items() if value is not None}
    path.write_text(json.dumps(kept), encoding="utf-8")
    return target


def without_specials(text: str) -> str:
    return text if "[" in text else f"{text} [MASK] [SEP]"


@AS_BEFORE
@pytest.mark.parametrize(("family", "changes"), CASES, ids=lambda value: str(value))
def test_ids_are_those_of_transformers(
    families: Any, tmp_path: Path, family: str, changes: dict[str, Any]
) -> None:
    from transformers import AutoTokenizer

    folder = changed(families.checkpoint(family, "text-classification"), tmp_path / "it", changes)
    theirs = AutoTokenizer.from_pretrained(folder)
    ours = Tokenizer(folder / "tokenizer.json", LONGEST)
    for given in ([*TEXTS, *map(without_specials, TEXTS)], PAIRS):
        found = ours.encode(given, truncation=True)
        wanted = theirs(given, truncation=True, max_length=LONGEST)
        assert [row.tolist() for row in found.split(found.input_ids)] == wanted["input_ids"]
        types = wanted.get("token_type_ids", [[0] * len(row) for row in wanted["input_ids"]])
        assert [row.tolist() for row in found.split(found.token_type_ids)] == types


def test_the_cases_contradict_something(families: Any, tmp_path: Path) -> None:
    """At least one text of a changed file has other ids than without the change."""
    same = []
    for i, (family, changes) in enumerate(CASES):
        source = families.checkpoint(family, "text-classification")
        folder = changed(source, tmp_path / str(i), changes)
        found, plain = (
            [
                (encoded.input_ids.tolist(), encoded.token_type_ids.tolist())
                for given in ([*map(without_specials, TEXTS)], PAIRS)
                for encoded in [
                    Tokenizer(path / "tokenizer.json", LONGEST).encode(given, truncation=True)
                ]
            ]
            for path in (folder, source)
        )
        same += [(family, changes)] * (found == plain)
    assert [changes for _, changes in same] == [
        {"truncation_side": "right"},
        {"tokenizer_class": "PreTrainedTokenizerFast", "do_lower_case": False},
        {"do_lower_case": False, "keep_accents": True},
    ]


@pytest.mark.parametrize("stride", [0, 5])
def test_windows_of_texts_that_are_cut_on_the_left(
    families: Any, tmp_path: Path, stride: int
) -> None:
    from transformers import AutoTokenizer

    folder = changed(families.checkpoint("bert", "text-classification"), tmp_path / "it", LEFT)
    theirs = AutoTokenizer.from_pretrained(folder)(
        TEXTS[5],
        truncation=True,
        max_length=LONGEST,
        stride=stride,
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
    )
    tokenizer = Tokenizer(folder / "tokenizer.json", LONGEST)
    found = segment(tokenizer, [TEXTS[5]], stride=stride)
    rows = [row.tolist() for row in found.split(found.input_ids)]
    assert found.counts == [len(rows)]
    assert rows == theirs["input_ids"]
    spans = [list(map(tuple, row.tolist())) for row in found.split(found.offsets)]
    assert spans == theirs["offset_mapping"]
    ordered = segment(tokenizer, [TEXTS[5]], stride=stride, in_text_order=True)
    assert [row.tolist() for row in ordered.split(ordered.input_ids)] == rows[::-1]
    assert len(rows) > 2


@pytest.mark.filterwarnings("ignore:.*nothing of it is verified")
def test_windows_of_a_document_stand_in_its_order(families: Any, tmp_path: Path) -> None:
    folder = changed(families.plain("bert", "text-classification"), tmp_path / "it", LEFT)
    classify: Any = pipeline("text-classification", folder, threads=1)
    found = classify.document(TEXTS[5], split="windows", window=LONGEST)
    starts = [window["start"] for window in found["windows"]]
    assert len(starts) > 2
    assert starts == sorted(starts)


def check_same(ours: Any, theirs: Any) -> None:
    if isinstance(theirs, dict):
        assert set(ours) >= set(theirs) - {"sequence"}
        for key in set(theirs):
            check_same(ours[key], theirs[key])
    elif isinstance(theirs, list):
        assert len(ours) == len(theirs)
        for our, their in zip(ours, theirs, strict=True):
            check_same(our, their)
    elif isinstance(theirs, float) or hasattr(theirs, "dtype"):
        np.testing.assert_allclose(float(ours), float(theirs), atol=2e-4)
    else:
        assert ours == theirs


LONG = " ".join(TEXTS[:3]) + " " + TEXTS[5]
TASKS: list[tuple[str, str, Any, dict[str, Any], dict[str, Any]]] = [
    # task, head, inputs, our options, theirs
    (
        "text-classification",
        "text-classification",
        LONG,
        {"truncation": True, "max_length": 20},
        {"truncation": True, "max_length": 20},
    ),
    (
        "text-classification",
        "text-classification",
        [{"text": LONG, "text_pair": TEXTS[0]}],
        {"truncation": True, "max_length": 30, "top_k": None},
        {"truncation": True, "max_length": 30, "top_k": None},
    ),
    (
        "token-classification",
        "token-classification",
        LONG * 3,
        {"aggregation_strategy": "simple", "stride": 10},
        {"aggregation_strategy": "simple", "stride": 10},
    ),
    ("token-classification", "token-classification", LONG * 3, {"truncation": True}, {}),
    (
        "question-answering",
        "question-answering",
        {"question": "What rose?", "context": LONG * 2},
        {"max_seq_len": 60, "doc_stride": 20, "top_k": 3},
        {"max_seq_len": 60, "doc_stride": 20, "top_k": 3},
    ),
    (
        "fill-mask",
        "fill-mask",
        "[MASK] rose. " + LONG + " [MASK] rose.",
        {"tokenizer_kwargs": {"truncation": True, "max_length": 20}},
        {"tokenizer_kwargs": {"truncation": True, "max_length": 20}},
    ),
    (
        "feature-extraction",
        "feature-extraction",
        LONG,
        {"tokenize_kwargs": {"truncation": True, "max_length": 20}},
        {"tokenize_kwargs": {"truncation": True, "max_length": 20}},
    ),
    (
        "zero-shot-classification",
        "text-classification",
        LONG * 3,
        {"candidate_labels": ["money", "travel"], "truncation": True},
        {"candidate_labels": ["money", "travel"]},
    ),
]


@AS_BEFORE
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*nothing of it is verified")
@pytest.mark.parametrize("changes", [LEFT, UNTYPED, {"do_lower_case": False}], ids=str)
@pytest.mark.parametrize(("task", "head", "inputs", "options", "their_options"), TASKS)
def test_every_task_answers_as_transformers(
    families: Any,
    tmp_path: Path,
    task: str,
    head: str,
    inputs: Any,
    options: dict[str, Any],
    their_options: dict[str, Any],
    changes: dict[str, Any],
) -> None:
    import transformers

    from leanbert_export.quiet import quiet

    checkpoint = changed(families.checkpoint("bert", head), tmp_path / "checkpoint", changes)
    plain = changed(families.plain("bert", head), tmp_path / "plain", changes)
    if task.startswith("zero-shot"):
        for folder in (checkpoint, plain):
            path = folder / "config.json"
            config = json.loads(path.read_text(encoding="utf-8"))
            labels = ["entailment", "neutral", "contradiction"]
            config["id2label"] = {str(i): label for i, label in enumerate(labels)}
            config["label2id"] = {label: i for i, label in enumerate(labels)}
            path.write_text(json.dumps(config), encoding="utf-8")
    with quiet():
        theirs = transformers.pipeline(task, str(checkpoint), device="cpu")
        wanted = theirs(inputs, **their_options)
    check_same(pipeline(task, plain, threads=1)(inputs, **options), wanted)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"truncation_side": "middle"}, "truncation_side is 'middle'; expected left or right"),
        ({"padding_side": 1}, "padding_side is 1; expected left or right"),
        ({"model_input_names": "input_ids"}, "model_input_names is 'input_ids'; expected a list"),
        ({"do_lower_case": "no"}, "do_lower_case is 'no'; expected true or false"),
        ({"added_tokens_decoder": []}, None),
        ({"added_tokens_decoder": [1]}, "added_tokens_decoder is no object"),
        ({"added_tokens_decoder": {"9": {}}}, "has a token without content"),
        (
            {"added_tokens_decoder": {"900": {"content": "<firm>", "special": False}}},
            "adds the token '<firm>', which tokenizer.json lacks",
        ),
    ],
)
def test_settings_that_cannot_be_honoured(
    tiny_bundle: Path, tmp_path: Path, changes: dict[str, Any], message: str | None
) -> None:
    shutil.copy(tiny_bundle / "tokenizer.json", tmp_path)
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(changes), encoding="utf-8")
    if message is None:
        assert len(Tokenizer(tmp_path / "tokenizer.json", 32).encode(["profit"])) == 1
        return
    with pytest.raises(BundleCorruptError, match=message) as error:
        Tokenizer(tmp_path / "tokenizer.json", 32)
    assert str(error.value).startswith("tokenizer_config.json: ")


def test_sides_that_tokenizer_json_itself_says(tmp_path: Path) -> None:
    made = tiny_words.tokenizer()
    made.enable_truncation(9, direction="left")
    made.enable_padding(direction="left")
    made.save(str(tmp_path / "tokenizer.json"))
    found = Tokenizer(tmp_path / "tokenizer.json", 32)
    assert (found.truncation_side, found.padding_side) == ("left", "left")
    said = {"truncation_side": "right", "padding_side": "right"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(said), encoding="utf-8")
    found = Tokenizer(tmp_path / "tokenizer.json", 32)
    assert (found.truncation_side, found.padding_side) == ("right", "right")


@pytest.mark.filterwarnings("ignore:.*nothing of it is verified")
def test_words_are_refused_where_they_would_be_joined(families: Any, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    words = ["Profit", "rose", "again"]
    folder = changed(families.checkpoint("roberta", "token-classification"), tmp_path / "no", {})
    refusal = pytest.raises(AssertionError, match="add_prefix_space=True")
    # transformers 5 joins the words.
    with contextlib.nullcontext() if is_newer() else refusal:
        AutoTokenizer.from_pretrained(folder)(words, is_split_into_words=True)
    tokenizer = Tokenizer(folder / "tokenizer.json", LONGEST)
    with pytest.raises(InputError, match="is_split_into_words: this tokenizer would join") as told:
        segment(tokenizer, [words], is_split_into_words=True)
    assert len(str(told.value).splitlines()) == 1
    tagger = pipeline("token-classification", families.plain("roberta", "token-classification"))
    assert isinstance(tagger("Profit rose again"), list)
    with pytest.raises(InputError, match="add_prefix_space"):
        tagger(words, is_split_into_words=True)
    spaced = changed(folder, tmp_path / "yes", {"add_prefix_space": True})
    wanted = AutoTokenizer.from_pretrained(spaced)(words, is_split_into_words=True)
    found = segment(
        Tokenizer(spaced / "tokenizer.json", LONGEST), [words], is_split_into_words=True
    )
    assert found.input_ids.tolist() == wanted["input_ids"]


@pytest.mark.parametrize("lower", [True, False])
def test_an_added_token_is_found_as_the_settings_normalize(tmp_path: Path, lower: bool) -> None:
    """The files contradict each other; the shared tokenizer and its copies find the same."""
    made = tiny_words.tokenizer()
    made.normalizer = normalizers.BertNormalizer(lowercase=lower)
    made.add_tokens(
        [AddedToken("FooBar", normalized=True), AddedToken("Caf\u00e9X", normalized=True)]
    )
    made.save(str(tmp_path / "tokenizer.json"))
    said = {"tokenizer_class": "BertTokenizer", "do_lower_case": not lower, "model_max_length": 32}
    said |= {"unk_token": "[UNK]", "sep_token": "[SEP]", "cls_token": "[CLS]", "pad_token": "[PAD]"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(said), encoding="utf-8")
    (tmp_path / "config.json").write_text('{"model_type": "bert"}', encoding="utf-8")
    ours = Tokenizer(tmp_path / "tokenizer.json", 32)
    texts = ["profit FooBar", "profit foobar", "FOOBAR rose", "Caf\u00e9X", "CAF\u00c9X", "cafex"]
    whole, cut = (ours.encode(texts, max_length=size).input_ids.tolist() for size in (None, 31))
    assert whole == cut
    token = made.token_to_id("FooBar")
    assert whole.count(token) == (1 if lower else 3)
    transformers = pytest.importorskip("transformers")
    if is_newer():  # before, transformers finds them as the file normalizes
        theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
        assert whole == [i for ids in theirs(texts)["input_ids"] for i in ids]
