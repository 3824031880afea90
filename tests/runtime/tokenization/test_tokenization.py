"""Texts become the ids that the model was trained on, whatever they hold and whoever asks."""

from __future__ import annotations

import json
import random
import shutil
import threading
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from leanbert import Bundle, LeanBertWarning, pipeline
from leanbert.errors import BundleCorruptError, BundleNotFoundError, InputError
from leanbert.tokenization import Tokenizer, segment, text_input
from tests.helpers import tiny_bundles, tiny_words
from tests.helpers.tiny_bundles import Tiny, probabilities, read_content, reseal
from tests.helpers.tiny_words import FILLER, NEGATIVE, POSITIVE

LONG = "profit " * 40  # 42 tokens of the 32 that fit


@pytest.fixture(scope="module")
def tokenizer(tiny_bundle: Path) -> Tokenizer:
    return Tokenizer(tiny_bundle / "tokenizer.json", 32)


def score(classify: Any, item: object, **options: Any) -> list[float]:
    answer = classify([item], top_k=None, function_to_apply="none", **options)[0]
    return [found["score"] for found in sorted(answer, key=lambda found: str(found["label"]))]


def test_pairs_get_their_type_ids(tokenizer: Tokenizer) -> None:
    found = tokenizer.encode([("profit rose", "a loss"), "sales"])
    vocabulary = tiny_words.VOCABULARY
    assert [[vocabulary[i] for i in ids] for ids in found.split(found.input_ids)] == [
        ["[CLS]", "profit", "rose", "[SEP]", "a", "loss", "[SEP]"],
        ["[CLS]", "sales", "[SEP]"],
    ]
    assert found.token_type_ids.tolist() == [0, 0, 0, 0, 1, 1, 1, 0, 0, 0]
    assert found.lengths.tolist() == [7, 3]


def test_pairs_reach_the_graph(classify: Any) -> None:
    text, pair = "sales in the quarter", "a bad loss"
    answer = classify({"text": text, "text_pair": pair}, top_k=None)
    wanted = dict(zip(tiny_bundles.LABELS, probabilities(Tiny(), text, pair), strict=True))
    assert {item["label"]: item["score"] for item in answer} == pytest.approx(wanted, abs=1e-6)
    as_one = probabilities(Tiny(), f"{text} {pair}")
    assert max(abs(a - b) for a, b in zip(wanted.values(), as_one, strict=True)) > 1e-3


def test_a_graph_without_type_ids_is_not_given_them(make_bundle: Callable[..., Path]) -> None:
    tiny = Tiny(token_types=False)
    answerer = pipeline(model=make_bundle(token_types=False))
    inputs = {node.name for node in answerer.runner.engine._session.get_inputs()}
    assert inputs == {"input_ids", "attention_mask"}
    answer = answerer({"text": "profit rose", "text_pair": "a loss"}, top_k=None)
    wanted = dict(zip(tiny.labels, probabilities(tiny, "profit rose", "a loss"), strict=True))
    assert {item["label"]: item["score"] for item in answer} == pytest.approx(wanted, abs=1e-6)


def test_a_long_text_is_cut_with_a_warning(classify: Any) -> None:
    with pytest.warns(LeanBertWarning, match=r"^text 1: cut to 32 tokens.*truncation=True") as seen:
        answers = classify(["sales", LONG])
    assert len(seen) == 1
    assert answers[1] == classify([LONG], truncation=True)[0]
    with pytest.warns(LeanBertWarning, match=r"^2 texts \(text 0 first\): cut"):
        classify([LONG, "sales", LONG])


def test_a_long_text_is_cut_silently_if_asked(classify: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        [answer] = classify(LONG, truncation=True)
    assert answer["score"] == pytest.approx(max(probabilities(Tiny(), LONG)), abs=1e-6)
    # The end was cut: it does not count.
    assert score(classify, LONG + "bad", truncation=True) == score(classify, LONG, truncation=True)


def test_a_long_text_is_an_error_if_asked(classify: Any) -> None:
    with pytest.raises(InputError, match=r"^text 2: longer than 32 tokens"):
        classify(["sales", "profit", LONG, "loss"], truncation=False)
    fits = "profit " * 30
    assert classify([fits], truncation=False)[0]["label"] == "positive"


def test_the_index_counts_over_windows(classify: Any) -> None:
    texts = ["sales"] * 2100 + [LONG]
    with pytest.raises(InputError, match=r"^text 2100: longer"):
        classify(texts, truncation=False)
    with pytest.raises(InputError, match=r"^text 2100: expected"):
        classify([*texts[:-1], 5])


def test_a_smaller_max_length(classify: Any, tokenizer: Tokenizer) -> None:
    rows = tokenizer.encode(
        [LONG, "sales", ("profit " * 9, "loss " * 9)], truncation=True, max_length=8
    )
    assert rows.lengths.tolist() == [8, 3, 8]
    assert rows.take([2]).token_type_ids.sum() in (3, 4)
    cut = "profit " * 6 + "bad " * 6
    assert score(classify, cut, truncation=True, max_length=8) == score(classify, "profit " * 6)
    with pytest.raises(InputError, match="text 0: longer than 8"):
        classify([cut], truncation=False, max_length=8)
    # A larger one than the model bears is the model's own.
    assert tokenizer.encode([LONG], truncation=True, max_length=1000).lengths == [32]
    # The default is as before.
    assert tokenizer.encode([LONG], truncation=True).lengths == [32]


@pytest.mark.parametrize("length", [-3, 0, 1, 2])
def test_a_max_length_that_leaves_no_room(classify: Any, length: int) -> None:
    with pytest.raises(InputError, match=f"max_length is {length}"):
        classify("profit", max_length=length)


def test_a_pair_needs_room_for_a_third_special_token(classify: Any) -> None:
    assert classify("profit rose", max_length=3, truncation=True) == classify("profit")
    pair = {"text": "profit", "text_pair": "a loss"}
    for options in ({}, {"window": 3}):
        with pytest.raises(InputError, match="text 1: max_length is 3; the 3 special tokens of a"):
            classify(["profit", pair], max_length=3, truncation=True, **options)


@pytest.mark.parametrize("pad", ["", " bank" * 40])
def test_the_part_of_a_pair_that_is_cut(classify: Any, pad: str) -> None:
    """A long other part (``pad``) is left whole, or named as what cannot be cut."""
    long, short = "profit " * 6 + "bad " * 60, "the bank"
    first, second = {"text": long, "text_pair": short}, {"text": short, "text_pair": long}
    room = tiny_bundles.MAX_LENGTH - 3 - 2
    kept = " ".join(long.split()[:room])
    for pair, strategy, wanted in (
        (first, "only_first", {"text": kept, "text_pair": short}),
        (second, "only_second", {"text": short, "text_pair": kept}),
    ):
        assert classify(pair, truncation=strategy) == classify(wanted, truncation=False)
    assert classify(long, truncation="only_first") == classify(long, truncation=True)
    for pair, strategy in ((second, "only_first"), (first, "only_second")):
        given = {key: text if text == long else text + pad for key, text in pair.items()}
        with pytest.raises(InputError, match=r"text 1: cannot be cut as asked \(.*too short"):
            classify(["profit", given], truncation=strategy)
    with pytest.raises(InputError, match=r"text 0: cannot be cut as asked \(Second sequence not"):
        classify(long, truncation="only_second")
    assert classify("profit", truncation="only_second") == classify("profit")


def test_a_lone_surrogate_is_unknown_text(classify: Any) -> None:
    assert score(classify, "profit \ud800 rose") == score(classify, "profit \ufffd rose")
    pair = {"text": "profit", "text_pair": "a \udfff loss"}
    assert score(classify, pair) == score(classify, {**pair, "text_pair": "a \ufffd loss"})
    # In a batch, the others keep their answers.
    answers = classify(["\udc80", "profit rose", "a bad loss"])
    assert [answer["label"] for answer in answers[1:]] == ["positive", "negative"]


@pytest.mark.parametrize(
    "text",
    ["", " ", "\0", "profit\0rose", "profit\trose\r\n", "🚀📈 profit", "é\u0301\u200d", "行业",
     "\uffff", "[CLS] [SEP] [MASK]", "profit" * 50],
)  # fmt: skip
def test_any_text_has_the_references_answer(classify: Any, text: str) -> None:
    wanted = probabilities(Tiny(), text)
    answer = classify(text, top_k=None, truncation=True)
    found = {item["label"]: item["score"] for item in answer}
    assert [found[label] for label in tiny_bundles.LABELS] == pytest.approx(wanted, abs=1e-6)


def test_white_space_does_not_count(classify: Any) -> None:
    assert score(classify, "profit\t rose\n") == score(classify, "profit rose")


@pytest.mark.parametrize(
    "item",
    [None, 3, 2.5, b"bytes", ("a", "b"), ["a", "b"], [["a"]], [["a", 3]], {"text": 3},
     {"text": "a", "text_pair": 3}, {"text_pair": "a"}, {"text": "a", "other": "b"}, {},
     {3: "a"}, {3: "a", "b": "c"}],
)  # fmt: skip
def test_an_item_that_is_no_text(classify: Any, item: object) -> None:
    with pytest.raises(InputError, match=r"^text 2: expected [^\n]*$"):
        classify(["profit", "sales", item, "loss"])


def test_text_input_reads_what_pipelines_take() -> None:
    assert text_input("a", 0) == "a"
    assert text_input({"text": "a"}, 0) == "a"
    assert text_input({"text": "a", "text_pair": None}, 0) == "a"
    assert text_input({"text": "a", "text_pair": "b"}, 0) == ("a", "b")
    assert text_input([["a", "b"]], 0) == ("a", "b")
    assert text_input({"text": "a", "text_pair": ""}, 0) == "a"
    assert text_input([["a", ""]], 0) == "a"


def test_a_file_that_is_no_tokenizer(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    with pytest.raises(BundleNotFoundError, match=r"tokenizer\.json"):
        Tokenizer(path, 32)
    path.write_bytes(b"\xff{}")
    with pytest.raises(BundleCorruptError, match=r"tokenizer\.json"):
        Tokenizer(path, 32)


def test_side_files_that_the_manifest_does_not_list_are_not_obeyed(bundle_copy: Path) -> None:
    said = {"unk_token": "profit", "mask_token": "loss", "padding_side": "left"}
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        (bundle_copy / name).write_text(json.dumps(said), encoding="utf-8")
    laid_in_later = Tokenizer.of(Bundle.open(bundle_copy))
    assert laid_in_later.settings == {}
    assert laid_in_later.padding_side == "right"
    reseal(bundle_copy, read_content(bundle_copy))  # now the manifest lists them
    assert Tokenizer.of(Bundle.open(bundle_copy)).settings == said


def test_a_tokenizer_that_fails_on_a_text(tmp_path: Path) -> None:
    """BPE without bytes, whose unknown token is not in its vocabulary."""
    content = json.loads(tiny_words.tokenizer().to_str())
    vocabulary = {token: i for i, token in enumerate(tiny_words.VOCABULARY)}
    content["model"] = {"type": "BPE", "unk_token": "<unk>", "vocab": vocabulary, "merges": []}
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    tokenizer = Tokenizer(path, 32)
    assert tokenizer.encode(["a"]).lengths.tolist() == [3]
    with pytest.raises(BundleCorruptError, match="texts 7 to 8: the bundle's tokenizer fails") as e:
        tokenizer.encode(["a", "é猫"], first_index=7)
    assert "<unk>" in str(e.value)
    assert "\n" not in str(e.value)


def test_fixed_padding_in_the_file_is_ignored(tiny_bundle: Path, tmp_path: Path) -> None:
    made = tiny_words.tokenizer()
    made.enable_padding(length=128)
    made.enable_truncation(4)
    made.save(str(tmp_path / "tokenizer.json"))
    ours = Tokenizer(tmp_path / "tokenizer.json", 32)
    plain = Tokenizer(tiny_bundle / "tokenizer.json", 32)
    text = "profit rose in the quarter"
    assert ours.encode([text]).input_ids.tolist() == plain.encode([text]).input_ids.tolist()


def test_many_threads_share_a_pipeline(classify: Any) -> None:
    source = random.Random(5)  # noqa: S311
    words = [*POSITIVE, *NEGATIVE, *FILLER]
    calls = []
    for _ in range(160):
        texts = [" ".join(source.choices(words, k=source.randint(1, 40))) for _ in range(6)]
        calls.append((texts, source.choice([None, 6, 9, 17, 32])))

    def answer(call: tuple[list[str], int | None]) -> Any:
        return classify(call[0], max_length=call[1], truncation=True, top_k=None)

    serial = [answer(call) for call in calls]
    barrier = threading.Barrier(8)

    def share(first: int) -> list[Any]:
        barrier.wait(timeout=60)
        return [answer(call) for call in calls[first::8]]

    fresh = pipeline(model=classify.bundle, threads=1)  # its caches are still empty
    for shared in (classify, fresh):
        classify = shared
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(share, range(8)))
        for first, answers in enumerate(found):
            assert answers == serial[first::8]


def test_ids_are_those_of_berts_own_tokenizer(data_dir: Path) -> None:
    """10,570 questions with the ids that Google's tokenizer gave them."""
    folder = data_dir / "tokenizers"
    tokenizer = Tokenizer(folder / "bert-base-uncased" / "tokenizer.json", 512)
    asked = json.loads((folder / "bert_reference_ids" / "question_tokens.json").read_text("utf-8"))
    path = folder / "bert_reference_ids" / "tokenized_questions.json"
    wanted = json.loads(path.read_text("utf-8"))
    texts = [question["original"] for question in asked]
    assert len(texts) == len(wanted) == 10_570
    encoded = tokenizer.encode(texts)
    assert [row.tolist() for row in encoded.split(encoded.input_ids)] == [
        [101, *ids, 102] for ids in wanted
    ]
    windows = segment(tokenizer, texts[::10], stride=5)
    assert [row.tolist() for row in windows.split(windows.input_ids)] == [
        [101, *ids, 102] for ids in wanted[::10]
    ]


def test_ids_are_those_of_published_tests(data_dir: Path) -> None:
    """Awkward texts with the ids of huggingface's tokenizer, published for other languages."""
    folder = data_dir / "tokenizers"
    tokenizer = Tokenizer(folder / "bert-base-uncased" / "tokenizer.json", 512)
    path = folder / "bert_reference_ids" / "tokenizer_tests.json"
    cases = json.loads(path.read_text("utf-8"))["bert-base-uncased"]
    assert len(cases) > 10
    for case in cases:
        encoded = tokenizer.encode([case["input"]])
        assert encoded.input_ids.tolist() == case["encoded"]["input_ids"], case["input"]
        assert encoded.token_type_ids.tolist() == case["encoded"]["token_type_ids"]


def test_what_special_tokens_are_called(tiny_bundle: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(tiny_bundle / "tokenizer.json", tmp_path))
    plain = Tokenizer(path, 32)
    names = ("cls_token", "sep_token", "unk_token", "mask_token")
    assert [plain.special_tokens.id(name) for name in names] == [2, 3, 1, 4]
    assert plain.padding_side == "right"
    said = {"unk_token": {"content": "profit"}, "mask_token": "lost", "padding_side": "left"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(said), encoding="utf-8")
    named = Tokenizer(path, 32)
    assert [named.special_tokens.id(name) for name in names] == [
        2,
        3,
        plain.token_to_id("profit"),
        None,
    ]
    assert named.padding_side == "left"


def test_tokens_become_text_again(tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode(["profits, rose"]).input_ids.tolist()[1:-1]
    tokens = [tokenizer.id_to_token(i) for i in ids]
    assert tokens == ["profit", "##s", ",", "rose"]
    assert tokenizer.tokens_to_string(tokens) in ("profits, rose", "profit ##s , rose")
    assert tokenizer.id_to_token(10**6) == ""
    assert tokenizer.count_tokens(["profits, rose", "", "profit " * 90]) == [len(ids), 0, 32]
    assert (tokenizer.added_tokens(pair=False), tokenizer.added_tokens(pair=True)) == (2, 3)
